"""Calls about a browser's session: log in, look, log out."""

from __future__ import annotations

from aiohttp import web

from orchestrator.api.access import admit, check_token, is_local
from orchestrator.api.answers import answer
from orchestrator.api.attempts import LOGIN_ATTEMPTS
from orchestrator.api.call import Call
from orchestrator.api.problems import ApiError, Invalid
from orchestrator.api.reading import checked, read_json
from orchestrator.api.schema.bodies import LoginBody
from orchestrator.api.schema.queries import Query
from orchestrator.api.session import SESSIONS, clear_cookie, document, set_cookie
from orchestrator.decisions.problems import FieldError
from orchestrator.operations.documents import Session

_OPEN = Session(access="open", csrf=None, expires_at=None)
_BY_TOKEN = Session(access="token", csrf=None, expires_at=None)
_NONE = Session(access="none", csrf=None, expires_at=None)


async def log_in(call: Call[Query]) -> web.StreamResponse:
    """Gives the browser a session for the token. On the socket nobody needs one."""
    body = await read_json(call.request)
    if body is None:
        raise Invalid("invalid-request", [FieldError(path="token", message="is missing")])
    offered = checked(LoginBody, body, "invalid-request").token
    if is_local(call.request):
        return _kept_nowhere(answer(_OPEN))
    _check_attempt(call.request, offered)
    sessions = call.request.app[SESSIONS]
    await sessions.end(call.request)  # the cookie of the one before is about to be replaced: nobody could end it then
    secret, session = await sessions.begin()
    response = answer(document(session))
    set_cookie(call.request, response, secret)
    return _kept_nowhere(response)


def _check_attempt(request: web.Request, token: str) -> None:
    """Raises ApiError `too-many-attempts`, else `unauthorized` for a wrong token."""
    attempts = request.app[LOGIN_ATTEMPTS]
    if seconds := attempts.wait_seconds:
        detail = f"wrong tokens were tried again and again; the form takes another one in {seconds} seconds"
        raise ApiError("too-many-attempts", detail, headers={"Retry-After": str(seconds)})
    try:
        check_token(request, token)
    except ApiError:
        attempts.failed()
        raise


async def read_session(call: Call[Query]) -> web.StreamResponse:
    """How this call was let in, and what the page has to send with changes."""
    session = admit(call.request)
    if session is not None:
        return _kept_nowhere(answer(document(session)))
    return _kept_nowhere(answer(_OPEN if is_local(call.request) else _BY_TOKEN))


async def log_out(call: Call[Query]) -> web.StreamResponse:
    """Ends the browser's session."""
    await call.request.app[SESSIONS].end(call.request)
    response = answer(_OPEN if is_local(call.request) else _NONE)
    clear_cookie(call.request, response)
    return _kept_nowhere(response)


def _kept_nowhere(response: web.Response) -> web.Response:
    response.headers["Cache-Control"] = "no-store"
    return response
