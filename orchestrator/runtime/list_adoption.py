"""Adopts what a sync reads, in units of work short enough that steps do not wait behind an import.

What cannot be read or adopted is set aside by itself and never stops the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from orchestrator.decisions.adoption import Adopted, KnownOf, Observation, adopt, import_all, note_gone
from orchestrator.decisions.draft import Context
from orchestrator.decisions.history import is_history, is_history_if_new, may_be_history
from orchestrator.decisions.rejected import set_aside
from orchestrator.platforms.client import Age, Page, UnreadableItem
from orchestrator.runtime.driver import ShopServices
from orchestrator.runtime.reading import not_adopted
from orchestrator.runtime.reports import SyncReport
from storage.errors import StoreError
from storage.history import is_skipped, note_skipped
from storage.order_columns import show_order
from storage.orders import get_order, is_known, touch_order
from storage.rejected import remove_rejected_of
from storage.transaction import Transaction

_BATCH = 50  # orders adopted in one unit of work


@dataclass(slots=True)
class Tally:
    """What a sync found so far. `skipped`: orders that are history, for the first time. `made_progress`: at least one
    order of the list was processed."""

    counts: dict[Adopted, int] = field(default_factory=dict)
    rejected: int = 0
    skipped: int = 0
    made_progress: bool = False

    def count(self, result: Adopted) -> None:
        """An order was processed."""
        self.counts[result] = self.counts.get(result, 0) + 1

    def report(self) -> SyncReport:
        """The same for the outside."""
        count = self.counts.get
        return SyncReport(
            imported=count(Adopted.IMPORTED, 0),
            updated=count(Adopted.UPDATED, 0),
            drifted=count(Adopted.DRIFTED, 0),
            rejected=self.rejected,
            seen=sum(self.counts.values()) - count(Adopted.SKIPPED, 0),
            skipped=self.skipped,
        )


class ListAdoption:
    """Of one shop. `on_adopted` is called after each batch that may have made orders due."""

    def __init__(self, services: ShopServices, on_adopted: Callable[[], None]) -> None:
        self._services, self._shop, self._on_adopted = services, services.policy.shop, on_adopted

    async def adopt_page(self, page: Page, read_at: int, tally: Tally) -> None:
        """Adopts the orders that a page shows as a whole, and sets aside its unreadable items. Raises
        StaleLease, StoreUnavailable."""
        observations = [Observation(snapshot, read_at) for snapshot in page.orders]
        for start in range(0, len(observations), _BATCH):
            await self._adopt_batch(observations[start : start + _BATCH], page.skip_if_new, tally)
        if page.unreadable:
            await self.set_aside(page.unreadable, tally)

    async def adopt_one(self, observation: Observation, tally: Tally) -> Adopted | None:
        """Adopts an order that was read by itself; None where that raised, and it was set aside."""
        results = await self._adopt_batch([observation], frozenset(), tally)
        return results[0] if results else None

    async def worth_reading(self, page: Page, tally: Tally, *, only_new: bool) -> tuple[str, ...]:
        """The rows to be read one by one, without those that are of interest only if we knew the order already, and
        without those that are history; the latter are counted. `only_new`: those of known orders are left out, too."""
        services = self._services
        ages = {order: page.ages.get(order, Age()) for order in page.must_read}
        doubtful = {
            order
            for order, age in ages.items()
            if only_new or order in page.skip_if_new or may_be_history(services.policy, age)
        }
        if not doubtful:
            return page.must_read

        def select(tx: Transaction) -> tuple[set[str], set[str]]:
            ctx = services.context()
            known = {order for order in doubtful if is_known(tx, self._shop, order)}
            new = doubtful - known
            history = {order for order in new if is_history(tx, ctx, order, ages[order])}
            left_out = history | (new & page.skip_if_new) | (known if only_new else set())
            noted = {order for order in left_out - known if order in history or ages[order].is_over}
            return left_out, {order for order in noted if not is_skipped(tx, self._shop, order)}

        left_out, to_note = await services.store.read(select)
        if to_note:
            tally.skipped += await services.store.write(partial(self._note_skipped, orders=sorted(to_note)))
        return tuple(order for order in page.must_read if order not in left_out)

    async def note_gone(self, order_id: str, detail: str, read_at: int) -> None:
        """A read that began at `read_at` found that the platform has no such order."""

        def unit(tx: Transaction) -> None:
            note_gone(tx, self._services.context(), order_id, detail, read_at)

        await self._services.store.write(unit)

    async def set_aside_read(self, item: UnreadableItem, read_at: int, tally: Tally) -> None:
        """Sets an order aside that was read by itself."""
        assert item.id is not None
        await self.touch(item.id, read_at)
        await self.set_aside((item,), tally)

    async def set_aside(self, items: Iterable[UnreadableItem], tally: Tally) -> None:
        """Keeps items that cannot be read, with an event for each."""

        def unit(tx: Transaction) -> int:
            now, added = self._services.clock.now_ms(), 0
            for item in items:
                added += set_aside(tx, self._shop, "poll", item.id, item.error, item.payload, now)
            return added

        tally.rejected += await self._services.store.write(unit)

    async def touch(self, order_id: str, read_at: int) -> None:
        """The order was read, whatever the result: others are staler now."""

        def unit(tx: Transaction) -> None:
            order = get_order(tx, self._shop, order_id, show_order)
            if order is not None:
                touch_order(tx, order.seq, read_at, self._services.clock.now_ms())

        await self._services.store.write(unit)

    def _note_skipped(self, tx: Transaction, orders: Iterable[str]) -> int:
        return sum(note_skipped(tx, self._shop, order) for order in orders)

    async def _adopt_batch(
        self, observations: list[Observation], skip_if_new: frozenset[str], tally: Tally
    ) -> list[Adopted]:
        try:
            results, skipped = await self._services.store.write_bulk(
                lambda tx: self._adopt(tx, observations, skip_if_new)
            )
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - supervised: one order of the batch, which is undone alone
            return await self._adopt_apart(observations, skip_if_new, tally, error)
        tally.skipped += skipped
        tally.made_progress = tally.made_progress or bool(results)
        for result in results:
            tally.count(result)
        await self._report(results)
        return results

    def _adopt(
        self, tx: Transaction, observations: Sequence[Observation], skip_if_new: frozenset[str]
    ) -> tuple[list[Adopted], int]:
        """Returns what each order was adopted as, and how many are history for the first time."""
        ctx = self._services.context()
        results: list[Adopted] = []
        skipped = 0
        for each in _without_repetition(observations):
            skipped += self._adopt_each_once(tx, ctx, each, skip_if_new, results)
        return results, skipped

    def _adopt_each_once(
        self,
        tx: Transaction,
        ctx: Context,
        observations: Sequence[Observation],
        skip_if_new: frozenset[str],
        results: list[Adopted],
    ) -> int:
        known = KnownOf.among(tx, self._shop, [observation.snapshot.id for observation in observations])
        new: list[Observation] = []
        skipped = 0
        for observation in observations:
            order, age = observation.snapshot.id, observation.snapshot.age
            if order in known.orders:
                results.append(adopt(tx, ctx, observation, known)[1])
            elif is_history_if_new(tx, ctx, age) or (order in skip_if_new and age.is_over):
                skipped += note_skipped(tx, self._shop, order)
                remove_rejected_of(tx, self._shop, order)
                results.append(Adopted.SKIPPED)
            elif order not in skip_if_new:
                new.append(observation)
                results.append(Adopted.IMPORTED)
        import_all(tx, ctx, new, known)
        return skipped

    async def _report(self, results: list[Adopted]) -> None:
        imported, drifted = results.count(Adopted.IMPORTED), results.count(Adopted.DRIFTED)
        self._services.metrics.orders_adopted(self._shop, imported=imported, drifted=drifted)
        if imported:
            await self._services.checkpoints.reach("after_import")
        if drifted or Adopted.UPDATED in results:
            self._on_adopted()

    async def _adopt_apart(
        self, observations: list[Observation], skip_if_new: frozenset[str], tally: Tally, error: Exception
    ) -> list[Adopted]:
        """As `_adopt_batch`, of which none was adopted: halves, until the order that raised is alone in its batch. It
        is set aside."""
        if len(observations) == 1:
            snapshot = observations[0].snapshot
            failure = not_adopted(snapshot, error)
            item = UnreadableItem(snapshot.id, failure.detail, failure.payload)
            await self.set_aside_read(item, observations[0].read_at, tally)
            return []
        middle = len(observations) // 2
        first = await self._adopt_batch(observations[:middle], skip_if_new, tally)
        return first + await self._adopt_batch(observations[middle:], skip_if_new, tally)


def _without_repetition(observations: Sequence[Observation]) -> Iterator[list[Observation]]:
    """The observations in parts that have each order once: a list may repeat a row."""
    part: dict[str, Observation] = {}
    for observation in observations:
        if observation.snapshot.id in part:
            yield list(part.values())
            part.clear()
        part[observation.snapshot.id] = observation
    yield list(part.values())
