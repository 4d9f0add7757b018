"""A call's exchange: what leaves, when it ends, and what of an answer is kept. Also what it uses of aiohttp beyond its
documentation, so that another version says here that it has changed."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import anyio
import pytest
from aiohttp import web
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.streams import StreamReader
from yarl import URL

from orchestrator.platforms.exchange import Exchange, TooLarge, _Deadlines
from orchestrator.platforms.http import open_session
from tests.platforms.selldone.shop import serving

MAX_BYTES = 2**20
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[URL]:
    """A server that says what it likes."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    async with server:
        yield URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/orders/1?a=b%20c", encoded=True)


@asynccontextmanager
async def exchanging(*, seconds: float = 10) -> AsyncIterator[Exchange]:
    session = open_session(
        headers={"Authorization": "Bearer first", "Accept": "application/json"}, timeout_seconds=seconds, concurrency=2
    )
    async with session:
        yield Exchange(session)


async def head_and_body(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return head, await reader.readexactly(int(lengths[0])) if lengths else b""


# -- what leaves -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers", [None, {}, {"Content-Type": "application/json"}, {"authorization": "Bearer second"}]
)
@pytest.mark.parametrize("body", [None, b"", b'{"state":"x"}', b"x" * 300_000])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
async def test_what_leaves_is_what_aiohttp_by_itself_would_send(
    method: str, body: bytes | None, headers: dict[str, str] | None
) -> None:
    seen: list[tuple[list[bytes], bytes]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, got = await head_and_body(reader)
            seen.append((head.split(b"\r\n"), got))
            writer.write(OK if method != "HEAD" else OK[:-2])

    async with talking(talk) as url, exchanging() as exchange:
        await exchange.send(method, url, body, headers, MAX_BYTES)
        await exchange._by_session(method, url, body, headers, MAX_BYTES)
    (ours, our_body), (theirs, their_body) = seen
    assert our_body == their_body == (body or b"")
    assert ours[0] == theirs[0]
    assert sorted(line.lower() for line in ours[1:]) == sorted(line.lower() for line in theirs[1:])


async def test_a_call_starts_no_task_and_leaves_in_one_write() -> None:
    pieces: list[bytes] = []

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            pieces.append(data)
            self.transport.write(OK)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0)
    async with server, exchanging() as exchange:
        url = URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await exchange.send("POST", url, b"first", None, MAX_BYTES)  # this one connects
        started: list[object] = []

        def starting(loop: asyncio.AbstractEventLoop, coroutine: Any, **named: Any) -> asyncio.Task[Any]:
            started.append(coroutine)
            return asyncio.Task(coroutine, loop=loop, **named)

        loop.set_task_factory(starting)
        try:
            await exchange.send("POST", url, b"second", None, MAX_BYTES)
        finally:
            loop.set_task_factory(None)
    assert started == []
    assert len(pieces) == 2
    assert pieces[1].endswith(b"\r\n\r\nsecond")


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/a\x01", None), ("/a?b=\0", None), ("/", {"X": "a\r\nY: b"}), ("/", {"X\n": "a"}), ("/", {"X": "\x7f"})],
)
async def test_no_line_can_be_put_into_a_head(path: str, headers: dict[str, str] | None) -> None:
    arrived: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.append(await reader.read())

    async with talking(talk) as url, exchanging() as exchange:
        with pytest.raises(ValueError, match="control characters"):
            await exchange.send("GET", URL(f"{url.origin()}{path}", encoded=True), None, headers, MAX_BYTES)
    assert not any(arrived)


async def test_an_address_with_a_user_is_left_to_the_session() -> None:
    seen: list[str | None] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.json_response({})

    async with serving(handler) as base_url, aiohttp.ClientSession() as session:
        url = URL(base_url).with_user("ann").with_password("pw")
        assert (await Exchange(session).send("GET", url, None, None, MAX_BYTES)).status == 200
    assert seen == ["Basic YW5uOnB3"]


@pytest.mark.parametrize("address", ["ftp://shop/", "http:///path", "shop/path"])
async def test_what_is_no_address_is_said_by_the_session(address: str) -> None:
    async with exchanging() as exchange:
        with pytest.raises((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)):
            await exchange.send("GET", URL(address, encoded=True), None, None, MAX_BYTES)


async def test_many_headers_do_not_pile_up() -> None:
    async with talking(_answering(OK)) as url, exchanging() as exchange:
        for number in range(200):
            await exchange.send("GET", url, None, {"Authorization": f"Bearer {number}"}, MAX_BYTES)
        assert len(exchange._heads) <= 64


# -- when it ends ------------------------------------------------------------------------------------------------------


