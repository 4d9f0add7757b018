"""WooCommerce's webhooks over real HTTP: asked for, signed, pings, one id for several, and switched off by failures."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from orchestrator.config import ShopConfig
from orchestrator.intake.notifications import notification_of
from orchestrator.intake.subscriptions import inspect
from orchestrator.platforms.base.signing import signature_of
from orchestrator.platforms.failures import Rejected
from orchestrator.platforms.subscriptions import PushingClient
from orchestrator.platforms.webhooks import OrderNotification, Unimportant, Unreadable
from orchestrator.platforms.woocommerce import WooCommerceClient
from orchestrator.push.envelope import topic_of
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.woocommerce import WooCommercePlatform
from orchestrator.testing.stage import Stage, staged
from storage.records import Event
from tests.intake.front import SECRET, Front, facing
from tests.support.shopfloor import config_of, working_on

PLATFORM, SHOP = "woocommerce", "woo"
ADDRESS = "https://hooks.example/webhooks/woo"
ORDERS = "/webhooks/acme/orders"  # the listener's tests call every shop acme
TOPICS = WooCommerceClient.topics


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[tuple[Front, ShopConfig, Sandbox]]:
    sandbox = Sandbox(SandboxSettings(orders=2))
    async with sandbox.running():
        config = config_of(sandbox, folder, platform=PLATFORM)
        async with working_on(sandbox, config, folder) as floor:
            await floor.commands.sync(SHOP, 30)
            async with facing(floor, config.shops[SHOP]) as it:
                yield it, config.shops[SHOP], sandbox


def headers(body: bytes, topic: str, *, delivery: str = "d1", source: str = "", secret: str = SECRET) -> dict[str, str]:
    words = {"Topic": topic, "Signature": signature_of(body, secret), "Delivery-ID": delivery, "Source": source}
    return {f"X-WC-Webhook-{name}": value for name, value in words.items()}


def body_of(order: str) -> bytes:
    return json.dumps({"id": int(order), "status": "processing", "date_modified_gmt": "2026-11-30T10:00:00"}).encode()


async def test_a_signed_one_is_kept_and_a_wrong_secret_refused(tmp_path: Path) -> None:
    async with listening(tmp_path) as (it, _, _):
        body = body_of("7")
        assert await it.post(ORDERS, body, headers(body, "order.updated")) == 200
        assert await it.post(ORDERS, body, headers(body, "order.updated", secret="another")) == 401
        assert await it.post(ORDERS, body, {"X-WC-Webhook-Topic": "order.updated"}) == 400
        assert await it.rows() == 1


async def test_a_ping_is_answered_and_not_kept(tmp_path: Path) -> None:
    async with listening(tmp_path) as (it, _, _):
        assert await it.post(ORDERS, b"webhook_id=12") == 200
        assert await it.post(ORDERS, b"webhook_id=12&x=1") == 400
        assert await it.rows() == 0


async def test_orders_of_one_second_have_one_delivery_id_and_are_all_kept(tmp_path: Path) -> None:
    async with listening(tmp_path) as (it, _, _):
        first, second = body_of("7"), body_of("8")
        for body in (first, second, first):
            assert await it.post(ORDERS, body, headers(body, "order.updated")) == 200
        assert await it.rows() == 2, "the third is a repeat"
        gone = b'{"id": 7}'
        for delivery in ("d2", "d3"):  # to the trash, restored, and to the trash again
            assert await it.post(ORDERS, gone, headers(gone, "order.deleted", delivery=delivery)) == 200
        assert await it.rows() == 4


async def test_a_sender_with_another_address_is_logged_once(tmp_path: Path) -> None:
    async with listening(tmp_path) as (it, shop, _):
        body = body_of("7")
        with capture_logs() as logs:
            own = headers(body, "order.updated", source=f"{shop.base_url}/")
            assert await it.post(ORDERS, body, own) == 200
            assert logs == [each for each in logs if each["event"] != "webhook.of_another_shop"]
            for delivery in ("d2", "d3"):
                other = headers(body, "order.updated", delivery=delivery, source="https://other.example/")
                assert await it.post(ORDERS, body, other) == 200
        assert len([each for each in logs if each["event"] == "webhook.of_another_shop"]) == 1


@pytest.mark.parametrize(
    ("topic", "kind"), [("order.restored", "order"), ("product.updated", "product"), ("coupon.created", "other")]
)
async def test_what_it_is_about_is_by_its_topic(tmp_path: Path, topic: str, kind: str) -> None:
    async with listening(tmp_path) as (it, _, _):
        body = b'{"id": 7, "name": "Mug"}'
        assert await it.post(ORDERS, body, headers(body, topic)) == 200
        rows = await it.floor.store.read(lambda tx: tx.query("SELECT kind FROM webhooks"))
        assert rows == [(kind,)]


def test_deliveries_to_the_erp_have_topics_in_its_words() -> None:
    def event(type_: str) -> Event:
        return Event(1, 1, type_, SHOP, "7", None, {})

    assert topic_of(event("order.imported"), PLATFORM) == "order.created"
    assert topic_of(event("order.drifted"), PLATFORM) == "order.updated"
    assert topic_of(event("product.updated"), PLATFORM) == "product.updated"


# -- the registry ----------------------------------------------------------------------------------------------------


def client(stage: Stage) -> PushingClient:
    assert isinstance(stage.client, PushingClient)
    return stage.client


def kept(stage: Stage) -> list[Any]:
    simulated = stage.sandbox.platforms[PLATFORM]
    assert isinstance(simulated, WooCommercePlatform)
    return list(simulated.shop.webhooks.kept.values())


async def test_all_topics_are_asked_for_once_signed_with_our_secret() -> None:
    async with staged(PLATFORM) as stage:
        found = await inspect(client(stage), ADDRESS, "s3cret-12")
        assert found.made == TOPICS
        assert {each.topic: each.address for each in found.subscriptions} == {
            topic: f"{ADDRESS}/{topic.partition('.')[0]}s" for topic in TOPICS
        }
        assert {each.secret for each in kept(stage)} == {"s3cret-12"}
        assert (await inspect(client(stage), ADDRESS, "s3cret-12")).made == ()


async def test_without_a_secret_none_is_asked_for() -> None:
    async with staged(PLATFORM) as stage:
        found = await inspect(client(stage), ADDRESS, None)
        assert set(found.missing) == set(TOPICS)
        assert "webhook_secret" in found.missing["order.created"]


async def test_one_that_failures_disabled_is_made_active_again_and_reported() -> None:
    async with staged(PLATFORM) as stage:
        await inspect(client(stage), ADDRESS, "s3cret-12")
        kept(stage)[1].fields["status"] = "disabled"
        missing = await inspect(client(stage), None)
        assert set(missing.missing) == {TOPICS[1]}
        found = await inspect(client(stage), ADDRESS, "n3w-secret")
        assert found.made == (TOPICS[1],)
        assert len(kept(stage)) == len(TOPICS)
        assert (kept(stage)[1].fields["status"], kept(stage)[1].secret) == ("active", "n3w-secret")


async def test_a_registry_of_many_pages_is_read_to_its_end() -> None:
    async with staged(PLATFORM) as stage:
        for number in range(130):
            await client(stage).subscribe("order.updated", f"https://other.example/{number}", "s3cret-12")
        assert len(await client(stage).list_subscriptions()) == 130


async def test_a_key_that_may_not_see_webhooks_keeps_no_order_from_its_way() -> None:
    denied = b'{"code":"woocommerce_rest_cannot_view","message":"Sorry.","data":{"status":403}}'
    async with staged(PLATFORM) as stage:
        stage.sandbox.faults.script_answer(403, denied, step="webhooks")
        with pytest.raises(Rejected, match="woocommerce_rest_cannot_view"):
            await client(stage).list_subscriptions()


@pytest.mark.parametrize("topic", ["order.updated", "product.updated"])
def test_an_error_in_place_of_what_it_is_about_cannot_be_read(topic: str) -> None:
    body = b'{"code":"woocommerce_rest_cannot_view","message":"Sorry.","data":{"status":401}}'
    found = notification_of(PLATFORM, topic, body)
    assert isinstance(found, Unreadable)
    assert "woocommerce_rest_cannot_view" in found.error


def test_a_body_says_which_order_it_is_and_when_it_changed() -> None:
    found = notification_of(PLATFORM, "order.updated", body_of("7"))
    assert found == OrderNotification("7", is_whole=True, updated_at_ms=1_796_032_800_000)
    assert notification_of(PLATFORM, "order.deleted", b'{"id": 7}') == OrderNotification("7")
    assert isinstance(notification_of(PLATFORM, "product.deleted", b'{"id": 7}'), Unimportant)
