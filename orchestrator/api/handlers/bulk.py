"""Many targets in one request: NDJSON in, one answer a line out, in the order of the lines, as they become durable.

Lines that came together are accepted together, up to 100 in one unit of work: one commit, a fraction of the work of
100, and short enough for steps to fit in between. While one unit is written the next is read. A line that takes more
than the store (its order has to be read from the platform first) is submitted by itself, with all that follow for its
order, in their sequence; up to 64 such lines are worked on at once.

Many clients send everything before they read the first answer. If we stopped reading because our answers are not taken,
such a client and we would wait for each other for ever; so answers wait in memory up to a generous bound, and only then
is reading stopped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import aclosing

import anyio
import anyio.lowlevel
from aiohttp import StreamReader, web
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from orchestrator.api.answers import NDJSON_TYPE, cut_off, open_stream
from orchestrator.api.call import Call
from orchestrator.api.lines import LONGEST_LINE_BYTES, lines_of
from orchestrator.api.platform_data import with_platform_data
from orchestrator.api.problems import ApiError, Problem, problem_of
from orchestrator.api.reading import check_type, checked, is_ndjson, parse_json
from orchestrator.api.schema.bodies import BulkLine
from orchestrator.api.schema.queries import Query
from orchestrator.api.services import Services
from orchestrator.decisions.refusals import no_shop
from orchestrator.decisions.submission import Accepted, Requested
from orchestrator.operations.documents import Target
from orchestrator.operations.views.orders import target_view
from orchestrator.operations.writing import to_json

_AT_ONCE = 64
_UNIT_LINES = 100
_STRETCH_LINES = 25  # read and checked before others get their turn in the event loop
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
    """One line on its way. `wanted`: what it asks for, None for one that is refused as it stands; `answer`: None until
    it is decided."""

    __slots__ = ("answer", "done", "number", "wanted")

    def __init__(self, number: int) -> None:
        self.number = number
        self.wanted: Requested | None = None
        self.answer: bytes | None = None
        self.done: anyio.Event | None = None  # of a line that is submitted by itself


class _Bulk:
    """One bulk request: what reads units of lines, what has them accepted one after the other, tasks for lines that are
    submitted by themselves, and what writes the answers."""

    def __init__(self, call: Call[Query], response: web.StreamResponse) -> None:
        self._services = call.services
        self._response = response
        self._turns = anyio.Semaphore(_AT_ONCE)
        self._lines: deque[_Line] = deque()
        self._alone: dict[tuple[str, str], _Line] = {}  # the last line of an order that is submitted by itself
        self._known_shops: dict[str, bool] = {}
        self._unread_bytes = 0
        self._is_complete = False
        self._broken: Exception | None = None
        self._change = anyio.Event()
        self._room = anyio.Event()

    async def run(self, content: StreamReader) -> None:
        """Works until every line is answered. Raises what broke the reading or the writing."""
        send, receive = anyio.create_memory_object_stream[list[_Line]](0)
        async with anyio.create_task_group() as group:
            group.start_soon(self._write, group)
            group.start_soon(self._submit_units, receive, group)
            async with send:
                try:
                    await self._read(content, send)
                except Exception as error:  # noqa: BLE001 - what was read is answered first
                    self._broken = error
            self._is_complete = True
            self._change.set()
        if self._broken is not None:
            raise self._broken

    async def _read(self, content: StreamReader, send: MemoryObjectSendStream[list[_Line]]) -> None:
        number = 0
        async with aclosing(lines_of(content)) as chunks:
            async for chunk in chunks:
                await anyio.lowlevel.checkpoint()  # what is unpacked already is read without a pause
                present = [(at, raw) for at, raw in enumerate(chunk, number + 1) if raw is None or raw.strip()]
                number += len(chunk)
                for part in _parts(present, _UNIT_LINES):
                    while self._unread_bytes > _UNREAD_BYTES:
                        self._room = anyio.Event()
                        await self._room.wait()
                    await send.send(await self._unit(part))

    async def _unit(self, part: Sequence[tuple[int, bytes | None]]) -> list[_Line]:
        """Lines of which what each wants is known. What is wrong with a line by itself is answered at once."""
        unit: list[_Line] = []
        for number, raw in part:
            if len(unit) % _STRETCH_LINES == 0:
                await anyio.lowlevel.checkpoint()
            line = _Line(number)
            try:
                line.wanted = await self._requested(_parse(raw))
            except Exception as error:  # noqa: BLE001 - supervised: a bad line fails alone
                self._answer(line, _refusal(line, problem_of(error)))
            unit.append(line)
            self._lines.append(line)
        self._change.set()
        return unit

    async def _requested(self, body: BulkLine) -> Requested:
        """What a line asks for. Raises Refused, Invalid."""
        if not await self._knows(body.shop):
            raise no_shop(body.shop, self._services.node.shops())
        return Requested(
            body.shop, body.order, with_platform_data(self._services, body.shop, body.to_request()), body.key
        )

    async def _knows(self, shop: str) -> bool:
        """Whether there is or was such a shop. One that has left the config is refused by its own words later."""
        if not self._known_shops.get(shop):
            if shop in self._services.node.shops():
                self._known_shops[shop] = True
            elif shop not in self._known_shops:
                self._known_shops[shop] = await self._services.queries.has_left(shop)
        return self._known_shops[shop]

    async def _submit_units(self, receive: MemoryObjectReceiveStream[list[_Line]], group: TaskGroup) -> None:
        """One unit after the other: a line sees what the lines before it did to its order."""
        async with receive:
            async for unit in receive:
                together = [line for line in unit if line.wanted is not None and _place(line.wanted) not in self._alone]
                left = set(await self._submit_together(together))
                for line in unit:
                    if line.wanted is not None and (line in left or line.answer is None):
                        await self._turns.acquire()
                        self._begin_alone(line, line.wanted, group)
                self._change.set()

    async def _submit_together(self, lines: Sequence[_Line]) -> list[_Line]:
        """Answers lines; returns those that have to be submitted by themselves."""
        wanted = [line.wanted for line in lines if line.wanted is not None]
        results: Sequence[Accepted | Exception | None]
        try:
            results = await self._services.commands.submit_all(wanted) if wanted else []
        except Exception as error:  # noqa: BLE001 - supervised: each line says so
            results = [error] * len(lines)
        left: list[_Line] = []
        for line, result in zip(lines, results, strict=True):
            match result:
                case None:
                    left.append(line)
                case Accepted(target, situation):
                    self._answer(line, _acceptance(line, target_view(target, situation)))
                case refusal:
                    self._answer(line, _refusal(line, problem_of(refusal)))
        return left

    def _begin_alone(self, line: _Line, wanted: Requested, group: TaskGroup) -> None:
        line.done = anyio.Event()
        place = _place(wanted)
        before, self._alone[place] = self._alone.get(place), line
        group.start_soon(self._submit_alone, line, wanted, before)

    async def _submit_alone(self, line: _Line, wanted: Requested, before: _Line | None) -> None:
        if before is not None and before.done is not None:
            await before.done.wait()
        text = await _submitted(self._services, line, wanted)
        if self._alone.get(_place(wanted)) is line:
            del self._alone[_place(wanted)]
        self._answer(line, text)
        assert line.done is not None
        line.done.set()
        self._turns.release()
        self._change.set()

    def _answer(self, line: _Line, text: bytes) -> None:
        line.answer = text
        self._unread_bytes += len(text)

    async def _write(self, group: TaskGroup) -> None:
        try:
            while self._lines or not self._is_complete:
                if self._lines and self._lines[0].answer is not None:
                    await self._write_what_is_decided()
                else:
                    self._change = anyio.Event()
                    await self._change.wait()
        except ConnectionError as error:
            self._broken = error
            group.cancel_scope.cancel()

    async def _write_what_is_decided(self) -> None:
        chunk = bytearray()
        while self._lines and len(chunk) < _CHUNK_BYTES and (answer := self._lines[0].answer) is not None:
            chunk += answer
            self._lines.popleft()
        await self._response.write(bytes(chunk))
        self._unread_bytes -= len(chunk)
        self._room.set()


def _place(wanted: Requested) -> tuple[str, str]:
    return wanted.shop, wanted.order


def _parts(lines: Sequence[tuple[int, bytes | None]], most: int) -> Iterator[Sequence[tuple[int, bytes | None]]]:
    return (lines[start : start + most] for start in range(0, len(lines), most))


async def _submitted(services: Services, line: _Line, wanted: Requested) -> bytes:
    try:
        target = await services.commands.submit(wanted.shop, wanted.order, wanted.request, key=wanted.key)
        return _acceptance(line, await services.queries.shown(target))
    except Exception as error:  # noqa: BLE001 - supervised: a bad line fails alone
        return _refusal(line, problem_of(error))


def _acceptance(line: _Line, view: Target) -> bytes:
    return to_json({"line": line.number, "status": 202, "target": view}) + b"\n"


def _refusal(line: _Line, problem: Problem) -> bytes:
    return to_json({"line": line.number, "status": problem.status, "problem": problem.to_json()}) + b"\n"


def _parse(raw: bytes | None) -> BulkLine:
    if raw is None:
        raise ApiError("body-too-large", f"the line is longer than {LONGEST_LINE_BYTES} bytes")
    return checked(BulkLine, parse_json(raw, "invalid-target"), "invalid-target")
