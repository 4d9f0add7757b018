"""The poller: sweeps a shop for orders that changed, page by page, and adopts what it finds.

The position of a sweep comes from the platform's own change times, is kept only when the sweep is complete, and looks
back far enough that nothing between two sweeps is missed. What cannot be read is set aside and never stops the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import anyio
import structlog

from orchestrator.decisions.draft import Context
from orchestrator.decisions.history import is_history, may_be_history
from orchestrator.decisions.reconciliation import Adopted, Look, adopt, note_gone
from orchestrator.decisions.rejected import set_aside
from orchestrator.platforms.client import Age, Page, UnreadableItem
from orchestrator.platforms.failures import (
    AccessDenied,
    Inconsistent,
    NotFound,
    PlatformFailure,
    Stumbled,
    Transient,
    Unreadable,
)
from orchestrator.platforms.fields import stumble
from orchestrator.runtime.asking import GateClosed, ask
from orchestrator.runtime.driver import Equipment
from orchestrator.runtime.pages_watch import PagesWatch
from orchestrator.runtime.patience import Patience
from orchestrator.runtime.reading import not_adopted, read_order
from orchestrator.runtime.reports import SyncReport
from orchestrator.runtime.rereading import Rereads
from orchestrator.runtime.tally import Tally
from statemachines.target import Json
from storage.errors import StoreError
from storage.events import append_event
from storage.history import is_skipped, note_skipped
from storage.orders import get_order, stalest_orders, touch_order
from storage.records import Shop
from storage.rejected import is_set_aside, remove_rejected_of
from storage.shops import fence, get_shop, save_sync, save_sync_error
from storage.transaction import Transaction

log = structlog.get_logger()

_BATCH = 50  # orders adopted in one unit of work: short enough that steps do not wait behind an import


_REREADS = 500  # open orders read again by one poll: the rate limit paces them, the rest wait for the next
_REREADS_AT_LEAST = 5  # read again even when steps want the rate, so that drift is found under constant load too

_TRIES_AT_A_PAGE = 5
_ROUNDS = 3  # looks at the rows of a page that could not be read
_FAILURES_IN_A_ROW = 3  # that are no refusals: then it is not the rows, and the sweep breaks off


@dataclass(frozen=True, slots=True)
class _Unfinished:
    """A sweep that broke off: what it started from and the page that it could not get."""

    position: Json
    cursor: Json


def _wants_older(shop: Shop, import_since: int | None) -> bool:
    """Whether the last complete sweep left orders out that the config has wanted since: those are only found from the
    beginning of the list."""
    if shop.last_sync_at is None or import_since == shop.swept_since:
        return False
    return import_since is None or shop.swept_since is None or import_since < shop.swept_since


class Poller:
    """Sweeps one shop. `on_adopted` is called after each batch that may have made orders due. `got_on`: the last sweep
    looked at orders, however it ended."""

    def __init__(self, equipment: Equipment, on_adopted: Callable[[], None], rereads: Rereads) -> None:
        self._e = equipment
        self._on_adopted = on_adopted
        self._rereads = rereads
        self._patience = Patience()
        self._one_at_a_time = anyio.Lock()
        self._is_quiet = False  # the last sweep went well and found nothing: no need to say so again
        self._last_error: str | None = None
        self._unfinished: _Unfinished | None = None
        self._pages = PagesWatch()  # of the walk at hand
        self._read_rows: set[str] = set()  # of the page at hand
        self._missed: set[str] = set()  # read while a step was out: the list will not name them again for that
        self.got_on = False
        self._has_caught_up = False  # older orders were looked for since import_since was changed
        self._stuck = 0  # sweeps in a row that broke off at the same page

    async def sweep(self, *, is_asked_for: bool = False, rereads_all: bool = False) -> SyncReport:
        """One whole sweep. `is_asked_for`: somebody wants to hear of it even when it finds nothing. `rereads_all`: what
        is set aside is read again whether it is due or not.

        Raises GateClosed, PlatformFailure (after it was recorded), StaleLease, StoreUnavailable.
        """
        async with self._one_at_a_time:
            started, self.got_on = self._e.clock.monotonic(), False
            try:
                report = await self._sweep_or_stumble(is_asked_for=is_asked_for, rereads_all=rereads_all)
            except PlatformFailure as failure:
                self._stuck += 1
                self._e.metrics.sync_finished(self._e.policy.shop, failure.kind, self._e.clock.monotonic() - started)
                await self._record_failure(failure)
                raise
            self._e.metrics.sync_finished(self._e.policy.shop, "done", self._e.clock.monotonic() - started)
            return report

    async def _sweep_or_stumble(self, *, is_asked_for: bool, rereads_all: bool) -> SyncReport:
        """As `_sweep`, Stumbled in place of what nobody foresaw: people are told of it as of any other failure."""
        try:
            return await self._sweep(is_asked_for=is_asked_for, rereads_all=rereads_all)
        except (PlatformFailure, GateClosed, StoreError):
            raise
        except Exception as error:
            log.exception("sync.stumbled", shop=self._e.policy.shop)
            raise Stumbled(f"the sync raised {stumble(error)}") from error

    async def _sweep(self, *, is_asked_for: bool, rereads_all: bool) -> SyncReport:
        e = self._e
        shop = await e.store.read(lambda tx: get_shop(tx, e.policy.shop))
        position = shop.sync_position if shop is not None else None
        began_at = e.clock.now_ms()
        self._patience.begin()
        tally = Tally()
        broken: Inconsistent | None = None
        try:
            if shop is not None and not self._has_caught_up and _wants_older(shop, e.policy.import_since):
                await self._walk(None, tally, only_new=True)
                self._has_caught_up, self._unfinished = True, None
        except Inconsistent as failure:  # what changed is in another list
            broken = failure
        try:
            position = (await self._walk(position, tally)).position
        except Inconsistent as failure:  # the list is no use: what reads tell of known orders is worth the more
            broken = failure
        if e.client.rereads_open:
            await self._reread_open(began_at, tally)
        await self._read_all(sorted(self._missed), tally)
        self._read_rows.clear()
        for result in await self._rereads.look(everything=rereads_all):
            tally.count(result)
        self._unfinished = None
        if broken is not None:
            self.got_on = False  # what the next sweep would be shown is the same: it waits longer each time
            raise broken
        self._patience.clear()
        report = tally.report()
        await self._complete(position, report, is_asked_for=is_asked_for)
        return report

    async def _walk(self, position: Json, tally: Tally, *, only_new: bool = False) -> Page:
        """Lists and adopts page after page; answers the last one. `only_new`: rows of orders that are known are not
        read, for another sweep looks after those. Raises Inconsistent where the list cannot be whole or has no end."""
        e = self._e
        cursor = self._take_up(position)
        while True:
            read_at = e.clock.now_ms()
            self._unfinished = _Unfinished(position, cursor)
            page = await ask(e, "list", partial(e.client.list_page, position, cursor))
            self._stuck = 0
            await self._adopt_page(page, read_at, tally, only_new=only_new)
            self._read_rows.clear()
            e.crash.hit("after_sync")
            if (flaw := self._pages.flaw(page)) is not None:
                self._unfinished = None
                words = "what it showed was taken in, and the next sync begins where this one began"
                raise Inconsistent(f"the list of orders is not to be relied on: {flaw}; {words}")
            if page.next is None:
                return page
            cursor = page.next

    def _take_up(self, position: Json) -> Json:
        """The cursor where the last sweep broke off, so that a large import gets through in spite of failures; after
        some failures at the same page the sweep begins anew."""
        left = self._unfinished
        if left is None or left.position != position or self._stuck >= _TRIES_AT_A_PAGE:
            self._stuck = 0
            self._read_rows.clear()
            self._pages = PagesWatch()
            return None
        return left.cursor

    async def _adopt_page(self, page: Page, read_at: int, tally: Tally, *, only_new: bool) -> None:
        looks = [Look(seen, read_at) for seen in page.orders]
        for start in range(0, len(looks), _BATCH):
            await self._adopt_batch(looks[start : start + _BATCH], page.skip_if_new, tally)
        if page.unreadable:
            await self._set_aside(page.unreadable, tally)
        worth = await self._worth_reading(page, tally, only_new=only_new)
        rows = [order for order in worth if order not in self._read_rows]
        await self._read_all(rows, tally)

    async def _read_all(self, rows: Iterable[str], tally: Tally, *, gives_way: bool = False) -> None:
        """Reads rows one by one. One that fails stands in no other's way and is read again behind them; what was read
        is remembered, so that a page that breaks off all the same goes on with the rest. `gives_way`: no more than some
        are read while steps want the rate. Raises PlatformFailure, unless patience with all that is left is over."""
        left, in_a_row, count = self._patience.in_turn(rows), 0, 0
        last: Transient | None = None
        for _ in range(_ROUNDS):
            for order_id in tuple(left):
                if gives_way and count >= _REREADS_AT_LEAST and self._e.gate.is_contended:
                    return  # the rest waits for the next poll
                count += 1
                try:
                    await self._adopt_one(order_id, tally)
                except Transient as failure:
                    if failure.retry_after_seconds is not None:
                        raise
                    self._patience.failed(order_id, failure)
                    # A platform that refuses to show these orders is there, so it goes on with the others.
                    in_a_row, last = 0 if failure.is_refused_read else in_a_row + 1, failure
                    if in_a_row >= _FAILURES_IN_A_ROW:
                        await self._give_up(left, last, tally)
                        return
                else:
                    self._patience.succeeded(order_id)
                    self._read_rows.add(order_id)
                    left.remove(order_id)
                    in_a_row = 0
        if last is not None and left:
            await self._give_up(left, last, tally)

    async def _give_up(self, rows: list[str], failure: Transient, tally: Tally) -> None:
        """Sets rows aside that failed too often, to be read again by themselves. Raises the failure while there are
        others among them."""
        shop, read_at = self._e.policy.shop, self._e.clock.now_ms()
        known = await self._e.store.read(lambda tx: [row for row in rows if is_set_aside(tx, shop, row)])
        if not self._patience.is_over(rows, known):
            raise failure
        await self._set_aside(self._patience.items(rows), tally)
        for row in rows:
            await self._touch(row, read_at)
            self._missed.discard(row)
        self._read_rows.update(rows)

    async def _worth_reading(self, page: Page, tally: Tally, *, only_new: bool) -> tuple[str, ...]:
        """The rows to be read one by one, without those that are of interest only if we knew the order already, and
        without those that are history; the latter are counted."""
        e = self._e
        ages = {order: page.ages.get(order, Age()) for order in page.must_read}
        doubtful = {
            order
            for order, age in ages.items()
            if only_new or order in page.skip_if_new or may_be_history(e.policy, age)
        }
        if not doubtful:
            return page.must_read

        def look(tx: Transaction) -> tuple[set[str], set[str]]:
            ctx = Context(e.machine, e.policy, e.clock.now_ms())
            known = {order for order in doubtful if get_order(tx, e.policy.shop, order) is not None}
            new = doubtful - known
            history = {order for order in new if is_history(tx, ctx, order, ages[order])}
            left_out = history | (new & page.skip_if_new) | (known if only_new else set())
            noted = {order for order in left_out - known if order in history or ages[order].is_over}
            return left_out, {order for order in noted if not is_skipped(tx, e.policy.shop, order)}

        left_out, to_note = await e.store.read(look)
        if to_note:
            tally.skipped += await e.store.write(partial(self._note_skipped, orders=sorted(to_note)))
        return tuple(order for order in page.must_read if order not in left_out)

    def _note_skipped(self, tx: Transaction, orders: Iterable[str]) -> int:
        fence(tx, self._e.policy.shop, self._e.epoch)
        return sum(note_skipped(tx, self._e.policy.shop, order) for order in orders)

    async def _reread_open(self, began_at: int, tally: Tally) -> None:
        """Looks at the open orders that the list did not show, stalest first, as many as a poll may take."""
        e = self._e
        ends = tuple(state.name for state in e.machine.states.values() if state.is_end)
        now = e.clock.now_ms()

        def look(tx: Transaction) -> list[str]:
            ids = stalest_orders(tx, e.policy.shop, ends, began_at, _REREADS, now)
            # What is set aside has pauses of its own.
            return [order for order in ids if not is_set_aside(tx, e.policy.shop, order)]

        await self._read_all(await e.store.read(look), tally, gives_way=True)

    async def _note_gone(self, order_id: str, detail: str, read_at: int) -> None:
        e = self._e

        def unit(tx: Transaction) -> None:
            fence(tx, e.policy.shop, e.epoch)
            note_gone(tx, Context(e.machine, e.policy, e.clock.now_ms()), order_id, detail, read_at)

        await e.store.write(unit)

    async def _touch(self, order_id: str, read_at: int) -> None:
        e = self._e

        def unit(tx: Transaction) -> None:
            order = get_order(tx, e.policy.shop, order_id)
            if order is not None:
                touch_order(tx, order.seq, read_at, e.clock.now_ms())

        await e.store.write(unit)

    async def _adopt_one(self, order_id: str, tally: Tally) -> None:
        read_at = self._e.clock.now_ms()
        try:
            seen = await ask(self._e, "read", partial(read_order, self._e.client, order_id))
        except NotFound as failure:
            self._missed.discard(order_id)
            await self._note_gone(order_id, failure.detail, read_at)
            return
        except Unreadable as failure:
            self._missed.discard(order_id)
            await self._touch(order_id, read_at)
            await self._set_aside((UnreadableItem(order_id, failure.detail, failure.payload),), tally)
            return
        if Adopted.STALE in await self._adopt_batch([Look(seen, read_at)], frozenset(), tally):
            self._missed.add(order_id)
        else:
            self._missed.discard(order_id)

    async def _adopt_batch(self, looks: list[Look], skip_if_new: frozenset[str], tally: Tally) -> list[Adopted]:
        e = self._e

        def unit(tx: Transaction) -> tuple[list[Adopted], int]:
            fence(tx, e.policy.shop, e.epoch)
            ctx = Context(e.machine, e.policy, e.clock.now_ms())
            results, skipped = [], 0
            for look in looks:
                order, age = look.seen.id, look.seen.age
                is_doubtful = order in skip_if_new and get_order(tx, e.policy.shop, order) is None
                if is_history(tx, ctx, order, age) or (is_doubtful and age.is_over):
                    skipped += note_skipped(tx, e.policy.shop, order)
                    remove_rejected_of(tx, e.policy.shop, order)
                    results.append(Adopted.SKIPPED)
                elif not is_doubtful:
                    results.append(adopt(tx, ctx, look)[1])
            return results, skipped

        try:
            results, skipped = await e.store.write(unit)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - supervised: one order of the batch, which is undone alone
            return await self._adopt_apart(looks, skip_if_new, tally, error)
        tally.skipped += skipped
        self.got_on = self.got_on or bool(results)
        for result in results:
            tally.count(result)
        imported, drifted = results.count(Adopted.IMPORTED), results.count(Adopted.DRIFTED)
        e.metrics.orders_adopted(e.policy.shop, imported=imported, drifted=drifted)
        if imported:
            e.crash.hit("after_import")
        if any(result in (Adopted.DRIFTED, Adopted.UPDATED) for result in results):
            self._on_adopted()
        return results

    async def _adopt_apart(
        self, looks: list[Look], skip_if_new: frozenset[str], tally: Tally, error: Exception
    ) -> list[Adopted]:
        """As `_adopt_batch`, of which none was adopted: halves, until the order that raised stands alone. It is set
        aside."""
        if len(looks) == 1:
            seen = looks[0].seen
            failure = not_adopted(seen, error)
            await self._touch(seen.id, looks[0].read_at)
            await self._set_aside((UnreadableItem(seen.id, failure.detail, failure.payload),), tally)
            return []
        middle = len(looks) // 2
        first = await self._adopt_batch(looks[:middle], skip_if_new, tally)
        return first + await self._adopt_batch(looks[middle:], skip_if_new, tally)

    async def _set_aside(self, items: tuple[UnreadableItem, ...], tally: Tally) -> None:
        e = self._e

        def unit(tx: Transaction) -> int:
            now, shop, added = e.clock.now_ms(), e.policy.shop, 0
            for item in items:
                added += set_aside(tx, shop, "poll", item.id, item.error, item.payload, now)
            return added

        tally.rejected += await e.store.write(unit)

    async def _complete(self, position: Json, report: SyncReport, *, is_asked_for: bool) -> None:
        """Keeps the position. The feed hears of sweeps that found something, were asked for, or end a trouble."""
        e = self._e
        found = report.imported + report.updated + report.drifted + report.rejected
        is_news = bool(found) or is_asked_for or not self._is_quiet

        def unit(tx: Transaction) -> None:
            now, shop = e.clock.now_ms(), e.policy.shop
            fence(tx, shop, e.epoch)
            save_sync(tx, shop, position, now, e.policy.import_since)
            if is_news:
                data = {
                    "seen": report.seen,
                    "imported": report.imported,
                    "updated": report.updated,
                    "drifted": report.drifted,
                    "rejected": report.rejected,
                    "skipped": report.skipped,
                }
                append_event(tx, now, "sync.completed", shop=shop, data=data)

        await e.store.write(unit)
        self._is_quiet, self._last_error = True, None

    async def _record_failure(self, failure: PlatformFailure) -> None:
        """One event when trouble begins or changes, not one a poll. A list that makes no sense is no order: nothing is
        set aside for it."""
        e = self._e
        is_news = failure.kind != self._last_error and not isinstance(failure, AccessDenied)

        def unit(tx: Transaction) -> None:
            now, shop = e.clock.now_ms(), e.policy.shop
            save_sync_error(tx, shop, failure.detail)
            if is_news:
                data = {"kind": failure.kind, "detail": failure.detail}
                append_event(tx, now, "sync.failed", shop=shop, data=data)

        await e.store.write(unit)
        self._is_quiet, self._last_error = False, failure.kind
