"""Makes the POST of an event, notes the attempt and returns its result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import aiohttp
import anyio
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from orchestrator.clock import Chance, Clock
from orchestrator.config import DeliverySettings
from orchestrator.connections import CleanConnector
from orchestrator.network import network_words
from orchestrator.push.envelope import Endpoint, PendingEvent, body_of, headers_of, labels_of, load_of, signer_of
from storage import attempts
from storage.attempts import Kind
from storage.store import Store

_UNSURE_SECONDS = 0.25
_LARGEST_ANSWER_BYTES = 64 * 1024
_EVENT_REFUSED = frozenset({400, 409, 413, 415, 422})
_ACCESS_REFUSED = frozenset({401, 403})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result of sending an event; `error` None: it arrived. `is_refusal`: the receiver is up and rejected this
    event. `status`: of HTTP, None without an answer."""

    error: str | None
    is_refusal: bool = False
    status: int | None = None


class SignedRequest(NamedTuple):
    """An event as it goes out. `attempt`: which one this is, from 1; `kind`: why it is made (storage.attempts)."""

    body: bytes
    headers: dict[str, str]
    cursor: int | None = None
    attempt: int = 1
    kind: Kind = "in_turn"


class _NotOurs(Exception):
    """The duty may be another node's by now, so nothing was sent."""


class DutyConnector(CleanConnector):
    """A pool that hands a connection out only while `is_ours`: asked once it stands, right before a request is written
    to it, for a node that was frozen in between sends nothing behind the back of the next one."""

    def __init__(self, limit: int, is_ours: Callable[[], bool]) -> None:
        super().__init__(limit=limit)
        self._is_ours = is_ours

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """As aiohttp's. Raises _NotOurs."""
        connection = await super().connect(req, traces, timeout)
        if self._is_ours():
            return connection
        connection.release()
        raise _NotOurs


def always() -> bool:
    """Where no other node can push, or it does no harm."""
    return True


@dataclass(frozen=True, slots=True)
class PushContext:
    """The settings and services that all parts of a pusher share. `first_wait_seconds`: the pause after the first
    failure, which grows from there; `round_seconds`: how long a round waits for its calls. `refused` is awaited when
    the receiver refuses our signature. `is_ours`: whether a call may leave, as no other node pushes to the receiver."""

    settings: DeliverySettings
    store: Store
    clock: Clock
    chance: Chance
    first_wait_seconds: float
    round_seconds: float
    refused: Callable[[], Awaitable[None]]
    is_ours: Callable[[], bool] = always


class Sender:
    """Sends to one receiver over a session of the caller's. `note` is called with each attempt that ended."""

    def __init__(
        self,
        endpoint: Endpoint,
        context: PushContext,
        session: aiohttp.ClientSession,
        note: Callable[[attempts.Attempt], object],
    ) -> None:
        self._settings, self._store, self._clock = context.settings, context.store, context.clock
        self._session = session
        self._refused, self._note = context.refused, note
        self._url = URL(endpoint.url, encoded=True)
        self._signer = signer_of(context.settings.secret.get_secret_value())

    async def pack(self, pending: PendingEvent) -> SignedRequest:
        """Body and signed headers; reads what goes out if nobody has yet. Raises StoreError."""
        load = pending.load
        if load is None:
            load = await self._store.read(lambda tx: load_of(tx, pending.event, self._settings))
        body = body_of(pending.event, load, self._settings)
        headers = headers_of(pending.event, body, self._signer, self._clock.now_ms())
        if self._settings.format == "platform":
            headers |= labels_of(pending.event, load.payload)
        return SignedRequest(body, headers, pending.event.cursor, pending.attempts + 1)

    async def post(self, signed: SignedRequest) -> Attempt:
        """One call. It ends with the time-out at the latest, but begins no sooner than it may: a node whose heartbeat
        is late soon knows whether the duty is its own."""
        while True:
            at, began = self._clock.now_ms(), self._clock.monotonic()
            with suppress(_NotOurs):
                made = await self._post(signed)
                break
            await anyio.sleep(_UNSURE_SECONDS)
        took_ms = round((self._clock.monotonic() - began) * 1000)
        kind, cursor, number = signed.kind, signed.cursor, signed.attempt
        self._note(attempts.Attempt(kind, cursor, number, at, took_ms, made.status, made.error))
        return made

    async def _post(self, signed: SignedRequest) -> Attempt:
        try:
            async with self._session.post(
                self._url, data=signed.body, headers=signed.headers, allow_redirects=False
            ) as response:
                status = response.status
                with suppress(aiohttp.ClientError, TimeoutError):  # the status is known already
                    await response.content.read(_LARGEST_ANSWER_BYTES)
        except TimeoutError:
            return Attempt(f"no answer within {self._settings.timeout_seconds:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Attempt(network_words(error))
        if 200 <= status < 300:
            return Attempt(None, status=status)
        if status in _ACCESS_REFUSED:
            await self._refused()
        words = "answered with a redirect, which is not followed" if status in _REDIRECTS else "answered"
        return Attempt(f"{words} ({status})", is_refusal=status in _EVENT_REFUSED, status=status)
