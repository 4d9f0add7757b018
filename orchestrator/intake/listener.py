"""The port that webhooks come in at: TLS by config, and patience with slow senders has an end.

aiohttp waits without limit for the first request of a connection; a sender that dribbles a header byte by byte would
hold a connection for ever. So a connection whose first request is not there in time is closed. Between requests
aiohttp's own keep-alive timeout does the same.

It also takes bytes that are no HTTP for an error of the server, with a traceback that quotes them. The port is open to
the world, so here they are one quiet line.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from orchestrator.config import ConfigError, TlsSettings, WebhookSettings
from orchestrator.config.tls import tls_context
from orchestrator.network import bind_words

log = structlog.get_logger()

_SHUTDOWN_SECONDS = 2.0
_CLEANUP_SECONDS = 10.0
_KEEP_ALIVE_SECONDS = 75.0
_BACKLOG = 512
_MOST_CONNECTIONS = 1000

SERVER = "fulfilld"
"""What the listener calls itself."""


class ListenError(Exception):
    """The webhook listener cannot be served there; the message is one sentence for a person."""


@asynccontextmanager
async def listening(app: web.Application, settings: WebhookSettings) -> AsyncIterator[tuple[str, int]]:
    """Serves the receiver for as long as the block lasts; answers host and port. Raises ListenError."""
    context = None if settings.tls is None else _tls(settings.tls)
    runner = _Runner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=_SHUTDOWN_SECONDS,
        keepalive_timeout=_KEEP_ALIVE_SECONDS,
        auto_decompress=False,  # signatures are over the bytes as sent, and small ones could unpack to large ones
        read_timeout_seconds=settings.read_timeout_seconds,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port, backlog=_BACKLOG, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            told = bind_words(settings.host, settings.port, error)
            raise ListenError(f"{told}; set another webhooks.port") from None
        host, port = runner.addresses[0][:2]
        yield host, port
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLEANUP_SECONDS):
            await runner.cleanup()


def _tls(settings: TlsSettings) -> ssl.SSLContext:
    try:
        return tls_context(settings)
    except ConfigError as error:
        raise ListenError("; ".join(map(str, error.errors))) from None


class _Runner(web.AppRunner):
    """An AppRunner whose connections are impatient."""

    def __init__(self, app: web.Application, *, read_timeout_seconds: float, **settings: Any) -> None:
        super().__init__(app, **settings)
        self._read_timeout_seconds = read_timeout_seconds

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server  # same layout; aiohttp has no hook for the protocol's class
        assert isinstance(server, _Server)
        server.read_timeout_seconds = self._read_timeout_seconds
        return server


class _Server(web.Server):
    read_timeout_seconds: float

    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(web.RequestHandler):
    """A connection that has to bring its first request in time, and may bring nonsense."""

    __slots__ = ("_patience",)

    _manager: _Server | None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        server = self._manager
        assert server is not None
        if len(server.connections) > _MOST_CONNECTIONS:
            self.force_close()
            return
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(server.read_timeout_seconds, self._lose_patience)

    def connection_lost(self, exc: BaseException | None) -> None:
        if (patience := getattr(self, "_patience", None)) is not None:
            patience.cancel()
        super().connection_lost(exc)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        if isinstance(error := kw.get("exc_info"), HttpProcessingError):
            log.info("webhook.no_http", status=error.code, reason=type(error).__name__)
        else:
            super().log_exception(*args, **kw)

    def handle_error(self, *args: Any, **kw: Any) -> web.StreamResponse:
        """aiohttp's own answer quotes the request and names versions."""
        answer = super().handle_error(*args, **kw)
        told = web.Response(status=answer.status, text="no HTTP\n" if answer.status < 500 else "an error\n")
        told.headers["Server"] = SERVER
        told.force_close()
        return told

    def _lose_patience(self) -> None:
        if self._request_count == 0:  # no request line and headers yet
            self.force_close()
