"""Ways to somewhere that a test can cut or silence: each a port on loopback that passes on what both sides say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import ByteStream, SocketStream, TaskStatus

Connect = Callable[[], Awaitable[ByteStream]]
"""Connects to where a way leads. Raises OSError where nobody is."""

_GONE: Final = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)
_MOST_BYTES: Final = 1 << 18


class Way:
    """One way. It is open until something else is said."""

    def __init__(self, connect: Connect) -> None:
        self.port = 0
        self._connect = connect
        self._is_cut = False
        self._passing = anyio.Event()
        self._passing.set()
        self._connections: set[anyio.CancelScope] = set()

    def cut(self) -> None:
        """Ends what is connected, and whoever connects from now on."""
        self._is_cut = True
        for scope in self._connections:
            scope.cancel()

    def silence(self) -> None:
        """Nothing arrives any more, either way, and nobody is told. What was sent meanwhile arrives once it is open."""
        self._passing = anyio.Event()

    def open(self) -> None:
        """As at the beginning."""
        self._is_cut = False
        self._passing.set()

    async def serve(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Until it is cancelled."""
        listeners = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self.port)
        async with listeners:
            self.port = listeners.extra(anyio.abc.SocketAttribute.local_port)
            task_status.started()
            await listeners.serve(self._pass)

    async def _pass(self, client: SocketStream) -> None:
        async with client:
            if self._is_cut:
                return
            with anyio.CancelScope() as scope:
                self._connections.add(scope)
                try:
                    await self._passing.wait()
                    async with AsyncExitStack() as stack:
                        server = await stack.enter_async_context(await self._connect())
                        async with anyio.create_task_group() as group:
                            group.start_soon(self._pump, client, server, group.cancel_scope)
                            group.start_soon(self._pump, server, client, group.cancel_scope)
                except OSError:
                    pass  # nobody is there
                finally:
                    self._connections.discard(scope)

    async def _pump(self, source: ByteStream, sink: ByteStream, both: anyio.CancelScope) -> None:
        try:
            while True:
                data = await source.receive(_MOST_BYTES)
                await self._passing.wait()
                await sink.send(data)
        except _GONE:
            both.cancel()


class _Socket(ByteStream):
    """A connection with a socket in a folder. anyio's own logs errors when a wait for it is cancelled in time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if not (data := await self._reader.read(max_bytes)):
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        self._writer.write(item)
        await self._writer.drain()

    async def send_eof(self) -> None:
        self._writer.write_eof()

    async def aclose(self) -> None:
        self._writer.transport.abort()


async def to_socket(path: Path) -> ByteStream:
    """Connects with a socket in a folder. Raises OSError where nobody listens."""
    return _Socket(*await asyncio.open_unix_connection(path))


@asynccontextmanager
async def serving(*ways: Way) -> AsyncIterator[None]:
    """Serves ways for as long as the block lasts."""
    async with anyio.create_task_group() as group:
        for way in ways:
            await group.start(way.serve)
        yield
        group.cancel_scope.cancel()
