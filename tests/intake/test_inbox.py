"""What kept webhooks lead to: reads of orders, products, events; each once, whatever comes twice, late or broken."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.decisions.webhook_facts import settle_product
from orchestrator.intake.notifications import notification_of
from orchestrator.platforms.webhooks import (
    OrderNotification,
    ProductNotification,
    ShipmentNotification,
    Unimportant,
    Unreadable,
)
from storage.products import StoredProduct, list_products
from storage.records import Order
from storage.rejected import list_rejected
from storage.transaction import Transaction
from storage.webhooks import Webhook
from tests.intake.front import SECRET, Front, front

SAMPLES = Path(__file__).parents[1] / "samples" / "shopify"
PRODUCTS = "/webhooks/acme/products"


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def product(updated_at: str, title: str, number: int = 7) -> bytes:
    return json.dumps({"id": number, "title": title, "updated_at": updated_at}).encode()


async def products(it: Front) -> list[StoredProduct]:
    return await it.floor.store.read(lambda tx: list_products(tx, 0, 100))


def reads(it: Front, order: str) -> int:
    """How often the platform was asked for the order by its id."""
    return len(it.floor.sandbox.ledger.calls(order=order, step="read"))


def changed_at(order: Order, later_ms: int = 0) -> str:
    """The order's own change time as a webhook has it, or one a little later."""
    assert order.platform_updated_at is not None
    return datetime.fromtimestamp((order.platform_updated_at + later_ms) / 1000, UTC).isoformat()


async def test_a_webhook_about_an_order_leads_to_a_read_of_it(tmp_path: Path) -> None:
    async with front(tmp_path) as it:
        order = (await it.floor.orders())[0]
        it.floor.sandbox.selldone.panel.move(order.id, "PreparingOrder")
        assert await it.signed("orders/updated", json.dumps({"id": int(order.id)}).encode()) == 200
        await it.floor.event("order.drifted", order=order.id)
        assert (await it.floor.order(order.id)).state == "PreparingOrder"


async def test_a_webhook_brings_an_order_that_no_poll_has_seen(tmp_path: Path) -> None:
    async with front(tmp_path) as it:
        added = it.floor.sandbox.selldone.panel.add()
        assert await it.signed("orders/create", json.dumps({"id": int(added)}).encode()) == 200
        await it.floor.event("order.imported", order=added)


@pytest.mark.parametrize("name", ["basket", "order", None])
async def test_a_hint_leads_to_a_read_of_the_order_that_it_names(tmp_path: Path, name: str | None) -> None:
    async with front(tmp_path, platform="selldone") as it:
        order = (await it.floor.orders())[0]
        it.floor.sandbox.selldone.panel.move(order.id, "PreparingOrder")
        body: dict[str, Any] = {"id": int(order.id)}
        raw = json.dumps(body if name is None else {"event": "OnlineOrder", name: body}).encode()
        assert await it.post(f"/webhooks/acme/orders/{SECRET}", raw) == 200
        await it.floor.event("order.drifted", order=order.id)


@pytest.mark.parametrize("body", [b"", b"\xff", b"{}", b"[1]"])
async def test_a_hint_that_names_no_order_leads_to_a_poll(tmp_path: Path, body: bytes) -> None:
    async with front(tmp_path, platform="selldone") as it:
        added = it.floor.sandbox.selldone.panel.add()
        assert await it.post(f"/webhooks/acme/orders/{SECRET}", body) == 200
        await it.floor.event("order.imported", order=added)


@pytest.mark.parametrize("changes", [{"status": "Open"}, {"status": "Reserved"}, {"type": "FILE"}])
async def test_a_hint_of_an_order_that_is_not_released_imports_nothing(tmp_path: Path, changes: dict[str, Any]) -> None:
    async with front(tmp_path, platform="selldone") as it:
        panel = it.floor.sandbox.selldone.panel
        added = panel.add("Payed")
        fields = panel.basket(added).fields
        released = {name: fields[name] for name in changes}
        fields.update(changes)
        hint = json.dumps({"event": "OnlineOrder", "basket": {"id": int(added)}}).encode()
        assert await it.post(f"/webhooks/acme/orders/{SECRET}", hint) == 200
        await it.worked_off()
        assert reads(it, added) == 1
        assert await it.floor.events(order=added) == []
        fields.update(released)
        assert await it.post(f"/webhooks/acme/orders/{SECRET}", hint) == 200
        await it.floor.event("order.imported", order=added)


