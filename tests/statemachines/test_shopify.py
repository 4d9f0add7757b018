"""Shopify's machine by itself: plans over fulfilment orders, parcels, guards, waits and read-backs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.platforms.fields import InvalidOrder
from orchestrator.platforms.shopify.wire import MOST_FULFILLMENTS, read_order
from statemachines.machine import OrderState, Plan, Refusal
from statemachines.shopify.facts import remaining, shipped
from statemachines.shopify.machine import MACHINE, build
from statemachines.shopify.parcels import after_parcel, next_parcel
from statemachines.target import Json, TargetRequest, Tracking

_SAMPLES = Path(__file__).parents[1] / "samples" / "shopify"
ALL = frozenset({"CREATE_FULFILLMENT", "REPORT_PROGRESS"})


def fo(number: str, lines: dict[str, int], location: str = "1", status: str = "OPEN", **more: Json) -> dict[str, Json]:
    return {
        "id": number,
        "status": status,
        "location": location,
        "method": "SHIPPING",
        "actions": sorted(ALL) if status in ("OPEN", "IN_PROGRESS") else [],
        "hold": None,
        "fulfill_at": None,
        "lines": {f"{number}-{line}": [line, count] for line, count in lines.items()},
    } | more


def order_state(state: str = "UNFULFILLED", orders: list[Json] | None = None, **facts: Json) -> OrderState:
    orders = [fo("9", {"1": 3, "2": 1})] if orders is None else orders
    lines = {line: count for order in orders for line, count in order["lines"].values()}
    return OrderState(state, state, "paid", {"fulfillment_orders": orders, "fulfillments": [], "lines": lines} | facts)


def steps(found: Plan | Refusal) -> list[tuple[str, str]]:
    assert isinstance(found, Plan), found
    return [(step.step, step.to) for step in found.steps]


def ask(state: str, *items: Json, code: str | None = None, **more: Any) -> TargetRequest:
    if code:
        more["tracking"] = Tracking(code=code)
    return TargetRequest(state, items=items or None, **more)


@pytest.mark.parametrize(
    ("state", "target", "way"),
    [
        ("UNFULFILLED", "preparing", ["report_progress"]),
        ("UNFULFILLED", "shipped", ["fulfill"]),
        ("UNFULFILLED", "delivered", ["fulfill", "mark_delivered"]),
        ("IN_PROGRESS", "shipped", ["fulfill"]),
        ("IN_PROGRESS", "cancelled", ["cancel"]),
        ("PARTIALLY_FULFILLED", "shipped", ["fulfill"]),
        ("PARTIALLY_FULFILLED", "preparing", []),
        ("ON_HOLD", "cancelled", ["cancel"]),
        ("UNFULFILLED", "accepted", ["record"]),
        ("FULFILLED", "delivered", ["mark_delivered"]),
        ("DELIVERED", "shipped", []),
    ],
)
def test_each_target_is_reached_straight(state: str, target: str, way: list[str]) -> None:
    orders = [fo("9", {"1": 0}, status="CLOSED")] if state in ("FULFILLED", "DELIVERED") else None
    assert [step for step, _ in steps(MACHINE.plan(order_state(state, orders), ask(target)))] == way


@pytest.mark.parametrize(
    ("state", "request_", "unused"),
    [
        ("UNFULFILLED", ask("shipped", code="C", notify_customer=True), ()),
        ("UNFULFILLED", ask("delivered", notify_customer=False), ()),
        ("UNFULFILLED", ask("cancelled", reason="customer", notify_customer=True), ()),
        ("UNFULFILLED", ask("preparing", "1", notify_customer=True), ("items", "notify_customer")),
        ("UNFULFILLED", ask("shipped", delivery_info={}, erp_order_number="E"), ("delivery_info",)),
    ],
)
def test_a_field_that_goes_to_shopify_is_not_named_as_unused(
    state: str, request_: TargetRequest, unused: tuple[str, ...]
) -> None:
    found = MACHINE.plan(order_state(state), request_)
    assert isinstance(found, Plan), found
    assert found.unused == unused


@pytest.mark.parametrize(
    ("state", "target"),
    [
        ("PARTIALLY_FULFILLED", "cancelled"),
        ("FULFILLED", "cancelled"),
        ("CANCELLED", "shipped"),
        ("RETURNED", "shipped"),
    ],
)
def test_there_is_no_way_from_an_end_nor_from_what_left_to_cancelled(state: str, target: str) -> None:
    found = MACHINE.plan(order_state(state), ask(target))
    assert isinstance(found, Refusal)
    assert found.slug == "unreachable"


def test_each_location_is_a_parcel_and_what_does_not_travel_stays() -> None:
    orders = [fo("7", {"1": 1}, "A"), fo("8", {"2": 1}, "B"), fo("9", {"3": 1}, "A", method="PICK_UP")]
    way = steps(MACHINE.plan(order_state(orders=orders), ask("shipped")))
    assert way == [("fulfill", "PARTIALLY_FULFILLED"), ("fulfill", "PARTIALLY_FULFILLED")]


def test_a_closed_order_that_shows_a_remaining_quantity_is_not_counted() -> None:
    facts = order_state(orders=[fo("7", {"1": 2}, status="CLOSED"), fo("8", {"1": 2})]).facts
    assert remaining(facts) == {"1": 2}


def test_a_part_is_cut_out_of_several_fulfillment_orders() -> None:
    before = order_state(orders=[fo("7", {"1": 2}), fo("8", {"1": 2})])
    parcel = next_parcel(before.facts, ask("shipped", {"id": "1", "quantity": 3}))
    assert parcel is not None
    assert [(each.fulfillment_order, each.quantity) for each in parcel.portions] == [("7", 2), ("8", 1)]


def test_the_same_part_under_another_code_is_another_parcel() -> None:
    first, second = (ask("shipped", {"id": "1", "quantity": 1}, code=code) for code in ("A", "B"))
    after = MACHINE.after(order_state(), "fulfill", first, None, {})
    assert after.state == "PARTIALLY_FULFILLED"
    assert steps(MACHINE.plan(after, first)) == []
    assert steps(MACHINE.plan(after, second)) == [("fulfill", "PARTIALLY_FULFILLED")]


def test_the_same_part_without_a_code_is_the_same_parcel() -> None:
    part = ask("shipped", {"id": "1", "quantity": 1})
    after = MACHINE.after(order_state(), "fulfill", part, None, {})
    assert steps(MACHINE.plan(after, part)) == []
    observed = OrderState(after.state, after.state, "paid", {**after.facts, "shipped_as_asked": None})
    kept = MACHINE.merged_facts(after, observed)
    assert steps(MACHINE.plan(OrderState(after.state, after.state, "paid", kept), part)) == []


def test_tracking_of_the_rest_leaves_that_of_the_part_alone() -> None:
    after = MACHINE.after(order_state(), "fulfill", ask("shipped", {"id": "1", "quantity": 1}, code="A"), None, {})
    rest = ask("shipped", code="B")
    assert steps(MACHINE.plan(after, rest)) == [("fulfill", "FULFILLED")]
    whole = MACHINE.after(after, "fulfill", rest, None, {})
    assert steps(MACHINE.plan(whole, rest)) == []
    assert [each["codes"] for each in whole.facts["fulfillments"]] == [["A"], ["B"]]


@pytest.mark.parametrize("code", [None, "B"])
@pytest.mark.parametrize("is_rest_sent", [False, True])
def test_a_part_that_comes_once_more_leaves_the_parcels_after_it_alone(code: str | None, is_rest_sent: bool) -> None:
    first = ask("shipped", {"id": "1", "quantity": 1}, code="A")
    second = ask("shipped", *(() if is_rest_sent else ({"id": "1", "quantity": 1},)), code=code)
    one = MACHINE.after(order_state(), "fulfill", first, None, {"made": "701"})
    two = MACHINE.after(one, "fulfill", second, None, {"made": "702"})
    assert [each["codes"] for each in two.facts["fulfillments"]] == [["A"], [code] if code else []]
    assert steps(MACHINE.plan(two, first)) == []


def test_a_new_link_of_a_part_goes_to_its_own_parcel() -> None:
    part = {"id": "1", "quantity": 1}
    one = MACHINE.after(order_state(), "fulfill", ask("shipped", part, code="A"), None, {"made": "701"})
    two = MACHINE.after(one, "fulfill", ask("shipped", part, code="B"), None, {"made": "702"})
    linked = TargetRequest("shipped", items=(part,), tracking=Tracking("A", "https://t.example/A"))
    assert steps(MACHINE.plan(two, linked)) == [("update_tracking", "PARTIALLY_FULFILLED")]
    after = MACHINE.after(two, "update_tracking", linked, None, {})
    assert [each["urls"] for each in after.facts["fulfillments"]] == [["https://t.example/A"], []]


def test_new_tracking_of_several_parcels_has_to_name_its_items() -> None:
    after = MACHINE.after(order_state(), "fulfill", ask("shipped", "1", code="A"), None, {})
    whole = MACHINE.after(after, "fulfill", ask("shipped", code="B"), None, {})
    refused = MACHINE.plan(whole, ask("shipped", code="C"))
    assert isinstance(refused, Refusal)
    assert refused.slug == "not-allowed"
    assert steps(MACHINE.plan(whole, ask("shipped", "1", code="C"))) == [("update_tracking", "FULFILLED")]


def test_a_shipment_is_found_done_by_its_lines_and_code() -> None:
    before, part = order_state(), ask("shipped", {"id": "1", "quantity": 1}, code="A")
    observed = MACHINE.after(before, "fulfill", part, None, {})
    assert MACHINE.is_done("fulfill", before, observed, part) is True
    assert MACHINE.is_done("fulfill", before, before, part) is False
    other = MACHINE.after(before, "fulfill", ask("shipped", {"id": "1", "quantity": 1}, code="OTHER"), None, {})
    assert MACHINE.is_done("fulfill", before, other, part) is False
    assert MACHINE.is_done("fulfill", before, other, ask("shipped", {"id": "1", "quantity": 1})) is True


@pytest.mark.parametrize(("age", "recheck"), [(0, 2), (3, 5), (10, 15), (40, 60), (200, 60)])
def test_an_order_that_is_not_routed_yet_is_looked_at_ever_less_often(age: int, recheck: int) -> None:
    wait = MACHINE.wait(order_state(orders=[], age_seconds=age), ask("shipped"))
    assert wait is not None
    assert (wait.reason, wait.recheck_seconds) == ("platform", recheck)


def test_an_order_that_is_never_routed_is_not_waited_for() -> None:
    assert MACHINE.wait(order_state(orders=[], age_seconds=300), ask("shipped")) is None
    patient = build({"routing_timeout_seconds": 1000})
    assert patient.wait(order_state(orders=[], age_seconds=300), ask("shipped")) is not None


@pytest.mark.parametrize("target", ["cancelled", "accepted", "attention"])
def test_nothing_is_waited_for_that_the_target_does_not_need(target: str) -> None:
    assert MACHINE.wait(order_state(orders=[], age_seconds=0), ask(target)) is None


def test_what_is_ready_is_shipped_before_what_is_on_hold() -> None:
    orders = [fo("7", {"1": 1}, status="ON_HOLD", hold="OTHER"), fo("8", {"2": 1})]
    held = order_state("ON_HOLD", orders)
    assert MACHINE.wait(held, ask("shipped")) is None
    after = MACHINE.after(held, "fulfill", ask("shipped"), None, {})
    wait = MACHINE.wait(after, ask("shipped"))
    assert wait is not None
    assert "OTHER" in wait.detail


def test_a_scheduled_order_is_waited_for_until_its_time() -> None:
    orders = [fo("7", {"1": 1}, status="SCHEDULED", fulfill_at=1_800_000_000_000)]
    wait = MACHINE.wait(order_state("SCHEDULED", orders), ask("shipped"))
    assert wait is not None
    assert wait.until_ms == 1_800_000_000_000


def test_progress_waits_for_what_may_report_it() -> None:
    ready = fo("7", {"1": 1}, actions=["CREATE_FULFILLMENT"])
    held = order_state("ON_HOLD", [ready, fo("8", {"2": 1}, status="ON_HOLD", hold="OTHER")])
    assert MACHINE.wait(held, ask("preparing")) is not None
    assert MACHINE.wait(held, ask("shipped")) is None


def test_blanks_around_tracking_do_not_make_another_parcel() -> None:
    before, part = order_state(), ask("shipped", {"id": "1", "quantity": 1}, code=" 1Z\n")
    trimmed = MACHINE.after(before, "fulfill", ask("shipped", {"id": "1", "quantity": 1}, code="1Z"), None, {})
    assert MACHINE.is_done("fulfill", before, trimmed, part) is True
    assert steps(MACHINE.plan(trimmed, part)) == []


def test_a_code_of_blanks_marks_nothing() -> None:
    part = ask("shipped", {"id": "1", "quantity": 1}, code="  ")
    after = MACHINE.after(order_state(), "fulfill", part, None, {})
    assert after.facts["fulfillments"][0]["codes"] == []
    assert steps(MACHINE.plan(after, part)) == []


def test_another_carrier_of_the_same_code_is_new_tracking() -> None:
    def by(carrier: str | None) -> TargetRequest:
        return TargetRequest("shipped", tracking=Tracking(code="A", carrier=carrier))

    whole = MACHINE.after(order_state(), "fulfill", by("UPS"), None, {})
    assert [steps(MACHINE.plan(whole, by(same))) for same in ("UPS", "ups", None)] == [[], [], []]
    assert steps(MACHINE.plan(whole, by("DHL"))) == [("update_tracking", "FULFILLED")]
    after = MACHINE.after(whole, "update_tracking", by("DHL"), None, {})
    assert steps(MACHINE.plan(after, by("DHL"))) == []
    assert MACHINE.is_done("update_tracking", whole, whole, by("DHL")) is False


@pytest.mark.parametrize("state", ["PARTIALLY_FULFILLED", "IN_PROGRESS", "ON_HOLD", "SCHEDULED"])
def test_tracking_of_a_shipped_part_is_sent_whatever_the_rest_waits_for(state: str) -> None:
    rest = fo("9", {"2": 1}, status=state if state in ("ON_HOLD", "SCHEDULED") else "IN_PROGRESS")
    sent = {"id": "F", "is_live": True, "is_delivered": False, "codes": ["A"], "urls": [], "lines": {"1": 1}}
    here = order_state(state, [rest, fo("8", {"1": 0}, status="CLOSED")], fulfillments=[sent])
    linked = ask("shipped", "1", tracking=Tracking(code="A", url="https://example.com/A"))
    plan = MACHINE.plan(here, linked)
    assert steps(plan) == [("update_tracking", state)]
    assert isinstance(plan, Plan)
    assert plan.unused == ()
    assert MACHINE.wait(here, linked) is None
    again = MACHINE.plan(here, ask("shipped", "1", code="A"))
    assert steps(again) == []
    assert isinstance(MACHINE.plan(here, ask("cancelled")), Refusal)


def test_what_a_fulfilment_service_gave_back_is_still_to_be_shipped() -> None:
    given_back = fo("8", {"1": 1}, location="2", status="INCOMPLETE", actions=["REQUEST_FULFILLMENT"])
    both = order_state(orders=[given_back, fo("9", {"2": 1})])
    plan = MACHINE.plan(both, ask("shipped"))
    assert steps(plan) == [("fulfill", "PARTIALLY_FULFILLED"), ("fulfill", "FULFILLED")]
    assert MACHINE.after(both, "fulfill", ask("shipped"), None, {}).state == "PARTIALLY_FULFILLED"


def test_a_link_alone_leaves_the_code_as_it_is() -> None:
    whole = MACHINE.after(order_state(), "fulfill", ask("shipped", code="A"), None, {})
    link = TargetRequest("shipped", tracking=Tracking(url="https://example.com/A"))
    after = MACHINE.after(whole, "update_tracking", link, None, {})
    (parcel,) = after.facts["fulfillments"]
    assert (parcel["codes"], parcel["urls"]) == (["A"], ["https://example.com/A"])


@given(
    quantities=st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 5)), min_size=1, max_size=8),
    asked=st.lists(st.tuples(st.integers(0, 7), st.integers(1, 5)), max_size=8, unique_by=lambda each: each[0]),
    code=st.sampled_from(["1Z", None]),
)
def test_parcels_ship_what_was_asked_for_and_never_more(
    quantities: list[tuple[str, int]], asked: list[tuple[int, int]], code: str | None
) -> None:
    orders = [fo(str(n), {str(n): count}, place) for n, (place, count) in enumerate(quantities)]
    facts: Mapping[str, Json] = order_state(orders=orders).facts
    wanted = {str(n): min(count, quantities[n][1]) for n, count in asked if n < len(quantities)}
    items = tuple({"id": line, "quantity": count} for line, count in wanted.items())
    request = ask("shipped", *items, code=code)
    for _ in range(10):
        parcel = next_parcel(facts, request)
        if parcel is None:
            break
        facts = after_parcel(facts, parcel, request, "1")
    assert next_parcel(facts, request) is None
    assert shipped(facts) == (wanted or {str(n): count for n, (_, count) in enumerate(quantities)})


# -- what Shopify's answers mean ---------------------------------------------------------------------------------------


def order_node(name: str) -> dict[str, Any]:
    """A sample's order, with what our document asks for beyond it."""
    node: dict[str, Any] = json.loads((_SAMPLES / f"gql_order_state_response_{name}.json").read_text())["data"]["order"]
    end = {"pageInfo": {"hasNextPage": False}}
    node["lineItems"] = {
        "nodes": [{"id": "gid://shopify/LineItem/19702865396018", "quantity": 2, "currentQuantity": 2}]
    }
    node["lineItems"] |= end
    node["fulfillmentOrders"] |= end
    for each in node["fulfillmentOrders"]["nodes"]:
        each["lineItems"] |= end
    for each in node["fulfillments"]:
        each["fulfillmentLineItems"] = {"nodes": [], **end}
    return node


