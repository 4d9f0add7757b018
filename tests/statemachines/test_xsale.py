"""The machine that a shop's flow and milestones make: in sequence, aside, to the end."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transitions import MachineError

from orchestrator.registry import PLATFORMS
from statemachines.machine import DefinitionError, OrderState, Plan, Refusal
from statemachines.target import TargetRequest, Tracking
from statemachines.xsale import DEFAULT_FLOW, DEFAULT_MILESTONES, XsaleMachine, build

MACHINE = build({})
ATTENTION, CANCELLED = "Do obsługi ręcznej", "Anulowane"
STATES = (*DEFAULT_FLOW, ATTENTION, CANCELLED)


def at(state: str, **facts: object) -> OrderState:
    return OrderState(state, state, facts=facts)


def way(source: str, wanted: str) -> list[str] | str:
    """The statuses on the way, or the refusal's slug."""
    plan = MACHINE.plan(at(source), TargetRequest(wanted))
    return [step.to for step in plan.steps] if isinstance(plan, Plan) else plan.slug


def test_the_defaults_are_those_that_are_documented() -> None:
    described = PLATFORMS["xsale"].machine({}).describe()
    assert described["mainline"] == list(DEFAULT_FLOW)
    assert described["milestones"] == dict(DEFAULT_MILESTONES)
    assert {step["step"] for step in described["steps"]} == {"change_status"}
    assert [state["name"] for state in described["states"] if state["end"]] == ["Zrealizowane", "Anulowane"]


@given(st.sampled_from(DEFAULT_FLOW), st.sampled_from(DEFAULT_FLOW))
def test_the_flow_is_walked_status_by_status_and_never_back(source: str, wanted: str) -> None:
    here, there = DEFAULT_FLOW.index(source), DEFAULT_FLOW.index(wanted)
    assert way(source, wanted) == list(DEFAULT_FLOW[here + 1 : there + 1])


@pytest.mark.parametrize("state", DEFAULT_FLOW[:-1])
def test_every_order_before_the_end_can_go_to_a_person_or_be_cancelled(state: str) -> None:
    assert way(state, "attention") == [ATTENTION]
    assert way(state, "cancelled") == [CANCELLED]


@pytest.mark.parametrize("state", [*DEFAULT_FLOW, CANCELLED])
def test_from_a_person_an_order_goes_to_where_the_target_asks_in_one_change(state: str) -> None:
    assert way(ATTENTION, state) == [state]


@pytest.mark.parametrize("end", ["Zrealizowane", CANCELLED])
@pytest.mark.parametrize("wanted", ["attention", "shipped", "cancelled", "delivered"])
def test_nothing_leads_on_from_an_end(end: str, wanted: str) -> None:
    assert way(end, wanted) in ([], "unreachable")
    assert MACHINE.allowed(at(end)) == ()


def test_allowed_names_the_next_status_and_those_aside() -> None:
    assert set(MACHINE.allowed(at("Nowe"))) == {"Zaimportowano do ERP", ATTENTION, CANCELLED}
    assert set(MACHINE.allowed(at(ATTENTION))) == {*DEFAULT_FLOW, CANCELLED}


def test_returned_is_refused_with_the_names_that_there_are() -> None:
    refusal = MACHINE.plan(at("Wysłane"), TargetRequest("returned"))
    assert isinstance(refusal, Refusal)
    assert (refusal.slug, set(refusal.allowed)) == ("unreachable", {*STATES, *DEFAULT_MILESTONES})


def test_what_a_change_of_status_cannot_carry_is_unused() -> None:
    request = TargetRequest("attention", reason="no article", tracking=Tracking(code="A"), items=("1",))
    plan = MACHINE.plan(at("Nowe"), request)
    assert isinstance(plan, Plan)
    assert set(plan.unused) == {"items", "tracking"}