async def test_many_hints_of_one_order_cost_few_reads(tmp_path: Path) -> None:
    async with front(tmp_path, platform="selldone", is_working=False) as it:
        order = (await it.floor.orders())[0]
        body = json.dumps({"basket": {"id": int(order.id)}}).encode()
        for _ in range(50):
            assert await it.post(f"/webhooks/acme/orders/{SECRET}", body) == 200
        async with anyio.create_task_group() as group:
            group.start_soon(it.inbox.run)
            await it.worked_off()
            group.cancel_scope.cancel()
        assert reads(it, order.id) == 1


async def test_a_webhook_that_is_older_than_what_is_known_costs_no_read(tmp_path: Path) -> None:
    async with front(tmp_path) as it:
        order = (await it.floor.orders())[0]
        body = {"id": int(order.id), "updated_at": "2001-01-01T00:00:00Z"}
        assert await it.signed("orders/updated", json.dumps(body).encode()) == 200
        await it.worked_off()
        assert reads(it, order.id) == 0
        body["updated_at"] = changed_at(order)
        assert await it.signed("orders/updated", json.dumps(body).encode()) == 200
        await it.worked_off()
        assert reads(it, order.id) == 1


async def test_a_webhook_that_is_quicker_than_the_platforms_reads_is_looked_into_again_until_they_show_it(
    tmp_path: Path,
) -> None:
    async with front(tmp_path) as it:
        one, other = await it.floor.orders()
        panel = it.floor.sandbox.selldone.panel
        for order in (one, other):
            body = {"id": int(order.id), "updated_at": changed_at(order, later_ms=1)}
            assert await it.signed("orders/updated", json.dumps(body).encode()) == 200
        while not reads(it, one.id) or not reads(it, other.id):  # noqa: ASYNC110 - the sandbox signals nothing
            await anyio.sleep(0.01)
        panel.edit(one.id, "Somebody Else")
        await it.floor.event("order.updated", order=one.id)
        await it.worked_off()
        assert reads(it, other.id) == 4  # then the next sync may show it


async def test_an_order_that_the_platform_does_not_have_is_given_up_and_holds_nobody_up(tmp_path: Path) -> None:
    async with front(tmp_path) as it:
        assert await it.signed("orders/create", b'{"id": 99999999}') == 200
        added = it.floor.sandbox.selldone.panel.add()
        assert await it.signed("orders/create", json.dumps({"id": int(added)}).encode()) == 200
        await it.floor.event("order.imported", order=added)


async def test_a_paused_shop_reads_nothing_but_takes_products(tmp_path: Path) -> None:
    async with front(tmp_path, is_working=False) as it:
        order = (await it.floor.orders())[0]
        await it.floor.commands.pause("acme", None)
        assert await it.signed("orders/updated", json.dumps({"id": int(order.id)}).encode()) == 200
        assert await it.signed("products/create", product("2026-01-01T00:00:00Z", "Mug"), url=PRODUCTS) == 200
        async with anyio.create_task_group() as group:
            group.start_soon(it.inbox.run)
            await it.floor.event("product.created")
            group.cancel_scope.cancel()
        assert reads(it, order.id) == 0


async def test_the_hints_of_a_paused_shop_are_processed_once_at_most(tmp_path: Path) -> None:
    async with front(tmp_path, is_working=False) as it:
        await it.floor.commands.pause("acme", None)
        assert await it.signed("orders/updated", b'{"id": 1}') == 200
        for number in range(1, 202):  # more than are worked off in one go
            body = product("2026-01-01T00:00:00Z", "Mug", number)
            assert await it.signed("products/create", body, url=PRODUCTS) == 200
        async with anyio.create_task_group() as group:
            group.start_soon(it.inbox.run)
            while len(await it.floor.store.read(lambda tx: list_products(tx, 0, 300))) < 201:
                await it.floor.event("product.created")
            group.cancel_scope.cancel()
        waiting = "SELECT topic FROM webhooks WHERE processed_at IS NULL AND attempts <= 1"
        assert await it.floor.store.read(lambda tx: tx.query(waiting)) == [("orders/updated",)]


async def test_products_do_not_wait_behind_the_reads_of_orders(tmp_path: Path) -> None:
    async with front(tmp_path, is_working=False) as it:
        order = (await it.floor.orders())[0]
        it.floor.sandbox.selldone.panel.move(order.id, "PreparingOrder")
        for number in range(201):  # more than are worked off in one go
            body = json.dumps({"id": int(order.id), "note": number}).encode()
            assert await it.signed("orders/updated", body) == 200
        assert await it.signed("products/create", product("2026-01-01T00:00:00Z", "Mug"), url=PRODUCTS) == 200
        async with anyio.create_task_group() as group:
            group.start_soon(it.inbox.run)
            await it.worked_off()
            group.cancel_scope.cancel()
        (created,) = await it.floor.events("product.created")
        (drifted,) = await it.floor.events("order.drifted")
        assert created.cursor < drifted.cursor


