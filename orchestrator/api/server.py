"""Where the API listens: a Unix socket whose mode says who may call, and loopback TCP behind a token.

A socket file says nothing about whether somebody listens: it stays when a daemon is killed, and binding again would
silently take it from one that lives. So the old one is asked first, and removed only when nobody answers. The mode is
set before anybody can connect, whatever the umask: between bind and listen a socket refuses.

Nor does a socket notice that its file was removed, by a clean-up of /run for example: it goes on listening where nobody
finds it. So the file is checked every other second, and made anew when it is not ours any more.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import structlog
from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError

from orchestrator.api.answers import mark
from orchestrator.api.origin import DOORS, Doors
from orchestrator.api.problems import Problem
from orchestrator.api.reading import unread_encoding
from orchestrator.api.services import TOKEN
from orchestrator.config import ApiSettings, lost_directory
from orchestrator.network import bind_refusal

log = structlog.get_logger()

_LONGEST_PATH_BYTES = 107  # sockaddr_un has 108, one of them for the end
_PROBE_SECONDS = 1.0
_SHUTDOWN_SECONDS = 2.0  # streams have been ended by then; what still runs is cut
_CLEANUP_SECONDS = 10.0
_BACKLOG = 512
_LOOK_SECONDS = 2.0
_LINGER_SECONDS = 5.0  # a client that has more to send is let finish, before its connection is closed


class ServeError(Exception):
    """The API cannot be served there; the message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Served:
    """Where the API is reached; `tcp` is host and port, None where it is off."""

    socket: Path
    tcp: tuple[str, int] | None
    door: Door


@asynccontextmanager
async def serving(app: web.Application, api: ApiSettings) -> AsyncIterator[Served]:
    """Serves the application for as long as the block lasts. Raises ServeError."""
    if api.tcp is not None:
        app[TOKEN] = api.tcp.token.get_secret_value()
    app[DOORS] = Doors(frozenset(api.hosts), api.socket)
    runner = _Runner(
        app, access_log=None, handle_signals=False, shutdown_timeout=_SHUTDOWN_SECONDS, keepalive_timeout=75.0
    )
    await runner.setup()
    door = Door(runner, api.socket, api.socket_permissions)
    try:
        await door.open()
        tcp = None if api.tcp is None else await _serve_tcp(runner, api.tcp.host, api.tcp.port)
        yield Served(api.socket, tcp, door)
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLEANUP_SECONDS):
            await runner.cleanup()
        door.close()


class Door:
    """The Unix socket that the API is reached by, kept where clients expect it."""

    def __init__(self, runner: web.AppRunner, path: Path, mode: int) -> None:
        self._runner, self._path, self._mode = runner, path, mode
        self._listener: _Listener | None = None
        self._site: _UnixSite | None = None
        self._trouble: str | None = None

    async def open(self) -> None:
        """Listens on a new socket; one that was open before ends, its calls go on. Raises ServeError."""
        listener = await anyio.to_thread.run_sync(_Listener, self._path, self._mode)
        site = _UnixSite(self._runner, listener.sock)
        try:
            await site.start()
        except OSError as error:
            listener.close()
            raise _unusable(self._path, error) from None
        old_listener, old_site = self._listener, self._site
        self._listener, self._site = listener, site
        if old_site is not None and old_listener is not None:
            await old_site.stop()
            old_listener.close()

    async def check(self) -> None:
        """Makes the socket anew when its file is gone or another's. What stands in the way is logged once."""
        if self._listener is None or self._listener.is_reachable():
            self._trouble = None
            return
        try:
            await self.open()
        except ServeError as error:
            if str(error) != self._trouble:
                log.error("api.socket_lost", path=str(self._path), detail=str(error))
            self._trouble = str(error)
        else:
            self._trouble = None
            log.warning("api.socket_remade", path=str(self._path), detail="its file was removed or replaced")

    async def keep(self) -> None:
        """Checks every other second until cancelled."""
        while True:
            await anyio.sleep(_LOOK_SECONDS)
            await self.check()

    def close(self) -> None:
        """Removes the socket's file, if it is ours."""
        if self._listener is not None:
            self._listener.close()


async def _serve_tcp(runner: web.AppRunner, host: str, port: int) -> tuple[str, int]:
    try:
        await web.TCPSite(runner, host, port, backlog=_BACKLOG).start()
    except OSError as error:
        raise ServeError(bind_refusal("api.tcp", host, port, error)) from None
    bound = runner.addresses[-1]
    return bound[0], bound[1]


