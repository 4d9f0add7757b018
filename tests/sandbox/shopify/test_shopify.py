"""The simulated Shopify against recorded answers, and its webhooks."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from orchestrator.clock import Clock
from orchestrator.platforms.base import signing
from orchestrator.platforms.shopify import webhooks
from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.platform import Incoming, PanelError, Stock
from orchestrator.sandbox.shopify.options import ShopifyOptions
from orchestrator.sandbox.shopify.orders import gid
from orchestrator.sandbox.shopify.platform import ShopifyPlatform
from orchestrator.sandbox.shopify.webhooks import ManualSender

_SAMPLES = Path(__file__).parents[2] / "samples" / "shopify"
_CREATE = """mutation Ship($fulfillment: FulfillmentInput!) { fulfillmentCreate(fulfillment: $fulfillment) {
  fulfillment { id } userErrors { field message } } }"""
_CANCEL = """mutation Cancel($id: ID!, $note: String) { orderCancel(orderId: $id, reason: OTHER, staffNote: $note) {
  job { id done } orderCancelUserErrors { field message code } userErrors { field message } } }"""
_PROGRESS = """mutation P($id: ID!) { fulfillmentOrderReportProgress(id: $id) {
  fulfillmentOrder { id status } userErrors { field message } } }"""


def platform(orders: int = 3, **options: Any) -> ShopifyPlatform:
    clock = Clock()
    return ShopifyPlatform(clock, Ledger(clock), ShopifyOptions(**options), Stock(orders, seed=1, shops=1))


def ask(shopify: ShopifyPlatform, query: str, **variables: Any) -> dict[str, Any]:
    shop = shopify.shop
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"X-Shopify-Access-Token": shop.token}
    path = f"/{shop.domain}/admin/api/2026-10/graphql.json"
    reply = shopify.open(Incoming("POST", path, "", headers, body)).act()
    answer: dict[str, Any] = json.loads(reply.body)
    return answer


def part(order: Any, count: int, at: int = 0) -> dict[str, Any]:
    each = order.fulfillment_orders[at]
    line = {"id": gid("FulfillmentOrderLineItem", each.lines[0][0]), "quantity": count}
    return {"fulfillmentOrderId": gid("FulfillmentOrder", each.id), "fulfillmentOrderLineItems": [line]}


def ship(shopify: ShopifyPlatform, *groups: dict[str, Any]) -> dict[str, Any]:
    return ask(shopify, _CREATE, fulfillment={"lineItemsByFulfillmentOrder": list(groups)})


def recorded(name: str, field: str) -> list[Any]:
    payload = json.loads((_SAMPLES / f"{name}.json").read_text())["data"][field]
    errors: list[Any] = payload.get("orderCancelUserErrors") or payload["userErrors"]
    return errors


def test_refused_shipments_are_reported_in_shopifys_words() -> None:
    shopify = platform()
    one, spread, other = shopify.shop.orders.values()
    refusals = {
        "too_many": ship(shopify, part(one, 9)),
        "zero_quantity": ship(shopify, part(one, 0)),
        "unknown_fulfillment_order": ship(shopify, {"fulfillmentOrderId": gid("FulfillmentOrder", 5)}),
    }
    for name, answer in refusals.items():
        expected = recorded(f"gql_fulfillment_create_response_{name}", "fulfillmentCreate")
        assert answer["data"]["fulfillmentCreate"]["userErrors"] == expected
    message = ship(shopify, part(spread, 1, 0), part(spread, 1, 1))["data"]["fulfillmentCreate"]["userErrors"][0]
    assert message["message"].startswith("All fulfillment orders must be assigned to a single location.")
    message = ship(shopify, part(one, 1), part(other, 1))["data"]["fulfillmentCreate"]["userErrors"][0]
    assert message["message"].startswith("All fulfillment orders must belong to the same order.")


def test_a_part_that_is_sent_twice_is_shipped_twice_and_the_whole_only_once() -> None:
    shopify = platform()
    order = next(iter(shopify.shop.orders.values()))
    for _ in range(2):
        assert ship(shopify, part(order, 1))["data"]["fulfillmentCreate"]["userErrors"] == []
    assert len(order.live()) == 2
    whole = {"fulfillmentOrderId": gid("FulfillmentOrder", order.fulfillment_orders[0].id)}
    assert ship(shopify, whole)["data"]["fulfillmentCreate"]["userErrors"] == []
    again = ship(shopify, whole)["data"]["fulfillmentCreate"]["userErrors"][0]["message"]
    assert again == f"Fulfillment order {order.fulfillment_orders[0].id} has an unfulfillable status= closed."


def test_cancelling_is_refused_in_shopifys_words() -> None:
    shopify = platform(job_seconds=0)
    shipped, cancelled, noted = shopify.shop.orders.values()
    shopify.panel.fulfill(shipped.id)
    shopify.panel.cancel(cancelled.id)
    refusals = {
        "outstanding_fulfillments": ask(shopify, _CANCEL, id=gid("Order", shipped.id)),
        "already_cancelled": ask(shopify, _CANCEL, id=gid("Order", cancelled.id)),
        "note_too_long": ask(shopify, _CANCEL, id=gid("Order", noted.id), note="x" * 256),
    }
    for name, answer in refusals.items():
        expected = recorded(f"gql_order_cancel_response_{name}", "orderCancel")
        assert answer["data"]["orderCancel"]["orderCancelUserErrors"] == expected


def test_progress_of_what_is_on_hold_is_refused_in_shopifys_words() -> None:
    shopify = platform()
    order = next(iter(shopify.shop.orders.values()))
    shopify.panel.hold(order.id)
    answer = ask(shopify, _PROGRESS, id=gid("FulfillmentOrder", order.fulfillment_orders[0].id))
    expected = recorded("gql_report_progress_response_on_hold", "fulfillmentOrderReportProgress")
    assert answer["data"]["fulfillmentOrderReportProgress"]["userErrors"] == expected


def test_only_what_is_asked_for_is_answered_and_what_does_not_exist_is_refused() -> None:
    shopify = platform()
    order = gid("Order", next(iter(shopify.shop.orders)))
    answer = ask(shopify, "query Q($id: ID!) { order(id: $id) { id name } }", id=order)
    assert answer["data"]["order"] == {"id": order, "name": "#1001"}
    assert "errors" in ask(shopify, "query Q($id: ID!) { order(id: $id) { id nmae } }", id=order)
    assert "errors" in ask(shopify, "query Q { oops { id } }")
    assert "errors" in ask(shopify, "{{{")


def test_a_shop_that_spent_its_points_is_throttled_with_the_recorded_shape() -> None:
    shopify = platform(bucket=10, restore_rate=1)
    answer = ask(shopify, "query Q { shop { name } }")
    expected = json.loads((_SAMPLES / "gql_error_throttled.json").read_text())
    assert answer["errors"] == expected["errors"]
    assert answer["extensions"]["cost"].keys() == expected["extensions"]["cost"].keys()


def test_goods_of_a_cancelled_fulfillment_come_back_in_a_new_fulfillment_order() -> None:
    shopify = platform()
    order = next(iter(shopify.shop.orders.values()))
    shopify.panel.fulfill(order.id)
    shopify.panel.unfulfill(order.id)
    old, *new = order.fulfillment_orders
    assert (old.status, {each.status for each in new}) == ("CLOSED", {"OPEN"})
    assert sum(line[3] for line in old.lines) == sum(line[3] for each in new for line in each.lines)


def test_webhooks_are_signed_and_name_their_order() -> None:
    shopify = platform()
    sender = ManualSender(shopify.shop, "https://erp.example")
    order = shopify.panel.add()
    shopify.panel.fulfill(order)
    due = [each for each in sender.due() if not each.topic.startswith("fulfillment_orders/")]
    assert {"orders/create", "fulfillments/create", "orders/fulfilled", "orders/updated"} <= {d.topic for d in due}
    for each in due:
        body = json.loads(each.body)
        assert signing.verify(each.body, each.headers["X-Shopify-Hmac-Sha256"], [shopify.shop.webhook_secret])
        assert webhooks.topic_of(each.headers, body) == each.topic
        assert webhooks.order_id_of(each.topic, body) == order
        assert webhooks.updated_at_ms(body) is not None
    assert len({each.headers["X-Shopify-Webhook-Id"] for each in due}) == len(due)


@pytest.mark.parametrize("seed", range(3))
def test_webhooks_repeat_and_lose_their_sequence_where_that_is_asked_for(seed: int) -> None:
    shopify = platform()
    sender = ManualSender(shopify.shop, "https://erp.example", 0.5, disorder=True, rng=random.Random(seed))
    for product in [shopify.panel.add_product() for _ in range(10)]:
        shopify.panel.edit_product(product)
    due = sender.due()
    ids = [each.headers["X-Shopify-Webhook-Id"] for each in due]
    assert 20 < len(due) <= 40
    assert len(set(ids)) == 20
    assert sorted(each.topic for each in due) != [each.topic for each in due]
    assert sender.due() == []


_PAGE = """query P($id: ID!, $after: String) { order(id: $id) { lineItems(first: 3, after: $after) {
  nodes { id } pageInfo { hasNextPage endCursor } } } }"""


def test_a_nested_list_is_shown_page_by_page_and_a_node_that_goes_moves_no_page() -> None:
    shopify = platform()
    made = shopify.panel.add(line_count=8)
    order = shopify.panel.order(made)
    ids = [gid("LineItem", line.id) for line in order.lines]

    def page(after: str | None) -> dict[str, Any]:
        listed: dict[str, Any] = ask(shopify, _PAGE, id=gid("Order", order.id), after=after)["data"]["order"]
        return {**listed["lineItems"], "ids": [node["id"] for node in listed["lineItems"]["nodes"]]}

    first = page(None)
    assert (first["ids"], first["pageInfo"]["hasNextPage"]) == (ids[:3], True)
    del order.lines[0]
    second = page(first["pageInfo"]["endCursor"])
    assert (second["ids"], second["pageInfo"]["hasNextPage"]) == (ids[3:6], True)
    last = page(second["pageInfo"]["endCursor"])
    assert (last["ids"], last["pageInfo"]["hasNextPage"]) == (ids[6:], False)
    assert "errors" in ask(shopify, _PAGE, id=gid("Order", order.id), after="bm8=")


def test_a_page_holds_no_more_than_the_shop_shows_and_every_list_says_how_much_it_wants() -> None:
    shopify = platform(most_nodes=2)
    order = gid("Order", int(shopify.panel.add(line_count=3)))
    listed = ask(shopify, _PAGE, id=order)["data"]["order"]["lineItems"]
    assert (len(listed["nodes"]), listed["pageInfo"]["hasNextPage"]) == (2, True)
    assert "errors" in ask(shopify, _PAGE.replace("first: 3", "first: 251"), id=order)
    assert "errors" in ask(shopify, "query Q($id: ID!) { order(id: $id) { lineItems { nodes { id } } } }", id=order)


def test_lines_of_a_large_order_have_ids_of_their_own() -> None:
    shopify = platform()
    made = [shopify.panel.add(line_count=count) for count in (700, 2, 700)]
    ids = [line.id for order in shopify.shop.orders.values() for line in order.lines]
    assert len(set(ids)) == len(ids)
    assert len(shopify.panel.order(made[0]).fulfillment_orders[0].lines) == 700
    for wrong in (0, 10_001, True, "3"):
        with pytest.raises(PanelError):
            shopify.operate({"action": "add", "lines": wrong})


def test_more_lines_than_one_call_takes_are_refused() -> None:
    shopify = platform()
    order = shopify.panel.order(shopify.panel.add(line_count=513))
    (each,) = order.fulfillment_orders
    lines = [{"id": gid("FulfillmentOrderLineItem", line[0]), "quantity": 1} for line in each.lines]
    group = {"fulfillmentOrderId": gid("FulfillmentOrder", each.id)}
    (error,) = ship(shopify, {**group, "fulfillmentOrderLineItems": lines})["errors"]
    assert error["extensions"]["code"] == "MAX_INPUT_SIZE_EXCEEDED"
    assert order.live() == []
    ship(shopify, {**group, "fulfillmentOrderLineItems": lines[:512]})
    assert len(order.live()[0].lines) == 512


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("status:open", [0, 1]),
        ("status:closed", [2]),
        ("status:cancelled", [3]),
        ("created_at:>='2024-03-01T00:00:00Z'", [1, 2, 3]),
        ("created_at:<2024-03-01 status:open", [0]),
        ("colour:red", [0, 1, 2, 3]),
        ("", [0, 1, 2, 3]),
    ],
)
def test_the_list_of_orders_is_cut_by_status_and_time(query: str, places: list[int]) -> None:
    shopify = platform(4)
    old, _, closed, cancelled = ids = shopify.order_ids()
    shopify.panel.backdate(old, 1_600_000_000_000)
    shopify.panel.close(closed)
    shopify.panel.cancel(cancelled)
    document = "query Q($q: String) { orders(first: 50, query: $q) { nodes { id closedAt } pageInfo { hasNextPage } } }"
    rows = ask(shopify, document, q=query)["data"]["orders"]["nodes"]
    assert {row["id"] for row in rows} == {gid("Order", int(ids[place])) for place in places}
    shopify.panel.open(closed)
    assert {row["id"] for row in ask(shopify, document, q="status:closed")["data"]["orders"]["nodes"]} == set()
