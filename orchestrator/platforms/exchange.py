"""One request and its whole answer over a pooled connection: what a session does for a call, without what no call of
ours wants.

aiohttp's `ClientSession.request` serves redirects, cookies, middlewares, uploads of any kind and answers that are read
piece by piece, and its share of a small call is larger than all the rest (a task for the body, two objects and three
timers a call). A platform's call needs none of that: its body is at hand, its headers are the same from call to call,
and its answer is wanted whole. So the connection is taken from the session's connector, head and body leave in one
write, and aiohttp's own parser reads what comes back. Nothing is ever sent a second time here (docs/pitfalls.md H1).

The session's own `request` is asked where it has more to do: for an address that only it can judge, and where somebody
put another in its place, as recorders and test doubles do. What of aiohttp is used below without being documented
(`Connection.protocol` and its methods) is held by `tests/platforms/test_exchange.py`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final, NamedTuple

import aiohttp
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

_SESSION_REQUEST = aiohttp.ClientSession._request  # noqa: SLF001 - what test doubles put another in the place of
_MOST_HEADS = 64  # made at a time: a few methods and sets of headers, and the tokens among them change
_FIRST_REFUSAL = 400
_SCHEMES = frozenset({"http", "https"})
_CARRIERS = frozenset({hdrs.METH_POST, hdrs.METH_PUT, hdrs.METH_PATCH})
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""No line of a request's head may hold them: they would end it, and begin a header that nobody meant."""


MAX_REFUSAL_BYTES: Final = 1024 * 1024
"""How much of an answer with a status of 400 and more is read: its words stand at its beginning."""


class TooLarge(Exception):
    """The answer is larger than anything that makes sense: `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"the answer is larger than {max_bytes} bytes")
        self.max_bytes = max_bytes


class Received(NamedTuple):
    """An answer as it came: its status, its whole body, unpacked, and its headers."""

    status: int
    body: bytes
    headers: CIMultiDictProxy[str]


class _Request(aiohttp.ClientRequest):
    """What a connector asks for an address. Whom it connects with is made out once: calls ask for that again and again,
    and it does not change."""

    @cached_property
    def connection_key(self) -> ConnectionKey:
        """As aiohttp's."""
        return super().connection_key


class _Head(NamedTuple):
    """What calls with the same method, server and headers share: whom to connect with, and all of a request's head but
    its first words and the length of its body."""

    request: _Request
    text: str


