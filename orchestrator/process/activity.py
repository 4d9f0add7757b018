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


class ActivityRecorder:
    """Made when the daemon starts to count; `run` lasts until it is cancelled, `record` may be called beside it."""

    def __init__(self, store: Store, metrics: Metrics, clock: Clock) -> None:
        self._store, self._metrics, self._clock = store, metrics, clock
        self._since = clock.now_ms()
        self._known: Mapping[str, Activity] = {}
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

    async def _record(self) -> None:
        # many shops have thousands of counters, which take longer than the event loop should be kept
        known = await anyio.to_thread.run_sync(self._metrics.done_since_start)
        _, oldest = await self._store.read(count_pending)
        now = self._clock.now_ms()
        ages = {shop: max(0, now - at) for shop, at in oldest.items()}
        await self._store.write(partial(add_activity, at=self._since, done=_done(self._known, known, ages)))
        self._known, self._since = known, now


def _done(before: Mapping[str, Activity], now: Mapping[str, Activity], ages: Mapping[str, int]) -> dict[str, Activity]:
    """What was done between two readings by shop, and by all together; shops that did nothing are left out."""
    found = {}
    for shop in {*now, *ages}:
        grown = now.get(shop, Activity()).since(before.get(shop, Activity()), ages.get(shop, 0))
        if grown != Activity():
            found[shop] = grown
    return {**found, WHOLE: Activity.of_all(found.values())}
