"""The `dashboard` command: the daemon's page on a loopback port of its own, for one browser.

A browser cannot open a Unix socket. So this serves a port until Ctrl-C and passes on what its page asks. Whoever may
use the command may use the socket; whoever merely finds the port may not: the first to open the link that is printed
gets a session (api/session.py), and the link is used up. The fences against pages from elsewhere stand here, too.
"""

from __future__ import annotations

import hmac
import secrets
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import aiohttp
import anyio
from aiohttp import web
from aiohttp.typedefs import Handler
from yarl import URL

from orchestrator.api.access import refusal
from orchestrator.api.answers import answer, mark
from orchestrator.api.dashboard import page_answer
from orchestrator.api.origin import check_origin
from orchestrator.api.problems import ApiError, Problem, problem_of
from orchestrator.api.session import (
    CSRF_HEADER,
    SESSIONS,
    Session,
    Sessions,
    clear_cookie,
    document,
    may_ask,
    set_cookie,
)
from orchestrator.cli.failures import Failure
from orchestrator.cli.place import Address
from orchestrator.clock import Clock
from orchestrator.network import network_words
from orchestrator.operations.documents import Session as Document

_HOP_BY_HOP: Final = frozenset(
    (
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    )
)
_NOT_ASKED_ON = _HOP_BY_HOP | {"host", "cookie", "authorization", "origin", "referer", CSRF_HEADER.lower()}
"""Headers for us alone. What the browser says of the page that asks was checked here."""
_NOT_ANSWERED = _HOP_BY_HOP | {"set-cookie"}
"""The browser's session is with this port."""
_SHUTDOWN_SECONDS = 1.0
_CONNECT_SECONDS = 5.0


class Page:
    """The page of the daemon at `address`, to be opened once by the path `entrance`."""

    def __init__(self, address: Address, clock: Clock) -> None:
        self._address = address
        self._sessions = Sessions(clock)
        self._code: str | None = secrets.token_urlsafe(24)
        self._upstream: aiohttp.ClientSession | None = None

    @property
    def entrance(self) -> str:
        """The path that may be opened once."""
        return f"/login/{self._code}"

    def application(self) -> web.Application:
        """What is served."""
        app = web.Application(middlewares=[_supervise])
        app[SESSIONS] = self._sessions
        app.router.add_get("/login/{code}", self._log_in, allow_head=False)
        app.router.add_get("/v1/session", self._read_session)
        app.router.add_delete("/v1/session", self._log_out)
        app.router.add_post("/v1/session", self._refuse_token)
        app.router.add_get("/", self._show)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        app.on_response_prepare.append(_mark)
        app.cleanup_ctx.append(self._connected)
        return app

    async def _connected(self, _app: web.Application):  # type: ignore[no-untyped-def]
        connector = None if self._address.socket is None else aiohttp.UnixConnector(str(self._address.socket))
        timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            self._upstream = session
            yield

    async def _log_in(self, request: web.Request) -> web.StreamResponse:
        if any("prefetch" in request.headers.get(name, "") for name in ("Sec-Purpose", "Purpose")):
            return web.Response(status=503)  # a browser that looks ahead of the person would use the link up
        given = request.match_info["code"].encode("utf-8", "surrogateescape")
        if self._code is None or not hmac.compare_digest(given, self._code.encode()):
            return page_answer(401)
        self._code = None
        secret, _ = await self._sessions.begin()
        response = web.Response(status=303, headers={"Location": "/", "Cache-Control": "no-store"})
        set_cookie(request, response, secret)
        return response

    async def _show(self, request: web.Request) -> web.StreamResponse:
        return page_answer(401 if self._sessions.of(request) is None else 200)

    async def _read_session(self, request: web.Request) -> web.StreamResponse:
        return answer(document(self._admit(request)))

    async def _log_out(self, request: web.Request) -> web.StreamResponse:
        self._admit(request)
        await self._sessions.end(request)
        response = answer(Document(access="none", csrf=None, expires_at=None))
        clear_cookie(request, response)
        return response

    async def _refuse_token(self, _request: web.Request) -> web.StreamResponse:
        raise _no_session()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        self._admit(request)
        assert self._upstream is not None
        base = "http://localhost" if self._address.url is None else self._address.url.rstrip("/")
        headers = [(name, value) for name, value in request.headers.items() if _is_passed(name, _NOT_ASKED_ON)]
        if self._address.token is not None:
            headers.append(("Authorization", f"Bearer {self._address.token}"))
        try:
            async with self._upstream.request(
                request.method,
                URL(f"{base}{request.rel_url.raw_path_qs}", encoded=True),
                headers=headers,
                data=request.content if request.can_read_body else None,
                allow_redirects=False,
            ) as got:
                return await _copied(request, got, lambda: self._sessions.of(request) is not None)
        except (aiohttp.ClientError, TimeoutError) as error:
            words = _words_of(error, self._address)
            raise _Unreachable(f"the daemon at {self._address} does not answer: {words}") from None

    def _admit(self, request: web.Request) -> Session:
        session = self._sessions.of(request)
        if session is None:
            raise _no_session()
        if not may_ask(request, session):
            raise refusal(f"a change needs the header `{CSRF_HEADER}` of GET /v1/session")
        return session


