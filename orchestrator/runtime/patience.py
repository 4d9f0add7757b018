"""How long a sweep bears with rows that cannot be read.

A row whose read fails keeps the sweep from its end: the position stays, so that nothing is missed, and the next sweep
tries the row again. One order that the platform never shows must not hold up all that come after it, though. After
some sweeps in a row it is out of patience, and is set aside to be read again by itself. That takes the sweeps' growing
rests together about half a minute at least, so it is not the trouble of a moment, and the rest of the page has come
through meanwhile, so it is not the platform.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.platforms.client import UnreadableItem
from orchestrator.platforms.failures import Garbled, Transient

SWEEPS = 5
"""In how many sweeps in a row a row may fail."""


class Patience:
    """Of one shop, with the rows of one page after another and with open orders that are read again."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._failures: dict[str, Transient] = {}
        self._noted: set[str] = set()  # in the sweep at hand

    def begin(self) -> None:
        """Another sweep begins."""
        self._noted.clear()

    def clear(self) -> None:
        """A sweep was complete."""
        self._counts.clear()
        self._failures.clear()

    def failed(self, row: str, failure: Transient) -> None:
        """A read of the row failed; it counts once a sweep."""
        if row not in self._noted:
            self._counts[row] = self._counts.get(row, 0) + 1
        self._noted.add(row)
        self._failures[row] = failure

    def succeeded(self, row: str) -> None:
        """The row was read."""
        self._counts.pop(row, None)
        self._failures.pop(row, None)

    def in_turn(self, rows: Iterable[str]) -> list[str]:
        """The rows with those first that failed least, so that all others come through before those that never do."""
        return sorted(rows, key=lambda row: self._counts.get(row, 0))

    def is_over(self, rows: Sequence[str], known: Iterable[str]) -> bool:
        """Whether all of the rows have failed too often. `known`: rows that are set aside already; they had their
        sweeps."""
        spent = {row for row, count in self._counts.items() if count >= SWEEPS}
        spent |= self._noted.intersection(known)
        return all(row in spent for row in rows)

    def items(self, rows: Iterable[str]) -> tuple[UnreadableItem, ...]:
        """The rows as they are set aside."""
        found = []
        for row in rows:
            failure = self._failures[row]
            payload = failure.payload if isinstance(failure, Garbled) else b""
            found.append(UnreadableItem(row, f"the order could not be read: {failure.detail}", payload))
        return tuple(found)
