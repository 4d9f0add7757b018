"""What was done over time, through the socket."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.clock import Clock
from storage.activity import HOUR_MS, MINUTE_MS, WHOLE, Activity, add_activity
from tests.api.bench import Bench, bench

NOON = 1_772_020_800_000
CLOCK = Clock(now_ms=lambda: NOON + 10 * MINUTE_MS)


async def fill(b: Bench) -> None:
    """Ten minutes in which acme did a step more each, and one of the hour before."""
    before = Activity(calls=7)
    await b.store.write(lambda tx: add_activity(tx, NOON - HOUR_MS, {WHOLE: before, "acme": before}))
    for minute in range(10):
        done = Activity(minute, 1, 2, 3, 1500)
        await b.store.write(
            lambda tx, at=NOON + minute * MINUTE_MS, done=done: add_activity(tx, at, {WHOLE: done, "acme": done})  # type: ignore[misc]
        )


async def test_a_minute_says_what_was_done_in_it() -> None:
    async with bench(clock=CLOCK) as b:
        await fill(b)
        got = (await b.get("/v1/history?shop=acme&from=2026-02-25T12:09:30Z")).json()
        assert got == {
            "step": "minute",
            "shop": "acme",
            "points": [
                {
                    "at": "2026-02-25T12:09:00.000Z",
                    "steps_done": 9,
                    "steps_failed": 1,
                    "orders_imported": 2,
                    "calls": 3,
                    "oldest_pending_seconds": 1.5,
                }
            ],
        }


@pytest.mark.parametrize(
    ("query", "calls"),
    [
        ("step=hour", [7, 30]),
        ("step=hour&shop=acme", [7, 30]),
        ("step=hour&to=2026-02-25T12:00:00Z", [7]),
        ("step=hour&from=2026-02-25T12:30:00Z", [30]),
        ("step=minute", [7, *[3] * 10]),
        ("from=2026-02-25T12:00:00Z&to=2026-02-25T12:03:00%2B00:00", [3, 3, 3]),
        ("from=2026-02-25T12:00:00Z&to=2026-02-25T11:00:00Z", []),
        ("from=2030-01-01T00:00:00Z", []),
    ],
)
async def test_points_are_of_the_step_and_the_time_that_were_asked_for(query: str, calls: list[int]) -> None:
    async with bench(clock=CLOCK) as b:
        await fill(b)
        got = (await b.get(f"/v1/history?{query}")).json()
        assert [point["calls"] for point in got["points"]] == calls


async def test_a_shop_that_did_nothing_has_zeros_where_the_daemon_ran() -> None:
    async with bench(clock=CLOCK) as b:
        await fill(b)
        points = (await b.get("/v1/history?step=hour", params={"shop": "żółw & co"})).json()["points"]
        assert [(point["calls"], point["oldest_pending_seconds"]) for point in points] == [(0, 0), (0, 0)]


@pytest.mark.parametrize(
    ("query", "status", "slug", "path"),
    [
        ("shop=nobody", 404, "shop-not-found", None),
        ("step=day", 422, "invalid-request", "step"),
        ("from=yesterday", 422, "invalid-request", "from"),
        ("to=12:00", 422, "invalid-request", "to"),
        ("since=2026-02-25T12:00:00Z", 422, "invalid-request", "since"),
    ],
)
async def test_what_cannot_be_answered_is_refused(query: str, status: int, slug: str, path: Any) -> None:
    async with bench(clock=CLOCK) as b:
        got = await b.get(f"/v1/history?{query}")
        assert (got.status, got.slug) == (status, slug)
        assert path is None or [error["path"] for error in got.json()["errors"]] == [path]
