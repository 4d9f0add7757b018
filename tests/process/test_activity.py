"""The history is what the counters grew by, minute by minute, and no count is lost or written twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from orchestrator.clock import Clock
from orchestrator.metrics import Metrics
from orchestrator.process.activity import ActivityRecorder
from orchestrator.testing.engine_suite.samples import target
from storage.activity import HOUR_MS, MINUTE_MS, WHOLE, Activity, Point, list_activity
from storage.engines import open_store
from storage.errors import StoreUnavailable
from storage.store import Store
from storage.targets import insert_target
from storage.transaction import Transaction
from tests.support.engines import store_url

pytestmark = pytest.mark.engines("sqlite", "postgresql")

NOON = 1_772_000_000_000 // HOUR_MS * HOUR_MS


class Time:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now = NOON
        self.clock = Clock(now_ms=lambda: self.now)


async def done(store: Store, shop: str = WHOLE) -> list[Point]:
    return await store.read(lambda tx: list_activity(tx, MINUTE_MS, shop, 0, 2 * NOON))


async def test_what_several_nodes_did_in_one_minute_is_added_up(tmp_path: Path) -> None:
    time = Time()
    async with open_store(store_url(tmp_path), NOON) as store:
        nodes = [(ActivityRecorder(store, metrics := Metrics(), time.clock), metrics) for _ in range(2)]
        for _, metrics in nodes:
            metrics.step_finished("acme", "xsale", "set_state", "done", 0.1)
        time.now += MINUTE_MS
        for recorder, _ in nodes:
            await recorder.record()
        assert await done(store, "acme") == [Point(NOON, Activity(2, 0, 0, 2))]
        assert [point.done.steps_done for point in await done(store)] == [2]


async def test_each_minute_gets_what_the_counters_grew_by_in_it(tmp_path: Path) -> None:
    time, metrics = Time(), Metrics()
    async with open_store(store_url(tmp_path), NOON) as store:
        recorder = ActivityRecorder(store, metrics, time.clock)
        metrics.step_finished("acme", "xsale", "set_state", "done", 0.1)
        metrics.step_finished("acme", "xsale", "cancel", "transient", 0.1)
        metrics.orders_adopted("acme", imported=3)
        metrics.call_finished("other", "list", "done")
        time.now += MINUTE_MS
        await recorder.record()
        metrics.step_finished("acme", "xsale", "set_state", "done", 0.1)
        time.now += MINUTE_MS
        await recorder.record()
        time.now += MINUTE_MS
        await recorder.record()
        first, second = Activity(1, 1, 3, 2), Activity(1, 0, 0, 1)
        assert await done(store, "acme") == [
            Point(NOON, first),
            Point(NOON + MINUTE_MS, second),
            Point(NOON + 2 * MINUTE_MS, Activity()),
        ]
        assert [point.done.calls for point in await done(store)] == [3, 1, 0]


async def test_how_long_the_oldest_target_pends_is_measured(tmp_path: Path) -> None:
    time = Time()
    async with open_store(store_url(tmp_path), NOON) as store:
        recorder = ActivityRecorder(store, Metrics(), time.clock)
        pending = target("t-1", shop="acme", submitted_at=NOON)
        await store.write(lambda tx: insert_target(tx, pending, None, None))
        time.now += MINUTE_MS
        await recorder.record()
        assert await done(store, "acme") == [Point(NOON, Activity(oldest_pending_ms=MINUTE_MS))]
        assert await done(store) == [Point(NOON, Activity(oldest_pending_ms=MINUTE_MS))]


async def test_what_the_store_does_not_take_is_written_with_the_next_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    time, metrics = Time(), Metrics()

    async def full(unit: object) -> None:
        raise StoreUnavailable("the disk is full")

    async with open_store(store_url(tmp_path), NOON) as store:
        recorder = ActivityRecorder(store, metrics, time.clock)
        metrics.call_finished("acme", "list", "done")
        time.now += MINUTE_MS
        with monkeypatch.context() as patched, capture_logs() as logs:
            patched.setattr(store, "write_bulk", full)
            await recorder.record()
        assert [(each["event"], each["detail"]) for each in logs] == [("history.not_written", "the disk is full")]
        metrics.call_finished("acme", "list", "done")
        time.now += MINUTE_MS
        await recorder.record()
        assert await done(store, "acme") == [Point(NOON, Activity(calls=2))]


async def test_two_runs_in_one_minute_make_one_row(tmp_path: Path) -> None:
    time = Time()
    async with open_store(store_url(tmp_path), NOON) as store:
        for _ in range(2):
            metrics = Metrics()
            recorder = ActivityRecorder(store, metrics, time.clock)
            metrics.call_finished("acme", "list", "done")
            time.now += 1000
            await recorder.record()
        assert await done(store, "acme") == [Point(NOON, Activity(calls=2))]


async def test_of_many_shops_each_is_written_once_whatever_fails_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    time, metrics = Time(), Metrics()
    shops = [f"s{number}" for number in range(60)]
    async with open_store(store_url(tmp_path), NOON) as store:
        recorder, write, written = ActivityRecorder(store, metrics, time.clock), store.write_bulk, list[object]()

        async def sometimes(unit: Callable[[Transaction], None]) -> None:
            written.append(unit)
            if len(written) == 2:
                raise StoreUnavailable("the disk is full")
            await write(unit)

        monkeypatch.setattr(store, "write_bulk", sometimes)
        for shop in shops:
            metrics.call_finished(shop, "list", "done")
        time.now += MINUTE_MS
        for _ in range(2):
            await recorder.record()
        for shop in shops:
            assert sum(point.done.calls for point in await done(store, shop)) == 1
        assert sum(point.done.calls for point in await done(store)) == len(shops)


async def test_a_fault_in_counting_is_said_and_what_was_done_is_written_with_the_next_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    time, metrics = Time(), Metrics()

    def broken() -> dict[str, Activity]:
        raise KeyError("a counter without a shop")

    async with open_store(store_url(tmp_path), NOON) as store:
        recorder = ActivityRecorder(store, metrics, time.clock)
        metrics.call_finished("acme", "list", "done")
        time.now += MINUTE_MS - 1  # the next minute begins at once
        with monkeypatch.context() as patched, capture_logs() as logs:
            patched.setattr(metrics, "done_since_start", broken)
            async with anyio.create_task_group() as group:
                group.start_soon(recorder.run)
                while not logs:  # noqa: ASYNC110 - nothing announces a line of the log
                    await anyio.sleep(0.001)
                group.cancel_scope.cancel()
        assert (logs[0]["event"], logs[0]["log_level"]) == ("history.not_written", "error")
        assert isinstance(logs[0]["exc_info"], KeyError)
        await recorder.record()
        assert await done(store, "acme") == [Point(NOON, Activity(calls=1))]
