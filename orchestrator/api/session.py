"""Sessions of browsers: who brought the token once is known by a cookie, for a while.

A browser cannot keep the token itself without every script of the page being able to read it. So a login gives it a
cookie that scripts cannot read (HttpOnly) and that no other site's page can have sent (SameSite=Strict), and a second
secret, the CSRF token, that only the page can read: what changes anything needs both. Neither is the token of the
config, so that a session that leaks ends by itself. Sessions are kept in memory alone: a restart ends all of them.

Cookies know no ports: every server of one host name gets those of all others there. The cookie has the port in its
name, so that two daemons behind two forwarded ports do not end each other's sessions.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from orchestrator.clock import Clock, rfc3339
from orchestrator.operations.documents import Session as Document

SESSION_SECONDS: Final = 12 * 3600
"""How long a login lasts."""
CSRF_HEADER: Final = "X-CSRF-Token"
_MOST = 64
READING: Final = ("GET", "HEAD")
"""Methods that change nothing."""


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is logged in. `csrf` is what its page adds to calls that change anything; `ends_ms` is when it
    has to log in again, in milliseconds."""

    csrf: str
    ends_ms: int


class Sessions:
    """The browsers that are logged in: at most 64, the oldest gives way."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_digest: dict[bytes, Session] = {}

    def begin(self) -> tuple[str, Session]:
        """Begins one; the secret goes into the cookie and is kept nowhere."""
        self._drop_ended()
        while len(self._by_digest) >= _MOST:
            del self._by_digest[next(iter(self._by_digest))]
        secret = secrets.token_urlsafe(32)
        session = Session(secrets.token_urlsafe(32), self._clock.now_ms() + SESSION_SECONDS * 1000)
        self._by_digest[_digest(secret)] = session
        return secret, session

    def of(self, request: web.Request) -> Session | None:
        """The session whose cookie the request brings, None when there is none or it has ended."""
        secret = request.cookies.get(cookie_name(request))
        session = None if secret is None else self._by_digest.get(_digest(secret))
        return session if session is not None and session.ends_ms > self._clock.now_ms() else None

    def end(self, request: web.Request) -> None:
        """Ends the request's session, if it has one."""
        if (secret := request.cookies.get(cookie_name(request))) is not None:
            self._by_digest.pop(_digest(secret), None)

    def _drop_ended(self) -> None:
        now = self._clock.now_ms()
        self._by_digest = {key: each for key, each in self._by_digest.items() if each.ends_ms > now}


SESSIONS: Final = web.AppKey("sessions", Sessions)


def may_ask(request: web.Request, session: Session) -> bool:
    """Whether a call of this session is its own page's: reading is, changing needs the CSRF token."""
    if request.method in READING:
        return True
    given = request.headers.get(CSRF_HEADER, "").encode("utf-8", "surrogateescape")
    return hmac.compare_digest(given, session.csrf.encode())


def set_cookie(request: web.Request, response: web.StreamResponse, secret: str) -> None:
    """Has the browser keep the session."""
    response.set_cookie(
        cookie_name(request),
        secret,
        max_age=SESSION_SECONDS,
        path="/",
        secure=_is_encrypted(request),
        httponly=True,
        samesite="Strict",
    )


def clear_cookie(request: web.Request, response: web.StreamResponse) -> None:
    """Has the browser forget the session."""
    response.del_cookie(cookie_name(request), path="/", secure=_is_encrypted(request), httponly=True, samesite="Strict")


def cookie_name(request: web.Request) -> str:
    """The cookie's name at the port that the browser asks."""
    port = request.headers.get("Host", "").rpartition(":")[2]
    return f"fulfilld_session_{port}" if port.isascii() and port.isdigit() else "fulfilld_session"


def document(session: Session) -> Document:
    """What a page has to know of its session."""
    return Document(access="session", csrf=session.csrf, expires_at=rfc3339(session.ends_ms))


def _is_encrypted(request: web.Request) -> bool:
    """Whether the page was loaded over TLS, which a proxy in front ends: only the browser knows, and says so."""
    return request.headers.get("Origin", "").startswith("https://")


def _digest(secret: str) -> bytes:
    """What is looked up in place of a secret, so that the time it takes says nothing about it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
