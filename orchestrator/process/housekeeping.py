"""Small duties beside the shops: forgetting what is old, the watchdog, measuring how busy the event loop is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import anyio
import structlog

from orchestrator.clock import Clock
from orchestrator.metrics import Metrics
from orchestrator.process.passage import Watchman
from orchestrator.process.systemd import notify, watchdog_interval_seconds
from storage import requests, retention
from storage.activity import KEPT_MS
from storage.errors import StoreError
from storage.records import Shop
from storage.shops import list_shops
from storage.store import Store
from storage.transaction import Row, Transaction

log = structlog.get_logger()

_EVERY_SECONDS = 3600.0
_MEASURE_SECONDS = 20.0  # with a lease's term less than `passage` takes for a jump of the clock
_BREATH_SECONDS = 0.05  # between two pieces, so that steps never wait behind a clean-up
_LAG_SECONDS = 1.0
_BY_AGE = {**KEPT_MS, requests.FORGOTTEN: requests.KEPT_MS}


async def forget_forever(
    store: Store, watchman: Watchman, retention_ms: Callable[[], int], ends: Callable[[Sequence[Shop]], retention.Ends]
) -> None:
    """Every hour deletes what is older than the retention, in small batches, and some by ages of their own. `ends`
    answers for shops, all that the store knows, in which states their orders are over."""
    while True:
        try:
            now = await watchman.measure()
            await forget(store, now - retention_ms(), retention.duties(ends(await store.read(list_shops))))
            for duty, kept_ms in _BY_AGE.items():
                await forget(store, now - kept_ms, (duty,))
        except StoreError as error:
            log.warning("retention.failed", detail=str(error))
        except Exception as error:  # supervised: what is kept for longer must not stop orders
            log.error("retention.failed", detail=str(error), exc_info=error)
        await _rest(store, watchman)


async def _rest(store: Store, watchman: Watchman) -> None:
    """Until it is time to look again. Where another node may take over it would have to take the time since the last
    measure for one that nobody saw pass, so that is kept short."""
    if store.is_exclusive:
        await anyio.sleep(_EVERY_SECONDS)
        return
    for _ in range(int(_EVERY_SECONDS / _MEASURE_SECONDS)):
        await anyio.sleep(_MEASURE_SECONDS)
        with suppress(StoreError):
            await watchman.measure()


async def forget(store: Store, before_ms: int, duties: Sequence[retention.Duty] = retention.DUTIES) -> int:
    """Deletes everything older than `before_ms` that rests; returns how many rows."""
    total = 0
    for duty in duties:
        while keys := await store.read(partial(_find, duty, before_ms)):
            for start in range(0, len(keys), retention.PIECE):
                piece = keys[start : start + retention.PIECE]
                total += await store.write_bulk(partial(_forget, duty, piece, before_ms))
                await anyio.sleep(_BREATH_SECONDS)
            if len(keys) < retention.BATCH:
                break
    return total


def _find(duty: retention.Duty, before_ms: int, tx: Transaction) -> list[Row]:
    return duty.find(tx, before_ms)


def _forget(duty: retention.Duty, keys: list[Row], before_ms: int, tx: Transaction) -> int:
    return duty.forget(tx, keys, before_ms)


async def feed_watchdog() -> None:
    """Notifies systemd's watchdog that the event loop runs; returns at once when there is no watchdog."""
    interval = watchdog_interval_seconds()
    while interval is not None:
        notify("WATCHDOG=1")
        await anyio.sleep(interval)


async def measure(metrics: Metrics, clock: Clock, store: Store) -> None:
    """Measures how late the event loop wakes a sleeper (the first sign of work that blocks it), and what the store's
    engine measures."""
    while True:
        before = clock.monotonic()
        await anyio.sleep(_LAG_SECONDS)
        metrics.loop_lagged(max(0.0, clock.monotonic() - before - _LAG_SECONDS))
        metrics.store_measured(store.gauges())
