"""Ports that the world may reach, for webhooks and for who watches: TLS by config, timeouts for slow senders.

aiohttp waits without limit for the first request of a connection; a sender that dribbles a header byte by byte would
hold a connection for ever. So a connection whose first request is not there in time is closed, and one whose TLS
handshake is not done in time. Between requests aiohttp's own keep-alive timeout does the same.

Each connection is an open file of the process, and the calls to platforms, the API and the store need some too. So the
system is asked to allow more at start, and there are never more connections than half of what it allows. They are
counted where they are accepted: aiohttp does not know of a connection before its TLS handshake, which a sender may
delay.

aiohttp also logs bytes that are not HTTP as an error of the server, with a traceback that quotes them. The port is open
to the world, so here they are one line of level info.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import anyio
import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from orchestrator.config import ConfigError, TlsSettings
from orchestrator.config.tls import tls_context
from orchestrator.network import bind_refusal

log = structlog.get_logger()

_SHUTDOWN_SECONDS = 2.0
_CLEANUP_SECONDS = 10.0
_KEEP_ALIVE_SECONDS = 75.0
_BACKLOG = 512
_MOST_CONNECTIONS = 1000
_OPEN_FILES = 8192  # asked for, where the limit that the daemon was started with is lower and may be raised

SERVER = "fulfilld"
"""The listener's `Server` header."""


class ListenError(Exception):
    """A listener cannot be served there; the message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen. `section`: the part of the config that says so. `not_http`: the name of the log's line for
    bytes that are no request. `read_timeout_seconds`: how long a sender may take for its first request, and for the TLS
    handshake."""

    section: str
    not_http: str
    host: str
    port: int
    read_timeout_seconds: float
    tls: TlsSettings | None = None


@asynccontextmanager
async def listening(app: web.Application, place: Place) -> AsyncIterator[tuple[str, int]]:
    """Serves the application for as long as the block lasts; yields host and port. Raises ListenError."""
    context = None if place.tls is None else _tls(place.tls)
    runner = _Runner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=_SHUTDOWN_SECONDS,
        keepalive_timeout=_KEEP_ALIVE_SECONDS,
        auto_decompress=False,  # signatures are over the bytes as sent, and small ones could unpack to large ones
        place=place,
    )
    await runner.setup()
    try:
        site = _Site(runner, place, context)
        try:
            await site.start()
        except OSError as error:
            raise ListenError(bind_refusal(place.section, place.host, place.port, error)) from None
        host, port = runner.addresses[0][:2]
        yield host, port
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLEANUP_SECONDS):
            await runner.cleanup()


def _open_files() -> int:
    """How many files the process may have open, after more were asked for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return _OPEN_FILES if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def _tls(settings: TlsSettings) -> ssl.SSLContext:
    try:
        return tls_context(settings)
    except ConfigError as error:
        raise ListenError("; ".join(map(str, error.errors))) from None


class _LimitedSocket(socket.socket):
    """A listening socket that keeps at most `most` of its connections open, those in `inside`: it closes any further
    one."""

    __slots__ = ("inside", "most")

    inside: WeakSet[socket.socket]
    most: int

    @classmethod
    def at(cls, place: socket.socket, inside: WeakSet[socket.socket], most: int) -> _LimitedSocket:
        """Takes over a bound socket, which may be closed then."""
        limited = cls(place.family, place.type, place.proto, place.dup().detach())
        limited.inside, limited.most = inside, most
        return limited

    def accept(self) -> tuple[socket.socket, Any]:
        """As `socket.accept`. Raises ConnectionAbortedError for one too many, as if its sender had left."""
        connection, address = super().accept()
        if len(self.inside) >= self.most:
            for each in [each for each in self.inside if each.fileno() < 0]:
                self.inside.discard(each)
        if len(self.inside) >= self.most:
            connection.close()
            raise ConnectionAbortedError
        self.inside.add(connection)
        return connection, address


class _Site(web.BaseSite):
    """As `web.TCPSite`, which waits a minute for the TLS handshake, and takes any number of connections."""

    __slots__ = ("_more", "_place")

    def __init__(self, runner: web.BaseRunner, place: Place, context: ssl.SSLContext | None) -> None:
        super().__init__(runner, ssl_context=context, backlog=_BACKLOG)
        self._place = place
        self._more: list[asyncio.Server] = []  # where the host has several addresses

    @property
    def name(self) -> str:
        """Where it listens."""
        return f"{self._place.host}:{self._place.port}"

    async def start(self) -> None:
        """Listens. Raises OSError."""
        await super().start()
        server = self._runner.server
        assert server is not None
        loop = asyncio.get_running_loop()
        bound = await loop.create_server(server, self._place.host, self._place.port, start_serving=False)
        inside: WeakSet[socket.socket] = WeakSet()
        most = min(_MOST_CONNECTIONS, _open_files() // 2)
        sockets = [_LimitedSocket.at(place, inside, most) for place in bound.sockets]
        bound.close()
        for listening_socket in sockets:
            serving = await loop.create_server(
                server,
                sock=listening_socket,
                ssl=self._ssl_context,
                ssl_handshake_timeout=None if self._ssl_context is None else self._place.read_timeout_seconds,
                backlog=self._backlog,
            )
            if self._server is None:
                self._server = serving
            else:
                self._more.append(serving)

    async def stop(self) -> None:
        """Listens no more."""
        for serving in self._more:
            serving.close()
        await super().stop()


class _Runner(web.AppRunner):
    """An AppRunner whose connections have a timeout for their first request."""

    def __init__(self, app: web.Application, *, place: Place, **settings: Any) -> None:
        super().__init__(app, **settings)
        self._place = place

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server  # same layout; aiohttp has no hook for the protocol's class
        assert isinstance(server, _Server)
        server.place = self._place
        return server


class _Server(web.Server):
    place: Place

    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(web.RequestHandler):
    """A connection whose first request must come in time, and may be invalid."""

    __slots__ = ("_timeout",)

    _manager: _Server | None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        server = self._manager
        assert server is not None
        loop = asyncio.get_running_loop()
        self._timeout = loop.call_later(server.place.read_timeout_seconds, self._time_out)

    def connection_lost(self, exc: BaseException | None) -> None:
        if (timeout := getattr(self, "_timeout", None)) is not None:
            timeout.cancel()
        super().connection_lost(exc)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        if isinstance(error := kw.get("exc_info"), HttpProcessingError):
            assert self._manager is not None
            log.info(self._manager.place.not_http, status=error.code, reason=type(error).__name__)
        else:
            super().log_exception(*args, **kw)

    def handle_error(self, *args: Any, **kw: Any) -> web.StreamResponse:
        """aiohttp's own answer quotes the request and names versions."""
        answer = super().handle_error(*args, **kw)
        response = web.Response(status=answer.status, text="not HTTP\n" if answer.status < 500 else "an error\n")
        response.headers["Server"] = SERVER
        response.force_close()
        return response

    def _time_out(self) -> None:
        if self._request_count == 0:  # no request line and headers yet
            self.force_close()
