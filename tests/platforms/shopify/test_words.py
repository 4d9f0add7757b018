"""Every word that Shopify has for where an order and its goods stand is known, in each version that is called."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLEnumType

from orchestrator.platforms.shopify.content import STATUS
from orchestrator.platforms.shopify.wire import read_order
from orchestrator.registry import PLATFORMS
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from statemachines.machine import Plan, Refusal
from statemachines.shopify.facts import OPEN_STATUSES, remaining
from statemachines.shopify.returns import UNDERWAY, came_back
from statemachines.target import TargetRequest
from tests.platforms.shopify.schema import VERSIONS, admin_schema

MACHINE = PLATFORMS["shopify"].machine({})
NOW = 1_800_000_000_000


def words(enum: str, version: str) -> list[str]:
    """The values of an enum; one that a version adds fails the test that does not know it."""
    found = admin_schema(version).type_map[enum]
    assert isinstance(found, GraphQLEnumType)
    return list(found.values)


def node(**changes: Any) -> Any:
    """An order of two pieces that can be shipped, as Shopify shows it."""
    sandbox = Sandbox(SandboxSettings(orders=0))
    order = sandbox.shopify.panel.order(sandbox.shopify.panel.add(0, 2))
    return {**order.node(NOW), **changes}


def snapshot(**changes: Any) -> Any:
    return read_order(node(**changes), "{}", NOW)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_display_status_is_a_state_of_the_machine(version: str) -> None:
    for word in words("OrderDisplayFulfillmentStatus", version):
        assert MACHINE.knows(snapshot(displayFulfillmentStatus=word).state)


def test_a_display_status_that_nobody_knows_stays_what_it_is() -> None:
    assert not MACHINE.knows(snapshot(displayFulfillmentStatus="SOMETHING_NEW").state)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_goods_of_every_fulfilment_order_are_either_to_be_shipped_or_not(version: str) -> None:
    for word in words("FulfillmentOrderStatus", version):
        order = node()
        order["fulfillmentOrders"]["nodes"][0]["status"] = word
        left = sum(remaining(read_order(order, "{}", NOW).facts).values())
        assert left == (2 if word in OPEN_STATUSES else 0)
        assert word in OPEN_STATUSES or word in ("CLOSED", "CANCELLED")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_service_said_shows_who_ships(version: str) -> None:
    taken = {"SUBMITTED", "ACCEPTED", "CANCELLATION_REQUESTED", "CANCELLATION_REJECTED"}
    for word in words("FulfillmentOrderRequestStatus", version):
        order = node(displayFulfillmentStatus="REQUEST_DECLINED" if word == "REJECTED" else "UNFULFILLED")
        order["fulfillmentOrders"]["nodes"][0]["requestStatus"] = word
        shown = read_order(order, "{}", NOW)
        plan = MACHINE.plan(shown.order_state(), TargetRequest("shipped"))
        if word in taken:
            assert isinstance(plan, Refusal)
            assert word in plan.detail
        else:
            assert isinstance(plan, Plan)
            assert [step.step for step in plan.steps] == ["fulfill"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_state_of_a_return_says_whether_its_goods_are_back(version: str) -> None:
    for word in words("ReturnStatus", version):
        facts = {
            "returns": [
                {"id": "1", "state": word, "lines": [{"id": "7", "quantity": 2}], "processed": {}, "exchange": 1}
            ]
        }
        assert came_back(facts) == ({"7": 2} if word == "CLOSED" else {})
        assert word in UNDERWAY or word in ("CLOSED", "CANCELED", "DECLINED")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_financial_status_has_a_word_of_ours(version: str) -> None:
    for word in words("OrderDisplayFinancialStatus", version):
        assert snapshot(displayFinancialStatus=word).payment in ("paid", "unpaid")
        assert word in STATUS


@pytest.mark.parametrize("version", VERSIONS)
def test_a_parcel_has_arrived_when_it_was_delivered_or_picked_up_and_only_then(version: str) -> None:
    for word in words("FulfillmentDisplayStatus", version):
        parcel: dict[str, Any] = {"id": "gid://shopify/Fulfillment/1", "status": "SUCCESS", "displayStatus": word}
        lines = {"nodes": [], "pageInfo": {"hasNextPage": False}}
        parcel |= {
            "deliveredAt": None,
            "createdAt": "2026-10-06T06:33:03Z",
            "trackingInfo": [],
            "fulfillmentLineItems": lines,
        }
        arrived = snapshot(displayFulfillmentStatus="FULFILLED", fulfillments=[parcel]).state == "DELIVERED"
        assert arrived is (word in ("DELIVERED", "PICKED_UP"))


@pytest.mark.parametrize("version", VERSIONS)
def test_no_summary_of_returns_makes_an_order_returned(version: str) -> None:
    for word in words("OrderReturnStatus", version):
        assert snapshot(displayFulfillmentStatus="FULFILLED", returnStatus=word).state == "FULFILLED"
