"""Which node is to work for which shop: every node decides this by itself, of the same rows, and comes to the same.

A shop stays where it is unless its node has at least two shops more than another one that could have it, so nothing
moves to and fro. A shop that nobody has goes to the node that has the fewest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple


class Member(NamedTuple):
    """A node that lives: `shops` are those of its config. One that is draining hands over what it has."""

    name: str
    shops: Collection[str]
    is_draining: bool = False


def spread(members: Sequence[Member], holders: Mapping[str, str | None]) -> dict[str, str]:
    """The node that is to work for each shop, as far as there is one that can. `holders`: of every shop that any member
    has in its config, who has its lease now (None: nobody, or it is over)."""
    able = sorted((each for each in members if not each.is_draining), key=lambda each: each.name)
    takers = {shop: [each.name for each in able if shop in each.shops] for shop in sorted(holders)}
    given: dict[str, list[str]] = {each.name: [] for each in able}
    free = []
    for shop, names in takers.items():
        holder = holders[shop]
        if holder in names:
            given[holder].append(shop)
        elif names:
            free.append(shop)
    for shop in free:
        given[_least(takers[shop], given)].append(shop)
    while _move_one(given, takers):
        pass
    return {shop: name for name, shops in given.items() for shop in shops}


def _move_one(given: dict[str, list[str]], takers: Mapping[str, Sequence[str]]) -> bool:
    """Moves a shop from the node that has the most to one that has at least two less, if there are such; whether it
    did. Each move makes the numbers more alike, so they end."""
    for name in sorted(given, key=lambda each: (-len(given[each]), each)):
        for shop in given[name]:
            to = _least(takers[shop], given)
            if len(given[name]) - len(given[to]) >= 2:
                given[name].remove(shop)
                given[to].append(shop)
                return True
    return False


def _least(names: Sequence[str], given: Mapping[str, Sequence[str]]) -> str:
    return min(names, key=lambda name: (len(given[name]), name))