def _answering(*answers: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await head_and_body(reader)
            for answer in answers:
                writer.write(answer)
                await writer.drain()

    return talk


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"])
async def test_an_answer_that_keeps_dripping_ends_with_the_calls_time(first: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_and_body(reader)
        writer.write(first)
        while True:
            writer.write(b" " if first else b"HTTP/1.1 103 Early Hints\r\n\r\n")
            await writer.drain()
            await anyio.sleep(0.01)

    async with talking(talk) as url, exchanging(seconds=0.3) as exchange:
        with pytest.raises(TimeoutError):
            await exchange.send("GET", url, None, None, MAX_BYTES)


async def test_each_call_has_its_own_deadline() -> None:
    """The later of two is not ended with the first, and is ended when nothing else happens any more."""
    ended: list[str] = []
    asked = anyio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_and_body(reader)
        asked.set()
        await anyio.sleep_forever()

    async with talking(talk) as url, exchanging(seconds=0.4) as exchange:

        async def call(name: str) -> None:
            with pytest.raises(TimeoutError):
                await exchange.send("GET", url, None, None, MAX_BYTES)
            ended.append(name)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(call, "first")
                await asked.wait()
                group.start_soon(call, "second")
    assert ended == ["first", "second"]


class SetTime:
    """An event loop's time, which a test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        self._timers.append(asyncio.TimerHandle(when, callback, (), asyncio.get_running_loop()))
        return self._timers[-1]

    def pass_until(self, now: float) -> None:
        self.now = now
        due = [timer for timer in self._timers if timer.when() <= now and not timer.cancelled()]
        self._timers = [timer for timer in self._timers if timer not in due]
        for timer in due:
            timer._run()


async def test_the_later_of_two_calls_is_ended_at_its_own_time() -> None:
    time: Any = SetTime()
    loop = asyncio.get_running_loop()
    deadlines, first, second = _Deadlines(time, 30), ResponseHandler(loop), ResponseHandler(loop)
    deadlines.watch(first, deadlines.from_now())
    time.pass_until(20)
    deadlines.watch(second, deadlines.from_now())
    time.pass_until(30)
    assert (first.exception() is not None, second.exception()) == (True, None)
    deadlines.forget(first)
    time.pass_until(50)
    assert second.exception() is not None


async def test_a_call_that_waited_for_its_connection_has_no_more_time_than_others() -> None:
    """Its time began before that of the call that is watched first."""
    time: Any = SetTime()
    loop = asyncio.get_running_loop()
    deadlines, waited, later = _Deadlines(time, 30), ResponseHandler(loop), ResponseHandler(loop)
    first = deadlines.from_now()
    time.pass_until(10)
    deadlines.watch(later, deadlines.from_now())
    time.pass_until(20)
    deadlines.watch(waited, first)
    time.pass_until(30)
    assert (waited.exception() is not None, later.exception()) == (True, None)
    deadlines.forget(waited)
    time.pass_until(40)
    assert later.exception() is not None


async def test_a_call_that_is_cancelled_hangs_up() -> None:
    asked, hung_up = anyio.Event(), anyio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_and_body(reader)
        asked.set()
        assert await reader.read() == b""
        hung_up.set()

    async with talking(talk) as url, exchanging() as exchange, anyio.create_task_group() as group:
        group.start_soon(exchange.send, "POST", url, b"{}", None, MAX_BYTES)
        await asked.wait()
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True), anyio.fail_after(60):
            await hung_up.wait()
    assert hung_up.is_set()


@pytest.mark.parametrize(
    ("answers", "status", "body"),
    [
        ((b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", OK), 200, b"{}"),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), 204, b""),
        ((b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",), 302, b""),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc", b"def"), 200, b"abcdef"),
        ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", b"1\r\nc\r\n0\r\n\r\n"), 200, b"abc"),
    ],
)
async def test_answers_of_every_shape_are_read_and_their_connection_is_kept(
    answers: tuple[bytes, ...], status: int, body: bytes
) -> None:
    connections: list[None] = []
    talk = _answering(*answers)

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(None)
        await talk(reader, writer)

    async with talking(counted) as url, exchanging() as exchange:
        for _ in range(3):
            received = await exchange.send("GET", url, None, None, MAX_BYTES)
            assert (received.status, received.body) == (status, body)
    assert len(connections) == 1


@pytest.mark.parametrize(
    "stray",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray",
        b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"no HTTP at all\r\n\r\n",
    ],
)
@pytest.mark.parametrize("is_direct", [True, False])
async def test_what_a_kept_connection_brought_unasked_answers_no_call(stray: bytes, is_direct: bool) -> None:
    """A second answer to the call before, or what a proxy says before it hangs up: the next call would be taken for
    done, and each one behind it would be given the answer of the one before."""
    both_asked, answered, told = anyio.Event(), anyio.Event(), anyio.Event()
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        number = connections
        await head_and_body(reader)
        if number == 1:
            await both_asked.wait()
            writer.write(OK)
            await answered.wait()
            writer.write(stray)
            await writer.drain()
            told.set()
        elif number == 2:  # its answer is read behind what the other one brought unasked
            both_asked.set()
            await told.wait()
            writer.write(OK)
        else:
            writer.write(OK)
        while True:
            await head_and_body(reader)
            writer.write(OK)

    async with talking(talk) as url, exchanging() as exchange:

        async def send(method: str, body: bytes | None) -> tuple[int, bytes]:
            if is_direct:
                received = await exchange.send(method, url, body, None, MAX_BYTES)
                return received.status, received.body
            async with exchange._session.request(method, url, data=body) as response:  # as what is delivered leaves
                return response.status, await response.read()

        async def call() -> None:
            await send("GET", None)
            answered.set()

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(call)
                group.start_soon(call)
            for _ in range(3):
                assert await send("POST", b"{}") == (200, b"{}")


async def test_a_request_that_is_answered_before_it_has_left_is_the_last_of_its_connection() -> None:
    """Servers that refuse a head do not all read the body: the next request would wait behind it for ever."""
    connections: list[None] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(None)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        await anyio.sleep_forever()

    async with talking(talk) as url, exchanging(seconds=20) as exchange:
        await exchange.send("POST", url, b"x" * 30_000_000, None, MAX_BYTES)
        await exchange.send("GET", url, None, None, MAX_BYTES)
    assert len(connections) == 2


async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_and_body(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsome")
        await writer.drain()
        writer.write(b" more")

    async with talking(talk) as url, exchanging() as exchange:
        for _ in range(2):
            assert (await exchange.send("GET", url, None, None, MAX_BYTES)).body == b"some more"


# -- what is kept ------------------------------------------------------------------------------------------------------


async def test_an_answer_that_says_how_large_it_is_is_refused_before_it_comes() -> None:
    async with (
        talking(_answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BYTES + 1))) as url,
        exchanging() as exchange,
    ):
        with pytest.raises(TooLarge):
            await exchange.send("GET", url, None, None, MAX_BYTES)


async def peak_of_refusing(url: URL) -> int:
    """Bytes that were kept at most while the answer was refused."""
    async with exchanging() as exchange:
        tracemalloc.start()
        try:
            with pytest.raises(TooLarge):
                await exchange.send("GET", url, None, None, MAX_BYTES)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_an_answer_that_unpacks_without_end_costs_no_more_than_the_bound(encoding: str) -> None:
    zeros = bytes(256 * MAX_BYTES)
    packed = gzip.compress(zeros, 1) if encoding == "gzip" else zlib.compress(zeros, 1)
    del zeros
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(packed)}\r\n\r\n"
    async with talking(_answering(head.encode(), packed)) as url:
        assert await peak_of_refusing(url) < 8 * MAX_BYTES


@pytest.mark.parametrize("is_chunked", [True, False])
async def test_an_answer_without_end_costs_no_more_than_the_bound(is_chunked: bool) -> None:
    piece = bytes(2**16)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_and_body(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n%b\r\n" % (b"Transfer-Encoding: chunked\r\n" if is_chunked else b""))
        while True:
            writer.write(b"10000\r\n%b\r\n" % piece if is_chunked else piece)
            await writer.drain()

    async with talking(talk) as url:
        assert await peak_of_refusing(url) < 8 * MAX_BYTES


@pytest.mark.parametrize("size", [MAX_BYTES, MAX_BYTES + 1])
async def test_the_bound_is_on_what_an_answer_unpacks_to(size: int) -> None:
    packed = gzip.compress(b"x" * size)

    async with (
        talking(
            _answering(
                b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(packed), packed)
            )
        ) as url,
        exchanging() as exchange,
    ):
        if size > MAX_BYTES:
            with pytest.raises(TooLarge):
                await exchange.send("GET", url, None, None, MAX_BYTES)
        else:
            assert len((await exchange.send("GET", url, None, None, MAX_BYTES)).body) == size


# -- what it uses of aiohttp -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (ResponseHandler, "read"),
        (ResponseHandler, "set_exception"),
        (ResponseHandler, "set_response_params"),
        (ResponseHandler, "should_close"),
        (StreamReader, "is_eof"),
        (StreamReader, "iter_any"),
        (StreamReader, "read_nowait"),
        (StreamReader, "set_exception"),
        (Connection, "close"),
        (Connection, "protocol"),
        (Connection, "release"),
        (aiohttp.BaseConnector, "connect"),
        (aiohttp.ClientRequest, "request_info"),
        (aiohttp.ClientSession, "_request"),
        (aiohttp.ClientSession, "_retry_connection"),
    ],
)
async def test_aiohttp_has_what_is_used_of_it(owner: type, name: str) -> None:
    """Where this fails, `exchange` and `open_session` have to be looked at before that version is allowed."""
    async with aiohttp.ClientSession() as session:
        assert hasattr(owner, name) or hasattr(session, name)
