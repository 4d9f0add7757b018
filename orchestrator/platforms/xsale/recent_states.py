"""What orders showed a moment ago, so that a chain of changes need not look twice between two of them.

A read is good for the target alone whose change it belongs to. What comes after that target was wanted after somebody
may have cancelled the order, and a change would take the cancellation away (xsale.md §5).
"""

from __future__ import annotations

from orchestrator.clock import Clock
from statemachines.target import TargetRequest

FRESH_SECONDS = 5.0
"""How long a read is good for: longer than a change and its check take, shorter than a person."""
_MOST = 2000


class RecentReads:
    """The state in which each order was last seen on its way to what a target asks for, for some seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reads: dict[str, tuple[float, str, TargetRequest]] = {}

    def note(self, order_id: str, state: str, request: TargetRequest) -> None:
        """The order was confirmed to be in `state` by a change for `request`."""
        now = self._clock.monotonic()
        if len(self._reads) >= _MOST:
            self._reads = {each: read for each, read in self._reads.items() if now - read[0] < FRESH_SECONDS}
        self._reads[order_id] = now, state, request

    def state(self, order_id: str, request: TargetRequest) -> str | None:
        """The state that the order showed a moment ago on the way to `request`, None if nobody looked."""
        read = self._reads.get(order_id)
        if read is None or read[2] != request or self._clock.monotonic() - read[0] >= FRESH_SECONDS:
            return None
        return read[1]
