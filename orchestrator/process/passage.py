"""How much time has really passed: what retention goes by, for a clock can be wrong by years.

A machine whose battery is empty, a copied virtual machine, a mistyped date: the clock jumps, and everything in the
store is "older" than the retention at once. So what is deleted does not follow the clock but the time that passed:
while the daemon runs, the monotonic clock and the machine's uptime measure it; between two runs the uptime alone, if
the machine was not restarted meanwhile. What nobody measured (the machine was off) counts as not passed.

Where the clock goes ahead of that, the difference is kept (`ahead_ms`) and taken off whatever the clock shows. It is
forgiven once a whole retention has passed under our eyes since the last jump: what was there before it is then older
than the retention by any measure. So a machine whose first clock said 1970 deletes later than it might, never sooner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from orchestrator.clock import Clock, Uptime
from storage.passage import Passage, get_passage, newest_at, save_passage
from storage.store import Store
from storage.transaction import Transaction

log = structlog.get_logger()

_TOLERANCE_MS = 60_000
"""Differences that come from setting a clock right now and then, not from a jump."""


class Watchman:
    """Says how late it is for retention. One for each run of a daemon on its store.

    `retention_ms` returns how long things are kept, as the config says now.
    """

    def __init__(self, store: Store, clock: Clock, retention_ms: Callable[[], int]) -> None:
        self._store, self._clock, self._retention_ms = store, clock, retention_ms
        self._measured_at: float | None = None

    async def measure(self) -> int:
        """Keeps the time that passed since the last call; returns an instant (Unix milliseconds) that is not
        later than it really is. Called before anything else is written, then now and then. Raises StoreError."""
        measured_at, now = self._clock.monotonic(), self._clock.now_ms()
        uptime = self._clock.uptime()
        is_first = self._measured_at is None
        running_ms = 0 if self._measured_at is None else int((measured_at - self._measured_at) * 1000)

        def unit(tx: Transaction) -> tuple[Passage, Passage]:
            before = get_passage(tx) or _begin(now, newest_at(tx))
            # not every system's monotonic clock goes on while the machine sleeps; the uptime does
            passed_ms = max(running_ms, _uptime_since(before, uptime))
            after = advance(before, now, uptime, passed_ms, self._retention_ms())
            save_passage(tx, after)
            return before, after

        before, after = await self._store.write(unit)
        self._measured_at = measured_at
        if after.ahead_ms > before.ahead_ms or (is_first and after.ahead_ms > _TOLERANCE_MS):
            detail = "the clock is ahead of the time that passed; everything is deleted that much later"
            log.warning("clock.ahead", seconds=after.ahead_ms // 1000, detail=detail)
        return now - after.ahead_ms


def advance(before: Passage, now: int, uptime: Uptime | None, passed_ms: int, retention_ms: int) -> Passage:
    """What is known once the clock shows `now` and `passed_ms` have passed since `before`. Pure."""
    gap = now - before.wall_at - passed_ms
    seen_ms = before.seen_ms + passed_ms
    ahead_ms, jumped_ms = before.ahead_ms, before.jumped_ms
    if gap > _TOLERANCE_MS:
        ahead_ms, jumped_ms = ahead_ms + gap, seen_ms
    elif gap < -_TOLERANCE_MS:
        ahead_ms = max(0, ahead_ms + gap)
    if seen_ms - jumped_ms >= retention_ms:
        ahead_ms = 0
    boot, uptime_ms = (None, 0) if uptime is None else uptime
    return replace(
        before,
        wall_at=now,
        boot=boot,
        uptime_ms=uptime_ms,
        ahead_ms=ahead_ms,
        seen_ms=seen_ms,
        jumped_ms=jumped_ms,
    )


def _begin(now: int, newest: int | None) -> Passage:
    """A store that knows of no time yet: it is as late as the newest of what it holds."""
    return Passage(now if newest is None else min(now, newest), None, 0, 0, 0, 0)


def _uptime_since(before: Passage, uptime: Uptime | None) -> int:
    """What the machine's uptime says has passed, if it is the same start of the machine."""
    if uptime is None or uptime.boot != before.boot:
        return 0
    return max(0, uptime.ms - before.uptime_ms)
