"""Orders that cannot be read, known by their webhooks alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.adoption import adopt_provisionally
from orchestrator.decisions.draft import Context
from orchestrator.decisions.refusals import Refused
from orchestrator.platforms.client import OrderSnapshot
from orchestrator.platforms.failures import NotFound
from orchestrator.platforms.shopify.webhook_order import order_in_webhook
from orchestrator.sandbox.shopify.webhooks import ManualSender
from storage.payloads import get_payload
from storage.transaction import Transaction
from storage.webhooks import Arrival, add_webhook
from tests.intake.pushing import pushing
from tests.support.shopfloor import Shopfloor, worked_off

NOWHERE = "5000000000000000001"  # Shopify does not show it
AT = "2026-11-23T10:00:0{}Z"


def body_of(sender: ManualSender, floor: Shopfloor, **changes: Any) -> dict[str, Any]:
    """The webhook body of an order that Shopify does not show."""
    floor.sandbox.shopify.panel.add()
    made = next(each for each in sender.due() if each.topic == "orders/create")
    body = json.loads(made.body)
    del body["admin_graphql_api_id"]
    return {**body, "id": int(NOWHERE), "updated_at": AT.format(1), **changes}


async def send(sender: ManualSender, topic: str, body: dict[str, Any]) -> None:
    assert await sender.send([sender.delivery(topic, body)]) == [200]


async def types_of(floor: Shopfloor, order: str) -> list[str]:
    return [event.type for event in await floor.events(order=order)]


async def test_an_order_that_shopify_does_not_show_is_reported_once_with_its_webhook(tmp_path: Path) -> None:
    async with pushing(tmp_path, 1) as (floor, name, sender):
        body = body_of(sender, floor, name="#77", financial_status="paid")
        await send(sender, "orders/create", body)
        (imported,) = await floor.event("order.imported", NOWHERE)
        assert {key: imported.data[key] for key in ("state", "milestone", "reference", "payment", "topic")} == {
            "state": "UNFULFILLED",
            "milestone": "new",
            "reference": "#77",
            "payment": "paid",
            "topic": "orders/create",
        }
        await worked_off(floor)  # looked for again, and not found
        assert await types_of(floor, NOWHERE) == ["order.imported"]
        kept = await floor.store.read(lambda tx: get_payload(tx, name, NOWHERE))
        assert json.loads(kept or b"") == body
        with pytest.raises(Refused) as refused:
            await floor.commands.refresh(name, NOWHERE)
        assert refused.value.slug == "order-not-found"
        assert await types_of(floor, NOWHERE) == ["order.imported"]


async def test_a_newer_webhook_of_it_is_an_update_and_an_older_one_is_nothing(tmp_path: Path) -> None:
    async with pushing(tmp_path, 1) as (floor, name, sender):
        body = body_of(sender, floor)
        await send(sender, "orders/create", {**body, "updated_at": AT.format(2)})
        await floor.event("order.imported", NOWHERE)
        await send(sender, "orders/updated", {**body, "updated_at": AT.format(1), "fulfillment_status": "fulfilled"})
        await send(sender, "orders/partially_fulfilled", {**body, "updated_at": AT.format(3), "note": "ring twice"})
        await send(sender, "orders/cancelled", {**body, "updated_at": AT.format(4), "cancelled_at": AT.format(4)})
        await worked_off(floor)
        assert (await floor.order(NOWHERE, name)).state == "CANCELLED"
        received = await types_of(floor, NOWHERE)
        assert (received[0], received[-2:]) == ("order.imported", ["order.drifted", "order.cancelled"])
        assert "FULFILLED" not in {event.data.get("to") for event in await floor.events(order=NOWHERE)}


async def test_while_nothing_can_be_read_new_orders_and_parcels_come_in_and_are_read_later(tmp_path: Path) -> None:
    async with pushing(tmp_path, 1) as (floor, name, sender):
        panel = floor.sandbox.shopify.panel
        known = (await floor.orders())[0].id
        await floor.commands.pause(name, None)
        added = panel.add()
        panel.fulfill(known, "1Z")
        received = sender.due()
        assert set(await sender.send([*received, *received])) == {200}
        await floor.event("order.imported", added)
        await floor.event("fulfillment.created", known)
        order = await floor.order(added, name)
        assert order.facts["fulfillment_orders"] == []
        assert (await floor.order(known, name)).milestone == "new"  # what a read has shown, only a read changes
        await floor.commands.resume(name)
        await worked_off(floor)
        order = await floor.order(added, name)
        assert order.facts["fulfillment_orders"]
        assert await types_of(floor, added) == ["order.imported"]
        assert (await floor.order(known, name)).milestone == "shipped"
        assert len(await floor.events("fulfillment.created")) == 1
        payload = await floor.store.read(lambda tx: get_payload(tx, name, added))
        assert json.loads(payload or b"")["id"] == f"gid://shopify/Order/{added}"


async def test_a_target_of_it_begins_with_a_read_and_fails_when_there_is_no_such_order(tmp_path: Path) -> None:
    async with pushing(tmp_path, 1) as (floor, name, sender):
        await send(sender, "orders/create", body_of(sender, floor, financial_status="paid"))
        await worked_off(floor)
        target = await floor.reach(NOWHERE, "shipped", name)
        assert (target.status.value, target.problem and target.problem.type) == ("failed", "order-not-found")


async def test_another_version_of_the_same_second_is_a_change_and_the_same_once_more_is_not(tmp_path: Path) -> None:
    async with pushing(tmp_path, 1) as (floor, name, sender):
        body = body_of(sender, floor, financial_status="pending")
        await send(sender, "orders/create", body)
        await floor.event("order.imported", NOWHERE)
        for _ in range(2):
            await send(sender, "orders/paid", {**body, "financial_status": "paid"})
        await floor.event("order.payment_settled", NOWHERE)
        await worked_off(floor)
        assert (await floor.order(NOWHERE, name)).payment == "paid"
        assert await types_of(floor, NOWHERE) == ["order.imported", "order.payment_settled", "order.updated"]


async def test_what_tries_the_address_out_is_about_nothing(tmp_path: Path) -> None:
    async with pushing(tmp_path, 1) as (floor, _, sender):
        order = sender.delivery("orders/create", body_of(sender, floor))
        product = sender.delivery("products/create", {"id": 5, "title": "Sample", "updated_at": AT.format(1)})
        tests = [replace(each, headers={**each.headers, "X-Shopify-Test": "true"}) for each in (order, product)]
        assert await sender.send(tests) == [200, 200]
        await worked_off(floor)
        assert await floor.events("product.created") == []
        assert await floor.events(order=NOWHERE) == []


async def test_a_body_of_which_fields_were_left_out_is_enough(tmp_path: Path) -> None:
    async with pushing(tmp_path, 1) as (floor, name, sender):
        await send(sender, "orders/create", {"id": int(NOWHERE), "financial_status": "paid"})
        (imported,) = await floor.event("order.imported", NOWHERE)
        received = {key: imported.data[key] for key in ("state", "payment", "reference", "topic")}
        assert received == {"state": "UNFULFILLED", "payment": "paid", "reference": None, "topic": "orders/create"}
        await worked_off(floor)
        assert await types_of(floor, NOWHERE) == ["order.imported"]
        assert (await floor.order(NOWHERE, name)).is_provisional


async def test_a_target_of_it_waits_for_reads_that_are_behind_the_webhook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pushing(tmp_path, 1) as (floor, name, sender):
        worker = floor.supervisor.worker(name)
        assert worker is not None
        look = worker.client.read

        async def read(order_id: str) -> OrderSnapshot:
            if not await floor.events("read.failed", order=order_id):  # the webhook's looks, then the target's first
                raise NotFound("no such order yet")
            return await look(order_id)

        monkeypatch.setattr(worker.client, "read", read)
        added = floor.sandbox.shopify.panel.add()
        await sender.flush()
        await floor.event("order.imported", added)
        assert (await floor.reach(added, "shipped", name)).status.value == "reached"
        assert len(await floor.events("read.failed", order=added)) >= 1


async def test_a_first_read_that_shows_a_newer_order_than_its_webhook_is_an_update(tmp_path: Path) -> None:
    async with pushing(tmp_path, 1) as (floor, name, sender):
        panel = floor.sandbox.shopify.panel
        await floor.commands.pause(name, None)
        added = panel.add()
        await sender.flush()
        await floor.event("order.imported", added)
        panel.edit(added, "Somebody Else")
        panel.order(added).updated += 60_000
        await floor.commands.resume(name)
        await worked_off(floor)
        assert await types_of(floor, added) == ["order.imported", "order.updated"]


async def test_a_webhook_that_cannot_be_applied_keeps_no_other_from_being_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(tx: Transaction, ctx: Context, seen: OrderSnapshot, cause: Mapping[str, Any]) -> None:
        if seen.id == NOWHERE:
            raise ZeroDivisionError
        adopt_provisionally(tx, ctx, seen, cause)

    monkeypatch.setattr("orchestrator.intake.inbox.adopt_provisionally", take)
    async with pushing(tmp_path, 1) as (floor, name, sender):
        await floor.commands.pause(name, None)
        await send(sender, "orders/create", body_of(sender, floor))
        added = floor.sandbox.shopify.panel.add()
        await sender.flush()
        await floor.event("order.imported", added)
        waiting = await floor.store.read(lambda tx: tx.query("SELECT looked_at FROM webhooks WHERE due_at IS NOT NULL"))
        assert (None,) in waiting  # it is not applied yet: it is processed again


async def test_a_parcel_that_an_older_daemon_left_for_later_is_reported(tmp_path: Path) -> None:
    """It emitted none before the order was read, and counted the reads that failed."""
    async with pushing(tmp_path, 1) as (floor, name, sender):
        (known,) = await floor.orders()
        await worked_off(floor)
        floor.sandbox.shopify.panel.fulfill(known.id, "1Z")
        made = next(each for each in sender.due() if each.topic == "fulfillments/create")
        left = Arrival(name, "shopify", made.topic, "left", None, None, made.body)

        def leave(tx: Transaction) -> None:
            add_webhook(tx, left, 1)
            tx.execute("UPDATE webhooks SET attempts = 1, looked_at = 1")

        await floor.store.write(leave)
        await send(sender, "shop/update", {})  # wakes the inbox
        await floor.event("fulfillment.created", known.id)


async def test_what_is_about_an_order_and_none_makes_none(tmp_path: Path) -> None:
    async with pushing(tmp_path, 1) as (floor, _, sender):
        await send(sender, "orders/create", {**body_of(sender, floor), "line_items": "none"})
        await send(sender, "orders/delete", {"id": int(NOWHERE)})
        await send(sender, "orders/edited", {"order_edit": {"order_id": int(NOWHERE)}})
        await worked_off(floor)
        assert await floor.events(order=NOWHERE) == []


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"fulfillment_status": None}, "UNFULFILLED"),
        ({"fulfillment_status": "pending"}, "UNFULFILLED"),
        ({"fulfillment_status": "restocked"}, "UNFULFILLED"),
        ({"fulfillment_status": "partial"}, "PARTIALLY_FULFILLED"),
        ({"fulfillment_status": "fulfilled"}, "FULFILLED"),
        (
            {"fulfillment_status": "fulfilled", "parcels": [("success", "delivered"), ("success", None)]},
            "FULFILLED",
        ),
        ({"fulfillment_status": "fulfilled", "parcels": [("success", "delivered"), ("error", None)]}, "DELIVERED"),
        ({"fulfillment_status": "fulfilled", "cancelled_at": AT.format(1)}, "CANCELLED"),
        ({"fulfillment_status": "scheduled"}, "SCHEDULED"),
    ],
)
def test_the_state_comes_from_the_body(changes: dict[str, Any], state: str) -> None:
    parcels = [
        {"id": 9 + index, "status": status, "shipment_status": shipment, "line_items": [{"id": 5, "quantity": 1}]}
        for index, (status, shipment) in enumerate(changes.pop("parcels", []))
    ]
    body = {"id": 7, "name": "#1", "line_items": [{"id": 5, "quantity": 2, "current_quantity": 1}], **changes}
    received = order_in_webhook({**body, "fulfillments": parcels, "updated_at": AT.format(1)}, b"{}")
    assert received is not None
    assert (received.state, received.facts["lines"]) == (state, {"5": 1})
    assert [each["lines"] for each in received.facts["fulfillments"]] == [{"5": 1}] * len(parcels)


def test_a_gift_card_keeps_no_order_of_a_webhook_from_being_delivered() -> None:
    card = {"id": 2, "quantity": 1, "requires_shipping": False, "gift_card": True}
    sent = [
        {"id": 11, "status": "success", "shipment_status": "delivered", "line_items": [{"id": 1, "quantity": 1}]},
        {"id": 12, "status": "success", "shipment_status": None, "line_items": [{"id": 2, "quantity": 1}]},
    ]
    body = {
        "id": 7,
        "fulfillment_status": "fulfilled",
        "line_items": [{"id": 1, "quantity": 1, "requires_shipping": True}, card],
        "fulfillments": sent,
    }
    seen = order_in_webhook(body, b"{}")
    assert seen is not None
    assert (seen.state, seen.facts["uncarried"]) == ("DELIVERED", ["2"])
