"""In how many consecutive syncs a row may fail before it is set aside.

A row whose read fails keeps the sync from completing: the position stays, so that nothing is missed, and the next sync
tries the row again. One order that the platform never shows must not block all orders after it, though. After `SYNCS`
consecutive failed syncs the row is set aside to be read again by itself. With the growing rests between syncs that
takes half a minute at least, so the failure is not a short outage, and the rest of the page was read meanwhile, so the
platform is up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.platforms.client import UnreadableItem
from orchestrator.platforms.failures import Garbled, Transient

SYNCS = 5
"""In how many consecutive syncs a row may fail."""


class Patience:
    """Of one shop, with the rows of one page after another and with open orders that are read again."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._failures: dict[str, Transient] = {}
        self._noted: set[str] = set()  # in this sync

    def begin(self) -> None:
        """Another sync begins."""
        self._noted.clear()

    def clear(self) -> None:
        """A sync was complete."""
        self._counts.clear()
        self._failures.clear()

    def failed(self, row: str, failure: Transient) -> None:
        """A read of the row failed; it counts once a sync."""
        if row not in self._noted:
            self._counts[row] = self._counts.get(row, 0) + 1
        self._noted.add(row)
        self._failures[row] = failure

    def succeeded(self, row: str) -> None:
        """The row was read."""
        self._counts.pop(row, None)
        self._failures.pop(row, None)

    def in_turn(self, rows: Iterable[str]) -> list[str]:
        """The rows, those first that failed least, so that all others are read before those that always fail."""
        return sorted(rows, key=lambda row: self._counts.get(row, 0))

    def is_over(self, rows: Sequence[str], known: Iterable[str]) -> bool:
        """Whether all of the rows have failed too often. `known`: rows that are set aside already, for which one
        failure is enough."""
        spent = {row for row, count in self._counts.items() if count >= SYNCS}
        spent |= self._noted.intersection(known)
        return all(row in spent for row in rows)

    def items(self, rows: Iterable[str]) -> tuple[UnreadableItem, ...]:
        """The rows as unreadable items, to be set aside."""
        found = []
        for row in rows:
            failure = self._failures[row]
            payload = failure.payload if isinstance(failure, Garbled) else b""
            found.append(UnreadableItem(row, f"the order could not be read: {failure.detail}", payload))
        return tuple(found)
