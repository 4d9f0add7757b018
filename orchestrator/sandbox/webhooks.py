"""Sends a simulated shop's webhooks to those who asked for them.

Webhooks to one subscription about one subject go one after another, all others side by side. One that fails comes back
later where its platform sends it again, and holds up nothing meanwhile, so the sequence is lost as soon as anything
goes wrong: no platform promises one.

Repeats, delays and losses are faults by rate (`faults.WEBHOOK_FAULTS`).

The way of a webhook: `_later` (it has to wait) → `_ready` → its ordering key is served → gone, or `_later` again.
What is to be sent is decided in plain code; only the posting waits.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import hmac
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import Generic, TypeAlias, TypeVar

import aiohttp
import anyio

from orchestrator.clock import Clock
from orchestrator.sandbox.faults import FaultPlan

_CONNECT_SECONDS = 1
_TASKS = 32  # webhooks of a shop that are on their way at the same time
_CLOCK_SECONDS = 0.05  # at most between two readings of the clock while something waits for it: a test's clock may jump
_CLOSE_SECONDS = 2

H = TypeVar("H")
"""A subscription of one platform; the same one is the same object."""
_OrderingKey: TypeAlias = tuple[int, int, bool]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook, ready to be sent, as often as it takes."""

    topic: str
    body: bytes
    headers: dict[str, str]


@dataclass(slots=True, eq=False)
class WebhookCounts:
    """What became of a shop's webhooks. Every attempt is `sent`, and then `acknowledged` or `failed`; those that are
    `lost` were never sent."""

    sent: int = 0
    acknowledged: int = 0
    failed: int = 0
    lost: int = 0


@dataclass(slots=True, eq=False)
class PendingWebhook(Generic[H]):
    """A webhook on its way. `address` is that of the event's time; `make`: what is sent, asked for at each attempt;
    `failures`: attempts that came to nothing.

    `is_repeat`: the second of two that are sent where one would do; it goes beside the first, and once only.
    """

    subscription: H
    address: str
    subject: int
    topic: str
    make: Callable[[], Delivery]
    failures: int = 0
    is_repeat: bool = False

    @property
    def ordering_key(self) -> _OrderingKey:
        """What is sent one after another."""
        return id(self.subscription), self.subject, self.is_repeat