@pytest.mark.parametrize("state", ["2017", " 2017 "])
def test_a_status_id_means_what_the_last_read_showed(state: str) -> None:
    plan = MACHINE.plan(at("Nowe", statuses={"2017": "W trakcie realizacji"}), TargetRequest(state))
    assert isinstance(plan, Plan)
    assert plan.state == "W trakcie realizacji"
    refusal = MACHINE.plan(at("Nowe", statuses={"1": "W trakcie realizacji"}), TargetRequest(state))
    assert isinstance(refusal, Refusal)
    assert refusal.slug == "unknown-state"


@given(st.sampled_from(STATES), st.sampled_from(STATES), st.sampled_from([*STATES, "Zaginęło"]))
def test_only_the_very_status_that_was_due_shows_that_a_change_took_effect(source: str, wanted: str, seen: str) -> None:
    request = TargetRequest(wanted)
    plan = MACHINE.plan(at(source), request)
    if isinstance(plan, Refusal) or not plan.steps:
        return
    due = plan.steps[0].to
    assert MACHINE.destination(at(source), "change_status", request) == due
    assert MACHINE.is_done("change_status", at(source), at(seen), request) is (seen == due)
    assert MACHINE.after(at(source), "change_status", request, None, {}).state == due
    assert MACHINE.apply(source, "change_status", due) == due


def test_a_change_that_no_row_has_is_none() -> None:
    with pytest.raises(MachineError):
        MACHINE.apply("Nowe", "change_status", "Wysłane")
    with pytest.raises(MachineError):
        MACHINE.apply("Nowe", "change_status")
    assert MACHINE.destination(at("Zaginęło"), "change_status", TargetRequest("shipped")) is None
    assert MACHINE.is_done("change_status", at("Zaginęło"), at("Nowe"), TargetRequest("shipped")) is False


def test_the_shortest_flow_is_a_machine_too() -> None:
    machine = XsaleMachine(("Nowe", "Gotowe"), {})
    assert machine.milestone("Nowe") == "new"
    request = TargetRequest("gotowe")
    assert machine.destination(at("Nowe"), "change_status", request) == "Gotowe"
    assert machine.is_done("change_status", at("Nowe"), at("Gotowe"), request) is True
    assert machine.after(at("Nowe"), "change_status", request, None, {}).state == "Gotowe"
    plan = machine.plan(at("Nowe"), TargetRequest("attention"))
    assert isinstance(plan, Plan)
    assert [step.step for step in plan.steps] == ["record"]


@pytest.mark.parametrize(
    ("flow", "milestones", "words"),
    [
        (("Nowe",), {}, "two statuses at least"),
        (("Nowe", "nowe"), {}, "twice"),
        (("Nowe", "Wysłane"), {"shipped": "Wyslane"}, "shipped names a status that is not in the flow"),
        (("Nowe", "Wysłane"), {"new": "Wysłane"}, "new must be the first"),
        (("a", "b", "c"), {"shipped": "b", "preparing": "c"}, "one after another"),
        (("a", "b"), {"shipped": "b", "delivered": "b"}, "one after another"),
        (("a", "b"), {"attention": "B"}, "attention stands beside the flow"),
        (("a", "b"), {"attention": "x", "cancelled": "X"}, "means two states"),
        (("a", "shipped"), {"delivered": "shipped", "cancelled": "delivered"}, "means two states"),
    ],
)
def test_a_flow_that_contradicts_itself_is_no_machine(
    flow: tuple[str, ...], milestones: dict[str, str], words: str
) -> None:
    with pytest.raises(DefinitionError, match=words):
        XsaleMachine(flow, milestones)


@given(st.lists(st.text("abcdefgh", min_size=1), min_size=2, max_size=7, unique=True))
def test_whatever_a_flow_is_called_its_ends_and_ways_are_the_same(flow: list[str]) -> None:
    machine = XsaleMachine(flow, {"attention": "ATT-", "cancelled": "CAN-"})
    for here, there in pairwise(flow):
        assert set(machine.allowed(at(here))) == {there, "ATT-", "CAN-"}
    assert machine.allowed(at(flow[-1])) == ()
