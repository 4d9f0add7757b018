"""Goods that are taken back before they were sent are not shipped: by returns, and by cancellations under way."""

from __future__ import annotations

import pytest

from statemachines.machine import OrderState, Plan, Refusal
from statemachines.shopify.machine import MACHINE, build
from statemachines.target import Json, TargetRequest

A, B = "11", "12"


def part(number: str, line: str, left: int = 1, /, **more: Json) -> Json:
    usual = {"location": "1", "method": "SHIPPING", "actions": ["CREATE_FULFILLMENT"], "hold": None, "fulfill_at": None}
    status = "OPEN" if left else "CLOSED"
    return {"id": number, "status": status, **usual, "lines": {f"{number}0": [line, left]}, **more}


def parcel(line: str, quantity: int = 1) -> Json:
    empty: dict[str, list[str]] = {"codes": [], "urls": [], "carriers": []}
    return {"id": "7", "is_live": True, "is_delivered": False, **empty, "lines": {line: quantity}}


def back(state: str, line: str, quantity: int = 1) -> Json:
    return {"id": "9", "state": state, "lines": [{"id": line, "quantity": quantity}], "processed": {}, "exchange": 0}


def order_state(state: str = "UNFULFILLED", **facts: Json) -> OrderState:
    known = {"lines": {A: 1, B: 1}, "fulfillment_orders": [part("1", A), part("2", B)], "fulfillments": []}
    return OrderState(state, state, "paid", {**known, **facts})


def planned(at: OrderState, state: str = "shipped", **fields: Json) -> Plan | Refusal:
    return MACHINE.plan(at, TargetRequest.from_json({"state": state, **fields}))


PARTLY = {"fulfillment_orders": [part("1", A, 0), part("2", B)], "fulfillments": [parcel(A)]}


@pytest.mark.parametrize("state", ["REQUESTED", "OPEN"])
@pytest.mark.parametrize("wanted", ["shipped", "delivered"])
def test_a_return_that_was_opened_before_shipping_holds_the_goods_back(state: str, wanted: str) -> None:
    refusal = planned(order_state(returns=[back(state, A)]), wanted)
    assert isinstance(refusal, Refusal)
    assert (refusal.slug, refusal.blocks_as) == ("not-allowed", "not-allowed")
    assert "return" in (refusal.reason or "")


@pytest.mark.parametrize("state", ["CLOSED", "CANCELED", "DECLINED"])
def test_a_return_that_is_over_holds_nothing_back(state: str) -> None:
    assert isinstance(planned(order_state(returns=[back(state, A)])), Plan)


@pytest.mark.parametrize("summary", ["RETURN_REQUESTED", "IN_PROGRESS"])
def test_an_app_that_may_not_read_returns_goes_by_their_summary(summary: str) -> None:
    assert isinstance(planned(order_state(return_status=summary)), Refusal)
    assert isinstance(planned(order_state("PARTIALLY_FULFILLED", return_status=summary, **PARTLY)), Plan)


def test_goods_of_a_parcel_that_come_back_hold_up_no_other_parcel() -> None:
    assert isinstance(planned(order_state("PARTIALLY_FULFILLED", returns=[back("OPEN", A)], **PARTLY)), Plan)


def test_more_than_was_sent_cannot_come_back_of_what_was_sent() -> None:
    refusal = planned(order_state("PARTIALLY_FULFILLED", returns=[back("OPEN", B)], **PARTLY))
    assert isinstance(refusal, Refusal)
    assert B in (refusal.reason or "")


def test_preparing_and_cancelling_go_on() -> None:
    at = order_state(returns=[back("REQUESTED", A)])
    reports = {**at.facts, "fulfillment_orders": [part("1", A, actions=["CREATE_FULFILLMENT", "REPORT_PROGRESS"])]}
    assert isinstance(planned(OrderState(at.state, at.state, "paid", reports), "preparing"), Plan)
    assert isinstance(planned(at, "cancelled"), Plan)


def test_what_was_sent_goes_on_to_be_delivered() -> None:
    sent = {"fulfillment_orders": [part("1", A, 0)], "fulfillments": [parcel(A)], "lines": {A: 1}}
    assert isinstance(planned(order_state("FULFILLED", returns=[back("OPEN", A)], **sent), "delivered"), Plan)


ASKED = {"request": "CANCELLATION_REQUESTED"}


def test_goods_whose_cancellation_was_requested_are_not_shipped() -> None:
    all_asked = order_state(fulfillment_orders=[part("1", A, **ASKED), part("2", B, **ASKED)])
    refusal = planned(all_asked)
    assert isinstance(refusal, Refusal)
    assert "CANCELLATION_REQUESTED" in (refusal.reason or "")
    named = planned(all_asked, items=[A, B])
    assert isinstance(named, Refusal)
    assert (named.blocks_as, "cancellation" in (named.reason or "")) == ("not-allowed", True)


def test_what_is_left_beside_a_requested_cancellation_is_shipped_and_not_that() -> None:
    one_asked = order_state(fulfillment_orders=[part("1", A, **ASKED), part("2", B)])
    assert isinstance(planned(one_asked, "partially_fulfilled", items=[B]), Plan)
    assert isinstance(planned(one_asked, "partially_fulfilled", items=[A]), Refusal)


def test_who_wants_to_ships_what_is_taken_back() -> None:
    machine = build({"ship_withdrawn": True})
    at = order_state(returns=[back("REQUESTED", A)])
    assert isinstance(machine.plan(at, TargetRequest("shipped")), Plan)
