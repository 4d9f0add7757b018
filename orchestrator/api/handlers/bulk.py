"""Many targets in one request: NDJSON in, one answer a line out, in the order of the lines, as they become durable.

Up to 64 lines are worked on at once, which the store turns into few commits. Lines of the same order are submitted one
after the other, as they came: a later line may only be possible because of an earlier one.

Many clients send everything before they read the first answer. If we stopped reading because our answers are not taken,
such a client and we would wait for each other for ever; so answers wait in memory up to a generous bound, and only then
is reading stopped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
from aiohttp import StreamReader, web
from anyio.abc import TaskGroup

from orchestrator.api.answers import NDJSON_TYPE, cut_off, open_stream, to_json
from orchestrator.api.call import Call
from orchestrator.api.platform_data import with_platform_data
from orchestrator.api.problems import ApiError, Problem, problem_of
from orchestrator.api.reading import check_type, checked, is_ndjson, parse_json
from orchestrator.api.schema.bodies import BULK_LINE, BulkLine
from orchestrator.api.schema.queries import Query
from orchestrator.api.services import Services
from orchestrator.decisions.refusals import Refused

LONGEST_LINE_BYTES = 1024 * 1024
_AT_ONCE = 64
_UNREAD_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024


async def submit_bulk(call: Call[Query]) -> web.StreamResponse:
    """Accepts a target a line."""
    if call.request.can_read_body:
        check_type(call.request, is_ndjson)
    response = await open_stream(call.request, NDJSON_TYPE)
    bulk = _Bulk(call, response)
    try:
        await bulk.run(call.request.content)
        await response.write_eof()
    except ConnectionError:
        pass  # the client is gone; what was accepted is on disk
    except Exception as error:  # noqa: BLE001 - supervised: the head is out, so only a cut can show it
        cut_off(call.request, error)
    return response


class _Line:
    """One line on its way: `answer` is there once `done` is set."""

    __slots__ = ("answer", "done", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.answer = b""
        self.done = anyio.Event()


class _Bulk:
    """One bulk request: a reader, a task for each line that is worked on, and a writer."""

    def __init__(self, call: Call[Query], response: web.StreamResponse) -> None:
        self._services = call.services
        self._response = response
        self._turns = anyio.Semaphore(_AT_ONCE)
        self._lines: deque[_Line] = deque()
        self._last_of: dict[tuple[str, str], _Line] = {}
        self._unread_bytes = 0
        self._is_complete = False
        self._broken: Exception | None = None
        self._change = anyio.Event()
        self._room = anyio.Event()

    async def run(self, content: StreamReader) -> None:
        """Works until every line is answered. Raises what broke the reading or the writing."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._write, group)
            try:
                await self._read(content, group)
            except Exception as error:  # noqa: BLE001 - what was read is answered first
                self._broken = error
            self._is_complete = True
            self._change.set()
        if self._broken is not None:
            raise self._broken

    async def _read(self, content: StreamReader, group: TaskGroup) -> None:
        number = 0
        async with aclosing(_lines(content)) as lines:
            async for raw in lines:
                number += 1
                if raw is not None and not raw.strip():
                    continue
                await self._turns.acquire()
                while self._unread_bytes > _UNREAD_BYTES:
                    self._room = anyio.Event()
                    await self._room.wait()
                line = _Line(number)
                self._lines.append(line)
                self._change.set()
                self._begin(line, raw, group)

    def _begin(self, line: _Line, raw: bytes | None, group: TaskGroup) -> None:
        try:
            body = _parse(raw)
        except Exception as error:  # noqa: BLE001 - supervised: a bad line fails alone
            self._finish(line, _refusal(line, problem_of(error)))
            return
        key = (body.shop, body.order)
        before, self._last_of[key] = self._last_of.get(key), line
        group.start_soon(self._submit, line, body, before)

    async def _submit(self, line: _Line, body: BulkLine, before: _Line | None) -> None:
        if before is not None:
            await before.done.wait()
        text = await _submitted(self._services, line, body)
        if self._last_of.get((body.shop, body.order)) is line:
            del self._last_of[body.shop, body.order]
        self._finish(line, text)

    def _finish(self, line: _Line, text: bytes) -> None:
        line.answer = text
        self._unread_bytes += len(text)
        line.done.set()
        self._turns.release()

    async def _write(self, group: TaskGroup) -> None:
        try:
            while True:
                if self._lines and self._lines[0].done.is_set():
                    await self._write_what_is_done()
                elif self._lines:
                    await self._lines[0].done.wait()
                elif self._is_complete:
                    return
                else:
                    self._change = anyio.Event()
                    await self._change.wait()
        except ConnectionError as error:
            self._broken = error
            group.cancel_scope.cancel()

    async def _write_what_is_done(self) -> None:
        chunk = bytearray()
        while self._lines and self._lines[0].done.is_set() and len(chunk) < _CHUNK_BYTES:
            chunk += self._lines.popleft().answer
        await self._response.write(bytes(chunk))
        self._unread_bytes -= len(chunk)
        self._room.set()


async def _submitted(services: Services, line: _Line, body: BulkLine) -> bytes:
    try:
        if body.shop not in services.node.shops() and not await services.queries.has_left(body.shop):
            raise Refused("shop-not-found", f"no shop is named {body.shop!r}")
        request = with_platform_data(services, body.shop, body.to_request())
        target = await services.commands.submit(body.shop, body.order, request, key=body.key)
        view = await services.queries.shown(target)
    except Exception as error:  # noqa: BLE001 - supervised: a bad line fails alone
        return _refusal(line, problem_of(error))
    return to_json({"line": line.number, "status": 202, "target": view}) + b"\n"


def _refusal(line: _Line, problem: Problem) -> bytes:
    return to_json({"line": line.number, "status": problem.status, "problem": problem.to_json()}) + b"\n"


def _parse(raw: bytes | None) -> BulkLine:
    if raw is None:
        raise ApiError("body-too-large", f"the line is longer than {LONGEST_LINE_BYTES} bytes")
    return checked(BULK_LINE, parse_json(raw, "invalid-target"), "invalid-target")


async def _lines(content: StreamReader) -> AsyncGenerator[bytes | None, None]:
    """The lines of a body while it arrives; None stands for one that is too long. The last may lack its end."""
    buffer = bytearray()
    searched, is_skipping = 0, False
    async for chunk in content.iter_any():
        buffer += chunk
        while (end := buffer.find(b"\n", searched)) >= 0:
            yield None if is_skipping or end > LONGEST_LINE_BYTES else bytes(buffer[:end])
            del buffer[: end + 1]
            searched, is_skipping = 0, False
        searched = len(buffer)
        if searched > LONGEST_LINE_BYTES:
            buffer.clear()
            searched, is_skipping = 0, True
    if is_skipping:
        yield None
    elif buffer:
        yield bytes(buffer)
