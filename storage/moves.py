"""How a transaction moves the counts (`storage.counts`): sums, until it ends."""

from __future__ import annotations

from typing import TypeAlias

Place: TypeAlias = tuple[str, str, str]
"""What an order is counted by within its shop: situation, state and milestone ('' for none)."""


class Moves:
    """By how much each count grows. `orders`: by shop, situation, state and milestone; `pending`: targets by shop."""

    __slots__ = ("orders", "pending")

    def __init__(self) -> None:
        self.orders: dict[tuple[str, str, str, str], int] = {}
        self.pending: dict[str, int] = {}

    def order(self, shop: str, before: Place | None, after: Place | None, orders: int = 1) -> None:
        """Orders moved from a place to another one. None: they were not there before, or are gone after."""
        if before == after:
            return
        if before is not None:
            key = (shop, *before)
            self.orders[key] = self.orders.get(key, 0) - orders
        if after is not None:
            key = (shop, *after)
            self.orders[key] = self.orders.get(key, 0) + orders

    def target(self, shop: str, by: int) -> None:
        """So many more targets of a shop pend."""
        self.pending[shop] = self.pending.get(shop, 0) + by

    def add(self, other: Moves) -> None:
        """These happened, too."""
        for key, by in other.orders.items():
            self.orders[key] = self.orders.get(key, 0) + by
        for shop, by in other.pending.items():
            self.pending[shop] = self.pending.get(shop, 0) + by

    def clear(self) -> None:
        """They were written."""
        self.orders.clear()
        self.pending.clear()

    def without_zeros(self) -> Moves:
        """Those that move a count at all."""
        left = Moves()
        left.orders = {key: by for key, by in self.orders.items() if by}
        left.pending = {shop: by for shop, by in self.pending.items() if by}
        return left

    @property
    def shops(self) -> list[str]:
        """The shops whose counts move."""
        return sorted({key[0] for key in self.orders} | self.pending.keys())
