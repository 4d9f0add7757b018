"""Webhooks that a platform should send: subscribed, fixed, missing; and the parts of orders that they name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from orchestrator.backoff import Growing
from orchestrator.clock import Chance, Clock
from orchestrator.config import Config, WebhookSettings
from orchestrator.intake import subscriptions
from orchestrator.intake.subscriptions import Inspection, SubscriptionWatch, address_of, inspect
from orchestrator.platforms.failures import PlatformFailure, Unreadable
from orchestrator.platforms.shopify.webhooks import TOPICS
from orchestrator.platforms.subscriptions import PushingClient
from orchestrator.runtime.reports import WebhookHealth
from orchestrator.runtime.worker import ShopWorker
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.testing.stage import Stage, staged
from tests.support.shopfloor import Shopfloor, config_of, working_on

PUBLIC = "https://hooks.example"
ADDRESS = f"{PUBLIC}/webhooks/shopy"
NONE_LISTED = b'{"data":{"webhookSubscriptions":{"nodes":[],"pageInfo":{"hasNextPage":false,"endCursor":null}}}}'
DENIED = (
    b'{"data":{"webhookSubscriptionCreate":null},"errors":[{"message":"Access denied","extensions":'
    b'{"code":"ACCESS_DENIED"}}]}'
)


def client(stage: Stage) -> PushingClient:
    assert isinstance(stage.client, PushingClient)
    return stage.client


# -- one look ------------------------------------------------------------------------------------------------------


async def test_all_topics_are_asked_for_once_products_at_an_address_of_their_own() -> None:
    async with staged("shopify") as stage:
        first = await inspect(client(stage), ADDRESS)
        assert first.made == TOPICS
        assert {each.topic: each.address for each in first.subscriptions} == {
            topic: f"{ADDRESS}/{'products' if topic.startswith('products/') else 'orders'}" for topic in TOPICS
        }
        assert await inspect(client(stage), ADDRESS) == Inspection(first.subscriptions, (), {})


async def test_without_an_address_missing_topics_are_reported_and_none_subscribed() -> None:
    async with staged("shopify") as stage:
        found = await inspect(client(stage), None)
        assert (set(found.missing), found.made, found.subscriptions) == (set(TOPICS), (), ())
        await inspect(client(stage), "https://proxy.example/anything")
        assert (await inspect(client(stage), None)).missing == {}


async def test_one_that_is_there_already_is_done() -> None:
    async with staged("shopify") as stage:
        await inspect(client(stage), ADDRESS)
        stage.sandbox.faults.script_answer(200, NONE_LISTED, step="webhookSubscriptions")
        found = await inspect(client(stage), ADDRESS)
        assert (found.missing, found.made) == ({}, ())
        assert len((await inspect(client(stage), None)).subscriptions) == len(TOPICS)


async def test_a_topic_that_is_refused_stands_in_no_others_way() -> None:
    async with staged("shopify") as stage:
        # denied with a fresh token, too
        stage.sandbox.faults.script_answer(200, DENIED, step="webhookSubscriptionCreate", times=2)
        found = await inspect(client(stage), ADDRESS)
        assert found.missing == {TOPICS[0]: "Access denied"}
        assert found.made == TOPICS[1:]


async def test_a_call_that_fails_stands_in_no_others_way_and_is_made_at_the_next_look() -> None:
    async with staged("shopify") as stage:
        stage.sandbox.faults.script("error_before", step="webhookSubscriptionCreate")
        found = await inspect(client(stage), ADDRESS)
        assert (set(found.missing), found.is_settled) == ({TOPICS[0]}, False)
        again = await inspect(client(stage), ADDRESS)
        assert (again.made, again.is_settled) == (TOPICS[:1], True)


async def test_a_platform_that_fails_all_the_time_is_left_alone_for_a_while() -> None:
    async with staged("shopify") as stage:
        stage.sandbox.faults.script("error_before", step="webhookSubscriptionCreate", times=9)
        with pytest.raises(PlatformFailure):
            await inspect(client(stage), ADDRESS)
        asked = stage.sandbox.ledger.calls(step="webhookSubscriptionCreate")
        assert len(asked) == 3


async def test_an_address_that_shopify_does_not_take_is_reported_in_its_words() -> None:
    async with staged("shopify") as stage:
        found = await inspect(client(stage), "http://hooks.example/webhooks/shopy")
        assert set(found.missing) == set(TOPICS)
        assert "http:// is not supported" in found.missing["orders/create"]


async def test_a_webhook_in_a_form_that_we_do_not_take_is_updated_in_place() -> None:
    async with staged("shopify") as stage:
        stage.operate("subscribe", topic="ORDERS_PAID", uri=f"{ADDRESS}/orders", format="XML")
        (known,) = await client(stage).list_subscriptions()
        assert not known.is_readable
        found = await inspect(client(stage), ADDRESS)
        (fixed,) = (each for each in found.subscriptions if each.topic == "orders/paid")
        assert (fixed.id, fixed.is_readable, set(found.made)) == (known.id, True, set(TOPICS))


@pytest.mark.parametrize(
    ("cursor", "words"),
    [('"again"', "named before"), ("null", "more follows, and not where"), ("7", "more follows, and not where")],
)
async def test_a_list_of_webhooks_without_an_end_is_not_taken_for_the_whole(cursor: str, words: str) -> None:
    async with staged("shopify") as stage:
        node = '{"id":"gid://shopify/WebhookSubscription/1","topic":"ORDERS_PAID","uri":"https://a.example"}'
        info = f'{{"hasNextPage":true,"endCursor":{cursor}}}'
        body = f'{{"data":{{"webhookSubscriptions":{{"nodes":[{node}],"pageInfo":{info}}}}}}}'
        stage.sandbox.faults.script_answer(200, body.encode(), step="webhookSubscriptions", times=50)
        with pytest.raises(Unreadable, match=words):
            await client(stage).list_subscriptions()


async def test_more_webhooks_than_ten_pages_hold_are_all_listed() -> None:
    async with staged("shopify") as stage:
        for page in range(12):
            node = (
                f'{{"id":"gid://shopify/WebhookSubscription/{page}","topic":"ORDERS_PAID","uri":"https://a.example"}}'
            )
            info = f'{{"hasNextPage":{"true" if page < 11 else "false"},"endCursor":"page-{page}"}}'
            body = f'{{"data":{{"webhookSubscriptions":{{"nodes":[{node}],"pageInfo":{info}}}}}}}'
            stage.sandbox.faults.script_answer(200, body.encode(), step="webhookSubscriptions")
        assert len(await client(stage).list_subscriptions()) == 12


async def test_the_order_of_a_fulfilment_order() -> None:
    async with staged("shopify") as stage:
        order = stage.sandbox.shopify.shop.orders[int(stage.order)]
        assert await client(stage).order_of_part(str(order.fulfillment_orders[0].id)) == stage.order
        assert await client(stage).order_of_part("1") is None


def test_a_shops_name_is_one_part_of_the_path() -> None:
    assert address_of("https://hooks.example/", "a/b c") == "https://hooks.example/webhooks/a%2Fb%20c"


# -- the watch -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def watched(
    folder: Path, public_url: str | None = PUBLIC, interval_seconds: float = 3600
) -> AsyncIterator[tuple[Shopfloor, SubscriptionWatch]]:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        config: Config = config_of(sandbox, folder, platform="shopify")
        settings = WebhookSettings.model_construct(public_url=public_url, check_interval_seconds=interval_seconds)
        async with working_on(sandbox, config, folder) as floor:
            watch = SubscriptionWatch(lambda: config.shops, floor.supervisor.worker, settings, Clock(), Chance())
            async with anyio.create_task_group() as group:
                group.start_soon(watch.run)
                yield floor, watch
                group.cancel_scope.cancel()


async def health(watch: SubscriptionWatch, wanted: Callable[[WebhookHealth], bool]) -> WebhookHealth:
    """Waits until the shop's webhooks are as wanted."""
    with anyio.fail_after(60):
        while True:
            found = watch.health("shopy")
            if found is not None and wanted(found):
                return found
            await anyio.sleep(0.01)  # a check that found nothing new has no signal


