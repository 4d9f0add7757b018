"""The simulated Shopify sends webhooks: over real HTTP, unasked, at least once, and not for ever."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import aiohttp
import pytest

from orchestrator.clock import Clock
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.shopify_orders import gid
from orchestrator.sandbox.shopify_shop import ShopifyOptions, ShopifyShop
from tests.sandbox.probe import HandClock
from tests.sandbox.receiver import Receiver, receiving

_TOPICS = ("orders/create", "orders/updated", "fulfillments/create", "orders/cancelled", "products/update")
_ROUTED = "fulfillment_orders/order_routing_complete"
_LIST = """query L($first: Int, $after: String, $topics: [WebhookSubscriptionTopic!], $uri: String) {
  webhookSubscriptions(first: $first, after: $after, topics: $topics, uri: $uri) {
    nodes { id topic uri format } pageInfo { hasNextPage endCursor } } }"""
_CREATE = """mutation C($topic: WebhookSubscriptionTopic!, $sub: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $sub) {
    webhookSubscription { id topic format uri filter includeFields name } userErrors { field message } } }"""
_UPDATE = """mutation U($id: ID!, $sub: WebhookSubscriptionInput!) {
  webhookSubscriptionUpdate(id: $id, webhookSubscription: $sub) {
    webhookSubscription { id topic format uri } userErrors { field message } } }"""
_DELETE = """mutation D($id: ID!) { webhookSubscriptionDelete(id: $id) {
  deletedWebhookSubscriptionId userErrors { field message } } }"""
_PART = "query P($id: ID!) { fulfillmentOrder(id: $id) { id order { id } } }"


@dataclass(slots=True)
class Post:
    """A running sandbox and a receiver; `time` moves only where it was asked for."""

    sandbox: Sandbox
    receiver: Receiver
    session: aiohttp.ClientSession
    time: HandClock

    @property
    def shop(self) -> ShopifyShop:
        return self.sandbox.shopify.shop

    @property
    def waiting(self) -> int:
        return self.sandbox.senders[0].waiting

    def subscribe(self, *topics: str, path: str = "/orders") -> None:
        for topic in topics:
            self.shop.subscriptions.create(topic, self.receiver.url(path))

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Waits for outcomes of attempts until it is so."""
        while not is_so():
            await self.sandbox.senders[0].outcome()

    async def panel(self, action: str, **fields: Any) -> Any:
        url = f"{self.sandbox.base_url}/_sandbox/shopify/panel"
        async with self.session.post(url, json={"action": action, **fields}) as response:
            return await response.json() if response.status == 200 else (response.status, await response.json())

    async def ask(self, query: str, **variables: Any) -> Any:
        url = f"{self.sandbox.base_url}/shopify/{self.shop.domain}/admin/api/2026-10/graphql.json"
        headers = {"X-Shopify-Access-Token": self.shop.token}
        async with self.session.post(url, json={"query": query, "variables": variables}, headers=headers) as response:
            (answer,) = (await response.json())["data"].values()
            return answer


@asynccontextmanager
async def posting(
    *, is_timed: bool = False, faults: dict[str, float] | None = None, **options: Any
) -> AsyncIterator[Post]:
    """`is_timed`: by a clock that stands still until it is moved. `options`: of ShopifyOptions."""
    time = HandClock()
    shopify = ShopifyOptions(**{"webhook_retry_seconds": 0.001, **options})
    settings = SandboxSettings(orders=3, shopify=shopify, faults=faults or {})
    sandbox = Sandbox(settings, clock=time.clock() if is_timed else Clock())
    async with aiohttp.ClientSession() as session, receiving() as receiver, sandbox.running():
        yield Post(sandbox, receiver, session, time)


# -- what is sent ------------------------------------------------------------------------------------------------------


async def test_what_happens_is_told_signed_and_with_all_headers() -> None:
    async with posting() as post:
        post.subscribe(*_TOPICS)
        order = (await post.panel("add"))["order"]
        got = await post.receiver.first("orders/create")
        secret = post.shop.webhook_secret.encode()
        signature = base64.b64encode(hmac.new(secret, got.raw, hashlib.sha256).digest()).decode()
        assert got.headers["X-Shopify-Hmac-Sha256"] == signature
        assert got.headers["X-Shopify-Shop-Domain"] == post.shop.domain
        assert got.headers["X-Shopify-API-Version"] == "2026-10"
        assert got.headers["X-Shopify-Triggered-At"].endswith("Z")
        assert got.headers["Content-Type"] == "application/json"
        assert (str(got.body["id"]), got.body["admin_graphql_api_id"]) == (order, gid("Order", int(order)))


