"""Returns in the simulated Shopify: what a back office does about them, what the API shows, what webhooks say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.posting import Post, posting

_SAMPLES = Path(__file__).parents[1] / "samples" / "shopify"
READ = """query R($id: ID!) { order(id: $id) { returnStatus displayFulfillmentStatus
  returns(first: 10) { nodes { id name status
    returnLineItems(first: 10) { nodes { quantity processedQuantity
      ... on ReturnLineItem { fulfillmentLineItem { lineItem { id } } } } }
    exchangeLineItems(first: 10) { nodes { unprocessedQuantity } } } } } }"""
MOVES = ("request", "approve", "decline", "cancel", "close", "reopen", "process")


async def shipped(post: Post) -> str:
    order = str(post.sandbox.shopify.order_ids()[0])
    await post.panel("fulfill", order=order)
    return order


async def read(post: Post, order: str) -> Any:
    return await post.ask(READ, id=f"gid://shopify/Order/{order}")


async def test_the_summary_follows_the_returns_requests_before_open_ones_before_closed() -> None:
    async with posting() as post:
        order = await shipped(post)
        lines = post.sandbox.shopify.panel.order(order).lines
        assert (await read(post, order))["returnStatus"] == "NO_RETURN"
        one = [{"id": lines[0].id, "quantity": 1}]
        closed = (await post.panel("return", order=order, lines=one))["return"]
        assert (await read(post, order))["returnStatus"] == "RETURNED"
        asked = (await post.panel("request_return", order=order, lines=one))["return"]
        assert (await read(post, order))["returnStatus"] == "RETURN_REQUESTED"
        await post.panel("approve_return", order=order, **{"return": asked})
        assert (await read(post, order))["returnStatus"] == "IN_PROGRESS"
        await post.panel("cancel_return", order=order, **{"return": asked})
        shown = await read(post, order)
        assert (shown["returnStatus"], shown["displayFulfillmentStatus"]) == ("RETURNED", "FULFILLED")
        states = {each["id"].rpartition("/")[2]: each["status"] for each in shown["returns"]["nodes"]}
        assert states == {closed: "CLOSED", asked: "CANCELED"}


async def test_processing_leaves_a_return_open_and_sends_what_the_buyer_gets_in_exchange() -> None:
    async with posting() as post:
        order = await shipped(post)
        line = post.sandbox.shopify.panel.order(order).lines[0]
        made = (await post.panel("open_return", order=order, exchange=2))["return"]
        part = [{"id": line.id, "quantity": 1}]
        answer = await post.panel("process_return", order=order, lines=part, **{"return": made})
        assert answer["status"] == "OPEN"
        shown = await read(post, order)
        (found,) = shown["returns"]["nodes"]
        processed = {
            row["fulfillmentLineItem"]["lineItem"]["id"]: row["processedQuantity"]
            for row in found["returnLineItems"]["nodes"]
        }
        assert processed[f"gid://shopify/LineItem/{line.id}"] == 1
        assert sum(processed.values()) == 1
        assert found["exchangeLineItems"]["nodes"] == [{"unprocessedQuantity": 0}]
        assert shown["displayFulfillmentStatus"] == "PARTIALLY_FULFILLED"


@pytest.mark.parametrize("move", MOVES)
async def test_each_move_is_reported_in_the_form_of_its_sample(move: str) -> None:
    sample = json.loads((_SAMPLES / f"webhook_returns_{move}.json").read_text())
    async with posting() as post:
        order = await shipped(post)
        post.subscribe(f"returns/{move}")
        begin = "request_return" if move in ("request", "approve", "decline") else "open_return"
        made = (await post.panel(begin, order=order))["return"]
        if move == "reopen":
            await post.panel("close_return", order=order, **{"return": made})
        if move != "request":
            await post.panel(f"{move}_return", order=order, **{"return": made})
        body = (await post.receiver.first(f"returns/{move}")).body
        assert set(body) <= set(sample)
        assert body.get("status") == sample.get("status")
        if "order" in sample:
            assert body["order"]["id"] == int(order)
        elif "order_id" in sample:
            assert body["order_id"] == int(order)


async def test_money_that_goes_back_is_reported_with_the_order_of_the_refund() -> None:
    async with posting() as post:
        order = await shipped(post)
        post.subscribe("refunds/create")
        await post.panel("return", order=order)
        assert (await post.receiver.first("refunds/create")).body["order_id"] == int(order)


@pytest.mark.parametrize(
    ("action", "fields", "words"),
    [
        ("return", {"lines": [{"id": 1, "quantity": 1}]}, "invalid quantity"),
        ("return", {"lines": "all"}, "lines must be a list"),
        ("return", {"lines": [{"id": "x"}]}, "lines must be a list"),
        ("close_return", {"return": "7"}, "has no return 7"),
        ("close_return", {}, "return"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_words(action: str, fields: dict[str, Any], words: str) -> None:
    async with posting() as post:
        order = await shipped(post)
        status, answer = await post.panel(action, order=order, **fields)
        assert status == 400
        assert words in json.dumps(answer)


async def test_goods_that_a_service_declined_show_as_such_until_they_are_shipped() -> None:
    async with posting() as post:
        order = str(post.sandbox.shopify.order_ids()[0])
        post.subscribe("fulfillment_orders/fulfillment_request_rejected")
        await post.panel("decline_request", order=order)
        assert (await read(post, order))["displayFulfillmentStatus"] == "REQUEST_DECLINED"
        body = (await post.receiver.first("fulfillment_orders/fulfillment_request_rejected")).body
        assert body["fulfillment_order"]["id"].startswith("gid://shopify/FulfillmentOrder/")
        await post.panel("fulfill", order=order)
        assert (await read(post, order))["displayFulfillmentStatus"] == "FULFILLED"
