"""Time that a test moves: by hand, or by everybody who sleeps."""

from __future__ import annotations

import anyio
import pytest

from orchestrator.clock import Clock

EPOCH_MS = 1_796_000_000_000
"""What `now_ms` says when the stopwatch is at 0 (November 2026)."""


class Stopwatch:
    """Monotonic seconds, by hand."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def clock(self) -> Clock:
        """The same time for those who want a clock."""
        return Clock(now_ms=lambda: EPOCH_MS + int(self.now * 1000), monotonic=self)


def sleep_by(watch: Stopwatch, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """From now on sleeping moves the stopwatch; the sleeps are noted."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        watch.now += seconds
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr("anyio.sleep", sleep)
    return slept
