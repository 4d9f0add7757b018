"""Works off kept webhooks: products and fulfilments become events, everything about an order leads to a read of it.

What needs no read goes first: products must not wait behind the reads of a hundred thousand orders, nor for a shop that
is paused. While a shop stands still its webhooks about orders are heard once, then left alone, however many there are,
and its products are looked for now and then.

What cannot be read at the first look is taken as the webhook tells it, where that is signed: an order that nobody knows
yet, a fulfilment. The ERP hears of them, however long the platform is down; the reads that follow fill in the rest.

A shop has a lane while it has something to work off. Many hints of one order that wait together cost one read. A row
is done only when what follows from it is durable, so a crash anywhere repeats a read and loses nothing; a row whose
read fails waits by itself, with a growing pause, and holds no other up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio
import anyio.lowlevel
import structlog
from anyio.abc import TaskGroup

from orchestrator.clock import Chance, Clock
from orchestrator.intake.adopt import Adopted, adopt_told
from orchestrator.intake.news import news_of, told_order
from orchestrator.intake.settling import settle_fulfillment, settle_product
from orchestrator.platforms.client import Seen
from orchestrator.platforms.failures import NotFound, PlatformFailure, Rejected
from orchestrator.platforms.failures import Unreadable as UnreadableAnswer
from orchestrator.platforms.news import News, OrderNews, ProductNews, Unimportant, Unreadable
from orchestrator.runtime.asking import GateClosed
from orchestrator.runtime.rejecting import set_aside
from orchestrator.runtime.worker import ShopWorker
from statemachines.target import Json
from storage.errors import StoreError
from storage.orders import get_order
from storage.shops import fence
from storage.store import Store
from storage.transaction import Transaction
from storage.webhooks import Webhook, Which, due_webhooks, finish_webhook, postpone_webhook, shops_with_webhooks

log = structlog.get_logger()

_BATCH = 200
_BATCH_BYTES = 4 * 1024 * 1024  # of bodies that are in memory at once, for each shop
_READS_AT_ONCE = 8
_LONGEST_REST_SECONDS = 30.0  # a wake-up that was missed costs at most this
_STUMBLE_SECONDS = 5.0
_FIRST_WAIT_MS = 1_000
_LONGEST_WAIT_MS = 300_000
_LOOKS_FOR_AN_ORDER = 4  # a webhook can be quicker than the platform's own reads

Item = tuple[Webhook, News]
_Place = tuple[str | None, str | None]  # an order, or in its place a part of one


@dataclass(frozen=True, slots=True)
class _Wait:
    """How long until the next look; `is_failure`: a read failed, so the next wait is longer."""

    ms: int
    is_failure: bool = True


_CLOSED = _Wait(5_000, is_failure=False)  # how soon a shop that stands still is looked at again


class Inbox:
    """The inbox of all shops. `run` lasts until it is cancelled; `wake` tells it of new rows.

    `worker_of` answers a shop's worker, None while there is none (being started, gone from the config).
    """

    def __init__(
        self, store: Store, worker_of: Callable[[str], ShopWorker | None], clock: Clock, chance: Chance
    ) -> None:
        self._store, self._worker_of = store, worker_of
        self._clock, self._chance = clock, chance
        self._wake = anyio.Event()
        self._lanes: set[str] = set()
        self._closed_until: dict[str, float] = {}  # shops that stood still, and when (monotonic) to look again

    def wake(self) -> None:
        """There is something new."""
        self._wake.set()

    async def run(self) -> None:
        """Works until cancelled."""
        async with anyio.create_task_group() as group:
            while True:
                self._wake = anyio.Event()
                try:
                    rest_seconds = await self._open_lanes(group)
                except StoreError as error:
                    log.error("inbox.not_read", detail=str(error))
                    rest_seconds = _STUMBLE_SECONDS
                with anyio.move_on_after(rest_seconds):
                    await self._wake.wait()

    async def _open_lanes(self, group: TaskGroup) -> float:
        """Starts a lane for each shop with due rows; answers how long nothing else will be due (seconds)."""
        rest_seconds = _LONGEST_REST_SECONDS
        now = self._clock.now_ms()
        for shop, due_at in await self._store.read(shops_with_webhooks):
            if shop in self._lanes:
                continue
            wait_seconds = max((due_at - now) / 1000, self._closed_until.get(shop, 0.0) - self._clock.monotonic())
            if wait_seconds > 0:
                rest_seconds = min(rest_seconds, max(0.01, wait_seconds))
                continue
            self._lanes.add(shop)
            group.start_soon(self._lane, shop)
        return rest_seconds

    async def _lane(self, shop: str) -> None:
        try:
            while await self._work_off(shop):
                pass
        except Exception as error:  # supervised: one shop's lane is not the others'
            log.error("inbox.stumbled", shop=shop, exc_info=error)
            await anyio.sleep(_STUMBLE_SECONDS)
        finally:
            self._lanes.discard(shop)
            self.wake()

    async def _work_off(self, shop: str) -> bool:
        """Works off one batch; False when nothing is due, or nothing that can be done now."""
        batch = await self._due(shop, Which.LOCAL)
        if not batch:
            worker = self._worker_of(shop)
            is_open = worker is not None and worker.gate.is_open
            if worker is not None:
                batch = await self._due(shop, Which.ALL if is_open else Which.UNHEARD)
            if not batch and not is_open:
                self._closed_until[shop] = self._clock.monotonic() + _CLOSED.ms / 1000
                return False
        by_order: dict[_Place, list[Item]] = {}
        local: list[Item] = []
        for webhook in batch:
            await anyio.lowlevel.checkpoint()  # a large body takes a while to parse
            news = news_of(webhook.source, webhook.topic, webhook.payload)
            if isinstance(news, OrderNews):
                by_order.setdefault((news.order, news.part), []).append((webhook, news))
            else:
                local.append((webhook, news))
        if local:
            await self._finish_each(local)
        if by_order:
            await self._follow(shop, by_order)
        return bool(batch)

    async def _due(self, shop: str, which: Which) -> list[Webhook]:
        now = self._clock.now_ms()
        return await self._store.read(lambda tx: due_webhooks(tx, shop, now, _BATCH, _BATCH_BYTES, which))

    async def _follow(self, shop: str, by_order: dict[_Place, list[Item]]) -> None:
        """Reads each order once."""
        worker = self._worker_of(shop)
        if worker is None or not worker.gate.is_open:
            for items in by_order.values():
                await self._postpone(worker, items, _CLOSED)
            return
        turns = anyio.CapacityLimiter(_READS_AT_ONCE)
        async with anyio.create_task_group() as group:
            for place, items in by_order.items():
                group.start_soon(self._follow_one, worker, place, items, turns)

    async def _follow_one(
        self, worker: ShopWorker, place: _Place, items: list[Item], turns: anyio.CapacityLimiter
    ) -> None:
        async with turns:
            try:
                wait = await self._look(worker, place, items)
            except Exception as error:  # supervised: one order's hints are tried again later
                log.error("inbox.stumbled", shop=worker.name, order=place[0], exc_info=error)
                wait = _Wait(_LONGEST_WAIT_MS)
            await (self._finish_each(items) if wait is None else self._postpone(worker, items, wait))

    async def _look(self, worker: ShopWorker, place: _Place, items: list[Item]) -> _Wait | None:
        """Reads the order if that can tell something new; answers a wait when it could not be read."""
        order, part = place
        attempts = max(webhook.attempts for webhook, _ in items)
        fewest = min(webhook.attempts for webhook, _ in items)
        try:
            if order is None and part is not None:
                order = await worker.order_of_part(part)
                if order is None or not await self._is_known(worker.name, order):
                    return None  # news of the order itself will come, and is read as a whole then
            if order is None:
                worker.sweeps.ask_soon()
            elif not await self._is_stale(worker.name, order, items):
                adopted = await worker.follow(order, _cause(items))
                if adopted is Adopted.STALE:  # a step is or was out, and may fail without a trace: look again
                    return self._wait_after(attempts)
        except GateClosed:
            return _CLOSED
        except NotFound as failure:
            if fewest + 1 < _LOOKS_FOR_AN_ORDER:
                return self._wait_after(fewest)
            log.info("webhook.order_not_found", shop=worker.name, order=order, detail=failure.detail)
        except Rejected as failure:
            log.warning("webhook.order_not_read", shop=worker.name, order=order, detail=failure.detail)
        except UnreadableAnswer as failure:
            error, payload = failure.detail, failure.payload
            await self._store.write(lambda tx: self._set_aside(tx, worker.name, order, error, payload))
        except (PlatformFailure, StoreError) as failure:
            log.info("webhook.read_failed", shop=worker.name, order=order, detail=str(failure))
            return self._wait_after(attempts)
        return None

    async def _is_known(self, shop: str, order: str) -> bool:
        return await self._store.read(lambda tx: get_order(tx, shop, order)) is not None

    async def _is_stale(self, shop: str, order: str, items: Sequence[Item]) -> bool:
        """Whether what we know of the order is newer than all that the webhooks tell."""
        times = [news.updated_at_ms for _, news in items if isinstance(news, OrderNews)]
        if any(time is None for time in times):
            return False
        known = await self._store.read(lambda tx: get_order(tx, shop, order))
        newest = max(time for time in times if time is not None)
        return known is not None and known.platform_updated_at is not None and newest < known.platform_updated_at

    def _wait_after(self, attempts: int) -> _Wait:
        longest = min(_LONGEST_WAIT_MS, _FIRST_WAIT_MS << min(attempts, 20))
        return _Wait(int(longest * (0.5 + self._chance.jitter() / 2)))

    async def _postpone(self, worker: ShopWorker | None, items: Sequence[Item], wait: _Wait) -> None:
        """Leaves webhooks of one order for later. At the first look, what they tell by themselves is taken before."""
        due_at = self._clock.now_ms() + wait.ms
        unheard = [item for item in items if worker is not None and item[0].attempts == 0]
        order = await _newest_order(unheard)

        def unit(tx: Transaction) -> None:
            if worker is not None:
                self._hear(tx, worker, order, unheard)
            for item in items:
                postpone_webhook(tx, item[0].id, due_at, is_failure=wait.is_failure or item in unheard)

        await self._store.write(unit)

    def _hear(self, tx: Transaction, worker: ShopWorker, order: Seen | None, items: Sequence[Item]) -> None:
        fence(tx, worker.name, worker.equipment.epoch)
        ctx = worker.context()
        if order is not None and all(webhook.source == ctx.policy.platform for webhook, _ in items):
            adopt_told(tx, ctx, order, _cause(items) or {})
        for webhook, news in items:
            # One that tells no time could not be told from a repeat when its turn comes again.
            if isinstance(news, OrderNews) and _is_dated(news):
                settle_fulfillment(tx, webhook, news, ctx.now)

    async def _finish_each(self, items: Sequence[Item]) -> None:
        """As `_finish`; should one of them raise, each by itself, and that one is set aside: it would be tried for ever
        and stop all that are behind it."""
        try:
            await self._finish(items)
        except StoreError:
            raise
        except Exception as error:  # supervised: one webhook's trouble is not the others'
            if len(items) > 1:
                for item in items:
                    await self._finish_each([item])
                return
            ((webhook, _),) = items
            log.error("inbox.stumbled", shop=webhook.shop, webhook=webhook.id, exc_info=error)
            told = f"what follows from it raised {type(error).__name__}: that is a bug, the daemon's log has it"
            await self._finish([(webhook, Unreadable(told))])

    async def _finish(self, items: Sequence[Item]) -> None:
        """Makes what follows from the webhooks durable, and them done, at once."""
        now = self._clock.now_ms()

        def unit(tx: Transaction) -> None:
            for webhook, news in items:
                if finish_webhook(tx, webhook.id, now):
                    self._settle(tx, webhook, news, now)

        await self._store.write(unit)

    def _settle(self, tx: Transaction, webhook: Webhook, news: News, now: int) -> None:
        match news:
            case Unreadable(error):
                self._set_aside(tx, webhook.shop, None, error, webhook.payload)
            case ProductNews():
                settle_product(tx, webhook, news, now)
            case OrderNews():
                if webhook.attempts == 0 or not _is_dated(news):  # else it was told at the first look
                    settle_fulfillment(tx, webhook, news, now)
            case Unimportant(topic):
                log.debug("webhook.unimportant", shop=webhook.shop, topic=topic)

    def _set_aside(self, tx: Transaction, shop: str, order: str | None, error: str, payload: bytes) -> None:
        set_aside(tx, shop, "webhook", order, error, payload, self._clock.now_ms())


def _is_dated(news: OrderNews) -> bool:
    """Whether it is about a fulfilment whose change time it tells."""
    return news.fulfillment is not None and news.fulfillment.updated_at_ms is not None


def _cause(items: Sequence[Item]) -> dict[str, Json] | None:
    """The webhook with the newest picture of the order, for the events that the read leads to; None if none has one."""
    told = [
        (news.updated_at_ms, webhook.id, webhook.topic)
        for webhook, news in items
        if isinstance(news, OrderNews) and news.updated_at_ms is not None
    ]
    if not told:
        return None
    _, webhook, topic = max(told, key=lambda each: each[:2])
    return {"webhook": str(webhook), "topic": topic}


async def _newest_order(items: Sequence[Item]) -> Seen | None:
    """The order as the newest of the webhooks tells it that has all of it."""
    told = []
    for webhook, news in items:
        if not isinstance(news, OrderNews) or news.updated_at_ms is None:  # about an order, but none
            continue
        await anyio.lowlevel.checkpoint()  # a large body takes a while to parse
        if (order := told_order(webhook.source, webhook.payload)) is not None:
            told.append((order.platform_updated_at or 0, webhook.id, order))
    return max(told, key=lambda each: each[:2])[2] if told else None