@pytest.mark.parametrize(
    ("name", "state", "left"),
    [
        ("unfulfilled", "UNFULFILLED", 2),
        ("in_progress_reported", "IN_PROGRESS", 2),
        ("partially_fulfilled", "PARTIALLY_FULFILLED", 1),
        ("fulfilled", "FULFILLED", 0),
        ("fulfillment_cancelled", "UNFULFILLED", 2),
        ("on_hold", "ON_HOLD", 2),
        ("cancelled", "CANCELLED", 0),
    ],
)
def test_observed_orders_are_understood(name: str, state: str, left: int) -> None:
    observed = read_order(order_node(name), "{}", 0)
    assert (observed.id, observed.reference, observed.state) == ("8887505781042", "#1675", state)
    assert sum(remaining(observed.facts).values()) == left


def test_an_order_without_fulfillment_orders_shows_its_age() -> None:
    observed = read_order(order_node("no_fulfillment_orders_yet"), "{}", 1_791_115_212_000)
    assert observed.facts["age_seconds"] == 12


def test_a_delivered_order_is_one_whose_live_parcels_have_all_arrived() -> None:
    node = order_node("fulfilled")
    node["fulfillments"][0]["displayStatus"] = "DELIVERED"
    assert read_order(node, "{}", 0).state == "DELIVERED"