async def test_each_subscription_gets_its_own_webhook_of_the_same_event() -> None:
    async with posting() as post:
        post.subscribe("orders/create", "orders/updated", path="/one")
        post.subscribe("orders/create", path="/two")
        await post.panel("add")
        await post.receiver.until(lambda: len(post.receiver.got) == 3)
        assert {(each.path, each.topic) for each in post.receiver.got} == {
            ("/one", "orders/create"),
            ("/two", "orders/create"),
            ("/one", "orders/updated"),
        }
        webhooks, events = zip(*(each.ids for each in post.receiver.got), strict=True)
        assert len(set(webhooks)) == 3
        assert len(set(events)) == 1
        await post.until(lambda: post.waiting == 0)


async def test_every_parcel_is_told_as_itself() -> None:
    async with posting() as post:
        post.subscribe("fulfillments/create")
        spread = post.sandbox.shopify.order_ids()[1]
        await post.panel("fulfill", order=spread, tracking="1Z")
        await post.receiver.until(lambda: len(post.receiver.got) == 2)
        made = post.sandbox.shopify.panel.order(spread).fulfillments
        assert [each.body["id"] for each in post.receiver.got] == [each.id for each in made]
        assert {each.body["order_id"] for each in post.receiver.got} == {int(spread)}


async def test_a_cancellation_by_the_api_is_told_when_it_is_done_though_nobody_asks() -> None:
    async with posting(is_timed=True, job_seconds=60) as post:
        post.subscribe("orders/cancelled", "orders/create")
        order = post.sandbox.shopify.order_ids()[0]
        post.shop.cancel(int(order), "CUSTOMER", None)
        await post.panel("add")
        await post.receiver.first("orders/create")
        assert not post.receiver.of("orders/cancelled")
        post.time.pass_seconds(60)
        got = await post.receiver.first("orders/cancelled")
        assert (str(got.body["id"]), got.body["cancel_reason"]) == (order, "customer")


async def test_an_order_that_is_deleted_is_told_by_its_id_alone() -> None:
    async with posting() as post:
        post.subscribe("orders/delete")
        order = post.sandbox.shopify.order_ids()[0]
        await post.panel("delete", order=order)
        assert (await post.receiver.first("orders/delete")).body == {"id": int(order)}


async def test_without_a_subscription_nothing_is_sent_and_nothing_kept() -> None:
    async with posting() as post:
        for _ in range(5):
            await post.panel("add")
        assert post.waiting == 0
        post.subscribe("orders/create")
        last = (await post.panel("add"))["order"]
        assert str((await post.receiver.first("orders/create")).body["id"]) == last
        assert len(post.receiver.got) == 1


async def test_one_subscription_hears_of_one_product_in_sequence() -> None:
    async with posting() as post:
        post.subscribe("products/update")
        product = post.sandbox.shopify.panel.add_product("0")
        titles = [str(n) for n in range(1, 30)]
        for title in titles:
            post.sandbox.shopify.panel.edit_product(product, title)
        await post.receiver.until(lambda: len(post.receiver.got) == len(titles))
        assert [each.body["title"] for each in post.receiver.got] == titles


async def test_different_orders_are_told_side_by_side_but_not_all_at_once() -> None:
    async with posting() as post:
        post.subscribe("orders/create", path="/hang")
        for _ in range(50):
            post.sandbox.shopify.panel.add()
        await post.receiver.until(lambda: len(post.receiver.got) == 32)
        post.receiver.let_go()
        await post.receiver.until(lambda: len(post.receiver.got) == 50)
        assert post.receiver.most_open <= 32


async def test_who_does_not_answer_holds_up_nobody_else() -> None:
    async with posting() as post:
        post.subscribe("orders/create", path="/hang")
        post.subscribe("orders/create", path="/quick")
        await post.panel("add")
        await post.receiver.until(lambda: {each.path for each in post.receiver.got} == {"/hang", "/quick"})


