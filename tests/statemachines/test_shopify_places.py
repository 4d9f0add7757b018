"""One order line that lies at two locations."""

from __future__ import annotations

from statemachines.machine import OrderState, Plan
from statemachines.shopify.machine import MACHINE
from statemachines.target import Json, TargetRequest


def fulfillment_order(number: str, location: str) -> dict[str, Json]:
    return {
        "id": number,
        "status": "OPEN",
        "location": location,
        "method": "SHIPPING",
        "actions": ["CREATE_FULFILLMENT"],
        "hold": None,
        "fulfill_at": None,
        "request": "UNSUBMITTED",
        "is_service": False,
        "lines": {f"line {number}": ["7", 2]},
    }


def test_the_same_items_at_another_location_are_another_shipment() -> None:
    orders = [fulfillment_order("1", "10"), fulfillment_order("2", "20")]
    facts = {"fulfillment_orders": orders, "fulfillments": [], "lines": {"7": 4}}
    current = OrderState("UNFULFILLED", "UNFULFILLED", "paid", facts)
    for location, state in (("10", "PARTIALLY_FULFILLED"), ("20", "FULFILLED")):
        request = TargetRequest("shipped", items=({"id": "7", "quantity": 2},), location=location)
        plan = MACHINE.plan(current, request)
        assert isinstance(plan, Plan)
        assert [step.step for step in plan.steps] == ["fulfill"]
        current = MACHINE.after(current, "fulfill", request, None, {"made": location})
        assert current.state == state
        again = MACHINE.plan(current, request)
        assert isinstance(again, Plan)
        assert again.steps == ()
    assert [each["lines"] for each in current.facts["fulfillments"]] == [{"7": 2}, {"7": 2}]
