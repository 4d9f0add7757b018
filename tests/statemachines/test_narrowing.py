"""A field that narrows a step which cannot be undone narrows it, or the target is refused: every platform's machine,
every state of an order, every field that can narrow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from statemachines import selldone, xsale
from statemachines.cloudsuite import machine as cloudsuite
from statemachines.machine import OrderState, Plan, PlatformMachine, Refusal
from statemachines.shopify import machine as shopify
from statemachines.target import Json, TargetRequest

LINES = {"1": 2, "2": 1}
XSALE = xsale.build({})


def _shopify_facts(state: str) -> dict[str, Json]:
    is_shipped = state in ("FULFILLED", "DELIVERED")
    order = {
        "id": "9",
        "status": "CLOSED" if is_shipped else "OPEN",
        "location": "77",
        "method": "SHIPPING",
        "actions": [] if is_shipped else ["CREATE_FULFILLMENT", "REPORT_PROGRESS"],
        "hold": None,
        "fulfill_at": None,
        "lines": {f"9-{line}": [line, 0 if is_shipped else count] for line, count in LINES.items()},
    }
    sent = {"id": "5", "is_live": True, "is_delivered": state == "DELIVERED", "codes": [], "urls": [], "lines": LINES}
    return {"lines": LINES, "fulfillment_orders": [order], "fulfillments": [sent] if is_shipped else []}


FACTS: Mapping[str, Any] = {
    "selldone": lambda state: {"status": "Payed", "items": ["1", "2"], "counts": {"1": "2", "2": "1"}},
    "cloudsuite": lambda state: {
        "payment_status": "paid",
        "lines": {
            "1": {"erp": 10, "part": "A", "quantity": "2"},
            "2": {"erp": 20, "part": "B", "quantity": "1.0"},
        },
    },
    "xsale": lambda state: {"lines": {"1": "2", "2": "1"}},
    "shopify": _shopify_facts,
}
MACHINES: Mapping[str, PlatformMachine] = {
    "selldone": selldone.MACHINE,
    "cloudsuite": cloudsuite.MACHINE,
    "xsale": XSALE,
    "shopify": shopify.MACHINE,
}
FINAL = {"confirm", "prepare", "send", "deliver", "return_delivery", "send_despatch", "mark_sent", "finish", "cancel"}
FINAL |= {"fulfill", "mark_delivered"}
"""Steps that nobody takes back; of xSale's one step those that the buyer hears of are."""
TAKES = {("confirm", "items"), ("fulfill", "items"), ("mark_delivered", "items")}
"""Steps that a field narrows."""

NARROW: Mapping[str, dict[str, Json]] = {
    "a line": {"items": ["1"]},
    "a line by its number": {"items": [2]},
    "a piece": {"items": [{"id": "1", "quantity": 1}, "2"]},
    "a piece as a decimal": {"items": ["2", {"id": 1, "quantity": "1.0"}]},
    "a location": {"location": "88"},
    "a despatch of a line": {"despatch": [{"number": "D", "lines": [{"erp_line_number": 10, "quantity": 1}]}]},
}
WHOLE: tuple[dict[str, Json], ...] = (
    {"items": ["1", "2"]},
    {"items": [1, {"id": 2, "quantity": "1.0"}]},
    {"items": [{"id": "1", "quantity": 2.0}, {"id": "2", "quantity": 1}]},
)
WAYS = {
    platform: [
        (state.name, wanted.name)
        for state in machine.states.values()
        for wanted in machine.states.values()
        if not state.record_only
    ]
    for platform, machine in MACHINES.items()
}
"""From every state that an order can be in to every one that a target can name."""


def order_state(platform: str, state: str) -> OrderState:
    return OrderState(state, state, "paid", FACTS[platform](state))


def final_steps(platform: str, plan: Plan) -> list[str]:
    if platform == "xsale":
        announced = ("Wysłane", "Zrealizowane", "Anulowane")
        return [step.step for step in plan.steps if step.to in announced]
    return [step.step for step in plan.steps if step.step in FINAL]


