"""The simulated Shopify sends webhooks: over real HTTP, unasked, at least once, and not for ever."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.shopify.orders import gid
from tests.sandbox.posting import (
    LIST,
    TOPICS,
    posting,
)
from tests.sandbox.receiver import receiving

# -- what is sent ------------------------------------------------------------------------------------------------------


async def test_what_happens_is_reported_signed_and_with_all_headers() -> None:
    async with posting() as post:
        post.subscribe(*TOPICS)
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


async def test_every_parcel_is_reported_as_itself() -> None:
    async with posting() as post:
        post.subscribe("fulfillments/create")
        spread = post.sandbox.shopify.order_ids()[1]
        await post.panel("fulfill", order=spread, tracking="1Z")
        await post.receiver.until(lambda: len(post.receiver.got) == 2)
        made = post.sandbox.shopify.panel.order(spread).fulfillments
        assert [each.body["id"] for each in post.receiver.got] == [each.id for each in made]
        assert {each.body["order_id"] for each in post.receiver.got} == {int(spread)}


async def test_a_cancellation_by_the_api_is_published_when_it_is_done_though_nobody_asks() -> None:
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


async def test_an_order_that_is_deleted_is_reported_by_its_id_alone() -> None:
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


async def test_different_orders_are_reported_side_by_side_but_not_all_at_once() -> None:
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
        assert sandbox.shopify.senders[0].waiting == 1
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
        await post.receiver.until(lambda: len(post.receiver.got) >= 2)
        assert len({each.ids for each in post.receiver.got}) == 1
        assert post.shop.webhooks.failed >= 1


async def test_waits_between_attempts_double() -> None:
    async with posting(is_timed=True, webhook_retry_seconds=0.5) as post:
        post.subscribe("orders/create")
        post.subscribe("products/create", path="/marks")
        post.receiver.answer = lambda received: 200 if received.path == "/marks" else 500
        post.sandbox.shopify.panel.add()

        def attempts() -> int:
            return len(post.receiver.of("orders/create"))

        async def looked_at() -> None:
            """The sender has read the clock: something later has arrived."""
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
        listed = (await post.ask(LIST))["nodes"]
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
            counts = (await response.json())["platforms"]["shopify"]["webhooks"][post.shop.domain]
        assert counts["lost"] + len({each.ids for each in post.receiver.got}) == 40
        assert counts["sent"] == counts["acknowledged"] + counts["failed"] == len(post.receiver.got)
        assert 0 < counts["lost"] < 40
        assert counts["acknowledged"] > 0 < counts["failed"]
