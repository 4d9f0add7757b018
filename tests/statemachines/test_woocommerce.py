"""WooCommerce's machine: milestones by the shop's statuses, payment that is waited for, tracking that no read shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from statemachines.machine import DefinitionError, Milestone, OrderState, Plan, PlatformMachine, Refusal, State, Step
from statemachines.parcel import TargetParcel
from statemachines.target import TargetRequest, Tracking
from statemachines.woocommerce import WooCommerceMachine, build
from tests.support.config_files import errors

OWN = {"accepted": "received", "preparing": "packed", "shipped": "sent"}


def at(state: str, **facts: Any) -> OrderState:
    return OrderState(state, state, "paid", facts)


def steps(machine: WooCommerceMachine, current: OrderState, state: str, **fields: Any) -> list[tuple[str, str]]:
    plan = machine.plan(current, TargetRequest(state, **fields))
    assert isinstance(plan, Plan), plan
    return [(step.step, step.to) for step in plan.steps]


def refused(machine: WooCommerceMachine, current: OrderState, state: str, **fields: Any) -> str:
    plan = machine.plan(current, TargetRequest(state, **fields))
    assert isinstance(plan, Refusal), plan
    return plan.slug


@pytest.mark.parametrize("state", ["processing", "completed"])
@pytest.mark.parametrize(
    ("word", "milestone"),
    [("shipped", "shipped"), (" Shipped ", "shipped"), ("delivered", "delivered"), ("completed", "delivered")],
)
def test_a_target_means_the_milestone_that_it_names(state: str, word: str, milestone: str) -> None:
    plan = build({}).plan(at(state), TargetRequest(word))
    assert isinstance(plan, Plan)
    assert (plan.state, plan.milestone) == ("completed", milestone)


@pytest.mark.parametrize("is_last", [False, True])
@pytest.mark.parametrize("word", ["shipped", "completed"])
def test_a_parcel_that_leaves_is_not_delivered(word: str, is_last: bool) -> None:
    parcel = TargetParcel(number="B-1", lines=("1",), is_last=is_last)
    plan = build({}).plan(at("processing", lines={"1": 1, "2": 1}), TargetRequest(word, parcel=parcel))
    assert isinstance(plan, Plan)
    assert plan.milestone == "shipped"
    assert [step.step for step in plan.steps] == ["record", *(["change_status"] if is_last else [])]


def test_without_own_statuses_completed_is_shipped_and_delivered() -> None:
    machine = build({})
    for milestone in ("shipped", "delivered", "completed"):
        assert steps(machine, at("processing"), milestone) == [("change_status", "completed")]
        assert steps(machine, at("completed"), milestone) == []
    assert steps(machine, at("processing"), "accepted") == [("record", "processing")]
    assert refused(machine, at("processing"), "preparing") == "unreachable"


def test_own_statuses_are_walked_one_after_another() -> None:
    machine = build({"statuses": OWN})
    way = [("change_status", name) for name in ("received", "packed", "sent", "completed")]
    assert steps(machine, at("processing"), "delivered") == way
    assert steps(machine, at("received"), "shipped") == way[1:3]
    assert steps(machine, at("sent"), "preparing") == [], "it is past that"


def test_milestones_may_share_a_status() -> None:
    machine = build({"statuses": {"accepted": "processing", "preparing": "packed", "shipped": "packed"}})
    assert steps(machine, at("processing"), "accepted") == []
    assert steps(machine, at("processing"), "shipped") == [("change_status", "packed")]


@pytest.mark.parametrize(
    "statuses",
    [
        {"delivered": "processing", "shipped": "processing"},
        {"preparing": "completed", "shipped": "sent"},
        {"accepted": "on-hold"},
        {"preparing": "trash"},
        {"cancelled": "completed"},
        {"preparing": "refunded"},
        {"preparing": "shipped"},
    ],
)
def test_statuses_that_contradict_themselves_make_no_machine(statuses: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(DefinitionError):
        build({"statuses": statuses})
    shop = {
        "platform": "woocommerce",
        "base_url": "https://shop.example",
        "credentials": {"consumer_key": "ck_1", "consumer_secret": "cs_1"},
        "statuses": statuses,
    }
    (line,) = errors(tmp_path, {"shops": {"woo": shop}})
    assert line.startswith("shops.woo.statuses: ")


@pytest.mark.parametrize("unpaid", ["pending", "on-hold", "failed"])
def test_payment_is_waited_for_and_never_set(unpaid: str) -> None:
    machine = build({})
    assert steps(machine, at(unpaid), "shipped") == [("pay", "processing"), ("change_status", "completed")]
    plan = machine.plan(at(unpaid), TargetRequest("shipped"))
    assert isinstance(plan, Plan)
    wait = machine.awaited(plan.steps[0])
    assert wait is not None
    assert wait.reason == "platform"
    assert steps(machine, at(unpaid), "cancelled") == [("cancel", "cancelled")]


def test_what_went_out_is_not_cancelled_and_what_is_only_seen_is_not_set() -> None:
    machine = build({"statuses": OWN})
    assert steps(machine, at("packed"), "cancelled") == [("cancel", "cancelled")]
    for state in ("sent", "completed", "refunded", "trash"):
        assert refused(machine, at(state), "cancelled") == "unreachable"
    assert refused(machine, at("completed"), "returned") == "unreachable"
    for state in ("trash", "refunded", "cancelled"):
        assert refused(machine, at(state), "shipped") == "unreachable"


def test_a_part_of_an_order_is_not_shipped() -> None:
    current = at("processing", lines={"1": "2", "2": "1"})
    assert refused(build({}), current, "shipped", items=("1",)) == "not-allowed"
    assert steps(build({}), current, "shipped", items=("1", "2")) == [("change_status", "completed")]


def test_tracking_goes_out_before_the_status_and_each_number_once() -> None:
    machine, one, two = build({}), Tracking("T1", None, "DPD"), Tracking("T2")
    both = {"tracking": one, "further_tracking": (two,)}
    assert steps(machine, at("processing"), "shipped", **both)[0] == ("set_tracking", "processing")
    request = TargetRequest("shipped", **both)  # type: ignore[arg-type]
    after = machine.after(at("processing"), "set_tracking", request, None, {})
    assert after.facts["trackings"] == ["T1", "T2"]
    assert steps(machine, after, "shipped", **both) == [("change_status", "completed")]
    read = machine.merged_facts(after, at("completed", trackings=["T2", "T9"]))
    assert read["trackings"] == ["T2", "T9", "T1"], "a note of ours is in no read of the order"
    assert steps(machine, at("completed", trackings=["T1"]), "shipped", tracking=two) == [("set_tracking", "completed")]
    assert machine.is_done("set_tracking", at("processing"), at("processing", trackings=["T1"]), request) is False


def test_a_link_that_nobody_can_open_is_refused() -> None:
    link = Tracking("T1", "javascript:alert(1)")
    assert refused(build({}), at("processing"), "shipped", tracking=link) == "not-allowed"


def test_a_step_that_leaves_the_state_may_be_made_at_the_end_and_no_other() -> None:
    states = [State("a", (Milestone.NEW,)), State("b", (Milestone.DELIVERED,), is_end=True)]
    go = Step("go", ("a",), "b")
    assert PlatformMachine("made-up", states, [go, Step("note", ("b",), None)], ("a", "b"), "a")
    with pytest.raises(DefinitionError, match="marked as an end"):
        PlatformMachine("made-up", states, [go, Step("back", ("b",), "a")], ("a", "b"), "a")
