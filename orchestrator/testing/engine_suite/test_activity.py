"""What was done over time: added up by minute and hour, and forgotten by age."""

from __future__ import annotations

from orchestrator.process import housekeeping
from orchestrator.testing.engine_suite.scratch import NOW, Engine
from storage.activity import HOUR_MS, KEPT_MS, MINUTE_MS, WHOLE, Activity, Point, add_activity, list_activity
from storage.store import Store

HOUR = NOW - NOW % HOUR_MS
ONE = Activity(steps_done=1, steps_failed=2, orders_imported=3, calls=4, oldest_pending_ms=5)


async def add(store: Store, at: int, **shops: Activity) -> None:
    await store.write(lambda tx: add_activity(tx, at, {**shops, WHOLE: Activity.of_all(shops.values())}))


async def points(store: Store, span_ms: int, shop: str = WHOLE) -> list[Point]:
    return await store.read(lambda tx: list_activity(tx, span_ms, shop, 0, 2 * NOW))


async def test_what_is_done_in_one_minute_is_added_up_and_of_ages_the_highest_is_kept(engine: Engine) -> None:
    async with engine.open() as store:
        await add(store, HOUR + 1, acme=ONE, other=Activity(calls=10))
        await add(store, HOUR + 59_999, acme=Activity(steps_done=1, oldest_pending_ms=3))
        await add(store, HOUR + 60_000)
        await add(store, HOUR + HOUR_MS, acme=Activity(oldest_pending_ms=9))
        added = Activity(2, 2, 3, 4, 5)
        nothing = Activity()
        assert await points(store, MINUTE_MS, "acme") == [
            Point(HOUR, added),
            Point(HOUR + MINUTE_MS, nothing),
            Point(HOUR + HOUR_MS, Activity(oldest_pending_ms=9)),
        ]
        assert await points(store, HOUR_MS, "acme") == [
            Point(HOUR, added),
            Point(HOUR + HOUR_MS, Activity(oldest_pending_ms=9)),
        ]
        assert (await points(store, HOUR_MS))[0] == Point(HOUR, Activity(2, 2, 3, 14, 5))
        assert [point.done for point in await points(store, MINUTE_MS, "never")] == [nothing] * 3


async def test_minutes_and_hours_are_listed_from_one_instant_to_another(engine: Engine) -> None:
    async with engine.open() as store:
        for minute in range(4):
            await add(store, HOUR + minute * MINUTE_MS)
        found = await store.read(lambda tx: list_activity(tx, MINUTE_MS, WHOLE, HOUR + MINUTE_MS, HOUR + 3 * MINUTE_MS))
        assert [point.at for point in found] == [HOUR + MINUTE_MS, HOUR + 2 * MINUTE_MS]


async def test_minutes_are_forgotten_after_a_day_and_hours_after_ninety(engine: Engine) -> None:
    day_ms = 24 * HOUR_MS
    async with engine.open() as store:
        for days in (0, 1, 2, 90, 91):
            await add(store, HOUR - days * day_ms, acme=ONE)
        for duty, kept_ms in KEPT_MS.items():
            await housekeeping.forget(store, HOUR - kept_ms, (duty,))
        for shop in (WHOLE, "acme"):
            assert [(HOUR - point.at) // day_ms for point in await points(store, MINUTE_MS, shop)] == [1, 0]
        assert [(HOUR - point.at) // day_ms for point in await points(store, HOUR_MS)] == [90, 2, 1, 0]