class WebhookSender(ABC, Generic[H]):
    """The webhooks of one shop, sent while `run` runs. `account`: what faults call the shop,
    `platform/key`. `counts`: kept here.
    `deadline_seconds`: until an answer has to be there whole, `late_seconds`: how late one may come out of order."""

    def __init__(
        self,
        account: str,
        clock: Clock,
        faults: FaultPlan,
        counts: WebhookCounts,
        *,
        deadline_seconds: float,
        late_seconds: float,
    ) -> None:
        self.account = account
        self._clock = clock
        self._faults = faults
        self._counts = counts
        self._deadline_seconds = deadline_seconds
        self._late_seconds = late_seconds
        self._ready: deque[PendingWebhook[H]] = deque()
        self._later: list[tuple[float, int, PendingWebhook[H]]] = []
        self._by_key: dict[_OrderingKey, deque[PendingWebhook[H]]] = {}
        self._wake = anyio.Event()
        self._outcome = anyio.Event()
        self._ticket = count().__next__

    # -- to write --------------------------------------------------------------------------------------------------

    @abstractmethod
    def is_kept(self, subscription: H) -> bool:
        """Whether anything is still sent for a subscription."""

    @abstractmethod
    def note(self, webhook: PendingWebhook[H], status: int) -> bool:
        """The outcome of an attempt, 0 where there was no answer in time; whether that is a success."""

    def retry_seconds(self, webhook: PendingWebhook[H]) -> float | None:
        """How long after its last failure a webhook is sent again; None: never."""
        del webhook
        return None

    def settle(self) -> None:
        """Does what the shop does by itself as time goes by."""

    def due_in(self) -> float | None:
        """Seconds until `settle` has something to do; None: only an event can change that."""
        return None

    # -- given -----------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many webhooks are still to be sent, those on their way included."""
        pending = [*self._ready, *(webhook for _, _, webhook in self._later)]
        pending += [webhook for queue in self._by_key.values() for webhook in queue]
        return sum(self.is_kept(webhook.subscription) for webhook in pending)

    async def outcome(self) -> None:
        """Waits until something came of an attempt."""
        await self._outcome.wait()

    def offer(self, subscription: H, address: str, subject: int, topic: str, make: Callable[[], Delivery]) -> None:
        """Something happened that this subscription is about: its webhook is to be sent."""
        if self._draw("webhook_lost", subject, topic) is not None:
            self._counts.lost += 1
            return
        pending = [PendingWebhook(subscription, address, subject, topic, make)]
        if self._draw("webhook_twice", subject, topic) is not None:
            pending.append(replace(pending[0], is_repeat=True))
        for webhook in pending:
            late = self._draw("webhook_shuffled", subject, topic)
            if late is None:
                self._ready.append(webhook)
            else:
                self._put_off(webhook, late * self._late_seconds)
        self.wake_up()

    def _draw(self, name: str, subject: int, topic: str) -> float | None:
        return self._faults.draw_webhook(name, self.account, str(subject), topic)

    def _put_off(self, webhook: PendingWebhook[H], seconds: float) -> None:
        heapq.heappush(self._later, (self._clock.monotonic() + seconds, self._ticket(), webhook))

    def wake_up(self) -> None:
        """Looks again at what is due."""
        self._wake.set()

    async def run(self) -> None:
        """Sends what is due until cancelled; what is then on its way is sent again by the next run.

        Also keeps the shop's time: what comes to its end there is published even if nobody asks.
        """
        session = open_session(self._deadline_seconds)
        try:
            async with anyio.create_task_group() as group:
                while True:
                    self._wake = anyio.Event()
                    self.settle()
                    for ordering_key in self._plan():
                        group.start_soon(self._serve, session, ordering_key)
                    with anyio.move_on_after(self._pause()):
                        await self._wake.wait()
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_SECONDS):
                await session.close()

    def _plan(self) -> list[_OrderingKey]:
        """The ordering keys to be served from now on."""
        now = self._clock.monotonic()
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])
        begun: list[_OrderingKey] = []
        while self._ready and len(self._by_key) < _TASKS:
            webhook = self._ready.popleft()
            if webhook.ordering_key not in self._by_key:
                self._by_key[webhook.ordering_key] = deque()
                begun.append(webhook.ordering_key)
            self._by_key[webhook.ordering_key].append(webhook)
        return begun

    def _pause(self) -> float | None:
        """Seconds until something may be due; None where only an event can change that."""
        waits = [self._later[0][0] - self._clock.monotonic()] if self._later else []
        if (until_due := self.due_in()) is not None:
            waits.append(until_due)
        return max(0.0, min([*waits, _CLOCK_SECONDS])) if waits else None

    async def _serve(self, session: aiohttp.ClientSession, ordering_key: _OrderingKey) -> None:
        pending = self._by_key[ordering_key]
        try:
            while pending:
                if self.is_kept(pending[0].subscription):
                    self._counts.sent += 1
                    self._took(pending[0], await post(session, pending[0].address, pending[0].make()))
                pending.popleft()
                self._outcome.set()
                self._outcome = anyio.Event()
        finally:
            # Cancelled: what has no outcome yet goes back to the front.
            self._ready.extendleft(reversed(pending))
            del self._by_key[ordering_key]
            self.wake_up()

    def _took(self, webhook: PendingWebhook[H], status: int) -> None:
        if self.note(webhook, status):
            self._counts.acknowledged += 1
            return
        self._counts.failed += 1
        webhook.failures += 1
        if not webhook.is_repeat and (seconds := self.retry_seconds(webhook)) is not None:
            self._put_off(webhook, seconds)


def sign(raw: bytes, secret: str) -> str:
    """base64 of HMAC-SHA256 over the raw body."""
    return base64.b64encode(hmac.new(secret.encode(), raw, hashlib.sha256).digest()).decode()


def open_session(deadline_seconds: float) -> aiohttp.ClientSession:
    """A session that waits so long for whole answers. To be closed by the caller."""
    timeout = aiohttp.ClientTimeout(total=deadline_seconds, sock_connect=_CONNECT_SECONDS)
    return aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())


async def post(session: aiohttp.ClientSession, address: str, delivery: Delivery) -> int:
    """Sends one; its status, 0 where there was none in time. Redirects are not followed."""
    try:
        async with session.post(
            address, data=delivery.body, headers=delivery.headers, allow_redirects=False
        ) as response:
            async for _ in response.content.iter_any():
                pass  # the whole answer has to be there in time
            return response.status
    except (aiohttp.ClientError, TimeoutError):
        return 0
