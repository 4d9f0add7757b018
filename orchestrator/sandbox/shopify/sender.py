"""Sends a simulated Shopify shop's webhooks to its subscriptions, as Shopify does (facts: shopify.md §2.3, §9).

Every (topic, address) gets a webhook of its own: bytes and ids that never change, however often it is sent. Webhooks to
one subscription about one order go one after another, all others side by side. One that fails comes back later and
holds up nothing meanwhile, so the sequence is lost as soon as anything goes wrong: Shopify promises none.

Repeats, delays and losses are faults by rate (`faults.WEBHOOK_FAULTS`).

The way of a webhook: `_later` (it has to wait) → `_ready` → its ordering key is served → gone, or `_later` again.
What is to be sent is decided in plain code; only the posting waits.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TypeAlias

import aiohttp
import anyio

from orchestrator.clock import Clock
from orchestrator.sandbox.faults import FaultPlan
from orchestrator.sandbox.shopify.events import Event, new_uuid
from orchestrator.sandbox.shopify.shop import ShopifyShop
from orchestrator.sandbox.shopify.subscriptions import Subscription
from orchestrator.sandbox.shopify.webhooks import Delivery, delivery_of, open_session, post

_RETRIES = 8
_LATEST = 2.0  # how late a webhook may come out of order, in `webhook_retry_seconds`
_TASKS = 32  # webhooks of a shop that are on their way at the same time
_CLOCK_SECONDS = 0.05  # at most between two readings of the clock while something waits for it: a test's clock may jump
_CLOSE_SECONDS = 2

_OrderingKey: TypeAlias = tuple[int, int, bool]


@dataclass(slots=True, eq=False)
class PendingWebhook:
    """A webhook on its way. `address` is that of the event's time; `failures`: attempts that came to nothing.

    `is_repeat`: the second of two that are sent where one would do; it goes beside the first, and once only.
    """

    subscription: Subscription
    address: str
    delivery: Delivery
    subject: int
    failures: int = 0
    is_repeat: bool = False

    @property
    def ordering_key(self) -> _OrderingKey:
        """What is sent one after another."""
        return self.subscription.id, self.subject, self.is_repeat


@dataclass(slots=True, eq=False)
class WebhookSender:
    """The webhooks of one shop. Listens from the beginning; sends while `run` runs."""

    shop: ShopifyShop
    clock: Clock
    faults: FaultPlan
    rng: random.Random = field(default_factory=random.SystemRandom)
    _ready: deque[PendingWebhook] = field(default_factory=deque)
    _later: list[tuple[float, int, PendingWebhook]] = field(default_factory=list)
    _by_key: dict[_OrderingKey, deque[PendingWebhook]] = field(default_factory=dict)
    _wake: anyio.Event = field(default_factory=anyio.Event)
    _outcome: anyio.Event = field(default_factory=anyio.Event)
    _ticket: Callable[[], int] = field(default_factory=lambda: count().__next__)

    def __post_init__(self) -> None:
        self.shop.events.listeners.append(self)
        self.shop.when_due = self._wake_up

    @property
    def waiting(self) -> int:
        """How many webhooks are still to be sent, those on their way included."""
        pending = [*self._ready, *(webhook for _, _, webhook in self._later)]
        pending += [webhook for queue in self._by_key.values() for webhook in queue]
        return sum(webhook.subscription in self.shop.subscriptions for webhook in pending)

    async def outcome(self) -> None:
        """Waits until something came of an attempt."""
        await self._outcome.wait()

    def wants(self, topic: str) -> bool:
        """As `Listener.wants`: what somebody subscribed to."""
        return bool(self.shop.subscriptions.of(topic))

    def take(self, event: Event) -> None:
        """As `Listener.take`: a pending webhook for each subscription."""
        for each in self.shop.subscriptions.of(event.topic):
            if self._draw("webhook_lost", event) is not None:
                self.shop.webhooks.lost += 1
                continue
            delivery = delivery_of(self.shop, event, new_uuid(self.rng), body_format=each.format, name=each.name)
            pending = [PendingWebhook(each, each.address, delivery, event.subject)]
            if self._draw("webhook_twice", event) is not None:
                pending.append(replace(pending[0], is_repeat=True))
            for webhook in pending:
                late = self._draw("webhook_shuffled", event)
                if late is None:
                    self._ready.append(webhook)
                else:
                    self._put_off(webhook, late * _LATEST * self.shop.options.webhook_retry_seconds)
        self._wake_up()

    def _draw(self, name: str, event: Event) -> float | None:
        return self.faults.draw_webhook(name, self.shop.domain, str(event.subject), event.topic)

    def _put_off(self, webhook: PendingWebhook, seconds: float) -> None:
        heapq.heappush(self._later, (self.clock.monotonic() + seconds, self._ticket(), webhook))

    def _wake_up(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Sends what is due until cancelled; what is then on its way is sent again by the next run.

        Also keeps the shop's time: what comes to its end there is published even if nobody asks.
        """
        session = open_session(self.shop)
        try:
            async with anyio.create_task_group() as group:
                while True:
                    self._wake = anyio.Event()
                    self.shop.settle()
                    for ordering_key in self._plan():
                        group.start_soon(self._serve, session, ordering_key)
                    with anyio.move_on_after(self._pause()):
                        await self._wake.wait()
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_SECONDS):
                await session.close()

    def _plan(self) -> list[_OrderingKey]:
        """The ordering keys to be served from now on."""
        now = self.clock.monotonic()
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
        waits = [self._later[0][0] - self.clock.monotonic()] if self._later else []
        if (until_due := self.shop.due_in()) is not None:
            waits.append(until_due)
        return max(0.0, min([*waits, _CLOCK_SECONDS])) if waits else None

    async def _serve(self, session: aiohttp.ClientSession, ordering_key: _OrderingKey) -> None:
        pending = self._by_key[ordering_key]
        try:
            while pending:
                if pending[0].subscription in self.shop.subscriptions:
                    self.shop.webhooks.sent += 1
                    status = await post(session, pending[0].address, pending[0].delivery)
                    self._note(pending[0], is_acknowledged=200 <= status < 300)
                pending.popleft()
                self._outcome.set()
                self._outcome = anyio.Event()
        finally:
            # Cancelled: what has no outcome yet goes back to the front.
            self._ready.extendleft(reversed(pending))
            del self._by_key[ordering_key]
            self._wake_up()

    def _note(self, webhook: PendingWebhook, *, is_acknowledged: bool) -> None:
        self.shop.subscriptions.note(webhook.subscription, "acknowledged" if is_acknowledged else "failed")
        if is_acknowledged:
            self.shop.webhooks.acknowledged += 1
            return
        self.shop.webhooks.failed += 1
        webhook.failures += 1
        if webhook.failures <= _RETRIES and not webhook.is_repeat:
            self._put_off(webhook, self.shop.options.webhook_retry_seconds * 2 ** (webhook.failures - 1))