async def test_at_start_all_are_asked_for_and_reported(tmp_path: Path) -> None:
    async with watched(tmp_path) as (floor, watch):
        (reported,) = await floor.event("shop.webhooks_registered")
        assert reported.data["topics"] == list(TOPICS)
        assert (await health(watch, lambda found: not found.missing)).error is None
        assert await floor.events("shop.webhooks_missing") == []


async def test_one_that_the_platform_deleted_is_asked_for_at_the_next_look(tmp_path: Path) -> None:
    async with watched(tmp_path, interval_seconds=0.05) as (floor, _):
        await floor.event("shop.webhooks_registered")
        shop = floor.sandbox.shopify.shop
        floor.sandbox.shopify.operate({"action": "unsubscribe", "topic": "orders/paid"})
        _, again = await floor.event("shop.webhooks_registered", count=2)
        assert again.data["topics"] == ["orders/paid"]
        assert len(shop.subscriptions) == len(TOPICS)


async def test_without_a_public_address_what_is_missing_is_reported_once(tmp_path: Path) -> None:
    async with watched(tmp_path, public_url=None, interval_seconds=0.01) as (floor, watch):
        (reported,) = await floor.event("shop.webhooks_missing")
        first = await health(watch, lambda found: bool(found.missing))
        assert set(reported.data["missing"]) == set(first.missing) == set(TOPICS)
        await health(watch, lambda found: found.checked_at > first.checked_at)
        assert len(await floor.events("shop.webhooks_missing")) == 1


