"""Who may call: on the Unix socket whoever the file's mode lets in, over TCP whoever brings the token.

A browser brings it once, in the dashboard's form, and has a session from then on (session.py). The token is also taken
as the password of HTTP Basic, for reading only: credentials that a browser remembers must not let another site's page
change anything. Nobody is asked for it that way: a browser would do so before the form is shown.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import socket
from typing import Final

import anyio
from aiohttp import web

from orchestrator.api.problems import ApiError, unavailable
from orchestrator.api.services import TOKEN
from orchestrator.api.session import CSRF_HEADER, LOOK_SECONDS, READING, SESSIONS, Session, may_ask
from storage.errors import StoreError

CHALLENGE: Final = 'Bearer realm="fulfilld"'
"""What a call without access is answered with: browsers do not know it, and show the page with its form."""
_OPEN = (("GET", "/"), ("HEAD", "/"), ("POST", "/v1/session"))
"""Calls that check for themselves: the page has the form that is logged in by, and the login brings the token."""


async def check_access(request: web.Request) -> None:
    """Raises ApiError `unauthorized` unless the call may be answered, or checks for itself; `overloaded` where only the
    store could say whether its session goes on, and does not."""
    if (request.method, request.path) in _OPEN:
        return
    if not is_local(request) and "Authorization" not in request.headers:
        await _learn(request)
    admit(request)


async def _learn(request: web.Request) -> None:
    try:
        with anyio.fail_after(LOOK_SECONDS):
            await request.app[SESSIONS].learn(request)
    except (StoreError, TimeoutError):  # nothing is logged of what anybody may cause; the store's own tasks say it
        raise ApiError.of(unavailable("the store cannot say right now whether this session goes on")) from None


def admit(request: web.Request) -> Session | None:
    """The session that lets a call in, None where another right does. Raises ApiError `unauthorized`."""
    if is_local(request):
        return None
    if "Authorization" in request.headers or (session := request.app[SESSIONS].of(request)) is None:
        _check_credentials(request)
        return None
    if not may_ask(request, session):
        raise refusal(f"a browser's session needs the header `{CSRF_HEADER}` of GET /v1/session to change anything")
    return session


def is_admitted(request: web.Request) -> bool:
    """Whether a call that was let in still would be: a stream may outlast its session."""
    try:
        admit(request)
    except ApiError:
        return False
    return True


def check_token(request: web.Request, token: str) -> None:
    """Raises ApiError `unauthorized` unless this is the token."""
    _compare(request, token.encode("utf-8", "surrogateescape"))


def refusal(detail: str) -> ApiError:
    """The call is not let in."""
    return ApiError("unauthorized", detail, headers={"WWW-Authenticate": CHALLENGE})


def _check_credentials(request: web.Request) -> None:
    scheme = request.headers.get("Authorization", "").partition(" ")[0].casefold()
    if scheme == "basic" and request.method not in READING:
        raise refusal("Basic may only read; this call needs the token as `Authorization: Bearer`")
    if (given := offered(request)) is None:
        raise refusal("calls over TCP need the header `Authorization: Bearer` with the token of api.tcp")
    _compare(request, given)


def _compare(request: web.Request, given: bytes) -> None:
    token = request.app.get(TOKEN)
    if token is None or not hmac.compare_digest(given, token.encode("utf-8")):
        raise refusal("the token is wrong; it has to be the one of api.tcp")


def is_local(request: web.Request) -> bool:
    """Whether the call came over a Unix socket; when that is not certain it did not."""
    sock = request.get_extra_info("socket")
    return sock is not None and sock.family == socket.AF_UNIX


def offered(request: web.Request) -> bytes | None:
    """The token that a call brings, as a bearer token or as the password of HTTP Basic."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    given = credentials.strip().encode("utf-8", "surrogateescape")
    match scheme.casefold():
        case "bearer":
            return given or None
        case "basic":
            try:
                _, colon, password = base64.b64decode(given, validate=True).partition(b":")
            except binascii.Error:
                return None
            return password if colon else None
        case _:
            return None
