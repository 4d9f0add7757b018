"""An order of the made-up platform under the real driver: what the platform does by itself is waited for, visibly, and
what a shop has no use for is passed over, visibly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from orchestrator.decisions import interventions
from orchestrator.operations.views.orders import target_view
from storage.events import EventFilter, list_events
from storage.records import Event, PlanEntry, Situation, Target, TargetStatus, changed
from storage.targets import get_target, save_target
from tests.support.driven import CRASH_POINTS, START, Died, Driven
from tests.support.made_up import MACHINE, NO_PLUGIN, Bazaar, target

NOTHING = target("attention")  # a step of the panel needs no target
RECHECK_MS = 300_000
MOST_CALLS = 200  # far more than any plan with its retries has, far less than a loop without end


@pytest.fixture
def floor() -> Iterator[Driven[Bazaar]]:
    made = Driven(Bazaar(most_calls=MOST_CALLS), MACHINE)
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
    floor.adopt(floor.platform.snapshot(), floor.now_ms)
    await floor.work()
    assert end_of(floor, made.id) is TargetStatus.REACHED


async def test_a_state_that_only_the_platform_leads_to_is_reached_by_waiting(floor: Driven[Bazaar]) -> None:
    made = floor.submit(target("new"))
    await floor.work()
    assert floor.row().situation is Situation.WAITING
    floor.platform.do("settle", NOTHING)
    floor.now_ms += 1
    floor.adopt(floor.platform.snapshot(), floor.now_ms)
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
    floor.adopt(floor.platform.snapshot(), floor.now_ms)
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


# -- what a shop has no use for ------------------------------------------------------------------------------------


@pytest.fixture
def bare() -> Iterator[Driven[Bazaar]]:
    """An order of a shop without the plug-in, settled."""
    made = Driven(Bazaar("processing", has_plugin=False, most_calls=MOST_CALLS), MACHINE)
    yield made
    made.store.close()


def kept(floor: Driven[Bazaar], target_id: str) -> Target:
    found = floor.store.run(lambda tx: get_target(tx, target_id))
    assert found is not None
    return found


async def test_a_step_that_the_shop_has_no_use_for_is_passed_over_and_reported(bare: Driven[Bazaar]) -> None:
    made = bare.submit(target("shipped", tracking={"code": "T1", "carrier": "DPD"}))
    assert made.unused == ()
    await bare.work()
    assert bare.platform.moves == ["pack", "complete"]
    done = kept(bare, made.id)
    assert done.status is TargetStatus.REACHED
    assert done.unused == ("tracking", "tracking.carrier")
    data = {event.data["step"]: event.data for event in events(bare, "step.done")}
    assert data["track"] == {
        "step": "track",
        "from": "processing",
        "to": "processing",
        "how": "not_taken",
        "unused": ["tracking", "tracking.carrier"],
        "reason": NO_PLUGIN,
    }
    assert {data[step]["how"] for step in ("pack", "complete")} == {"called"}
    shown = target_view(done, bare.row().situation)
    assert [(entry["step"], entry["status"]) for entry in shown["plan"]] == [("pack", "done"), ("complete", "done")]
    assert bare.row().facts["tracking"] is None


@pytest.mark.parametrize("trouble", ["refused", "lost_before", "lost_after", "denied", "throttled", "out_of_sequence"])
async def test_it_is_not_asked_for_again_in_this_target(bare: Driven[Bazaar], trouble: str) -> None:
    made = bare.submit(target("shipped", tracking={"code": "T1"}))
    bare.platform.script = ["ok", trouble, "ok", "ok", trouble]
    for _ in range(20):
        await bare.work()
        bare.now_ms += 10_000
        bare.services.admission.set_paused(False)
        if bare.row().situation is Situation.BLOCKED:
            bare.change(interventions.retry)
    assert kept(bare, made.id).status is TargetStatus.REACHED
    assert bare.platform.passed_over == ["track"]
    assert [event.data["how"] for event in events(bare, "step.done") if event.data["step"] == "track"] == ["not_taken"]


@pytest.mark.parametrize("point", CRASH_POINTS)
async def test_a_death_on_the_way_does_not_make_it_be_asked_again(bare: Driven[Bazaar], point: str) -> None:
    made = bare.submit(target("shipped", tracking={"code": "T1"}))
    for attempt in range(6):
        bare.checkpoints.armed = point if attempt % 2 == 0 else None
        with contextlib.suppress(Died):
            await bare.work()
        bare.restart()
        bare.now_ms += 10_000
    await bare.work()
    assert kept(bare, made.id).status is TargetStatus.REACHED
    data = [event for event in events(bare, "step.done") if event.data["step"] == "track"]
    assert [event.data["how"] for event in data] == ["not_taken"]
    assert len(bare.platform.passed_over) <= 2, "asked again where the answer was never written, else not"


async def test_another_target_asks_anew(bare: Driven[Bazaar]) -> None:
    bare.submit(target("shipped", tracking={"code": "T1"}))
    await bare.work()
    bare.platform.has_plugin = True
    made = bare.submit(target("shipped", tracking={"code": "T1"}))
    await bare.work()
    assert (bare.platform.tracking, bare.platform.passed_over) == ("T1", ["track"])
    assert kept(bare, made.id).unused == ()


async def test_a_step_of_which_a_part_has_no_use_is_taken(bare: Driven[Bazaar]) -> None:
    bare.platform.has_plugin = True
    bare.platform.no_use_for = ("tracking.carrier",)
    made = bare.submit(target("shipped", tracking={"code": "T1", "carrier": "DPD"}))
    await bare.work()
    assert bare.platform.moves == ["track", "pack", "complete"]
    assert kept(bare, made.id).unused == ("tracking.carrier",)
    (data,) = [event.data for event in events(bare, "step.done") if event.data["step"] == "track"]
    assert (data["how"], data["unused"]) == ("called", ["tracking.carrier"])


async def test_a_step_that_leads_on_is_made_without_what_has_no_use(bare: Driven[Bazaar]) -> None:
    bare.platform.no_use_for = ("reason",)
    made = bare.submit(target("cancelled", reason="the buyer asked"))
    await bare.work()
    assert bare.platform.moves == ["cancel"]
    done = kept(bare, made.id)
    assert (done.status, done.unused) == (TargetStatus.REACHED, ("reason",))
    shown = target_view(done, bare.row().situation)
    assert [(entry["step"], entry["status"]) for entry in shown["plan"]] == [("cancel", "done")]


async def test_fields_that_the_step_does_not_carry_are_left_alone(bare: Driven[Bazaar]) -> None:
    bare.platform.has_plugin = True
    bare.platform.no_use_for = ("reason", "nothing that there is")
    made = bare.submit(target("shipped", tracking={"code": "T1"}, reason="late"))
    await bare.work()
    assert kept(bare, made.id).unused == ("reason",), "as it was told at once: no step on the way takes it"
    assert [event.data["how"] for event in events(bare, "step.done")] == ["called"] * 3


async def test_what_makes_a_target_be_about_a_part_is_never_passed_over(bare: Driven[Bazaar]) -> None:
    bare.platform.no_use_for = ("items",)
    made = bare.submit(target("preparing", items=["1"]))
    await bare.work()
    row = bare.row()
    assert row.situation is Situation.BLOCKED
    assert row.problem is not None
    assert row.problem.type == "rejected"
    assert "pack cannot take items, by which the target is about a part of the order" in row.problem.detail
    assert kept(bare, made.id).unused == ()


def test_the_target_itself_is_planned_without_it_and_the_next_one_with_it(bare: Driven[Bazaar]) -> None:
    first = kept(bare, bare.submit(target("preparing", tracking={"code": "T1"})).id)
    entry = PlanEntry("track", "processing", "processing", ("tracking",), is_taken=False)
    bare.store.run(lambda tx: save_target(tx, changed(first, plan=(entry, *first.plan[1:]), steps_done=1)))
    (again,) = bare.draft().targets
    assert again.plan[0] == entry
    assert bare.draft().request(again) == target("preparing")
    second = bare.submit(target("shipped", tracking={"code": "T1"}))
    assert [step.step for step in second.plan] == ["track", "complete"]
