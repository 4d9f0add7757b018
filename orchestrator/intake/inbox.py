"""Processes kept webhooks: products and shipments become events, every webhook about an order leads to a read of it.

Webhooks that need no read go first: products must not wait behind the reads of a hundred thousand orders, nor for a
shop that is paused. While a shop stands still its webhooks about orders are applied provisionally once, then left
alone, however many there are; its products are processed now and then.

An order that cannot be read at the first attempt is applied provisionally from the body of its webhook, where that is
signed: an unknown order, a shipment. The ERP gets them, however long the platform is down; later reads add the rest.

A shop has a task while it has webhooks to process. Many hints of one order that wait together cost one read. A row is
done only when its effects are durable, so a crash anywhere repeats a read and loses nothing; a row whose read fails
waits by itself, with a growing pause, and blocks no other.

Webhooks are kept by whichever node they come to, and processed by the one that works for their shop, under its lease;
those of a shop that nobody works for, as far as they need no platform, by any: each is finished once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import anyio
import anyio.lowlevel
import structlog
from anyio.abc import TaskGroup

from orchestrator.clock import Chance, Clock
from orchestrator.decisions.adoption import adopt_provisionally
from orchestrator.decisions.rejected import set_aside
from orchestrator.decisions.webhook_facts import settle_product, settle_shipment
from orchestrator.intake.notifications import notification_of, order_in_webhook
from orchestrator.intake.webhook_reads import (
    CLOSED,
    LONGEST_WAIT,
    READ_TRIES,
    Item,
    Place,
    Wait,
    WebhookReader,
    cause_of,
)
from orchestrator.platforms.client import OrderSnapshot
from orchestrator.platforms.fields import crash_text
from orchestrator.platforms.webhooks import (
    Notification,
    OrderNotification,
    ProductNotification,
    Unimportant,
    Unreadable,
)
from orchestrator.runtime.worker import ShopWorker
from storage.errors import StoreError, store_errors
from storage.leases import lease_of
from storage.rejected import remove_rejected_by
from storage.store import Store
from storage.transaction import Transaction
from storage.webhooks import (
    LONGEST_WAIT_MS,
    Webhook,
    Which,
    due_webhooks,
    finish_webhook,
    note_first_look,
    postpone_webhook,
    shops_with_webhooks,
)

log = structlog.get_logger()

_BATCH = 200
_BATCH_BYTES = 4 * 1024 * 1024  # of bodies that are in memory at once, for each shop
_READS_AT_ONCE = 8
_CHANNEL = "webhooks"
_LONGEST_REST_SECONDS = 30.0  # a wake-up that was missed costs at most this
_LONGEST_REST_BESIDE_OTHERS_SECONDS = 1.0  # whose notices may be lost
_CRASH_PAUSE_SECONDS = 5.0


class Inbox:
    """The inbox of all shops. `run` lasts until it is cancelled; `wake` signals new rows.

    `worker_of` returns a shop's worker, None while there is none (being started, gone from the config).
    """

    def __init__(
        self, store: Store, worker_of: Callable[[str], ShopWorker | None], clock: Clock, chance: Chance
    ) -> None:
        self._store, self._worker_of = store, worker_of
        self._clock, self._reader = clock, WebhookReader(store, clock, chance)
        self._wake = anyio.Event()
        self._at_work: set[str] = set()
        self._closed_until: dict[str, float] = {}  # shops that stood still, and when (monotonic) to try again

    def __repr__(self) -> str:
        now = self._clock.monotonic()
        closed = sorted(shop for shop, until in self._closed_until.items() if until > now)
        return f"<Inbox: at work for {sorted(self._at_work)}, waits for {closed}>"

    def wake(self) -> None:
        """There are new rows."""
        self._wake.set()

    async def arrived(self, shop: str) -> None:
        """A webhook of the shop was kept by this node."""
        self.wake()
        if self._worker_of(shop) is None and not self._store.is_exclusive:
            await self._store.notify(_CHANNEL, shop)

    async def run(self) -> None:
        """Works until cancelled."""
        async with anyio.create_task_group() as group:
            if not self._store.is_exclusive:
                group.start_soon(self._listen)
            while True:
                self._wake = anyio.Event()
                try:
                    rest_seconds = await self._start_tasks(group)
                except StoreError as error:
                    log.error("inbox.not_read", detail=str(error))
                    rest_seconds = _CRASH_PAUSE_SECONDS
                with anyio.move_on_after(rest_seconds):
                    await self._wake.wait()

    async def _listen(self) -> None:
        async with self._store.listen(_CHANNEL) as notices:
            async for shop in notices:
                if self._worker_of(shop) is not None:
                    self._wake.set()

    async def _start_tasks(self, group: TaskGroup) -> float:
        """Starts a task for each shop with due rows; returns how long nothing else will be due (seconds)."""
        rest_seconds = _LONGEST_REST_SECONDS if self._store.is_exclusive else _LONGEST_REST_BESIDE_OTHERS_SECONDS
        now = self._clock.now_ms()
        for shop, due_at, is_free in await self._store.read(self._waiting):
            if shop in self._at_work or not (is_free or self._worker_of(shop) is not None):
                continue
            until_due_ms = due_at - now if due_at <= now + LONGEST_WAIT_MS else 0
            wait_seconds = max(until_due_ms / 1000, self._closed_until.get(shop, 0.0) - self._clock.monotonic())
            if wait_seconds > 0:
                rest_seconds = min(rest_seconds, max(0.01, wait_seconds))
                continue
            self._at_work.add(shop)
            group.start_soon(self._process_shop, shop)
        return rest_seconds

    def _waiting(self, tx: Transaction) -> list[tuple[str, int, bool]]:
        """Shops with unprocessed webhooks, when the first of these is due, and whether no other node has the shop."""
        found = shops_with_webhooks(tx)
        if self._store.is_exclusive:
            return [(shop, due_at, True) for shop, due_at in found]
        leases = {shop: lease_of(tx, shop) for shop, _ in found}
        return [(shop, due_at, (lease := leases[shop]) is None or lease.is_over) for shop, due_at in found]

    async def _process_shop(self, shop: str) -> None:
        try:
            while await self._process_batch(shop):
                pass
        except Exception as error:  # noqa: BLE001 - supervised: one shop's task is not the others'
            _log_fault(error, shop=shop)
            await anyio.sleep(_CRASH_PAUSE_SECONDS)
        finally:
            self._at_work.discard(shop)
            self.wake()

    async def _process_batch(self, shop: str) -> bool:
        """Processes one batch; False when nothing is due, or nothing that can be done now."""
        batch = await self._due(shop, Which.LOCAL)
        worker = self._worker_of(shop)
        if not batch:
            is_admitted = worker is not None and worker.admission.admits_calls
            if worker is not None:
                batch = await self._due(shop, Which.ALL if is_admitted else Which.NEW)
            if not batch and not is_admitted:
                self._closed_until[shop] = self._clock.monotonic() + CLOSED.ms / 1000
                return False
        platform = None if worker is None else worker.context().policy.platform
        by_order: dict[Place, list[Item]] = {}
        local: list[Item] = []
        for webhook in batch:
            await anyio.lowlevel.checkpoint()  # a large body takes a while to parse
            notification = notification_of(webhook.source, webhook.topic, webhook.payload, platform)
            if isinstance(notification, OrderNotification):
                by_order.setdefault((notification.order, notification.part), []).append((webhook, notification))
            else:
                local.append((webhook, notification))
        if local:
            await self._finish_each(worker, local)
        if by_order:
            await self._follow(shop, by_order)
        return bool(batch)

    async def _due(self, shop: str, which: Which) -> list[Webhook]:
        now = self._clock.now_ms()
        return await self._store.read(lambda tx: due_webhooks(tx, shop, now, _BATCH, _BATCH_BYTES, which))

    async def _follow(self, shop: str, by_order: dict[Place, list[Item]]) -> None:
        """Reads each order once."""
        worker = self._worker_of(shop)
        if worker is None or not worker.admission.admits_calls:
            for items in by_order.values():
                await self._postpone(worker, items, CLOSED)
            return
        permits = anyio.CapacityLimiter(_READS_AT_ONCE)
        async with anyio.create_task_group() as group:
            for place, items in by_order.items():
                group.start_soon(self._follow_one, worker, place, items, permits)

    async def _follow_one(
        self, worker: ShopWorker, place: Place, items: list[Item], permits: anyio.CapacityLimiter
    ) -> None:
        async with permits:
            try:
                wait = await self._reader.read_order(worker, place, items)
            except Exception as error:  # noqa: BLE001 - supervised: retried later, a limited number of times
                _log_fault(error, shop=worker.name, order=place[0])
                wait = LONGEST_WAIT
                if not isinstance(error, StoreError) and min(item[0].attempts for item in items) + 1 >= READ_TRIES:
                    unreadable = Unreadable(f"reading its order raised {crash_text(error)}")
                    items, wait = [(webhook, unreadable) for webhook, _ in items], None
            await (self._finish_each(worker, items) if wait is None else self._postpone(worker, items, wait))

    async def _postpone(self, worker: ShopWorker | None, items: Sequence[Item], wait: Wait) -> None:
        """Leaves webhooks of one order for later. At the first attempt they are applied provisionally before."""
        new = [item for item in items if worker is not None and item[0].looked_at is None]
        order = await _newest_order(new)

        def unit(tx: Transaction) -> None:
            if worker is not None:
                self._apply_provisionally(tx, worker, order, new)
            self._put_off(tx, items, wait)

        try:
            await self._store.write(unit)
        except StoreError:
            raise
        except Exception as error:  # supervised: one order's failure is not the others'; it is not applied
            webhook = items[0][0]
            log.error("inbox.crashed", shop=webhook.shop, webhook=webhook.id, exc_info=error)
            later = replace(LONGEST_WAIT, is_failure=False)
            error_text = f"applying the order of the webhook raised {crash_text(error)}"

            def aside(tx: Transaction) -> None:
                if worker is not None:
                    worker.fence(tx)
                set_aside(tx, webhook.shop, "webhook", None, error_text, webhook.payload, self._clock.now_ms())
                self._put_off(tx, items, later)

            await self._store.write(aside)

    def _put_off(self, tx: Transaction, items: Sequence[Item], wait: Wait) -> None:
        due_at = self._clock.now_ms() + wait.ms
        for item in items:
            postpone_webhook(tx, item[0].id, due_at, is_failure=wait.is_failure)

    def _apply_provisionally(
        self, tx: Transaction, worker: ShopWorker, order: OrderSnapshot | None, items: Sequence[Item]
    ) -> None:
        """At the first attempt: what follows from the webhooks without a read."""
        worker.fence(tx)
        ctx = worker.context()
        if order is not None and all(webhook.source == ctx.policy.platform for webhook, _ in items):
            adopt_provisionally(tx, ctx, order, cause_of(items) or {})
        for webhook, notification in items:
            note_first_look(tx, webhook.id, ctx.now)
            # Without a change time it could not be distinguished from a repeat when it is processed again.
            if isinstance(notification, OrderNotification) and _is_dated(notification):
                settle_shipment(tx, webhook, notification, ctx.now)

    async def _finish_each(self, worker: ShopWorker | None, items: Sequence[Item]) -> None:
        """As `_finish`; should a webhook raise, each by itself, and that webhook is set aside: it would be retried for
        ever and block all behind it."""
        try:
            await self._finish(worker, items)
        except StoreError:
            raise
        except Exception as error:  # supervised: one webhook's failure is not the others'
            if len(items) > 1:
                for item in items:
                    await self._finish_each(worker, [item])
                return
            ((webhook, _),) = items
            log.error("inbox.crashed", shop=webhook.shop, webhook=webhook.id, exc_info=error)
            error_text = f"processing it raised {crash_text(error)}"
            await self._finish(worker, [(webhook, Unreadable(error_text))])

    async def _finish(self, worker: ShopWorker | None, items: Sequence[Item]) -> None:
        """Writes the effects of the webhooks and marks them as done, in one transaction."""
        now = self._clock.now_ms()

        def unit(tx: Transaction) -> None:
            if worker is not None:
                worker.fence(tx)
            for webhook, notification in items:
                if finish_webhook(tx, webhook.id, now):
                    self._settle(tx, webhook, notification, now)

        await self._store.write(unit)

    def _settle(self, tx: Transaction, webhook: Webhook, notification: Notification, now: int) -> None:
        if not isinstance(notification, Unreadable):
            remove_rejected_by(tx, webhook.id)
        match notification:
            case Unreadable(error):
                set_aside(tx, webhook.shop, "webhook", None, error, webhook.payload, now, webhook=webhook.id)
            case ProductNotification():
                settle_product(tx, webhook, notification, now)
            case OrderNotification():
                settle_shipment(
                    tx,
                    webhook,
                    notification,
                    now,
                    was_looked_at=webhook.looked_at is not None and _is_dated(notification),
                )
            case Unimportant(topic):
                log.debug("webhook.unimportant", shop=webhook.shop, topic=topic)


def _is_dated(notification: OrderNotification) -> bool:
    """Whether it is about a fulfilment and has its change time."""
    return notification.shipment is not None and notification.shipment.updated_at_ms is not None


async def _newest_order(items: Sequence[Item]) -> OrderSnapshot | None:
    """The order in the newest of the webhooks that have a whole order."""
    found = []
    for webhook, notification in items:
        if not isinstance(notification, OrderNotification) or not notification.is_whole:
            continue
        await anyio.lowlevel.checkpoint()  # a large body takes a while to parse
        if (order := order_in_webhook(webhook.source, webhook.payload)) is not None:
            found.append((order.platform_updated_at or 0, webhook.id, order))
    return max(found, key=lambda each: each[:2])[2] if found else None


def _log_fault(error: Exception, **place: str | None) -> None:
    """A bug is logged with its traceback. That the store is not there now, or another worker has the shop (its config
    was reloaded meanwhile), is not one: what was to be done stays due."""
    if (interrupted := store_errors(error)) is None:
        log.error("inbox.crashed", **place, exc_info=error)
    else:
        log.warning("inbox.postponed", **place, detail=str(interrupted[0]))