async def test_what_was_on_its_way_when_the_sandbox_stopped_is_sent_when_it_is_back() -> None:
    sandbox = Sandbox(SandboxSettings(orders=0))
    async with receiving() as receiver:
        sandbox.shopify.shop.subscriptions.create("orders/create", receiver.url("/hang"))
        async with sandbox.running():
            sandbox.shopify.panel.add()
            await receiver.first("orders/create")
        assert sandbox.senders[0].waiting == 1
        receiver.let_go()
        async with sandbox.running():
            await receiver.until(lambda: len(receiver.got) == 2)
        assert receiver.got[0].ids == receiver.got[1].ids


async def test_an_error_in_the_block_leaves_the_running_sandbox_as_it_is() -> None:
    with pytest.raises(KeyError):
        async with Sandbox(SandboxSettings(orders=0)).running():
            raise KeyError


# -- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 404, 307])
async def test_one_that_fails_is_sent_again_as_it_was(status: int) -> None:
    async with posting() as post:
        post.subscribe("orders/create")
        post.receiver.answer = lambda _: status if len(post.receiver.got) < 4 else 204
        await post.panel("add")
        await post.receiver.until(lambda: len(post.receiver.got) == 4)
        assert {each.path for each in post.receiver.got} == {"/orders"}
        assert len({(each.ids, each.raw) for each in post.receiver.got}) == 1
        assert len(post.shop.subscriptions) == 1


async def test_one_that_is_not_answered_in_time_has_failed() -> None:
    async with posting(webhook_deadline_seconds=0.2) as post:
        post.subscribe("orders/create", path="/hang")
        await post.panel("add")
        await post.receiver.until(lambda: len(post.receiver.got) == 2)
        assert len({each.ids for each in post.receiver.got}) == 1
        assert post.shop.webhooks.failed >= 1


async def test_waits_between_attempts_double() -> None:
    async with posting(is_timed=True, webhook_retry_seconds=0.5) as post:
        post.subscribe("orders/create")
        post.subscribe("products/create", path="/marks")
        post.receiver.answer = lambda received: 200 if received.path == "/marks" else 500
        attempts = lambda: len(post.receiver.of("orders/create"))  # noqa: E731
        post.sandbox.shopify.panel.add()

        async def looked_at() -> None:
            """The sender has looked at the clock: something later has arrived."""
            marks = len(post.receiver.of("products/create"))
            post.sandbox.shopify.panel.add_product()
            await post.receiver.until(lambda: len(post.receiver.of("products/create")) > marks)

        for n, wait in enumerate((0.5, 1, 2, 4), start=1):
            await post.receiver.until(lambda n=n: attempts() == n)  # type: ignore[misc]
            await post.until(lambda n=n: post.shop.webhooks.failed == n)  # type: ignore[misc]
            post.time.pass_seconds(wait - 0.25)
            await looked_at()
            assert post.shop.webhooks.sent == n + len(post.receiver.of("products/create"))
            post.time.pass_seconds(0.25)
        await post.receiver.until(lambda: attempts() == 5)


async def test_eight_failures_in_a_row_end_a_subscription() -> None:
    async with posting() as post:
        post.subscribe("orders/create", "orders/updated")
        post.receiver.answer = lambda received: 500 if received.topic == "orders/create" else 200
        await post.panel("add")
        await post.receiver.until(lambda: len(post.receiver.of("orders/create")) == 8)
        await post.until(lambda: post.shop.webhooks.failed == 8)
        listed = (await post.ask(_LIST))["nodes"]
        assert [each["topic"] for each in listed] == ["ORDERS_UPDATED"]
        await post.panel("add")
        await post.receiver.until(lambda: len(post.receiver.of("orders/updated")) == 2)
        await post.until(lambda: post.waiting == 0)
        assert len(post.receiver.of("orders/create")) == 8


async def test_failures_with_a_success_between_them_are_not_in_a_row() -> None:
    async with posting() as post:
        post.subscribe("orders/create")
        post.receiver.answer = lambda _: 200 if len(post.receiver.got) % 8 == 0 else 500
        for n in (1, 2, 3):
            await post.panel("add")
            await post.receiver.until(lambda n=n: len(post.receiver.got) == 8 * n)  # type: ignore[misc]
        assert len(post.shop.subscriptions) == 1
        assert len({each.ids for each in post.receiver.got}) == 3