def test_every_live_parcel_has_to_arrive_and_one_that_was_cancelled_does_not_count() -> None:
    node = order_node("fulfilled")
    (first,) = node["fulfillments"]
    second = {**first, "id": "gid://shopify/Fulfillment/2"}
    node["fulfillments"] = [{**first, "displayStatus": "DELIVERED"}, second]
    assert read_order(node, "{}", 0).state == "FULFILLED"
    second["status"] = "CANCELLED"
    assert read_order(node, "{}", 0).state == "DELIVERED"
    node["displayFulfillmentStatus"] = "PARTIALLY_FULFILLED"
    assert read_order(node, "{}", 0).state == "PARTIALLY_FULFILLED"


def test_an_order_without_a_payment_state_is_understood() -> None:
    node = order_node("unfulfilled")
    node["displayFinancialStatus"] = None
    assert read_order(node, "{}", 0).payment == "unknown"


def test_an_order_that_does_not_fit_on_a_read_is_not_half_understood() -> None:
    node = order_node("unfulfilled")
    node["fulfillmentOrders"]["pageInfo"] = {"hasNextPage": True}
    with pytest.raises(InvalidOrder):
        read_order(node, "{}", 0)


def test_an_order_with_as_many_fulfilments_as_a_read_shows_may_have_more_and_is_set_aside() -> None:
    node = order_node("fulfilled")
    (first, *_) = node["fulfillments"]
    node["fulfillments"] = [
        {**first, "id": f"gid://shopify/Fulfillment/{number}"} for number in range(1, MOST_FULFILLMENTS + 1)
    ]
    with pytest.raises(InvalidOrder):
        read_order(node, "{}", 0)
    node["fulfillments"].pop()
    assert read_order(node, "{}", 0).state == "FULFILLED"
