"""The store as a shop's worker has it: whatever it writes is fenced by the shop's lease in the same transaction.

So no task of a worker can forget it: a node that was frozen, or cut off, while another one took the shop changes
nothing of it any more, and the first attempt ends its worker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from storage.changes import Change
from storage.leases import fence
from storage.store import Store
from storage.transaction import Transaction

T = TypeVar("T")


class ShopStore:
    """Of one worker. `epoch`: of its lease."""

    def __init__(self, store: Store, shop: str, epoch: int) -> None:
        self._store, self._shop, self.epoch = store, shop, epoch

    async def read(self, unit: Callable[[Transaction], T]) -> T:
        """As `Store.read`."""
        return await self._store.read(unit)

    async def write(self, unit: Callable[[Transaction], T]) -> T:
        """As `Store.write`. Raises StaleLease, and does nothing, when another node works for the shop by now."""
        return await self._store.write(self._fenced(unit))

    async def write_bulk(self, unit: Callable[[Transaction], T]) -> T:
        """As `Store.write_bulk`. Raises StaleLease as `write`."""
        return await self._store.write_bulk(self._fenced(unit))

    async def write_fencing(self, unit: Callable[[Transaction], T]) -> T:
        """As `write`, of a unit that fences the shop with what it reads first (`orders.is_unchanged`)."""
        return await self._store.write(unit)

    async def change(self, change: Change) -> bool:
        """As `Store.change`; a change has its epoch."""
        return await self._store.change(change)

    def fence(self, tx: Transaction) -> None:
        """Raises StaleLease when another node works for the shop by now."""
        fence(tx, self._shop, self.epoch)

    def _fenced(self, unit: Callable[[Transaction], T]) -> Callable[[Transaction], T]:
        def fenced(tx: Transaction) -> T:
            self.fence(tx)
            return unit(tx)

        return fenced
