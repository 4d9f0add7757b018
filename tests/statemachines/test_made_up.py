"""What a table can say beside states and calls: several milestones of one state, and steps that the platform makes."""

from __future__ import annotations

from itertools import pairwise

import pytest

from orchestrator.diagrams.drawing import mermaid, svg, text
from orchestrator.testing.lacking import steps_to_walk
from statemachines.machine import DefinitionError, Milestone, OrderState, Plan, PlatformMachine, Refusal, State, Step
from statemachines.target import TargetRequest
from tests.support.made_up import MACHINE, MAINLINE, STATES, STEPS, MadeUpMachine, at, target

A, B = State("a"), State("b")


def steps_of(plan: Plan | Refusal) -> list[str]:
    assert isinstance(plan, Plan), plan
    return [step.step for step in plan.steps]


# -- several milestones --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "milestone"), [("shipped", "shipped"), ("Delivered", "delivered"), ("completed", "delivered")]
)
def test_each_of_its_milestones_names_the_state(name: str, milestone: str) -> None:
    plan = MACHINE.plan(at("processing"), target(name))
    assert isinstance(plan, Plan)
    assert (plan.state, plan.milestone) == ("completed", milestone), "the one that was named, else the furthest"
    assert steps_of(plan) == ["pack", "complete"]
    assert steps_of(MACHINE.plan(at("completed"), target(name))) == []
    assert {"shipped", "delivered"} <= set(MACHINE.names())


def test_what_goods_do_at_any_of_them_counts() -> None:
    lines = ({"id": "1", "quantity": 1},)
    plan = MACHINE.plan(at("processing"), target("shipped", despatch=[{"number": "1", "lines": list(lines)}]))
    assert isinstance(plan, Refusal)
    assert "cannot be narrowed to the lines of a despatch" in plan.detail
    withdrawn = MACHINE.plan(at("packed", withdrawn={"at": None, "reason": None}), target("delivered"))
    assert isinstance(withdrawn, Refusal)
    assert withdrawn.blocks_as == "not-allowed"


def test_the_machine_names_them_all() -> None:
    described = MACHINE.describe()
    assert (described["milestones"]["shipped"], described["milestones"]["delivered"]) == ("completed", "completed")
    (completed,) = [state for state in described["states"] if state["name"] == "completed"]
    assert completed["milestone"] == "delivered"
    for picture in (text(MACHINE), mermaid(MACHINE), svg(MACHINE)):
        assert "shipped, delivered" in picture


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (State("b", (Milestone.SHIPPED, Milestone.SHIPPED)), "twice"),
        (State("b", (Milestone.SHIPPED, Milestone.CANCELLED)), "beside the way"),
        (State("b", Milestone.SHIPPED), "give a tuple"),  # type: ignore[arg-type]
    ],
)
def test_invalid_milestones_are_refused(state: State, reason: str) -> None:
    with pytest.raises(DefinitionError, match=reason):
        PlatformMachine("toy", [A, state], [Step("go", ("a",), "b")], ("a", "b"), "a")


def test_one_milestone_is_of_one_state() -> None:
    states = [A, State("b", (Milestone.SHIPPED, Milestone.DELIVERED)), State("c", (Milestone.DELIVERED,))]
    rows = [Step("go", ("a",), "b"), Step("on", ("b",), "c")]
    with pytest.raises(DefinitionError, match="'delivered' means two states"):
        PlatformMachine("toy", states, rows, ("a", "b"), "a")


# -- steps by the platform -----------------------------------------------------------------------------------------


def test_the_platforms_step_is_planned_and_waited_for() -> None:
    plan = MACHINE.plan(at("on-hold"), target("shipped"))
    assert isinstance(plan, Plan)
    assert steps_of(plan) == ["settle", "pack", "complete"]
    waits = [MACHINE.awaited(step) for step in plan.steps]
    assert [wait is not None for wait in waits] == [True, False, False]
    assert waits[0] is not None
    assert (waits[0].reason, waits[0].until_ms) == ("platform", None)
    assert waits[0].detail == "bazaar itself takes the order from on-hold to processing (settle)"


def test_it_counts_as_a_step_and_its_state_may_be_asked_for() -> None:
    assert MACHINE.allowed(at("on-hold")) == ("processing", "cancelled")
    refused = MACHINE.plan(at("on-hold"), target("packed"), "strict")
    assert isinstance(refused, Refusal)
    assert refused.slug == "not-adjacent"
    assert steps_of(MACHINE.plan(at("on-hold"), target("new"), "strict")) == ["settle"]


def test_what_is_only_seen_cannot_be_asked_for() -> None:
    refused = MACHINE.plan(at("completed"), target("returned"))
    assert isinstance(refused, Refusal)
    assert "can be seen but not set" in refused.detail


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_plan_goes_round_it_where_it_can_however_long_that_is(length: int) -> None:
    names = ["a", *(f"x{n}" for n in range(length)), "b"]
    round_it = [Step(f"go{n}", (here,), to) for n, (here, to) in enumerate(pairwise(names))]
    rows = [Step("jump", ("a",), "b", by="platform"), *round_it]
    machine = PlatformMachine("toy", [State(name) for name in names], rows, (), "a")
    assert steps_of(machine.plan(at("a"), target("b"))) == [row.name for row in round_it]


def test_fewest_waits_come_first_then_fewest_steps() -> None:
    names = "abcde"
    rows = [
        Step("ab", ("a",), "b", by="platform"),
        Step("be", ("b",), "e", by="platform"),
        Step("bc", ("b",), "c"),
        Step("cd", ("c",), "d"),
        Step("ce", ("c",), "e"),
        Step("de", ("d",), "e"),
    ]
    machine = PlatformMachine("toy", [State(name) for name in names], rows, (), "a")
    assert steps_of(machine.plan(at("a"), target("e"))) == ["ab", "bc", "ce"]


