"""Reads the orders that a list does not show as a whole, one by one.

A failed read does not block the others and is retried after them; orders that were read are remembered, so that a page
that breaks off all the same goes on with the rest. Orders that fail in consecutive syncs are set aside (`patience`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from orchestrator.decisions.adoption import Adopted, Observation
from orchestrator.platforms.client import UnreadableItem
from orchestrator.platforms.failures import NotFound, Transient, Unreadable
from orchestrator.runtime.calls import ask
from orchestrator.runtime.driver import ShopServices
from orchestrator.runtime.list_adoption import ListAdoption, Tally
from orchestrator.runtime.patience import Patience
from orchestrator.runtime.reading import read_begins, read_order
from storage.due_orders import stalest_orders
from storage.rejected import is_set_aside
from storage.transaction import Transaction

_MOST_OPEN = 500  # open orders read again by one sync: the rate limit paces them, the rest wait for the next
_LEAST_OPEN = 5  # read again even when steps want the rate, so that drift is found under constant load too
_ROUNDS = 3  # attempts at the rows of a page that could not be read
_FAILURES_IN_A_ROW = 3  # other than refusals: then it is not the rows, and the sync breaks off


class RowReads:
    """Of one shop. A sync lies between `begin` and `complete`; a sync that breaks off is followed by another
    `begin`."""

    def __init__(self, services: ShopServices, adoption: ListAdoption) -> None:
        self._services, self._shop, self._adoption = services, services.policy.shop, adoption
        self._patience = Patience()
        self._done: set[str] = set()  # of the page at hand
        self._missed: set[str] = set()  # read while a step was out: the list will not show them again for that

    def begin(self) -> None:
        """Another sync begins."""
        self._patience.begin()

    def complete(self) -> None:
        """The sync is complete."""
        self._patience.clear()

    def turn_page(self) -> None:
        """The next page begins: none of its rows was read yet."""
        self._done.clear()

    async def read_page(self, rows: Iterable[str], tally: Tally) -> None:
        """Reads the rows of the page that were not read before it broke off. Raises PlatformFailure, unless each row
        that is left has failed in too many syncs."""
        await self._read([order for order in rows if order not in self._done], tally)

    async def read_missed(self, tally: Tally) -> None:
        """Reads orders again that were read while a step was out. Raises as `read_page`."""
        await self._read(sorted(self._missed), tally)

    async def read_open(self, began_at: int, tally: Tally) -> None:
        """Reads the open orders that the list did not show since `began_at`, stalest first, at most `_MOST_OPEN`, and
        at most `_LEAST_OPEN` while steps wait for a permit. Raises as `read_page`."""
        services = self._services
        ends = tuple(state.name for state in services.machine.states.values() if state.is_end)
        now = services.clock.now_ms()

        def select(tx: Transaction) -> list[str]:
            ids = stalest_orders(tx, self._shop, ends, began_at, _MOST_OPEN, now)
            # Orders that are set aside have pauses of their own.
            return [order for order in ids if not is_set_aside(tx, self._shop, order)]

        await self._read(await services.store.read(select), tally, gives_way=True)

    async def _read(self, rows: Iterable[str], tally: Tally, *, gives_way: bool = False) -> None:
        left, in_a_row, count = self._patience.in_turn(rows), 0, 0
        last: Transient | None = None
        for _ in range(_ROUNDS):
            for order_id in tuple(left):
                if gives_way and count >= _LEAST_OPEN and self._services.admission.is_contended:
                    return  # the rest waits for the next sync
                count += 1
                try:
                    await self._read_one(order_id, tally)
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
                    self._done.add(order_id)
                    left.remove(order_id)
                    in_a_row = 0
        if last is not None and left:
            await self._give_up(left, last, tally)

    async def _read_one(self, order_id: str, tally: Tally) -> None:
        read_at = await read_begins(self._services.clock)
        result: Adopted | None = None
        try:
            snapshot = await ask(self._services, "read", partial(read_order, self._services.client, order_id))
        except NotFound as failure:
            await self._adoption.note_gone(order_id, failure.detail, read_at)
        except Unreadable as failure:
            item = UnreadableItem(order_id, failure.detail, failure.payload)
            await self._adoption.set_aside_read(item, read_at, tally)
        else:
            result = await self._adoption.adopt_one(Observation(snapshot, read_at), tally)
        if result is Adopted.STALE:
            self._missed.add(order_id)
        else:
            self._missed.discard(order_id)

    async def _give_up(self, rows: list[str], failure: Transient, tally: Tally) -> None:
        """Sets rows aside that failed too often, to be read again by themselves. Raises the failure while any other
        row is among them."""
        read_at = self._services.clock.now_ms()
        known = await self._services.store.read(lambda tx: [row for row in rows if is_set_aside(tx, self._shop, row)])
        if not self._patience.is_over(rows, known):
            raise failure
        await self._adoption.set_aside(self._patience.items(rows), tally)
        for row in rows:
            await self._adoption.touch(row, read_at)
            self._missed.discard(row)
        self._done.update(rows)
