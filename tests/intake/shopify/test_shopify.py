"""The simulated Shopify's own webhooks, repeated and out of order, against the listener and a Shopify shop at work."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from storage.records import TargetStatus
from storage.webhooks import get_payload_of
from tests.intake.pushing import pushing
from tests.support.shopfloor import worked_off


async def test_repeated_and_shuffled_webhooks_lead_to_what_shopify_shows(tmp_path: Path) -> None:
    async with pushing(tmp_path, 4) as (floor, name, sender):
        panel = floor.sandbox.shopify.panel
        orders = [order.id for order in await floor.orders()]
        for order in orders:
            panel.fulfill(order, "1Z")
        added = panel.add()
        statuses = await sender.flush()
        assert statuses
        assert set(statuses) == {200}
        await worked_off(floor)
        for order in orders:
            assert (await floor.order(order, name)).milestone == "shipped"
        (imported,) = await floor.events("order.imported", order=added)
        kept = await floor.store.read(lambda tx: get_payload_of(tx, int(imported.data["webhook"])))
        assert json.loads(kept or b"")["id"] == int(added)
        assert imported.data["topic"].startswith("orders/")
        parcels = [each for order in orders for each in panel.order(order).fulfillments]
        assert len(await floor.events("fulfillment.created")) == len(parcels)


async def test_goods_that_appear_late_come_by_a_webhook_that_names_no_order(tmp_path: Path) -> None:
    async with pushing(tmp_path, 1) as (floor, name, sender):
        panel = floor.sandbox.shopify.panel
        added = panel.add(routing_seconds=3600)
        await sender.flush()
        await worked_off(floor)
        assert (await floor.order(added, name)).facts["fulfillment_orders"] == []
        panel.route(added)
        deliveries = [each for each in sender.due() if each.topic == "fulfillment_orders/order_routing_complete"]
        assert added.encode() not in deliveries[0].body
        assert set(await sender.send(deliveries)) == {200}
        await worked_off(floor)
        assert (await floor.order(added, name)).facts["fulfillment_orders"]


async def test_progress_that_people_report_and_stop_is_seen_by_its_own_webhooks(tmp_path: Path) -> None:
    async with pushing(tmp_path, 1) as (floor, name, sender):
        panel, (order,) = floor.sandbox.shopify.panel, [order.id for order in await floor.orders()]
        for act, topic, state in (
            (panel.report_progress, "progress_reported", "IN_PROGRESS"),
            (panel.stop_progress, "manually_reported_progress_stopped", "UNFULFILLED"),
        ):
            act(order)
            deliveries = [each for each in sender.due() if each.topic == f"fulfillment_orders/{topic}"]
            assert order.encode() not in deliveries[0].body, "it names the fulfilment order alone"
            assert set(await sender.send(deliveries)) == {200}
            await worked_off(floor)
            assert (await floor.order(order, name)).state == state


async def test_goods_of_an_order_that_we_do_not_have_are_ignored(tmp_path: Path) -> None:
    async with pushing(tmp_path, 1) as (floor, _, sender):
        panel = floor.sandbox.shopify.panel
        added = panel.add()
        deliveries = [each for each in sender.due() if each.topic.startswith("fulfillment_orders/")]
        assert set(await sender.send(deliveries)) == {200}
        await worked_off(floor)
        assert await floor.events("order.imported", order=added) == []


async def test_webhooks_of_another_shop_of_the_same_app_are_logged_once(tmp_path: Path) -> None:
    async with pushing(tmp_path, 1) as (floor, name, sender):
        floor.sandbox.shopify.panel.add()
        mine = sender.due()
        strays = [replace(each, headers={**each.headers, "X-Shopify-Shop-Domain": "other.example"}) for each in mine]
        with capture_logs() as logs:
            assert set(await sender.send([*mine, *strays])) == {200}
        (logged,) = (entry for entry in logs if entry["event"] == "webhook.of_another_shop")
        assert (logged["shop"], logged["sender"]) == (name, "other.example")


@pytest.mark.parametrize("topic", ["returns/request", "returns/approve", "returns/close", "returns/update"])
async def test_a_return_comes_by_its_own_webhook_alone(tmp_path: Path, topic: str) -> None:
    async with pushing(tmp_path, 1) as (floor, name, sender):
        panel = floor.sandbox.shopify.panel
        (order,) = [order.id for order in await floor.orders()]
        panel.fulfill(order)
        made = panel.return_(order, "request_return")
        if topic != "returns/request":
            panel.return_(order, "approve_return", **{"return": made})
        if topic == "returns/close":
            panel.return_(order, "close_return", **{"return": made})
        body = {"admin_graphql_api_id": f"gid://shopify/Return/{made}"}  # names no order: Shopify is asked for it
        deliveries = [each for each in sender.due() if each.topic == topic] or [sender.delivery(topic, body)]
        assert set(await sender.send(deliveries)) == {200}
        await worked_off(floor)
        (known,) = (await floor.order(order, name)).facts["returns"]
        assert known["id"] == made
        assert known["state"] == panel.order(order).returns[0].status


async def test_a_return_that_the_app_may_not_read_is_no_reason_to_stop(tmp_path: Path) -> None:
    async with pushing(tmp_path, 1) as (floor, name, sender):
        floor.sandbox.shopify.operate({"action": "revoke_scope", "scope": "read_returns"})
        body = {"admin_graphql_api_id": "gid://shopify/Return/1"}
        assert set(await sender.send([sender.delivery("returns/update", body)])) == {200}
        await worked_off(floor)
        (order,) = [order.id for order in await floor.orders()]
        assert (await floor.reach(order, "shipped", name)).status is TargetStatus.REACHED
        assert await floor.events("shop.access_denied") == []
