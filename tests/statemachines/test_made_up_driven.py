"""An order of the made-up platform under the real driver: what the platform does by itself is waited for, visibly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestrator.decisions import interventions
from storage.events import EventFilter, list_events
from storage.records import Event, Situation, TargetStatus
from storage.targets import get_target
from tests.support.driven import START, Driven
from tests.support.made_up import MACHINE, Bazaar, target

NOTHING = target("attention")  # a step of the panel needs no target
RECHECK_MS = 300_000


@pytest.fixture
def floor() -> Iterator[Driven[Bazaar]]:
    made = Driven(Bazaar(), MACHINE)
    yield made
    made.store.close()


def events(floor: Driven[Bazaar], *types: str) -> list[Event]:
    return floor.store.run(lambda tx: list_events(tx, 0, 1000, EventFilter(types=types)))


def end_of(floor: Driven[Bazaar], target_id: str) -> TargetStatus:
    found = floor.store.run(lambda tx: get_target(tx, target_id))
    assert found is not None
    return found.status


async def test_an_order_that_the_platform_has_to_move_waits_with_a_reason(floor: Driven[Bazaar]) -> None:
    made = floor.submit(target("shipped"))
    assert [(entry.step, entry.source, entry.to) for entry in made.plan] == [
        ("settle", "on-hold", "processing"),
        ("pack", "processing", "packed"),
        ("complete", "packed", "completed"),
    ]
    await floor.work()
    row = floor.row()
    assert row.situation is Situation.WAITING
    assert row.wait is not None
    assert (row.wait.reason, row.wait.until) == ("platform", None)
    assert row.wait.detail == "bazaar itself takes the order from on-hold to processing (settle)"
    assert row.due_at == START + RECHECK_MS
    assert floor.platform.calls == 0
    assert events(floor, "step.started") == []


async def test_it_is_looked_at_now_and_then_and_goes_on_once_the_platform_moved_it(floor: Driven[Bazaar]) -> None:
    made = floor.submit(target("delivered"))
    for _ in range(3):
        floor.now_ms += RECHECK_MS
        await floor.work()
    assert (floor.platform.calls, floor.platform.moves) == (3, []), "one read each time, and no call"
    floor.platform.do("settle", NOTHING)
    floor.now_ms += RECHECK_MS
    await floor.work()
    assert floor.platform.moves == ["settle", "pack", "complete"]
    assert floor.platform.effects_of_us == ["pack", "complete"]
    assert end_of(floor, made.id) is TargetStatus.REACHED
    assert (floor.row().state, floor.row().milestone) == ("completed", "delivered")
    (drift,) = events(floor, "order.drifted")
    assert (drift.data["from"], drift.data["to"]) == ("on-hold", "processing")


async def test_a_poll_that_shows_the_move_wakes_it_at_once(floor: Driven[Bazaar]) -> None:
    made = floor.submit(target("shipped"))
    await floor.work()
    floor.platform.do("settle", NOTHING)
    floor.now_ms += 1
    floor.adopt(floor.platform.seen(), floor.now_ms)
    await floor.work()
    assert end_of(floor, made.id) is TargetStatus.REACHED


async def test_a_state_that_only_the_platform_leads_to_is_reached_by_waiting(floor: Driven[Bazaar]) -> None:
    made = floor.submit(target("new"))
    await floor.work()
    assert floor.row().situation is Situation.WAITING
    floor.platform.do("settle", NOTHING)
    floor.now_ms += 1
    floor.adopt(floor.platform.seen(), floor.now_ms)
    await floor.work()
    assert end_of(floor, made.id) is TargetStatus.REACHED
    assert floor.platform.effects_of_us == []


async def test_targets_behind_it_are_judged_by_where_the_order_will_be(floor: Driven[Bazaar]) -> None:
    first, second = floor.submit(target("new")), floor.submit(target("shipped"))
    assert [entry.step for entry in second.plan] == ["pack", "complete"]
    floor.platform.do("settle", NOTHING)
    floor.now_ms += RECHECK_MS
    await floor.work()
    assert [end_of(floor, each.id) for each in (first, second)] == [TargetStatus.REACHED] * 2


@pytest.mark.parametrize("end", ["cancel", "refund"])
async def test_what_is_waited_for_and_will_not_come_ends_the_target(floor: Driven[Bazaar], end: str) -> None:
    made = floor.submit(target("shipped"))
    await floor.work()
    if end == "refund":
        floor.platform.do("settle", NOTHING)
    floor.platform.do(end, NOTHING)
    floor.now_ms += 1
    floor.adopt(floor.platform.seen(), floor.now_ms)
    await floor.work()
    assert end_of(floor, made.id) is TargetStatus.FAILED
    assert floor.row().situation is Situation.IDLE


async def test_a_person_can_have_it_looked_at_or_give_it_up(floor: Driven[Bazaar]) -> None:
    made = floor.submit(target("shipped"))
    await floor.work()
    floor.now_ms += 1
    floor.change(interventions.retry)
    await floor.work()
    assert floor.platform.calls == 1, "retry reads"
    assert floor.row().situation is Situation.WAITING
    floor.change(interventions.cancel)
    assert end_of(floor, made.id) is TargetStatus.CANCELLED
    assert (floor.row().situation, floor.row().wait) == (Situation.IDLE, None)


async def test_a_cancellation_goes_round_it(floor: Driven[Bazaar]) -> None:
    waiting = floor.submit(target("shipped"))
    await floor.work()
    made = floor.submit(target("cancelled", reason="the buyer asked"))
    assert end_of(floor, waiting.id) is TargetStatus.CANCELLED, "it was not begun"
    await floor.work()
    assert floor.platform.moves == ["cancel"]
    assert end_of(floor, made.id) is TargetStatus.REACHED
