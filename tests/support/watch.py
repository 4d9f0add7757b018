"""A clock that a test sets: what NTP, a dead battery or an operator does to the real one."""

from __future__ import annotations

import time

from orchestrator.clock import Clock

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Watch:
    """Runs like the real clock, `ahead_ms` ahead of it; what has passed is measured right whatever it shows."""

    def __init__(self, ahead_ms: int = 0) -> None:
        self.ahead_ms = ahead_ms
        self.clock = Clock(now_ms=lambda: time.time_ns() // 1_000_000 + self.ahead_ms)
