"""Sessions of browsers: who brought the token once is known by a cookie, for a while.

A browser cannot keep the token itself without every script of the page being able to read it. So a login gives it a
cookie that scripts cannot read (HttpOnly) and that no other site's page can have sent (SameSite=Strict), and a second
secret, the CSRF token, that only the page can read: what changes anything needs both. Neither is the token of the
config, so that a session that leaks ends by itself. Sessions are kept in memory alone: a restart ends all of them.
Where other nodes may share the store a load balancer may send a page's calls to any of them, so sessions are kept in
the store, by the digest of the cookie; each node looks now and then whether those that it knows have been ended. While
the store is away none is: whoever was logged out at another node is out here once the store answers again.

Cookies know no ports: every server of one host name gets those of all others there. The cookie has the port in its
name, so that two daemons behind two forwarded ports do not end each other's sessions.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

import anyio
from aiohttp import web

from orchestrator.clock import Clock, rfc3339
from orchestrator.operations.documents import Session as Document
from storage.errors import StoreError
from storage.sessions import KeptSession

SESSION_SECONDS: Final = 12 * 3600
"""How long a login lasts."""
CSRF_HEADER: Final = "X-CSRF-Token"
LOOK_SECONDS: Final = 5.0
"""How soon a session that was ended at another node has ended here, if the store answers; and how long a call waits for
the store to say whether its session is another node's."""
_MOST = 64
_MOST_STRANGERS = 1024
READING: Final = ("GET", "HEAD")
"""Methods that change nothing."""


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is logged in. `csrf` is what its page adds to calls that change anything; `ends_ms` is when it
    has to log in again, in milliseconds."""

    csrf: str
    ends_ms: int


class SharedSessions(Protocol):
    """What all nodes know. Every method raises StoreUnavailable."""

    async def keep(self, session: KeptSession, most: int) -> None:
        """Keeps a session; there are at most `most`, the oldest give way."""
        ...

    async def known(self, digests: Sequence[str]) -> Mapping[str, KeptSession]:
        """Those of the sessions that have not been ended, by digest."""
        ...

    async def forget(self, digest: str) -> None:
        """Ends a session on every node."""
        ...


class Sessions:
    """The browsers that are logged in: at most 64, the oldest gives way. `shared`: None where there is no other node.
    `run` lasts until it is cancelled."""

    def __init__(self, clock: Clock, shared: SharedSessions | None = None) -> None:
        self._clock, self._shared = clock, shared
        self._by_digest: dict[str, Session] = {}
        self._strangers: dict[str, None] = {}
        self._looking = anyio.Lock()

    async def begin(self) -> tuple[str, Session]:
        """Begins one; the secret goes into the cookie and is kept nowhere. Raises StoreUnavailable."""
        secret = secrets.token_urlsafe(32)
        session = Session(secrets.token_urlsafe(32), self._clock.now_ms() + SESSION_SECONDS * 1000)
        if self._shared is not None:
            await self._shared.keep(KeptSession(_digest(secret), session.csrf, session.ends_ms), _MOST)
        self._add(_digest(secret), session)
        return secret, session

    async def learn(self, request: web.Request) -> None:
        """Looks whether another node knows the request's session, if this one does not: once for each cookie, which
        begins no session later if it has none, and one at a time, for anybody may bring one. Raises
        StoreUnavailable."""
        if self._shared is None or (secret := request.cookies.get(cookie_name(request))) is None:
            return
        digest = _digest(secret)
        if self._has_seen(digest):
            return
        async with self._looking:
            if self._has_seen(digest):  # while it waited
                return
            found = (await self._shared.known([digest])).get(digest)
            if found is not None and found.ends_at > self._clock.now_ms():
                self._add(digest, Session(found.csrf, found.ends_at))
                return
            while len(self._strangers) >= _MOST_STRANGERS:
                del self._strangers[next(iter(self._strangers))]
            self._strangers[digest] = None

    def _has_seen(self, digest: str) -> bool:
        return digest in self._by_digest or digest in self._strangers

    def of(self, request: web.Request) -> Session | None:
        """The session whose cookie the request brings, None when there is none or it has ended."""
        secret = request.cookies.get(cookie_name(request))
        session = None if secret is None else self._by_digest.get(_digest(secret))
        return session if session is not None and session.ends_ms > self._clock.now_ms() else None

    async def end(self, request: web.Request) -> None:
        """Ends the request's session, if it has one. Raises StoreUnavailable."""
        if (secret := request.cookies.get(cookie_name(request))) is not None:
            self._by_digest.pop(_digest(secret), None)
            if self._shared is not None:  # it may be one that only another node has seen
                await self._shared.forget(_digest(secret))

    async def run(self) -> None:
        """Forgets soon what another node has ended; returns at once where there is none."""
        while self._shared is not None:
            await anyio.sleep(LOOK_SECONDS)
            if digests := list(self._by_digest):
                with suppress(StoreError):  # what is known stays known until that is sure
                    known = await self._shared.known(digests)
                    for digest in digests:
                        if digest not in known:
                            self._by_digest.pop(digest, None)

    def _add(self, digest: str, session: Session) -> None:
        now = self._clock.now_ms()
        self._by_digest = {key: each for key, each in self._by_digest.items() if each.ends_ms > now}
        while len(self._by_digest) >= _MOST:
            del self._by_digest[next(iter(self._by_digest))]
        self._by_digest[digest] = session


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


def _digest(secret: str) -> str:
    """What is looked up in place of a secret, so that the time it takes says nothing about it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