def test_nothing_is_waited_for_that_goes_further_than_what_is_asked() -> None:
    rows = [Step("send", ("a",), "b", by="platform", reaches_buyer=True), Step("stop", ("b",), "c")]
    machine = PlatformMachine("toy", [A, B, State("c")], rows, ("a", "b"), "a")
    assert isinstance(machine.plan(at("a"), target("c")), Refusal)


def test_reachability_counts_it() -> None:
    rows = [Step("go", ("a",), "b", by="platform")]
    assert PlatformMachine("toy", [A, B], rows, ("a", "b"), "a").allowed(at("a")) == ("b",)
    with pytest.raises(DefinitionError, match="no step leads to 'processing'"):
        PlatformMachine("toy", STATES, [row for row in STEPS if row.name != "settle"], MAINLINE, "on-hold")


def test_the_platforms_shipment_of_a_withdrawn_order_is_not_held_back_but_ours_behind_it_is() -> None:
    states = [A, State("b", (Milestone.SHIPPED,)), State("c", (Milestone.DELIVERED,))]
    rows = [
        Step("send", ("a",), "b", by="platform", is_irrevocable=True, reaches_buyer=True),
        Step("arrive", ("b",), "c", is_irrevocable=True, reaches_buyer=True),
    ]
    machine = PlatformMachine("toy", states, rows, ("a", "b", "c"), "a")
    withdrawn = at("a", withdrawn={"at": None, "reason": None})
    assert steps_of(machine.plan(withdrawn, target("shipped"))) == ["send"]
    assert steps_of(MACHINE.plan(at("on-hold"), target("packed"))) == ["settle", "pack"]
    held = MACHINE.plan(at("on-hold", withdrawn={"at": None, "reason": None}), target("shipped"))
    assert isinstance(held, Refusal)


def test_the_machine_and_its_pictures_say_who_makes_it() -> None:
    described = {step["step"]: step["by"] for step in MACHINE.describe()["steps"]}
    assert described == {step.name: "platform" if step.name in ("settle", "refund") else "daemon" for step in STEPS}
    for picture in (mermaid(MACHINE), svg(MACHINE)):
        assert "settle (by the platform)" in picture
        assert "complete (by the platform)" not in picture
    rows = [line for line in text(MACHINE).splitlines() if "(by the platform)" in line]
    assert [line.split()[0] for line in rows] == ["settle", "refund"]


def test_a_walk_of_the_platform_suite_need_not_make_it() -> None:
    assert steps_to_walk(MACHINE) == {"pack", "track", "complete"}


@pytest.mark.parametrize(
    "row",
    [
        Step("go", ("a",), None, by="platform"),
        Step("go", ("a",), "b", uses=("tracking",), by="platform"),
        Step("go", ("a",), "b", narrows=("items",), by="platform"),
        Step("go", ("a",), "b", is_blind=True, by="platform"),
        Step("back", ("b",), "a", by="platform"),
        Step("record", ("a",), "b"),
    ],
    ids=["leaves the state", "carries", "narrows", "is sent blindly", "is ours as well", "is the record's"],
)
def test_invalid_steps_are_refused(row: Step) -> None:
    ours = [Step("back", ("b",), "c"), Step("on", ("a",), "b")]
    with pytest.raises(DefinitionError, match=f"{row.name} is"):
        PlatformMachine("toy", [A, B, State("c")], [row, *ours], ("a", "b"), "a")


# -- what a platform has no use for --------------------------------------------------------------------------------


class Stubborn(MadeUpMachine):
    """Whose hook names a step whatever the target brings."""

    def pending_actions(self, current: OrderState, request: TargetRequest) -> tuple[str, ...]:
        del current, request
        return ("track",)


def test_a_step_that_carries_nothing_of_the_target_is_not_planned() -> None:
    asked = target("shipped", tracking={"code": "T1"})
    assert steps_of(Stubborn().plan(at("processing"), asked)) == ["track", "pack", "complete"]
    assert steps_of(Stubborn().plan(at("processing"), asked.without(["tracking"]))) == ["pack", "complete"]


SEVERAL = target(
    "shipped",
    items=["1"],
    tracking=[{"code": "A", "carrier": "DPD"}, {"code": "B"}, {"code": "C"}],
    notify_customer=False,
)


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ((), SEVERAL),
        (("no field",), SEVERAL),
        (("tracking",), target("shipped", items=["1"], notify_customer=False)),
        (("notify_customer", "items"), target("shipped", tracking=SEVERAL.to_json()["tracking"])),
        (
            ("tracking.carrier",),
            target("shipped", items=["1"], tracking=[{"code": code} for code in "ABC"], notify_customer=False),
        ),
        (
            ("tracking[1]",),
            target(
                "shipped", items=["1"], tracking=[{"code": "A", "carrier": "DPD"}, {"code": "C"}], notify_customer=False
            ),
        ),
    ],
)
def test_a_target_without_fields_is_one_that_never_brought_them(fields: tuple[str, ...], left: TargetRequest) -> None:
    assert SEVERAL.without(fields) == left
    assert set(SEVERAL.named(fields)).isdisjoint(left.brings()) or "tracking[1]" in fields


def test_tracking_names_all_of_its_parts() -> None:
    assert SEVERAL.named(["tracking"]) == ("tracking", "tracking.carrier", "tracking[1]", "tracking[2]")
    assert SEVERAL.named(["tracking[2]", "reason"]) == ("tracking[2]",)