async def test_the_latest_version_of_a_product_is_kept_and_each_version_is_one_event(tmp_path: Path) -> None:
    newest, newer, old = (product(f"2026-01-0{day}T00:00:00+01:00", f"day {day}") for day in (3, 2, 1))
    async with front(tmp_path) as it:
        for topic, body in (
            ("products/create", newer),
            ("products/update", newest),
            ("products/update", old),
            ("products/update", newest),
        ):
            assert await it.signed(topic, body, url=PRODUCTS, id=f"{topic}{body!r}") == 200
            await it.worked_off()
        (kept,) = await products(it)
        assert (kept.id, kept.title, kept.payload) == ("7", "day 3", newest)
        (created,) = await it.floor.events("product.created")
        (updated,) = await it.floor.events("product.updated")
        assert created.data["title"] == "day 2"
        assert updated.data == {
            "id": "7",
            "title": "day 3",
            "updated_at": "2026-01-02T23:00:00.000Z",
            "topic": "products/update",
            "webhook": "2",
        }


async def test_a_fulfilment_is_reported_once_and_older_versions_of_it_are_not(tmp_path: Path) -> None:
    def fulfillment(day: int, status: str) -> bytes:
        body = {"id": 5, "order_id": int(order.id), "status": status, "updated_at": f"2026-01-0{day}T00:00:00Z"}
        return json.dumps(body).encode()

    async with front(tmp_path) as it:
        order = (await it.floor.orders())[0]
        for number, (topic, body) in enumerate(
            (
                ("fulfillments/create", fulfillment(2, "pending")),
                ("fulfillments/update", fulfillment(3, "success")),
                ("fulfillments/update", fulfillment(1, "open")),
            )
        ):
            assert await it.signed(topic, body, id=str(number)) == 200
            await it.worked_off()
        (created,) = await it.floor.events("fulfillment.created")
        (updated,) = await it.floor.events("fulfillment.updated")
        assert (created.order, created.data["status"]) == (order.id, "pending")
        assert (updated.order, updated.data["status"]) == (order.id, "success")
        assert reads(it, order.id) == 3


async def test_a_signed_body_that_is_no_json_is_set_aside(tmp_path: Path) -> None:
    async with front(tmp_path) as it:
        assert await it.signed("orders/create", b'{"id": ') == 200
        (event,) = await it.floor.event("import.rejected")
        (kept,) = await it.floor.store.read(lambda tx: list_rejected(tx, 0, 10))
        assert (kept.id, kept.source, kept.payload) == (event.data["id"], "webhook", b'{"id": ')


async def test_a_webhook_that_nobody_can_settle_is_set_aside_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settle(tx: Transaction, webhook: Webhook, notification: ProductNotification, now: int) -> None:
        if notification.product.id == "1":
            raise ZeroDivisionError
        settle_product(tx, webhook, notification, now)

    monkeypatch.setattr("orchestrator.intake.inbox.settle_product", settle)
    async with front(tmp_path) as it:
        for number in (1, 2):
            assert (
                await it.signed("products/create", product("2026-01-01T00:00:00Z", "Mug", number), url=PRODUCTS) == 200
            )
        await it.worked_off()
        assert [each.id for each in await products(it)] == ["2"]
        (kept,) = await it.floor.store.read(lambda tx: list_rejected(tx, 0, 10))
        assert kept.payload == product("2026-01-01T00:00:00Z", "Mug", 1)