class _Listener:
    """A bound Unix socket and its file."""

    def __init__(self, path: Path, mode: int) -> None:
        self._path = path
        if len(os.fsencode(path)) > _LONGEST_PATH_BYTES:
            raise ServeError(
                f"the path of api.socket is longer than {_LONGEST_PATH_BYTES} bytes: {path}; name a shorter one"
            )
        if (lost := lost_directory(path)) is not None:
            raise ServeError(f"there is no directory {lost} for the socket {path}; make it or set api.socket")
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:  # no descriptor is free
            raise _unusable(path, error) from None
        try:
            # Only the default place can lack more than one: a run-time directory that others may enter is not private.
            path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o750, exist_ok=True)
            _clear_away(path)
            self.sock.bind(str(path))
            path.chmod(mode)
            self._identity = _identity(path)
        except BaseException as error:
            self.sock.close()
            if isinstance(error, OSError):
                raise _unusable(path, error) from None
            raise

    def is_reachable(self) -> bool:
        """Whether the path leads to this socket."""
        try:
            return _identity(self._path) == self._identity
        except OSError:
            return False

    def close(self) -> None:
        """Removes the file, unless it is another daemon's by now."""
        self.sock.close()
        with suppress(OSError):
            if _identity(self._path) == self._identity:
                self._path.unlink()


def _unusable(path: Path, error: OSError) -> ServeError:
    reason = (error.strerror or str(error)).lower()
    return ServeError(f"the socket {path} cannot be made: {reason}; set api.socket")


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino


def _clear_away(path: Path) -> None:
    """Removes the socket file of a daemon that is no more. Raises ServeError for anything else that is there."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ServeError(f"{path} exists already and is not a socket; remove it or set api.socket to another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_SECONDS)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            log.info("api.stale_socket_removed", path=str(path))
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
        except (TimeoutError, BlockingIOError):
            pass  # somebody is there, too busy to take the call
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ServeError(f"the socket {path} is there and cannot be asked: {reason}; set api.socket") from None
    raise ServeError(f"another process listens on {path}; stop it or set api.socket to another path")


class _UnixSite(web.BaseSite):
    """A site on a Unix socket that is bound already. aiohttp's SockSite would have uvloop take it for a TCP one."""

    def __init__(self, runner: web.AppRunner, sock: socket.socket) -> None:
        super().__init__(runner, backlog=_BACKLOG)
        self._sock = sock

    @property
    def name(self) -> str:
        """For aiohttp's own logs."""
        return "unix socket"

    async def start(self) -> None:
        """Listens."""
        await super().start()
        assert self._runner.server is not None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._runner.server, sock=self._sock, backlog=self._backlog)


class _Runner(web.AppRunner):
    """An AppRunner whose error pages for invalid HTTP are problems too."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server  # same layout; aiohttp has no hook for the protocol's class
        return server


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(web.RequestHandler):
    """Answers requests that cannot even be parsed; those that can go to the application's middleware."""

    __slots__ = ("_lost",)

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._lost: anyio.Event | None = None

    def connection_lost(self, exc: BaseException | None) -> None:
        """Ends a wait for the client, too."""
        super().connection_lost(exc)
        if self._lost is not None:
            self._lost.set()

    async def let_finish(self) -> None:
        """Says that nothing follows, and takes what the client still sends for nothing, until it goes or for a while.

        A connection that is closed at once breaks the pipe of a client amid its body, which then never reads why.
        """
        transport = self.transport
        if transport is None or transport.is_closing() or not transport.can_write_eof():
            return
        self.close()  # what comes in is not parsed any more
        transport.write_eof()
        self._lost = anyio.Event()
        with anyio.move_on_after(_LINGER_SECONDS):
            await self._lost.wait()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Makes the answer and closes the connection: where the next request would begin is not known."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        if isinstance(exc, ContentEncodingError):
            # The parser itself refuses a coding for which a library is missing, and would have it installed.
            problem = unread_encoding().problem
        elif status < 500:
            problem = Problem("malformed-request", _reason(exc))
        else:
            log.error("api.failed", status=status, detail=message, exc_info=exc)
            problem = Problem("internal-error", "the daemon made a mistake; its log has more")
        response = _Last(self, problem)
        mark(response)
        response.force_close()
        return response


class _Last(web.Response):
    """The last answer on a connection: the client may still be sending."""

    def __init__(self, protocol: _Protocol, problem: Problem) -> None:
        made = problem.response()
        super().__init__(body=made.body, status=made.status, headers=made.headers)
        self._protocol = protocol

    async def write_eof(self, data: bytes = b"") -> None:
        """Also lets the client finish."""
        await super().write_eof(data)
        await self._protocol.let_finish()


def _reason(error: Any) -> str:
    """The parser's first line; the rest shows the bytes, which may hold a token."""
    message = error.message if isinstance(error, HttpProcessingError) else ""
    return message.strip().partition("\n")[0].rstrip(":") or "the request cannot be read"
