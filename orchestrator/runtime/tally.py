"""What one sweep of a shop has found so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.decisions.reconciliation import Adopted
from orchestrator.runtime.reports import SyncReport


@dataclass(slots=True)
class Tally:
    """Counts. `rejected`: payloads that were set aside; `skipped`: orders left out as history for the first time."""

    counts: dict[Adopted, int] = field(default_factory=dict)
    rejected: int = 0
    skipped: int = 0

    def count(self, result: Adopted) -> None:
        """An order was looked at."""
        self.counts[result] = self.counts.get(result, 0) + 1

    def report(self) -> SyncReport:
        """As it is told."""
        count = self.counts.get
        return SyncReport(
            imported=count(Adopted.IMPORTED, 0),
            updated=count(Adopted.UPDATED, 0),
            drifted=count(Adopted.DRIFTED, 0),
            rejected=self.rejected,
            seen=sum(self.counts.values()) - count(Adopted.SKIPPED, 0),
            skipped=self.skipped,
        )
