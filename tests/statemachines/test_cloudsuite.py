"""The planner on CloudSuite's machine: payment, offline orders, ERP data, despatches."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.registry import PLATFORMS
from statemachines.cloudsuite.despatch import InvalidDespatch, read_despatches
from statemachines.cloudsuite.machine import MACHINE, CloudsuiteMachine
from statemachines.machine import OrderState, Plan, PlatformMachine, Refusal
from statemachines.target import Json, TargetRequest

LINES = {
    "1": {"erp": None, "part": "A", "quantity": "2"},
    "2": {"erp": None, "part": "B", "quantity": "1.5"},
}
ERP: dict[str, Any] = {
    "erp_order_number": "ERP-1",
    "erp_lines": [{"line": "1", "erp_line_number": 10}, {"line": "2", "erp_line_number": 20}],
}
SLIP = {"number": "PS-1", "lines": [{"erp_line_number": 10, "quantity": 2}]}
FINAL = {"number": "PS-2", "final": True}


def order_state(state: str, **facts: Json) -> OrderState:
    shown = {"is_offline": False, "payment_status": "paid", "erp_order_number": None, "lines": LINES}
    return OrderState(state, state, "paid", {**shown, **facts})


def wish(state: str, **fields: Json) -> TargetRequest:
    return TargetRequest.from_json({"state": state, **fields})


def planned(here: OrderState, request: TargetRequest, machine: PlatformMachine = MACHINE) -> list[tuple[str, str, str]]:
    plan = machine.plan(here, request)
    assert isinstance(plan, Plan), plan
    return [(step.step, step.source, step.to) for step in plan.steps]


def refused(here: OrderState, request: TargetRequest, machine: PlatformMachine = MACHINE) -> Refusal:
    plan = machine.plan(here, request)
    assert isinstance(plan, Refusal), plan
    return plan


def walked(here: OrderState, request: TargetRequest) -> tuple[OrderState, list[str]]:
    """Plans anew after each step, as the driver does."""
    steps: list[str] = []
    while True:
        plan = MACHINE.plan(here, request)
        assert isinstance(plan, Plan), plan
        if not plan.steps:
            return here, steps
        step = plan.steps[0]
        here = MACHINE.after(here, step.step, request, None, {})
        assert here.state == step.to
        steps.append(step.step)


def test_the_whole_way_with_everything_that_an_erp_sends() -> None:
    assert planned(order_state("confirmed"), wish("delivered", despatch=[SLIP, FINAL], **ERP)) == [
        ("process", "confirmed", "processing"),
        ("set_erp_number", "processing", "processing"),
        ("set_erp_lines", "processing", "processing"),
        ("send_despatch", "processing", "processing"),
        ("send_despatch", "processing", "sent"),
        ("finish", "sent", "done"),
    ]


def test_erp_data_comes_before_the_order_is_marked_as_sent() -> None:
    steps = [step for step, _, _ in planned(order_state("confirmed"), wish("shipped", **ERP))]
    assert steps == ["process", "set_erp_number", "set_erp_lines", "mark_sent"]


def test_cxml_takes_the_place_of_number_and_lines() -> None:
    steps = [step for step, _, _ in planned(order_state("processing"), wish("sent", confirmation="cxml", **ERP))]
    assert steps == ["confirm_order", "mark_sent"]


@pytest.mark.parametrize("state", ["processing", "sent"])
def test_a_plan_made_anew_after_each_step_goes_the_same_way(state: str) -> None:
    request = wish("done", despatch=[SLIP, FINAL], **ERP)
    before = [step for step, _, _ in planned(order_state(state), request)]
    here, steps = walked(order_state(state), request)
    assert steps == before
    assert here.state == "done"
    assert here.facts["despatches"] == {
        "PS-1": {"final": False, "lines": {"10": "2"}},
        "PS-2": {"final": True, "lines": None},
    }


@pytest.mark.parametrize("status", ["started", "none", "closed_canceled", None, "brand new"])
@pytest.mark.parametrize("state", ["accepted", "shipped", "delivered"])
def test_an_unpaid_order_goes_nowhere_but_to_its_cancellation(status: str | None, state: str) -> None:
    here = order_state("confirmed", payment_status=status)
    assert refused(here, wish(state)).slug == "not-allowed"
    assert planned(here, wish("cancelled")) == [("cancel", "confirmed", "cancel")]


@pytest.mark.parametrize("status", ["closed_success", "paid", "account"])
def test_released_orders_go_on(status: str) -> None:
    assert planned(order_state("confirmed", payment_status=status), wish("accepted"))


def test_a_payment_is_checked_before_processing_and_not_after() -> None:
    assert planned(order_state("processing", payment_status="none"), wish("sent")) == [
        ("mark_sent", "processing", "sent")
    ]
    unchecked = PLATFORMS["cloudsuite"].machine({"payment_check": "off"})
    assert planned(order_state("confirmed", payment_status="none"), wish("accepted"), unchecked)


def test_only_offline_orders_skip_processing() -> None:
    assert MACHINE.allowed(order_state("confirmed")) == ("processing", "cancel")
    offline = order_state("confirmed", is_offline=True, payment_status="none")
    assert set(MACHINE.allowed(offline)) == {"processing", "sent", "cancel"}
    assert planned(offline, wish("shipped")) == [("mark_sent", "confirmed", "sent")]


@pytest.mark.parametrize("state", ["draft", "quotation"])
def test_drafts_are_seen_and_never_set_nor_left(state: str) -> None:
    assert refused(order_state("confirmed"), wish(state)).slug == "unreachable"
    for wanted in ("confirmed", "processing", "cancel"):
        assert refused(order_state(state), wish(wanted)).slug == "unreachable"


@pytest.mark.parametrize("milestone", ["preparing", "returned"])
def test_milestones_that_the_platform_has_not_are_unreachable(milestone: str) -> None:
    assert refused(order_state("confirmed"), wish(milestone)).slug == "unreachable"


@pytest.mark.parametrize("fields", [{"despatch": [SLIP]}, {"confirmation": "cxml", **ERP}])
def test_a_shop_without_proxy_values_refuses_what_needs_them(fields: dict[str, Any]) -> None:
    machine = PLATFORMS["cloudsuite"].machine({"proxy_shop": None, "proxy_user": None})
    assert "proxy_shop" in refused(order_state("processing"), wish("sent", **fields), machine).detail


@pytest.mark.parametrize(
    ("line", "slip", "missing"),
    [
        ({"part": None}, {}, "part number of line 10; send part_number"),
        ({"part": None}, {"quantity": 1}, "part number of line 10; send part_number"),
        ({"part": None}, {"part_number": "P"}, None),
        ({"quantity": None}, {"part_number": "P"}, "quantity of line 10; send quantity"),
        ({"quantity": "0"}, {}, "quantity of line 10; send quantity"),
        ({"quantity": None}, {"quantity": 1}, None),
    ],
)
def test_a_despatch_says_of_each_line_what_a_slip_must_say(
    line: dict[str, Json], slip: dict[str, Json], missing: str | None
) -> None:
    here = order_state("confirmed", lines={**LINES, "1": {**LINES["1"], **line}})
    some = {"number": "PS-1", "lines": [{"erp_line_number": 10, **slip}]}
    if missing is None:
        assert ("send_despatch", "processing", "processing") in planned(here, wish("sent", despatch=[some], **ERP))
    else:
        refusal = refused(here, wish("sent", despatch=[some], **ERP))
        assert (refusal.slug, refusal.detail.endswith(missing)) == ("not-allowed", True)
    other = {"number": "PS-1", "lines": [{"erp_line_number": 20}]}
    assert planned(here, wish("sent", despatch=[other], **ERP))
    assert refused(here, wish("sent", despatch=[FINAL], **ERP)).slug == "not-allowed"


def test_a_despatch_sent_already_is_satisfied() -> None:
    here = order_state("sent", despatches={"PS-2": {"final": True}})
    plan = MACHINE.plan(here, wish("sent", despatch=[FINAL], tracking={"code": "A"}))
    assert isinstance(plan, Plan)
    assert (plan.steps, plan.unused) == ((), ())


@pytest.mark.parametrize(("state", "unused"), [("cancelled", ("reason",)), ("attention", ())])
def test_a_reason_goes_into_our_record_and_never_to_the_platform(state: str, unused: tuple[str, ...]) -> None:
    plan = MACHINE.plan(order_state("processing"), wish(state, reason="sold out"))
    assert isinstance(plan, Plan)
    assert plan.unused == unused


def test_what_a_done_order_cannot_take_any_more_is_named() -> None:
    plan = MACHINE.plan(order_state("done"), wish("done", despatch=[{"number": "X"}], erp_order_number="E"))
    assert isinstance(plan, Plan)
    assert set(plan.unused) == {"despatch", "erp_order_number"}


def test_a_number_of_the_erp_must_stand_on_one_line_only() -> None:
    twice = [{"line": "1", "erp_line_number": 10}, {"line": "2", "erp_line_number": 10}]
    assert "more than one line" in refused(order_state("processing"), wish("sent", erp_lines=twice)).detail


def test_a_final_despatch_counts_while_the_platform_shows_processing_only() -> None:
    here = order_state("sent", despatches={"PS-2": {"final": True}})
    assert MACHINE.observe(here, order_state("processing")) == "sent"
    assert MACHINE.observe(here, order_state("cancel")) == "cancel"
    assert MACHINE.observe(None, order_state("processing")) == "processing"
    assert MACHINE.merged_facts(here, order_state("processing"))["despatches"] == {"PS-2": {"final": True}}


@pytest.mark.parametrize(("on_timeout", "answer"), [("resend_same_number", False), ("ask", None)])
def test_a_despatch_cannot_be_read_back(on_timeout: str, answer: bool | None) -> None:
    machine = PLATFORMS["cloudsuite"].machine({"desadv_on_timeout": on_timeout})
    here = order_state("processing")
    assert machine.is_done("send_despatch", here, here, wish("sent", despatch=[SLIP])) is answer


def test_read_backs_compare_what_was_written() -> None:
    here, request = order_state("processing"), wish("sent", **ERP)
    confirmed = MACHINE.after(here, "confirm_order", request, None, {})
    for step in ("set_erp_number", "set_erp_lines", "confirm_order"):
        assert MACHINE.is_done(step, here, here, request) is False
        assert MACHINE.is_done(step, here, confirmed, request) is True
    assert MACHINE.is_done(
        "confirm_order", here, MACHINE.after(here, "set_erp_number", request, None, {}), request
    ) is (False)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"number": "A", "finall": True}, "finall"),
        ({"number": "A", "final": "yes"}, "final"),
        ({"number": 5}, "number"),
        ({"number": "A\x00"}, "XML"),
        ({"number": "A", "date": "30-06-2026"}, "date"),
        ({"number": "A", "lines": []}, "lines"),
        ({"number": "A", "lines": [{"erp_line_number": "10"}]}, "erp_line_number"),
        ({"number": "A", "lines": [{"erp_line_number": 1, "quantity": 0}]}, "quantity"),
        ({"number": "A", "lines": [{"erp_line_number": 1, "quantity": 1.00001}]}, "four decimals"),
        ({"number": "A", "lines": [{"erp_line_number": 1, "quantity": 1e8}]}, "quantity"),
        ({"number": "A", "lines": [{"erp_line_number": 1, "quantity": "NaN"}]}, "quantity"),
        ({"number": "A", "lines": [{"erp_line_number": 1, "weight": 2}]}, "weight"),
    ],
)
def test_a_despatch_that_cannot_be_sent_is_refused_by_its_field(raw: dict[str, Json], said: str) -> None:
    with pytest.raises(InvalidDespatch, match=said):
        read_despatches([raw])


STATES = ["draft", "quotation", "confirmed", "processing", "sent", "done", "cancel"]


@given(
    state=st.sampled_from(STATES),
    wanted=st.sampled_from([*STATES, "attention", "shipped"]),
    is_offline=st.booleans(),
    status=st.sampled_from(["paid", "none", None]),
    slips=st.lists(st.booleans(), max_size=3),
    has_erp=st.booleans(),
    confirmation=st.sampled_from([None, "json", "cxml"]),
)
def test_every_plan_can_be_walked_and_keeps_the_sequence(
    state: str,
    wanted: str,
    is_offline: bool,
    status: str | None,
    slips: list[bool],
    has_erp: bool,
    confirmation: str | None,
) -> None:
    machine = CloudsuiteMachine()
    fields: dict[str, Json] = dict(ERP) if has_erp else {}
    if slips:
        fields["despatch"] = [{"number": f"S{n}", "final": final} for n, final in enumerate(slips)]
    request = wish(wanted, confirmation=confirmation, **fields)
    here = order_state(state, is_offline=is_offline, payment_status=status)
    plan = machine.plan(here, request)
    if isinstance(plan, Refusal) or plan.state == "attention":
        return
    assert [step.source for step in plan.steps[1:]] == [step.to for step in plan.steps[:-1]]
    for step in plan.steps:
        assert here.state == step.source
        here = machine.after(here, step.step, request, None, {})
        assert here.state == step.to
    assert machine.has_reached(here, plan.state)
    names = [step.step for step in plan.steps]
    for early, late in (("process", "set_erp_number"), ("set_erp_lines", "send_despatch"), ("send_despatch", "finish")):
        if early in names and late in names:
            assert max(n for n, name in enumerate(names) if name == early) < names.index(late)
    assert not isinstance(machine.plan(here, request), Refusal)
    assert machine.plan(here, request).steps == ()  # type: ignore[union-attr]


def test_a_code_of_one_despatch_does_not_narrow_what_is_about_the_whole_order() -> None:
    sent = order_state("sent", despatches={"D1": {"final": False, "code": "C1"}, "D2": {"final": True, "code": "C2"}})
    for state in ("done", "cancel"):
        refused_one = MACHINE.plan(sent, wish(state, tracking={"code": "C2"}))
        assert isinstance(refused_one, Refusal)
        assert "C1" in (refused_one.reason or "")
        assert isinstance(MACHINE.plan(sent, wish(state, tracking=[{"code": "C2"}, {"code": "C1"}])), Plan)
    assert isinstance(MACHINE.plan(sent, wish("done")), Plan)
    refused = MACHINE.plan(sent, wish("cancel"))
    assert isinstance(refused, Refusal)
    assert "parcels D1, D2" in (refused.reason or "")


def test_a_despatch_is_kept_with_its_code() -> None:
    slip = {**FINAL, "tracking_code": "C1"}
    here = MACHINE.after(order_state("processing"), "send_despatch", wish("sent", despatch=[slip]), None, {})
    assert here.facts["despatches"][slip["number"]] == {"final": True, "code": "C1", "lines": None}
