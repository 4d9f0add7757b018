"""Reads an order because of webhooks, and decides when to read it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from orchestrator.backoff import Growing, equal_jitter
from orchestrator.clock import Chance, Clock
from orchestrator.decisions.adoption import Adopted
from orchestrator.decisions.rejected import set_aside
from orchestrator.intake.notifications import order_in_webhook
from orchestrator.platforms.client import Age
from orchestrator.platforms.failures import NotFound, PlatformFailure, Rejected, Transient, Unreadable
from orchestrator.platforms.webhooks import Notification, OrderNotification
from orchestrator.runtime.calls import NotAdmitted
from orchestrator.runtime.worker import ShopWorker
from statemachines.target import Json
from storage.errors import StoreError
from storage.orders import get_order, is_known
from storage.store import Store
from storage.webhooks import LONGEST_WAIT_MS, Webhook

log = structlog.get_logger()

_WAIT_MS = Growing(1_000, LONGEST_WAIT_MS)
READ_TRIES = 4
"""A webhook can be faster than the platform's own reads, which then show no order or an older state."""

Item = tuple[Webhook, Notification]
Place = tuple[str | None, str | None]
"""An order, or a part of an order."""


@dataclass(frozen=True, slots=True)
class Wait:
    """How long until the next read; `is_failure`: a read failed, so the next wait is longer."""

    ms: int
    is_failure: bool = True


CLOSED = Wait(5_000, is_failure=False)
"""How soon a shop that stands still is tried again."""
LONGEST_WAIT = Wait(LONGEST_WAIT_MS)
"""After an unexpected exception."""


class WebhookReader:
    """Reads orders for the inbox."""

    def __init__(self, store: Store, clock: Clock, chance: Chance) -> None:
        self._store, self._clock, self._chance = store, clock, chance

    async def read_order(self, worker: ShopWorker, place: Place, items: Sequence[Item]) -> Wait | None:
        """Reads the order if the webhooks are newer than the known state; returns a wait when a further read is due."""
        attempts = [webhook.attempts for webhook, _ in items]
        try:
            order = await self._order_at(worker, place)
            return None if order is None else await self._read(worker, order, items)
        except NotAdmitted:
            return CLOSED
        except NotFound as failure:
            if min(attempts) + 1 < READ_TRIES:
                return self._wait_after(min(attempts))
            log.info("webhook.order_not_found", shop=worker.name, order=place[0], detail=failure.detail)
        except Unreadable as failure:
            await self._set_aside(worker, place[0], failure)
        except (PlatformFailure, StoreError) as failure:
            if not _is_refusal(failure) or min(attempts) + 1 < READ_TRIES:
                log.info("webhook.read_failed", shop=worker.name, order=place[0], detail=str(failure))
                return self._wait_after(max(attempts))
            log.warning("webhook.order_not_read", shop=worker.name, order=place[0], detail=str(failure))
        return None

    async def _order_at(self, worker: ShopWorker, place: Place) -> str | None:
        """The order to read; None: no order, or all of them by a sync."""
        order, part = place
        if order is None and part is None:
            worker.sync_schedule.ask_soon()
        if order is not None or part is None:
            return order
        found = await worker.reads.order_of_part(part)
        if found is None or not await self._store.read(lambda tx: is_known(tx, worker.name, found)):
            return None  # a webhook of the order itself will come, and leads to a read of the whole order
        return found

    async def _read(self, worker: ShopWorker, order: str, items: Sequence[Item]) -> Wait | None:
        changed_at = _newest_change_time(items)
        is_dated = all(
            isinstance(notification, OrderNotification) and notification.updated_at_ms is not None
            for _, notification in items
        )
        if is_dated and _is_before(changed_at, await self._known_at(worker.name, order)):
            return None  # older than the known state
        age = _age_in_webhooks(order, items)
        if age is not None and await worker.reads.leaves_out(order, age):
            return None
        result = await worker.reads.follow(order, cause_of(items))
        if result is None:
            return None
        order_read, adopted = result
        attempts = [webhook.attempts for webhook, _ in items]
        if adopted is Adopted.STALE:  # a step is or was out, and may fail without a trace: read again
            return self._wait_after(max(attempts))
        if min(attempts) + 1 < READ_TRIES and _is_before(order_read.platform_updated_at, changed_at):
            return self._wait_after(min(attempts))  # the read was behind the webhook
        return None

    async def _known_at(self, shop: str, order: str) -> int | None:
        known = await self._store.read(lambda tx: get_order(tx, shop, order))
        return None if known is None else known.platform_updated_at

    def _wait_after(self, attempts: int) -> Wait:
        return Wait(int(equal_jitter(_WAIT_MS.after(attempts + 1), self._chance.jitter())))

    async def _set_aside(self, worker: ShopWorker, order: str | None, failure: Unreadable) -> None:
        now, shop = self._clock.now_ms(), worker.name
        await worker.store.write(lambda tx: set_aside(tx, shop, "webhook", order, failure.detail, failure.payload, now))


def cause_of(items: Sequence[Item]) -> dict[str, Json] | None:
    """The webhook with the newest whole order, for the events that the read leads to; None if none has one."""
    whole = [
        (notification.updated_at_ms or 0, webhook.id, webhook.topic)
        for webhook, notification in items
        if isinstance(notification, OrderNotification) and notification.is_whole
    ]
    if not whole:
        return None
    _, webhook, topic = max(whole, key=lambda each: each[:2])
    return {"webhook": str(webhook), "topic": topic}


def _age_in_webhooks(order: str, items: Sequence[Item]) -> Age | None:
    """How old the order is, by the newest of the signed webhooks with a whole order; None where one has no whole order:
    the webhook of a parcel may be newer than a body that says that the order is over, so the order is read."""
    whole = [
        webhook
        for webhook, notification in items
        if isinstance(notification, OrderNotification) and notification.is_whole
    ]
    snapshots = [
        snapshot for webhook in whole if (snapshot := order_in_webhook(webhook.source, webhook.payload)) is not None
    ]
    snapshots = [snapshot for snapshot in snapshots if snapshot.id == order]
    if len(snapshots) < len(items):
        return None
    newest = max(snapshots, key=lambda snapshot: snapshot.platform_updated_at or 0, default=None)
    return None if newest is None else newest.age


def _newest_change_time(items: Sequence[Item]) -> int | None:
    """The newest change time of the order in the webhooks."""
    times = [
        notification.updated_at_ms
        for _, notification in items
        if isinstance(notification, OrderNotification) and notification.updated_at_ms is not None
    ]
    return max(times, default=None)


def _is_refusal(failure: Exception) -> bool:
    """Whether the platform is up and refuses to show the order."""
    return isinstance(failure, Rejected) or (isinstance(failure, Transient) and failure.is_refused_read)


def _is_before(one: int | None, other: int | None) -> bool:
    return one is not None and other is not None and one < other