async def test_a_webhook_that_was_set_aside_is_processed_again_and_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_repaired = False

    def settle(tx: Transaction, webhook: Webhook, notification: ProductNotification, now: int) -> None:
        if not is_repaired:
            raise ZeroDivisionError
        settle_product(tx, webhook, notification, now)

    monkeypatch.setattr("orchestrator.intake.inbox.settle_product", settle)
    async with front(tmp_path) as it:
        for second in (0, 1):  # nothing but a time differs
            body = product(f"2026-01-01T00:00:0{second}Z", "Mug")
            assert await it.signed("products/create", body, url=PRODUCTS) == 200
            await it.worked_off()
        for _ in range(2):
            await it.floor.commands.sync("acme", 30)
            it.inbox.wake()
            await it.worked_off()
        (kept,) = await it.floor.store.read(lambda tx: list_rejected(tx, 0, 10))
        assert kept.payload == product("2026-01-01T00:00:01Z", "Mug")
        assert len(await it.floor.events("import.rejected")) == 1
        is_repaired = True
        await it.floor.commands.sync("acme", 30)
        it.inbox.wake()
        await it.worked_off()
        assert [each.id for each in await products(it)] == ["7"]
        assert await it.floor.store.read(lambda tx: list_rejected(tx, 0, 10)) == []


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
async def test_a_time_that_no_clock_shows_is_none(tmp_path: Path, at: str) -> None:
    async with front(tmp_path) as it:
        assert await it.signed("products/create", product(at, "Mug"), url=PRODUCTS) == 200
        (created,) = await it.floor.event("product.created")
        assert created.data["updated_at"] is None


async def test_a_topic_that_nothing_follows_from_is_answered_200(tmp_path: Path) -> None:
    async with front(tmp_path) as it:
        for topic in ("customers/redact", "shop/redact", "app/uninstalled", "no topic at all", "products/delete"):
            assert await it.signed(topic, json.dumps({"shop_id": 1, "topic": topic}).encode()) == 200
        await it.worked_off()
        assert await it.rows() == 5
        assert await products(it) == []


def test_the_bodies_of_2019_are_recognised_by_their_shape() -> None:
    order = notification_of("shopify", None, sample("guide2019_orders_create"))
    assert isinstance(order, OrderNotification)
    assert order.order is not None
    fulfilled = notification_of("shopify", None, sample("guide2019_fulfillments_create"))
    assert isinstance(fulfilled, OrderNotification)
    assert isinstance(fulfilled.shipment, ShipmentNotification)
    assert isinstance(notification_of("shopify", None, sample("guide2019_products_create")), ProductNotification)


@pytest.mark.parametrize(
    ("topic", "body", "expected"),
    [
        (
            "fulfillment_orders/moved",
            b'{"destination": {"id": "gid://shopify/Location/2"}, "deep": {"it": {"id": "gid://shopify/FulfillmentOrder/1"}}}',
            OrderNotification(None, part="1"),
        ),
        (
            "fulfillment_orders/progress_reported",
            sample("webhook_fulfillment_orders_progress_reported"),
            OrderNotification(None, part="1"),
        ),
        (
            "fulfillment_orders/manually_reported_progress_stopped",
            sample("webhook_fulfillment_orders_manually_reported_progress_stopped"),
            OrderNotification(None, part="1"),
        ),
        ("fulfillment_orders/split", b'{"fulfillment_order": {"id": 1}}', OrderNotification(None)),
        ("fulfillment_events/create", b'{"id": 1, "order_id": 12}', OrderNotification("12")),
        ("orders/edited", b'{"order_edit": {"order_id": 12}}', OrderNotification("12")),
        ("refunds/create", b'{"id": 1, "order_id": 12}', OrderNotification("12")),
        ("orders/create", b"null", Unreadable("the body names no order")),
        ("fulfillments/update", b'{"id": 1}', Unreadable("the body names no order")),
        ("returns/update", b'{"admin_graphql_api_id": "gid://shopify/Return/1"}', OrderNotification(None, "Return/1")),
        ("returns/process", b"{}", OrderNotification(None)),
        ("products/create", b"[]", Unreadable("the body is not a product")),
        ("carts/update", b"{}", Unimportant("carts/update")),
        (None, b"{}", Unimportant(None)),
    ],
)
def test_a_topic_says_what_follows(topic: str | None, body: bytes, expected: object) -> None:
    assert notification_of("shopify", topic, body) == expected


@pytest.mark.parametrize("body", [b"[" * 100_000, b"9" * 5000, b"\xff\xfe", b"{"])
def test_bytes_that_are_unreadable_are_reported_as_such(body: bytes) -> None:
    assert isinstance(notification_of("shopify", "orders/create", body), Unreadable)
    assert notification_of("hint", None, body) == OrderNotification(None)


async def test_a_read_that_is_refused_again_and_again_ends_the_webhook(tmp_path: Path) -> None:
    async with front(tmp_path) as it:
        order = (await it.floor.orders())[0]
        it.floor.sandbox.faults.script_answer(422, b'{"message": "no"}', order=order.id, step="read", times=1000)
        assert await it.signed("orders/updated", json.dumps({"id": int(order.id)}).encode()) == 200
        await it.worked_off()
        assert reads(it, order.id) == 4
