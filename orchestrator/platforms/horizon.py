"""How far the position of a sync by change time may go: never beyond the present.

A row may carry any change time: of the year 2100 by a fault of the platform, or hours ahead by a zone that was taken
for another. A position at that time would hide every change until then. So a position is no later than the moment when
its sync began, by the platform's own clock (the `Date` of its first answer) and by ours, whichever is earlier: one
that is too early lists some rows again, one that is too late loses orders.

A position of the store may lie in the future all the same: a former version kept it, or a clock was set back since.
What changed meanwhile is unknown then, so the next sync begins from the beginning. Pure; all instants are Unix
milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

MARGIN_MS = 10 * 60_000
"""How far a kept position may be ahead of a clock, for clocks differ, before it is taken for one of the future."""


@dataclass(frozen=True, slots=True)
class Present:
    """When a page was asked for: by our clock, and by the platform's (None before its first answer, and where it gives
    no time)."""

    our_ms: int
    platform_ms: int | None = None

    @property
    def ceiling(self) -> int:
        """The latest position of a sync that begins now."""
        return self.our_ms if self.platform_ms is None else min(self.platform_ms, self.our_ms)

    def is_before(self, position_ms: int) -> bool:
        """Whether a position lies in the future, so that it says nothing of what was seen."""
        return position_ms > self.ceiling + MARGIN_MS