async def test_the_summary_counts_what_became_of_webhooks() -> None:
    async with posting(faults={"webhook_lost": 0.5}) as post:
        post.subscribe("products/update")
        post.receiver.answer = lambda _: 500 if len(post.receiver.got) % 2 else 200
        product = (await post.panel("add_product"))["product"]
        for _ in range(40):
            await post.panel("edit_product", product=product)
        await post.until(lambda: post.waiting == 0)
        async with post.session.get(f"{post.sandbox.base_url}/_sandbox/summary") as response:
            told = (await response.json())["platforms"]["shopify"]["webhooks"][post.shop.domain]
        assert told["lost"] + len({each.ids for each in post.receiver.got}) == 40
        assert told["sent"] == told["acknowledged"] + told["failed"] == len(post.receiver.got)
        assert 0 < told["lost"] < 40
        assert told["acknowledged"] > 0 < told["failed"]


# -- routing and parts -------------------------------------------------------------------------------------------------


async def test_routing_is_told_when_it_ends_though_nobody_asks() -> None:
    async with posting(is_timed=True) as post:
        post.subscribe(_ROUTED, "orders/create")
        order = (await post.panel("add", routing_seconds=60))["order"]
        await post.receiver.first("orders/create")
        (part,) = post.sandbox.shopify.panel.order(order).fulfillment_orders
        assert await post.ask(_PART, id=gid("FulfillmentOrder", part.id)) is None
        assert not post.receiver.of(_ROUTED)
        post.time.pass_seconds(60)
        got = await post.receiver.first(_ROUTED)
        assert got.body == {"fulfillment_order": {"id": gid("FulfillmentOrder", part.id), "status": "open"}}
        answer = await post.ask(_PART, id=got.body["fulfillment_order"]["id"])
        assert answer["order"]["id"] == gid("Order", int(order))


async def test_routing_that_takes_no_time_is_told_at_once_for_every_part() -> None:
    async with posting() as post:
        post.subscribe(_ROUTED)
        orders = [post.sandbox.shopify.panel.add() for _ in range(3)]
        parts = [part for order in orders for part in post.sandbox.shopify.panel.order(order).fulfillment_orders]
        await post.receiver.until(lambda: len(post.receiver.got) == len(parts))
        assert len(parts) > len(orders)
        assert len({each.ids for each in post.receiver.got}) == len(parts)


async def test_a_fulfillment_order_that_nobody_has_is_null() -> None:
    async with posting() as post:
        assert await post.ask(_PART, id=gid("FulfillmentOrder", 7)) is None


@pytest.mark.parametrize("seconds", [-1, "soon", True, 10**9])
async def test_a_senseless_routing_time_is_refused(seconds: Any) -> None:
    async with posting() as post:
        status, answer = await post.panel("add", routing_seconds=seconds)
        assert status == 400
        assert "routing_seconds" in answer["error"]


async def test_what_people_do_to_parts_is_told_under_their_topics() -> None:
    async with posting() as post:
        topics = ("placed_on_hold", "hold_released", "split", "order_routing_complete")
        post.subscribe(*(f"fulfillment_orders/{topic}" for topic in topics))
        order = post.sandbox.shopify.order_ids()[0]
        old = post.sandbox.shopify.panel.order(order).fulfillment_orders[0]
        told: dict[str, Any] = {}
        for action, topic in zip(("hold", "release_hold", "split", "route"), topics, strict=True):
            await post.panel(action, order=order)
            told[topic] = (await post.receiver.first(f"fulfillment_orders/{topic}")).body
        assert {topic: body["fulfillment_order"]["status"] for topic, body in told.items()} == {
            "placed_on_hold": "on_hold",
            "hold_released": "open",
            "split": "closed",
            "order_routing_complete": "closed",
        }
        assert {body["fulfillment_order"]["id"] for body in told.values()} == {gid("FulfillmentOrder", old.id)}
        assert told["placed_on_hold"]["created_fulfillment_hold"]["reason"] == "incorrect_address"
        new = post.sandbox.shopify.panel.order(order).fulfillment_orders[1]
        assert told["split"]["replacement_fulfillment_order"]["id"] == gid("FulfillmentOrder", new.id)


# -- products ----------------------------------------------------------------------------------------------------------


