"""Looks at an order because of webhooks, and tells when to look again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from orchestrator.backoff import Growing, equal_jitter
from orchestrator.clock import Chance, Clock
from orchestrator.decisions.adoption import Adopted
from orchestrator.decisions.rejected import set_aside
from orchestrator.intake.news import told_order
from orchestrator.platforms.client import Age
from orchestrator.platforms.failures import NotFound, PlatformFailure, Rejected, Transient, Unreadable
from orchestrator.platforms.webhooks import News, OrderNews
from orchestrator.runtime.calls import NotAdmitted
from orchestrator.runtime.worker import ShopWorker
from statemachines.target import Json
from storage.errors import StoreError
from storage.orders import get_order
from storage.store import Store
from storage.webhooks import LONGEST_WAIT_MS, Webhook

log = structlog.get_logger()

_WAIT_MS = Growing(1_000, LONGEST_WAIT_MS)
LOOKS = 4
"""A webhook can be quicker than the platform's own reads: they show no order then, or an older one."""

Item = tuple[Webhook, News]
Place = tuple[str | None, str | None]
"""An order, or in its place a part of one."""


@dataclass(frozen=True, slots=True)
class Wait:
    """How long until the next look; `is_failure`: a read failed, so the next wait is longer."""

    ms: int
    is_failure: bool = True


CLOSED = Wait(5_000, is_failure=False)
"""How soon a shop that stands still is looked at again."""
LONGEST_WAIT = Wait(LONGEST_WAIT_MS)
"""For what nobody expected."""


class WebhookReader:
    """Reads orders for the inbox."""

    def __init__(self, store: Store, clock: Clock, chance: Chance) -> None:
        self._store, self._clock, self._chance = store, clock, chance

    async def look(self, worker: ShopWorker, place: Place, items: Sequence[Item]) -> Wait | None:
        """Reads the order if that can tell something new; answers a wait when it is to be looked at again."""
        attempts = [webhook.attempts for webhook, _ in items]
        try:
            order = await self._order_at(worker, place)
            return None if order is None else await self._read(worker, order, items)
        except NotAdmitted:
            return CLOSED
        except NotFound as failure:
            if min(attempts) + 1 < LOOKS:
                return self._wait_after(min(attempts))
            log.info("webhook.order_not_found", shop=worker.name, order=place[0], detail=failure.detail)
        except Unreadable as failure:
            await self._set_aside(worker.name, place[0], failure)
        except (PlatformFailure, StoreError) as failure:
            if not _is_refusal(failure) or min(attempts) + 1 < LOOKS:
                log.info("webhook.read_failed", shop=worker.name, order=place[0], detail=str(failure))
                return self._wait_after(max(attempts))
            log.warning("webhook.order_not_read", shop=worker.name, order=place[0], detail=str(failure))
        return None

    async def _order_at(self, worker: ShopWorker, place: Place) -> str | None:
        """The order to read; None: there is none, or all are."""
        order, part = place
        if order is None and part is None:
            worker.sweeps.ask_soon()
        if order is not None or part is None:
            return order
        found = await worker.reads.order_of_part(part)
        if found is None or await self._store.read(lambda tx: get_order(tx, worker.name, found)) is None:
            return None  # news of the order itself will come, and is read as a whole then
        return found

    async def _read(self, worker: ShopWorker, order: str, items: Sequence[Item]) -> Wait | None:
        told_at = _told_at(items)
        is_dated = all(isinstance(news, OrderNews) and news.updated_at_ms is not None for _, news in items)
        if is_dated and _is_before(told_at, await self._known_at(worker.name, order)):
            return None  # older than what we know
        age = _told_age(order, items)
        if age is not None and await worker.reads.leaves_out(order, age):
            return None
        looked = await worker.reads.follow(order, cause_of(items))
        if looked is None:
            return None
        shown, adopted = looked
        attempts = [webhook.attempts for webhook, _ in items]
        if adopted is Adopted.STALE:  # a step is or was out, and may fail without a trace: look again
            return self._wait_after(max(attempts))
        if min(attempts) + 1 < LOOKS and _is_before(shown.platform_updated_at, told_at):
            return self._wait_after(min(attempts))  # the read was behind the webhook
        return None

    async def _known_at(self, shop: str, order: str) -> int | None:
        known = await self._store.read(lambda tx: get_order(tx, shop, order))
        return None if known is None else known.platform_updated_at

    def _wait_after(self, attempts: int) -> Wait:
        return Wait(int(equal_jitter(_WAIT_MS.after(attempts + 1), self._chance.jitter())))

    async def _set_aside(self, shop: str, order: str | None, failure: Unreadable) -> None:
        now = self._clock.now_ms()
        await self._store.write(lambda tx: set_aside(tx, shop, "webhook", order, failure.detail, failure.payload, now))


def cause_of(items: Sequence[Item]) -> dict[str, Json] | None:
    """The webhook with the newest picture of the order, for the events that the read leads to; None if none has one."""
    told = [
        (news.updated_at_ms or 0, webhook.id, webhook.topic)
        for webhook, news in items
        if isinstance(news, OrderNews) and news.is_whole
    ]
    if not told:
        return None
    _, webhook, topic = max(told, key=lambda each: each[:2])
    return {"webhook": str(webhook), "topic": topic}


def _told_age(order: str, items: Sequence[Item]) -> Age | None:
    """How old the order is, by the newest of the signed webhooks that have all of it; None where one of them does not:
    news of a parcel may be newer than a body that says that the order is over, so the read tells."""
    whole = [webhook for webhook, news in items if isinstance(news, OrderNews) and news.is_whole]
    told = [seen for webhook in whole if (seen := told_order(webhook.source, webhook.payload)) is not None]
    told = [seen for seen in told if seen.id == order]
    if len(told) < len(items):
        return None
    newest = max(told, key=lambda seen: seen.platform_updated_at or 0, default=None)
    return None if newest is None else newest.age


def _told_at(items: Sequence[Item]) -> int | None:
    """The newest change time of the order that a webhook tells."""
    times = [news.updated_at_ms for _, news in items if isinstance(news, OrderNews) and news.updated_at_ms is not None]
    return max(times, default=None)


def _is_refusal(failure: Exception) -> bool:
    """Whether the platform is there and does not want to show the order."""
    return isinstance(failure, Rejected) or (isinstance(failure, Transient) and failure.is_refused_read)


def _is_before(one: int | None, other: int | None) -> bool:
    return one is not None and other is not None and one < other
