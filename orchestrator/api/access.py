"""Who may call: on the Unix socket whoever the file's mode lets in, over TCP whoever brings the token.

A browser cannot be made to send a bearer token with its first request, so the token is also taken as the password of
HTTP Basic, for reading only: credentials that a browser remembers must not let another site's page change anything.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import socket

from aiohttp import web
from multidict import CIMultiDict

from orchestrator.api.problems import ApiError
from orchestrator.api.services import TOKEN

# Two header lines: browsers read no further than the first scheme of one, and would never ask for a password.
_CHALLENGES = CIMultiDict(
    [
        ("WWW-Authenticate", 'Bearer realm="fulfilld"'),
        ("WWW-Authenticate", 'Basic realm="fulfilld", charset="UTF-8"'),
    ]
)

_READING = ("GET", "HEAD")


def check_access(request: web.Request) -> None:
    """Raises ApiError `unauthorized` unless the call may be answered."""
    if is_local(request):
        return
    token = request.app.get(TOKEN)
    scheme = request.headers.get("Authorization", "").partition(" ")[0].casefold()
    if scheme == "basic" and request.method not in _READING:
        raise _refusal("Basic may only read; this call needs the token as `Authorization: Bearer`")
    offered = _offered(request)
    if token is None or offered is None:
        raise _refusal("calls over TCP need the header `Authorization: Bearer` with the token of api.tcp")
    if not hmac.compare_digest(offered, token.encode("utf-8")):
        raise _refusal("the token is wrong; it has to be the one of api.tcp")


def _refusal(detail: str) -> ApiError:
    return ApiError("unauthorized", detail, headers=_CHALLENGES)


def is_local(request: web.Request) -> bool:
    """Whether the call came over a Unix socket; when that is not certain it did not."""
    sock = request.get_extra_info("socket")
    return sock is not None and sock.family == socket.AF_UNIX


def _offered(request: web.Request) -> bytes | None:
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