@pytest.mark.parametrize("platform", MACHINES)
@pytest.mark.parametrize("name", NARROW)
def test_what_narrows_a_final_step_narrows_it_or_is_refused(platform: str, name: str) -> None:
    machine, field = MACHINES[platform], next(iter(NARROW[name]))
    for state, wanted in WAYS[platform]:
        here = order_state(platform, state)
        plain = machine.plan(here, TargetRequest(wanted))
        if isinstance(plain, Refusal):
            continue
        found = machine.plan(here, TargetRequest.from_json({"state": wanted, **NARROW[name]}))
        final = final_steps(platform, plain)
        if field == "despatch":  # tells of goods that leave
            final = [step for step in final if step not in ("confirm", "prepare")]
        is_taken = all((step, field) in TAKES for step in final) and not (platform == "selldone" and "piece" in name)
        if platform == "shopify" and "mark_delivered" in final and field == "items":
            is_taken = "fulfill" in final  # what went out already is one parcel, and no part of it is delivered
        if platform == "shopify" and field == "location" and (wanted == "IN_PROGRESS" or not final):
            continue  # nothing of this order lies there, which is refused on the way to most states
        is_sent = platform == "cloudsuite" and field == "despatch" and "cancel" not in final
        if not final or is_taken or is_sent:
            assert isinstance(found, Plan), (state, wanted, found)
        else:
            assert isinstance(found, Refusal), (state, wanted, found)
            assert (found.slug, bool(found.reason)) == ("not-allowed", True)


@pytest.mark.parametrize("platform", MACHINES)
@pytest.mark.parametrize("fields", WHOLE)
def test_items_that_name_everything_narrow_nothing(platform: str, fields: dict[str, Json]) -> None:
    machine = MACHINES[platform]
    for state, wanted in WAYS[platform]:
        plain = machine.plan(order_state(platform, state), TargetRequest(wanted))
        found = machine.plan(order_state(platform, state), TargetRequest.from_json({"state": wanted, **fields}))
        if isinstance(plain, Plan) and wanted != "PARTIALLY_FULFILLED":
            assert isinstance(found, Plan), (state, wanted, found)
            assert found.steps == plain.steps


@pytest.mark.parametrize(("platform", "machine"), MACHINES.items())
def test_a_despatch_of_everything_is_harmless_but_for_a_cancellation(platform: str, machine: PlatformMachine) -> None:
    first = machine.initial
    slip = ({"number": "D", "lines": None},)
    shipped = machine.plan(order_state(platform, first), TargetRequest("shipped", despatch=slip))
    assert isinstance(shipped, Plan)
    cancelled = machine.plan(order_state(platform, first), TargetRequest("cancelled", despatch=slip))
    assert isinstance(cancelled, Refusal)


def test_a_refusal_says_which_lines_are_left_out() -> None:
    found = XSALE.plan(order_state("xsale", "Nowe"), TargetRequest("shipped", items=("1",)))
    assert isinstance(found, Refusal)
    assert "leave out 2" in (found.reason or "")


def test_items_are_not_guessed_where_the_lines_are_not_known() -> None:
    found = XSALE.plan(OrderState("Nowe", "Nowe"), TargetRequest("shipped", items=("1",)))
    assert isinstance(found, Refusal)
    assert "not known" in (found.reason or "")


def test_what_was_confirmed_is_what_there_is_to_send_on_selldone() -> None:
    machine = selldone.MACHINE
    here = machine.after(
        order_state("selldone", "CheckQueue"), "confirm", TargetRequest("accepted", items=("1",)), None, {}
    )
    observed = OrderState("OrderConfirm", "OrderConfirm", "paid", FACTS["selldone"]("OrderConfirm"))
    kept = OrderState("OrderConfirm", "OrderConfirm", "paid", machine.merged_facts(here, observed))
    assert isinstance(machine.plan(kept, TargetRequest("shipped", items=("1",))), Plan)
    assert isinstance(machine.plan(kept, TargetRequest("shipped", items=("2",))), Refusal)


def test_a_delivery_under_another_code_than_the_orders_own_is_refused_on_selldone() -> None:
    sent = OrderState("SentOrder", "SentOrder", "paid", {**FACTS["selldone"](""), "tracking_code": "C1"})
    wish = {"state": "delivered", "tracking": {"code": "C2"}}
    refused = selldone.MACHINE.plan(sent, TargetRequest.from_json(wish))
    assert isinstance(refused, Refusal)
    assert "C1" in (refused.reason or "")
    assert isinstance(selldone.MACHINE.plan(sent, TargetRequest.from_json({**wish, "tracking": {"code": "C1"}})), Plan)


def test_a_shopify_line_may_be_named_by_its_global_id() -> None:
    wish = TargetRequest("cancelled", items=("gid://shopify/LineItem/1", "gid://shopify/LineItem/2"))
    assert isinstance(shopify.MACHINE.plan(order_state("shopify", "UNFULFILLED"), wish), Plan)
    other = TargetRequest("cancelled", items=("gid://shopify/ProductVariant/1", "2"))
    assert isinstance(shopify.MACHINE.plan(order_state("shopify", "UNFULFILLED"), other), Refusal)