async def test_a_platform_that_does_not_answer_is_asked_again(tmp_path: Path) -> None:
    sandbox_down = {"error_before": 1.0}
    async with watched(tmp_path, interval_seconds=0.05) as (floor, watch):
        await floor.event("shop.webhooks_registered")
        floor.sandbox.faults.set_rates(sandbox_down)
        watch.wake()
        assert (await health(watch, lambda found: found.error is not None)).missing == {}
        floor.sandbox.faults.set_rates({})
        await health(watch, lambda found: found.error is None)


async def test_a_shop_whose_webhooks_are_all_there_is_not_asked_again_for_anothers_sake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "_REST_SECONDS", Growing(0.001, 600.0))
    sandbox = Sandbox(SandboxSettings(orders=1))
    looks = 0
    enough = anyio.Event()
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, platform="shopify")
        settings = WebhookSettings.model_construct(public_url=PUBLIC, check_interval_seconds=3600.0)
        shops = {**config.shops, "later": replace(config.shops["shopy"], name="later")}
        async with working_on(sandbox, config, tmp_path) as floor:

            def worker_of(shop: str) -> ShopWorker | None:
                nonlocal looks
                looks += shop == "later"
                if looks == 5:
                    enough.set()
                return None if shop == "later" else floor.supervisor.worker(shop)

            watch = SubscriptionWatch(lambda: shops, worker_of, settings, Clock(), Chance())
            async with anyio.create_task_group() as group:
                group.start_soon(watch.run)
                await enough.wait()
                group.cancel_scope.cancel()
        assert len(sandbox.ledger.calls(step="webhookSubscriptions")) == 2  # before and after all were asked for


async def test_a_shop_that_cannot_be_looked_at_is_tried_again_after_waits_that_chance_spreads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spread: list[tuple[float, float]] = []
    enough = anyio.Event()

    def at_once(wait: float, jitter: float) -> float:
        spread.append((wait, jitter))
        if len(spread) == 4:
            enough.set()
        return 0.0

    monkeypatch.setattr(subscriptions, "equal_jitter", at_once)
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, platform="shopify")
        settings = WebhookSettings.model_construct(public_url=PUBLIC, check_interval_seconds=3600.0)
        async with working_on(sandbox, config, tmp_path):
            watch = SubscriptionWatch(lambda: config.shops, lambda _: None, settings, Clock(), Chance())
            async with anyio.create_task_group() as group:
                group.start_soon(watch.run)
                with anyio.fail_after(60):
                    await enough.wait()
                group.cancel_scope.cancel()
    waits, jitters = zip(*spread[:4], strict=True)
    assert list(waits) == [2.0, 4.0, 8.0, 16.0]
    assert len(set(jitters)) == 4


async def test_where_no_webhooks_come_in_nobody_looks(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, platform="shopify")
        settings = WebhookSettings.model_construct(public_url=PUBLIC, check_interval_seconds=3600.0)
        never = WebhookSettings.model_construct(public_url=PUBLIC, check_interval_seconds=0.0)
        shops = {name: replace(shop, webhook_secrets=()) for name, shop in config.shops.items()}
        async with working_on(sandbox, config, tmp_path) as floor:
            for watch in (
                SubscriptionWatch(lambda: config.shops, floor.supervisor.worker, None, Clock(), Chance()),
                SubscriptionWatch(lambda: shops, floor.supervisor.worker, settings, Clock(), Chance()),
                SubscriptionWatch(lambda: config.shops, floor.supervisor.worker, never, Clock(), Chance()),
            ):
                with anyio.move_on_after(0.2):
                    await watch.run()
            assert len(sandbox.shopify.shop.subscriptions) == 0
