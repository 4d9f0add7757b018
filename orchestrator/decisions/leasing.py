"""Which node is to work for which shop: every node decides this by itself, of the same rows, and comes to the same.

A shop stays where it is unless its node has at least two shops more than another one that could have it, so nothing
moves to and fro. A shop that nobody has goes to the node that has the fewest. Nodes of two versions plan side by side
during an upgrade: which shop moves must not change from one to the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple


class Member(NamedTuple):
    """A node that lives: `shops` are those of its config. One that is draining hands over what it has."""

    name: str
    shops: Collection[str]
    is_draining: bool = False


class _Given:
    """What one node is to have: by who could have it, in the sequence in which it came to the node."""

    def __init__(self) -> None:
        self.count = self._came = 0
        self.shops: dict[tuple[str, ...], deque[tuple[int, str]]] = {}

    def add(self, shop: str, takers: tuple[str, ...]) -> None:
        self.count, self._came = self.count + 1, self._came + 1
        self.shops.setdefault(takers, deque()).append((self._came, shop))

    def pop(self, takers: tuple[str, ...]) -> str:
        """Takes away the shop of these takers that came first."""
        self.count -= 1
        left = self.shops[takers]
        _, shop = left.popleft()
        if not left:
            del self.shops[takers]
        return shop


def spread(members: Sequence[Member], holders: Mapping[str, str | None]) -> dict[str, str]:
    """The node that is to work for each shop, as far as there is one that can. `holders`: of every shop that any member
    has in its config, who has its lease now (None: nobody, or it is over)."""
    able = sorted((each for each in members if not each.is_draining), key=lambda each: each.name)
    takers = {shop: tuple(each.name for each in able if shop in each.shops) for shop in sorted(holders)}
    given = {each.name: _Given() for each in able}
    free = []
    for shop, names in takers.items():
        holder = holders[shop]
        if holder in names:
            given[holder].add(shop, names)
        elif names:
            free.append(shop)
    for shop in free:
        given[_least(takers[shop], given)].add(shop, takers[shop])
    while _move_one(given):
        pass
    return {shop: name for name, has in given.items() for shops in has.shops.values() for _, shop in shops}


def _move_one(given: Mapping[str, _Given]) -> bool:
    """Moves a shop from the node that has the most to one that could have it and has at least two less, if there are
    such; whether it did. Each move makes the numbers more alike, so they end."""
    for name in sorted(given, key=lambda each: (-given[each].count, each)):
        has = given[name]
        ways = [
            (shops[0], takers, to)
            for takers, shops in has.shops.items()
            if has.count - given[to := _least(takers, given)].count >= 2
        ]
        if ways:
            _, takers, to = min(ways)
            given[to].add(has.pop(takers), takers)
            return True
    return False


def _least(names: Sequence[str], given: Mapping[str, _Given]) -> str:
    return min(names, key=lambda name: (given[name].count, name))