def _no_session() -> ApiError:
    """The page says what to do in place of a form: it knows this refusal by its `reason`."""
    error = refusal(
        "this port takes no token: run `fulfilld dashboard` and open the link that it prints; it works once"
    )
    error.problem = replace(error.problem, extra={"reason": "link"})
    return error


def _words_of(error: aiohttp.ClientError | TimeoutError, address: Address) -> str:
    if address.socket is not None and isinstance(error, aiohttp.ClientConnectorError):
        return (error.os_error.strerror or "it cannot be opened").lower()  # there is no host and no port to name
    return network_words(error)


class _Unreachable(Exception):
    """The daemon cannot be asked."""


async def _copied(
    request: web.Request, got: aiohttp.ClientResponse, is_admitted: Callable[[], bool]
) -> web.StreamResponse:
    """The daemon's answer, piece by piece as it comes: the feed has no end but that of the session. Raises ApiError
    where the session ended while the answer was waited for."""
    if not is_admitted():
        raise _no_session()
    response = web.StreamResponse(status=got.status, reason=got.reason)
    for name, value in got.headers.items():
        if _is_passed(name, _NOT_ANSWERED):
            response.headers.add(name, value)
    await response.prepare(request)
    has_end = "Content-Length" in got.headers
    try:
        async for piece in got.content.iter_any():
            if not has_end and not is_admitted():
                break
            await response.write(piece)
        await response.write_eof()
    except (ConnectionError, aiohttp.ClientError, TimeoutError):  # the browser is gone, or the daemon is
        _cut(request)
    return response


def _cut(request: web.Request) -> None:
    """The head is out, so only this shows that the answer is not complete."""
    if request.transport is not None:
        request.transport.abort()


def _is_passed(name: str, left_out: frozenset[str]) -> bool:
    lower = name.lower()
    return lower not in left_out and not lower.startswith("sec-fetch-")


@web.middleware
async def _supervise(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        check_origin(request)
        return await handler(request)
    except _Unreachable as error:
        return Problem("overloaded", str(error), headers={"Retry-After": "5"}).response()
    except (ApiError, web.HTTPException) as error:
        return problem_of(error).response()


async def _mark(_request: web.Request, response: web.StreamResponse) -> None:
    mark(response)


def serve(address: Address, port: int, announce: Callable[[str], None]) -> None:
    """Serves the page at `port` (0: any that is free) until SIGINT or SIGTERM; `announce` gets the link that works
    once. Raises Failure when the port cannot be used."""
    anyio.run(_serve, address, port, announce)


async def _serve(address: Address, port: int, announce: Callable[[str], None]) -> None:
    page = Page(address, Clock())
    runner = web.AppRunner(page.application(), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, "127.0.0.1", port).start()
            except OSError as error:
                reason = error.strerror or str(error)
                raise Failure(f"port {port} cannot be used: {reason}", remedy="name another --port") from None
            announce(f"http://127.0.0.1:{runner.addresses[0][1]}{page.entrance}")
            async for _ in signals:
                break
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(2 * _SHUTDOWN_SECONDS):
                await runner.cleanup()
