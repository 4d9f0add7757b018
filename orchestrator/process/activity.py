"""Writes down once a minute what was done since the last time: the history that `GET /v1/history` shows.

Nothing is counted for it: Prometheus' counters are read, and what they grew by goes to the minute in which that began.
A daemon that ends writes down the rest; one that is killed loses what it did since the last minute began.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import anyio
import structlog

from orchestrator.clock import Clock
from orchestrator.metrics import Metrics
from storage.activity import MINUTE_MS, WHOLE, Activity, add_activity
from storage.counts import count_pending
from storage.errors import StoreError
from storage.store import Store

log = structlog.get_logger()

_NOTHING = Activity()
_PIECE = 25  # so many shops are written in one unit of work: as long as that takes, a step may wait


class ActivityRecorder:
    """Made when the daemon starts to count; `run` lasts until it is cancelled, `record` may be called beside it."""

    def __init__(self, store: Store, metrics: Metrics, clock: Clock) -> None:
        self._store, self._metrics, self._clock = store, metrics, clock
        self._since = clock.now_ms()
        self._known: dict[str, Activity] = {}
        self._lock = anyio.Lock()

    async def run(self) -> None:
        """Records when a minute is over, until cancelled."""
        while True:
            await anyio.sleep((MINUTE_MS - self._clock.now_ms() % MINUTE_MS) / 1000)
            await self.record()

    async def record(self) -> None:
        """Writes down what was done since the last time. What a store does not take is written with the next."""
        async with self._lock:
            try:
                await self._record()
            except StoreError as error:
                log.warning("history.not_written", detail=str(error))
            except Exception as error:  # supervised: whatever is wrong with the counts must not stop orders
                log.error("history.not_written", detail=str(error), exc_info=error)

    async def _record(self) -> None:
        # many shops have thousands of counters, which take longer than the event loop should be kept
        known = await anyio.to_thread.run_sync(self._metrics.done_since_start)
        _, oldest = await self._store.read(count_pending)
        now = self._clock.now_ms()
        grown = _grown(self._known, known, {shop: max(0, now - at) for shop, at in oldest.items()})
        for start in range(0, max(1, len(grown)), _PIECE):
            piece = dict(grown[start : start + _PIECE])
            done = {**piece, WHOLE: Activity.of_all(piece.values())}
            await self._store.write_bulk(partial(add_activity, at=self._since, done=done))
            self._known |= {shop: known[shop] for shop in piece if shop in known}
        self._since = now


def _grown(
    before: Mapping[str, Activity], now: Mapping[str, Activity], ages: Mapping[str, int]
) -> list[tuple[str, Activity]]:
    """What each shop did between two readings; those that did nothing are left out."""
    found = (
        (shop, now.get(shop, _NOTHING).since(before.get(shop, _NOTHING), ages.get(shop, 0))) for shop in {*now, *ages}
    )
    return [(shop, done) for shop, done in found if done != _NOTHING]