async def test_products_are_told_whole_with_ids_that_no_float_holds() -> None:
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
        made = (await post.ask(_CREATE, topic="ORDERS_CREATE", sub=wanted))["webhookSubscription"]
        assert made == {**wanted, "id": made["id"], "topic": "ORDERS_CREATE", "filter": None, "includeFields": []}
        await post.panel("add")
        assert (await post.receiver.first("orders/create")).headers["X-Shopify-Name"] == "orders-to-erp"
        moved = await post.ask(_UPDATE, id=made["id"], sub={"uri": post.receiver.url("/two")})
        assert (moved["webhookSubscription"]["uri"], moved["userErrors"]) == (post.receiver.url("/two"), [])
        await post.panel("add")
        await post.receiver.until(lambda: len(post.receiver.got) == 2)
        assert [each.path for each in post.receiver.got] == ["/one", "/two"]
        gone = await post.ask(_DELETE, id=made["id"])
        assert gone == {"deletedWebhookSubscriptionId": made["id"], "userErrors": []}
        assert (await post.ask(_LIST))["nodes"] == []
        for answer in (await post.ask(_DELETE, id=made["id"]), await post.ask(_UPDATE, id=made["id"], sub={})):
            assert answer["userErrors"] == [{"field": ["id"], "message": "Webhook subscription does not exist"}]


async def test_one_made_as_xml_gets_xml_until_it_is_mended() -> None:
    async with posting() as post:
        await post.panel("subscribe", topic="orders/create", uri=post.receiver.url(), format="XML")
        (listed,) = (await post.ask(_LIST))["nodes"]
        assert listed["format"] == "XML"
        order = (await post.panel("add"))["order"]
        got = await post.receiver.first("orders/create")
        root = ElementTree.fromstring(got.raw)
        assert (got.headers["Content-Type"], root.tag, root.findtext("id")) == ("application/xml", "order", order)
        assert root.find("line-items/line-item/sku") is not None
        mended = await post.ask(_UPDATE, id=listed["id"], sub={"uri": listed["uri"], "format": "JSON"})
        assert (mended["webhookSubscription"]["format"], mended["userErrors"]) == ("JSON", [])
        await post.panel("add")
        await post.receiver.until(lambda: len(post.receiver.got) == 2)
        assert post.receiver.got[1].headers["Content-Type"] == "application/json"
        assert (await post.panel("subscribe", topic="orders/paid", uri=post.receiver.url(), format="CSV"))[0] == 400


@pytest.mark.parametrize("host", ["erp.example", "127.0.0.1.erp.example", "10.0.0.1", "localhost.erp.example"])
async def test_plain_http_is_refused_but_for_loopback(host: str) -> None:
    async with posting() as post:
        answer = await post.ask(_CREATE, topic="ORDERS_CREATE", sub={"uri": f"http://{host}/hooks"})
        assert answer["webhookSubscription"] is None
        refusal = {"field": ["webhookSubscription", "callbackUrl"]}
        assert answer["userErrors"] == [{**refusal, "message": "Address protocol http:// is not supported"}]
        for near in ("127.0.0.1:9", "localhost", "[::1]:9"):
            answer = await post.ask(_CREATE, topic="ORDERS_CREATE", sub={"uri": f"http://{near}/hooks"})
            assert answer["userErrors"] == []
        answer = await post.ask(_CREATE, topic="ORDERS_CREATE", sub={"uri": "http://localhost/hooks"})
        assert answer["userErrors"] == [{**refusal, "message": "Address for this topic has already been taken"}]


async def test_a_long_list_of_subscriptions_comes_in_pages() -> None:
    async with posting() as post:
        for n in range(5):
            post.shop.subscriptions.create("orders/create", f"https://erp.example/{n}")
        post.shop.subscriptions.create("orders/paid", "https://erp.example/0")
        seen: list[str] = []
        after = None
        while True:
            page = await post.ask(_LIST, first=2, after=after, topics=["ORDERS_CREATE"])
            seen += [each["uri"][-1] for each in page["nodes"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert seen == ["0", "1", "2", "3", "4"]
        named = (await post.ask(_LIST, uri="https://erp.example/0"))["nodes"]
        assert [each["topic"] for each in named] == ["ORDERS_CREATE", "ORDERS_PAID"]
