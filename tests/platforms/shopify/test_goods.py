"""What of a Shopify order's lines is left to be shipped, where it lies, and how it goes: by its fulfillment orders."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.platforms.completion import completed
from orchestrator.platforms.shopify.content import content_of
from tests.platforms.shopify.test_words import node, words


def whole(**changes: Any) -> Any:
    return completed(content_of(json.loads(json.dumps(node(**changes)))))


def parts(*orders: dict[str, Any]) -> dict[str, Any]:
    """Fulfillment orders like the first one but for what each brings."""
    found = node()["fulfillmentOrders"]
    (first,) = found["nodes"]
    return {"fulfillmentOrders": {**found, "nodes": [{**first, **each} for each in orders]}}


MAIN, OUTLET = (
    {"name": name, "location": {"id": f"gid://shopify/Location/{number}", "isFulfillmentService": False}}
    for number, name in ((1, "Main"), (2, "Outlet"))
)


def test_what_is_left_and_where_is_given_once_fulfillment_orders_are_there() -> None:
    (line,) = whole(**parts({"assignedLocation": MAIN}))["lines"]
    assert (line["open"], line["location"]) == ("2", {"id": "1", "name": "Main"})
    before = whole(**parts())
    assert before["lines"][0]["open"] is None
    assert {"/lines/*/open", "/lines/*/location/id", "/delivery/method"} <= set(before["gaps"])


def test_goods_of_a_line_in_two_places_have_no_one_place() -> None:
    content = whole(**parts({"assignedLocation": MAIN}, {"assignedLocation": OUTLET}))
    assert content["lines"][0]["open"] == "4"
    assert "/lines/*/location/id" in content["gaps"]


def test_what_is_closed_is_not_open_and_what_is_cancelled_lies_nowhere() -> None:
    content = whole(
        **parts({"status": "CLOSED", "assignedLocation": MAIN}, {"status": "CANCELLED", "assignedLocation": OUTLET})
    )
    (line,) = content["lines"]
    assert (line["open"], line["location"]["name"]) == ("0", "Main")


@pytest.mark.parametrize("method", words("DeliveryMethodType", "2026-10"))
def test_every_way_of_delivery_has_a_word_of_ours(method: str) -> None:
    content = whole(**parts({"deliveryMethod": {"methodType": method}}))
    assert content["delivery"]["method"] in ("shipping", "pickup", "local", "none")
    mixed = whole(**parts({"deliveryMethod": {"methodType": method}}, {"deliveryMethod": {"methodType": "NEW"}}))
    assert "/delivery/method" in mixed["gaps"]


@pytest.mark.parametrize(
    ("gateways", "status", "expected"),
    [
        (["Cash on Delivery (COD)"], "PENDING", True),
        (["bogus"], "PAID", False),
        (["bogus"], "AUTHORIZED", False),
        (["manual"], "PENDING", None),
    ],
)
def test_whether_money_is_collected_on_delivery(gateways: list[str], status: str, expected: bool | None) -> None:
    content = whole(paymentGatewayNames=gateways, displayFinancialStatus=status)
    assert content["payment"]["on_delivery"] is expected
    assert ("/payment/on_delivery" in content["gaps"]) is (expected is None)


def test_who_cancelled_is_given_where_shopify_says_so() -> None:
    content = whole(cancelledAt="2026-10-06T06:33:03Z", cancelReason="INVENTORY")
    assert content["cancelled"] == {"at": "2026-10-06T06:33:03Z", "by": None, "reason": "inventory"}
    assert "/cancelled/by" in content["gaps"]
    assert whole(cancelledAt="2026-10-06T06:33:03Z", cancelReason="CUSTOMER")["cancelled"]["by"] == "buyer"
