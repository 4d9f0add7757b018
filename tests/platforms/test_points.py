"""The bucket of points: no call leaves that the platform would throttle, and none waits for long without a reason."""

from __future__ import annotations

import math

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.platforms.points import Points, PointsLimit, ReportedPoints
from orchestrator.platforms.shopify.graphql import reported_points
from tests.support.stopwatch import Stopwatch, sleep_by


class Bucket:
    """The platform's side: takes what a call is estimated to cost, gives back what it did not need."""

    def __init__(self, watch: Stopwatch, maximum: float = 2000, per_second: float = 100) -> None:
        self.watch, self.maximum, self.per_second = watch, maximum, per_second
        self.level, self.at = maximum, watch.now
        self.throttled = 0

    def run(self, requested: float, actual: float) -> ReportedPoints:
        self.level = min(self.maximum, self.level + (self.watch.now - self.at) * self.per_second)
        self.at = self.watch.now
        if self.level < requested:
            self.throttled += 1
            return ReportedPoints(self.maximum, self.level, self.per_second, requested)
        self.level -= actual
        return ReportedPoints(self.maximum, self.level, self.per_second, requested, actual)


async def call(points: Points, bucket: Bucket, kind: str, requested: float, actual: float, seconds: float) -> None:
    async with points.spent(kind, 1000) as cost:
        await anyio.sleep(seconds)
        reported = bucket.run(requested, actual)
    points.record(kind, cost, reported)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(("read", "ship", "list")), st.floats(0.01, 1)),
        min_size=1,
        max_size=120,
    ),
    st.floats(10, 900),
    st.integers(1, 8),
)
def test_calls_at_full_load_are_never_throttled(calls: list[tuple[str, float]], requested: float, at_once: int) -> None:
    """Reads of any cost that the platform runs, in so many lanes, as fast as they can."""
    watch = Stopwatch()
    bucket, points = Bucket(watch), Points(PointsLimit(2000, 100), watch)
    cost = {"read": (requested, requested * 0.4), "ship": (11.0, 10.0), "list": (requested / 3, requested / 3)}
    todo = list(calls)

    async def reader() -> None:
        while todo:
            kind, seconds = todo.pop()
            await call(points, bucket, kind, *cost[kind], seconds)

    async def run() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(at_once):
                group.start_soon(reader)

    with pytest.MonkeyPatch.context() as patch:
        sleep_by(watch, patch)
        anyio.run(run)
    assert bucket.throttled == 0


async def test_what_a_kind_of_call_costs_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Stopwatch()
    slept = sleep_by(watch, monkeypatch)
    bucket, points = Bucket(watch), Points(PointsLimit(2000, 100), watch)
    bucket.level = 1000
    for _ in range(10):
        await call(points, bucket, "read", 58, 16, 0)
    assert sum(slept) == 0, "ten reads are 160 points, not ten times what a query may cost"
    assert points.seconds_until_dearest() == 0


async def test_points_that_others_took_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Stopwatch()
    sleep_by(watch, monkeypatch)
    bucket, points = Bucket(watch), Points(PointsLimit(2000, 100), watch)
    await call(points, bucket, "read", 400, 100, 0)
    bucket.level = 30
    await call(points, bucket, "ship", 10, 10, 0)
    assert points.available == 20
    assert points.seconds_until_dearest() == pytest.approx(3.8)
    began = watch.now
    await call(points, bucket, "read", 400, 100, 0)
    assert 3.8 <= watch.now - began < 4.0
    assert bucket.throttled == 0


async def test_a_plan_with_a_larger_bucket_is_used_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Stopwatch()
    slept = sleep_by(watch, monkeypatch)
    bucket, points = Bucket(watch, 20_000, 1000), Points(PointsLimit(2000, 100), watch)
    for _ in range(50):
        await call(points, bucket, "read", 300, 300, 0)
    assert sum(slept) == 0
    assert points.maximum == 20_000


async def test_a_call_that_costs_more_than_there_ever_is_goes_out_and_is_judged_by_the_platform(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = Stopwatch()
    sleep_by(watch, monkeypatch)
    bucket, points = Bucket(watch, 100, 10), Points(PointsLimit(100, 10), watch)
    began = watch.now
    await call(points, bucket, "list", 150, 150, 0)
    assert bucket.throttled == 1
    assert watch.now - began <= 10


@pytest.mark.parametrize(
    "changes",
    [
        {"per_second": 0},
        {"per_second": -100},
        {"per_second": math.nan},
        {"maximum": math.inf},
        {"maximum": 0},
        {"available": 1e9},
        {"available": -1e12},
        {"available": math.nan},
        {"requested": -1},
        {"actual": -1e9},
    ],
)
def test_a_nonsensical_word_of_the_bucket_is_ignored(changes: dict[str, float]) -> None:
    points = Points(PointsLimit(2000, 100), Stopwatch())
    reported = ReportedPoints(
        **{"maximum": 2000, "available": 0, "per_second": 100, "requested": 10, "actual": 10, **changes}
    )
    points.record("read", 0, reported)
    assert (points.available, points.maximum, points.per_second) == (1000, 2000, 100)


def test_the_cost_is_read_out_of_an_answer_and_not_out_of_a_buyers_note() -> None:
    note = r'"note":"\"cost\":{\"requestedQueryCost\":1,\"throttleStatus\":{\"maximumAvailable\":1}}"'
    cost = (
        '"cost":{"requestedQueryCost":58,"actualQueryCost":16,'
        '"throttleStatus":{"maximumAvailable":2000,"currentlyAvailable":1984,"restoreRate":100}}'
    )
    expected = ReportedPoints(2000, 1984, 100, 58, 16)
    for body in (
        f'{{"data":{{{note}}},"extensions":{{{cost}}}}}',
        f'{{"extensions":{{{cost}}},"data":{{{note}}}}}',
        f'{{"data":{{{note}}},"extensions": {{{cost.replace(":", " : ")}}}}}',
    ):
        assert reported_points(body.encode()) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"data":{}}',
        b'{"extensions":{"cost":{"throttleStatus":{}}}}',
        b'{"extensions":{"cost":{"requestedQueryCost":"x","throttleStatus":{"maximumAvailable":[]}}}}',
        b'{"extensions":{"cost":{"requestedQueryCost":1,"throttleStatus":',
    ],
)
def test_an_answer_that_says_nothing_of_its_cost_is_no_trouble(body: bytes) -> None:
    assert reported_points(body) is None
