"""What orders showed a moment ago, so that a chain of changes need not look twice between two of them."""

from __future__ import annotations

from orchestrator.clock import Clock

FRESH_SECONDS = 5.0
"""How long a look is good for: longer than a change and its check take, shorter than a person."""
_MOST = 2000


class RecentLooks:
    """The state in which each order was last seen, for some seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looks: dict[str, tuple[float, str]] = {}

    def note(self, order_id: str, state: str) -> None:
        """The order has just shown `state`, or was confirmed to be in it."""
        now = self._clock.monotonic()
        if len(self._looks) >= _MOST:
            self._looks = {each: look for each, look in self._looks.items() if now - look[0] < FRESH_SECONDS}
        self._looks[order_id] = now, state

    def state(self, order_id: str) -> str | None:
        """The state that the order showed a moment ago, None if nobody looked."""
        at, state = self._looks.get(order_id, (0.0, None))
        return state if state is not None and self._clock.monotonic() - at < FRESH_SECONDS else None
