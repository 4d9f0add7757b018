"""The simulated Shopify's subscriptions, the events behind its webhooks, and the knobs."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from orchestrator.sandbox.shopify.orders import gid
from tests.sandbox.posting import (
    CREATE,
    DELETE,
    LIST,
    PART,
    ROUTED,
    UPDATE,
    posting,
)

SAMPLES = Path(__file__).parents[1] / "samples" / "shopify"

# -- routing and parts -------------------------------------------------------------------------------------------------


async def test_routing_is_published_when_it_ends_though_nobody_asks() -> None:
    async with posting(is_timed=True) as post:
        post.subscribe(ROUTED, "orders/create")
        order = (await post.panel("add", routing_seconds=60))["order"]
        await post.receiver.first("orders/create")
        (part,) = post.sandbox.shopify.panel.order(order).fulfillment_orders
        assert await post.ask(PART, id=gid("FulfillmentOrder", part.id)) is None
        assert not post.receiver.of(ROUTED)
        post.time.pass_seconds(60)
        got = await post.receiver.first(ROUTED)
        assert got.body == {"fulfillment_order": {"id": gid("FulfillmentOrder", part.id), "status": "open"}}
        answer = await post.ask(PART, id=got.body["fulfillment_order"]["id"])
        assert answer["order"]["id"] == gid("Order", int(order))


async def test_routing_that_takes_no_time_is_reported_at_once_for_every_part() -> None:
    async with posting() as post:
        post.subscribe(ROUTED)
        orders = [post.sandbox.shopify.panel.add() for _ in range(3)]
        parts = [part for order in orders for part in post.sandbox.shopify.panel.order(order).fulfillment_orders]
        await post.receiver.until(lambda: len(post.receiver.got) == len(parts))
        assert len(parts) > len(orders)
        assert len({each.ids for each in post.receiver.got}) == len(parts)


async def test_a_fulfillment_order_that_nobody_has_is_null() -> None:
    async with posting() as post:
        assert await post.ask(PART, id=gid("FulfillmentOrder", 7)) is None


@pytest.mark.parametrize("seconds", [-1, "soon", True, 10**9])
async def test_a_senseless_routing_time_is_refused(seconds: Any) -> None:
    async with posting() as post:
        status, answer = await post.panel("add", routing_seconds=seconds)
        assert status == 400
        assert "routing_seconds" in answer["error"]


async def test_what_people_do_to_parts_is_reported_under_their_topics() -> None:
    async with posting() as post:
        topics = ("placed_on_hold", "hold_released", "split", "order_routing_complete")
        post.subscribe(*(f"fulfillment_orders/{topic}" for topic in topics))
        order = post.sandbox.shopify.order_ids()[0]
        old = post.sandbox.shopify.panel.order(order).fulfillment_orders[0]
        bodies: dict[str, Any] = {}
        for action, topic in zip(("hold", "release_hold", "split", "route"), topics, strict=True):
            await post.panel(action, order=order)
            bodies[topic] = (await post.receiver.first(f"fulfillment_orders/{topic}")).body
        assert {topic: body["fulfillment_order"]["status"] for topic, body in bodies.items()} == {
            "placed_on_hold": "on_hold",
            "hold_released": "open",
            "split": "closed",
            "order_routing_complete": "closed",
        }
        assert {body["fulfillment_order"]["id"] for body in bodies.values()} == {gid("FulfillmentOrder", old.id)}
        assert bodies["placed_on_hold"]["created_fulfillment_hold"]["reason"] == "incorrect_address"
        new = post.sandbox.shopify.panel.order(order).fulfillment_orders[1]
        assert bodies["split"]["replacement_fulfillment_order"]["id"] == gid("FulfillmentOrder", new.id)


async def test_reported_progress_is_reported_with_the_members_of_the_published_samples() -> None:
    async with posting() as post:
        topics = ("progress_reported", "manually_reported_progress_stopped")
        post.subscribe(*(f"fulfillment_orders/{topic}" for topic in topics))
        order = post.sandbox.shopify.order_ids()[0]
        for action, topic, status in zip(
            ("report_progress", "stop_progress"), topics, ("in_progress", "open"), strict=True
        ):
            await post.panel(action, order=order)
            body = (await post.receiver.first(f"fulfillment_orders/{topic}")).body
            published = json.loads((SAMPLES / f"webhook_fulfillment_orders_{topic}.json").read_text())
            assert body.keys() == published.keys()
            assert body["fulfillment_order"]["status"] == status


# -- products ----------------------------------------------------------------------------------------------------------


async def test_products_are_reported_whole_with_ids_that_no_float_holds() -> None:
    async with posting() as post:
        post.subscribe("products/create", "products/update", path="/products")
        product = (await post.panel("add_product", title="Mug"))["product"]
        made = (await post.receiver.first("products/create")).body
        await post.panel("edit_product", product=product, title="Big mug")
        edited = (await post.receiver.first("products/update")).body
        assert (str(made["id"]), made["title"], edited["title"]) == (product, "Mug", "Big mug")
        assert int(float(made["id"])) != made["id"]
        assert made["admin_graphql_api_id"] == gid("Product", made["id"])
        assert {each["product_id"] for each in made["variants"]} == {made["id"]}
        assert made["updated_at"] <= edited["updated_at"]
        assert (await post.panel("edit_product", product="1"))[0] == 400


# -- knobs -------------------------------------------------------------------------------------------------------------


async def test_webhooks_come_twice_where_that_is_asked_for() -> None:
    async with posting(faults={"webhook_twice": 1}) as post:
        post.subscribe("orders/create")
        for _ in range(10):
            await post.panel("add")
        await post.receiver.until(lambda: len(post.receiver.got) == 20)
        assert set(Counter((each.ids, each.raw) for each in post.receiver.got).values()) == {2}


async def test_webhooks_lose_their_sequence_where_that_is_asked_for() -> None:
    async with posting(faults={"webhook_shuffled": 1}, webhook_retry_seconds=0.1) as post:
        post.subscribe("products/update")
        product = post.sandbox.shopify.panel.add_product("0")
        titles = [str(n) for n in range(1, 20)]
        for title in titles:
            post.sandbox.shopify.panel.edit_product(product, title)
        await post.receiver.until(lambda: len(post.receiver.got) == len(titles))
        got = [each.body["title"] for each in post.receiver.got]
        assert got != titles
        assert sorted(got, key=int) == titles


async def test_webhooks_are_lost_where_that_is_asked_for_and_only_as_long() -> None:
    async with posting() as post:
        url = f"{post.sandbox.base_url}/_sandbox/faults"
        post.subscribe("orders/create")
        async with post.session.post(url, json={"webhook_lost": 1}) as response:
            assert response.status == 200
        await post.panel("add")
        assert (post.waiting, post.shop.webhooks.lost) == (0, 1)
        async with post.session.post(url, json={}) as response:
            assert response.status == 200
        last = (await post.panel("add"))["order"]
        assert str((await post.receiver.first("orders/create")).body["id"]) == last


async def test_faults_of_webhooks_are_no_faults_of_calls() -> None:
    rates = {"webhook_twice": 1.0, "webhook_lost": 1.0, "webhook_shuffled": 1.0, "error_before": 0}
    async with posting(faults=rates) as post:
        assert (await post.ask("query Q { shop { name } }"))["name"] == "shopy1"
        async with post.session.get(f"{post.sandbox.base_url}/_sandbox") as response:
            assert set(rates) <= set((await response.json())["faults"])


async def test_the_panel_makes_subscriptions_vanish() -> None:
    async with posting() as post:
        post.subscribe("orders/create", "orders/updated", path="/one")
        post.subscribe("orders/create", path="/two")
        assert await post.panel("unsubscribe", topic="orders/create") == {"unsubscribed": 2}
        assert [each.topic for each in post.shop.subscriptions] == ["ORDERS_UPDATED"]
        assert await post.panel("unsubscribe", topic="ORDERS_UPDATED") == {"unsubscribed": 1}


# -- subscriptions over GraphQL ----------------------------------------------------------------------------------------


async def test_a_subscription_is_made_moved_and_deleted() -> None:
    async with posting() as post:
        wanted = {"uri": post.receiver.url("/one"), "format": "JSON", "name": "orders-to-erp"}
        made = (await post.ask(CREATE, topic="ORDERS_CREATE", sub=wanted))["webhookSubscription"]
        assert made == {**wanted, "id": made["id"], "topic": "ORDERS_CREATE", "filter": None, "includeFields": []}
        await post.panel("add")
        assert (await post.receiver.first("orders/create")).headers["X-Shopify-Name"] == "orders-to-erp"
        moved = await post.ask(UPDATE, id=made["id"], sub={"uri": post.receiver.url("/two")})
        assert (moved["webhookSubscription"]["uri"], moved["userErrors"]) == (post.receiver.url("/two"), [])
        await post.panel("add")
        await post.receiver.until(lambda: len(post.receiver.got) == 2)
        assert [each.path for each in post.receiver.got] == ["/one", "/two"]
        gone = await post.ask(DELETE, id=made["id"])
        assert gone == {"deletedWebhookSubscriptionId": made["id"], "userErrors": []}
        assert (await post.ask(LIST))["nodes"] == []
        for answer in (await post.ask(DELETE, id=made["id"]), await post.ask(UPDATE, id=made["id"], sub={})):
            assert answer["userErrors"] == [{"field": ["id"], "message": "Webhook subscription does not exist"}]


async def test_one_made_as_xml_gets_xml_until_it_is_updated() -> None:
    async with posting() as post:
        await post.panel("subscribe", topic="orders/create", uri=post.receiver.url(), format="XML")
        (listed,) = (await post.ask(LIST))["nodes"]
        assert listed["format"] == "XML"
        order = (await post.panel("add"))["order"]
        got = await post.receiver.first("orders/create")
        root = ElementTree.fromstring(got.raw)
        assert (got.headers["Content-Type"], root.tag, root.findtext("id")) == ("application/xml", "order", order)
        assert root.find("line-items/line-item/sku") is not None
        updated = await post.ask(UPDATE, id=listed["id"], sub={"uri": listed["uri"], "format": "JSON"})
        assert (updated["webhookSubscription"]["format"], updated["userErrors"]) == ("JSON", [])
        await post.panel("add")
        await post.receiver.until(lambda: len(post.receiver.got) == 2)
        assert post.receiver.got[1].headers["Content-Type"] == "application/json"
        assert (await post.panel("subscribe", topic="orders/paid", uri=post.receiver.url(), format="CSV"))[0] == 400


@pytest.mark.parametrize("host", ["erp.example", "127.0.0.1.erp.example", "10.0.0.1", "localhost.erp.example"])
async def test_plain_http_is_refused_but_for_loopback(host: str) -> None:
    async with posting() as post:
        answer = await post.ask(CREATE, topic="ORDERS_CREATE", sub={"uri": f"http://{host}/hooks"})
        assert answer["webhookSubscription"] is None
        refusal = {"field": ["webhookSubscription", "callbackUrl"]}
        assert answer["userErrors"] == [{**refusal, "message": "Address protocol http:// is not supported"}]
        for near in ("127.0.0.1:9", "localhost", "[::1]:9"):
            answer = await post.ask(CREATE, topic="ORDERS_CREATE", sub={"uri": f"http://{near}/hooks"})
            assert answer["userErrors"] == []
        answer = await post.ask(CREATE, topic="ORDERS_CREATE", sub={"uri": "http://localhost/hooks"})
        assert answer["userErrors"] == [{**refusal, "message": "Address for this topic has already been taken"}]


async def test_a_long_list_of_subscriptions_comes_in_pages() -> None:
    async with posting() as post:
        for n in range(5):
            post.shop.subscriptions.create("orders/create", f"https://erp.example/{n}")
        post.shop.subscriptions.create("orders/paid", "https://erp.example/0")
        seen: list[str] = []
        after = None
        while True:
            page = await post.ask(LIST, first=2, after=after, topics=["ORDERS_CREATE"])
            seen += [each["uri"][-1] for each in page["nodes"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert seen == ["0", "1", "2", "3", "4"]
        named = (await post.ask(LIST, uri="https://erp.example/0"))["nodes"]
        assert [each["topic"] for each in named] == ["ORDERS_CREATE", "ORDERS_PAID"]