class Exchange:
    """Of one session; has to be made inside a running event loop. `check_send` raises where no request may leave any
    more: it is asked once the connection stands, right before the request is written to it."""

    def __init__(self, session: aiohttp.ClientSession, check_send: Callable[[], None] = lambda: None) -> None:
        self._session, self._check_send = session, check_send
        self._loop = asyncio.get_running_loop()
        self._heads: dict[tuple[object, ...], _Head | None] = {}
        total = session.timeout.total
        self._timeout = aiohttp.ClientTimeout(connect=total, sock_connect=session.timeout.sock_connect)
        self._deadlines = _Deadlines(self._loop, total)

    async def send(
        self, method: str, url: URL, body: bytes | None, headers: Mapping[str, str] | None, max_bytes: int
    ) -> Received:
        """Sends a request, once, and reads its whole answer, of a refusal no more than its beginning; redirects are not
        followed. `max_bytes`: how large an answer may be once it is unpacked.

        Raises aiohttp.ClientError, TimeoutError, OSError, TooLarge, ValueError for a head that would be several, and
        what `check_send` does.
        """
        key = (method, body is None, url.scheme, url.raw_authority, tuple(headers.items()) if headers else None)
        try:
            head = self._heads[key]
        except KeyError:
            head = self._keep(key, self._head(method, url, headers, has_body=body is not None))
        if head is None or aiohttp.ClientSession._request is not _SESSION_REQUEST:  # noqa: SLF001
            return await self._by_session(method, url, body, headers, max_bytes)
        path = url.raw_path_qs
        if _FORBIDDEN.search(path) is not None:
            raise ValueError("the path of an address holds control characters")
        if body is not None:
            data = f"{method} {path}{head.text}Content-Length: {len(body)}\r\n\r\n".encode() + body
        elif method in aiohttp.ClientRequest.GET_METHODS:
            data = f"{method} {path}{head.text}\r\n".encode()
        else:
            data = f"{method} {path}{head.text}Content-Length: 0\r\n\r\n".encode()
        return await self._direct(head.request, data, max_bytes, is_bodiless=method == hdrs.METH_HEAD)

    async def _direct(
        self, request: aiohttp.ClientRequest, data: bytes, max_bytes: int, *, is_bodiless: bool
    ) -> Received:
        deadline = self._deadlines.from_now()
        connector = self._session.connector
        assert connector is not None
        try:
            connection = await connector.connect(request, traces=[], timeout=self._timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(f"Connection timeout to host {request.url}") from error
        protocol = connection.protocol
        assert protocol is not None
        self._deadlines.watch(protocol, deadline)
        try:
            protocol.set_response_params(skip_payload=is_bodiless, read_until_eof=True)
            transport = protocol.transport
            if transport is None or transport.is_closing():
                raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")
            self._check_send()
            transport.write(data)
            message, payload = await protocol.read()
            while 100 <= message.code < 200 and message.code != 101:  # there is more to come
                message, payload = await protocol.read()
            if payload.is_eof():  # as most answers, it came in one piece
                received = _bounded(message.code, message.headers, payload.read_nowait(-1), max_bytes)
            else:
                self._deadlines.watch(protocol, deadline, payload)
                received = await whole(message.code, message.headers, payload, max_bytes)
        except HttpProcessingError as error:
            connection.close()
            raise aiohttp.ClientResponseError(
                request.request_info, (), status=error.code, message=error.message
            ) from error
        except BaseException:
            connection.close()
            raise
        finally:
            self._deadlines.forget(protocol)
        if payload.is_eof() and transport.get_write_buffer_size() == 0:
            connection.release()
        else:  # what is left of the answer, or of a request that was answered before it had left, is no other call's
            connection.close()
        return received

    async def _by_session(
        self, method: str, url: URL, body: bytes | None, headers: Mapping[str, str] | None, max_bytes: int
    ) -> Received:
        self._check_send()
        async with self._session.request(method, url, data=body, headers=headers, allow_redirects=False) as response:
            try:
                return await whole(response.status, response.headers, response.content, max_bytes)
            finally:
                if not response.content.is_eof():
                    response.close()

    def _head(self, method: str, url: URL, headers: Mapping[str, str] | None, *, has_body: bool) -> _Head | None:
        """None for an address that the session is to judge."""
        if url.scheme not in _SCHEMES or not url.raw_host or url.raw_user is not None or url.raw_password is not None:
            return None
        merged = CIMultiDict(self._session.headers)
        merged.update(headers or {})
        if has_body or method in _CARRIERS:
            merged.setdefault(hdrs.CONTENT_TYPE, "application/octet-stream")
        # aiohttp's own request knows what else belongs into a head, and is what its connector asks for an address.
        request = _Request(method, url.origin(), headers=merged, loop=self._loop, session=self._session)
        request.headers.popall(hdrs.CONTENT_LENGTH, None)
        lines = [f"{name}: {value}" for name, value in request.headers.items()]
        if any(_FORBIDDEN.search(line) for line in (method, *lines)):
            raise ValueError("a header holds control characters")
        return _Head(request, " HTTP/1.1\r\n" + "".join(f"{line}\r\n" for line in lines))

    def _keep(self, key: tuple[object, ...], head: _Head | None) -> _Head | None:
        if len(self._heads) >= _MOST_HEADS:
            self._heads.clear()
        self._heads[key] = head
        return head


async def whole(status: int, headers: CIMultiDictProxy[str], payload: StreamReader, max_bytes: int) -> Received:
    """An answer with its body, unpacked as it comes; nothing more is read of it where `payload` has not ended. Raises
    TooLarge before more than `max_bytes` are kept, or at once where its Content-Length says so."""
    if payload.is_eof():
        return _bounded(status, headers, payload.read_nowait(-1), max_bytes)
    is_refusal = status >= _FIRST_REFUSAL
    most = min(max_bytes, MAX_REFUSAL_BYTES) if is_refusal else max_bytes
    length = headers.get(hdrs.CONTENT_LENGTH, "")
    if not is_refusal and length.isascii() and length.isdigit() and int(length) > most:
        raise TooLarge(most)
    pieces: list[bytes] = []
    size = 0
    async for piece in payload.iter_any():
        size += len(piece)
        if size > most and not is_refusal:
            raise TooLarge(most)
        pieces.append(piece)
        if size > most:
            break
    return _bounded(status, headers, b"".join(pieces), max_bytes)


def _bounded(status: int, headers: CIMultiDictProxy[str], body: bytes, max_bytes: int) -> Received:
    if status >= _FIRST_REFUSAL:
        return Received(status, body[: min(max_bytes, MAX_REFUSAL_BYTES)], headers)
    if len(body) > max_bytes:
        raise TooLarge(max_bytes)
    return Received(status, body, headers)


class _Deadlines:
    """When the calls under way have to have their answers: one timer for all, as each has the same time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float | None) -> None:
        self._loop = loop
        self._seconds = seconds or float("inf")
        self._watched: dict[ResponseHandler, tuple[float, StreamReader | None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def from_now(self) -> float:
        """The deadline of a call that begins now, in the loop's time."""
        return self._loop.time() + self._seconds

    def watch(self, protocol: ResponseHandler, deadline: float, payload: StreamReader | None = None) -> None:
        """From now on whoever reads from the connection, and of the body that is coming, fails when time is up."""
        self._watched[protocol] = deadline, payload
        if self._timer is not None and deadline < self._timer.when():  # it waited for its connection
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._look)

    def forget(self, protocol: ResponseHandler) -> None:
        """The call has ended."""
        self._watched.pop(protocol, None)

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        for protocol, (deadline, payload) in self._watched.items():
            if deadline <= now:
                late = aiohttp.SocketTimeoutError("no answer in time")
                protocol.set_exception(late)
                if payload is not None:
                    payload.set_exception(late)
        nearest = min((deadline for deadline, _ in self._watched.values() if deadline > now), default=None)
        if nearest is not None:
            self._timer = self._loop.call_at(nearest, self._look)
