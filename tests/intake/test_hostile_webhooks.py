"""What one webhook holds ends at most that webhook: the ones beside it are worked off, the orders are read."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import anyio
import pytest

from orchestrator.operations.views.events import payload_text
from orchestrator.platforms.shopify import notifications as shopify_notifications
from orchestrator.platforms.shopify.webhooks import product_of
from orchestrator.runtime.order_reads import OrderReads
from storage.products import list_products
from storage.rejected import list_rejected
from tests.intake.front import SECRET, Front, front
from tests.runtime.test_hostile_rows import HOSTILE

PRODUCTS = "/webhooks/acme/products"
HINTED = (b'{"id": %s}', b'{"order": {"id": %s}}', b'{"basket": %s}', b'{"order_id": %s}', b"%s", b'[{"id": %s}]')


async def product_event(it: Front, product: str) -> None:
    """Waits until the feed has an event of a product."""
    for count in itertools.count(1):
        if any(event.data["id"] == product for event in await it.floor.event("product.created", count=count)):
            return


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_a_hostile_webhook_stands_in_no_other_s_way(hostile: str, tmp_path: Path) -> None:
    raw = HOSTILE[hostile]
    bodies = [
        ("products/update", b'{"id": 7, "title": %s, "updated_at": "2026-01-02T03:04:05Z"}' % raw),
        ("products/update", b'{"id": %s, "title": "a"}' % raw),
        ("products/create", b'{"id": 8, "title": "a", "updated_at": %s}' % raw),
        ("fulfillments/create", b'{"id": %s, "order_id": 5, "status": %s}' % (raw, raw)),
        ("fulfillment_orders/moved", b'{"moved_fulfillment_order": {"id": %s}}' % raw),
        ("refunds/create", b'{"order_id": %s}' % raw),
        ("orders/updated", b'{"id": %s}' % raw),
        ("orders/create", b'{"id": 404, "updated_at": %s, "line_items": %s, "cancelled_at": %s}' % (raw, raw, raw)),
        ("orders/create", b'{"id": 404, "name": %s, "customer": %s, "total_price": %s}' % (raw, raw, raw)),
        (None, raw),
    ]
    async with front(tmp_path) as it:
        order = (await it.floor.orders())[0]
        it.floor.sandbox.selldone.panel.move(order.id, "PreparingOrder")
        for topic, body in bodies:
            assert (
                await it.signed(topic, body, url=PRODUCTS if topic and "products" in topic else "/webhooks/acme/orders")
                == 200
            )
        assert await it.signed("products/create", b'{"id": 9, "title": "kept"}', url=PRODUCTS) == 200
        assert await it.signed("orders/updated", json.dumps({"id": int(order.id)}).encode()) == 200
        await it.floor.event("order.drifted", order=order.id)
        await product_event(it, "9")
        found = await it.floor.store.read(lambda tx: list_products(tx, 0, 100))
        for product in found:
            json.dumps(json.loads(payload_text(product.payload)), ensure_ascii=False).encode()
        for event in await it.floor.events():
            json.dumps(event.data, ensure_ascii=False).encode()


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_a_hostile_hint_stands_in_no_other_s_way(hostile: str, tmp_path: Path) -> None:
    async with front(tmp_path, platform="selldone") as it:
        order = (await it.floor.orders())[0]
        it.floor.sandbox.selldone.panel.move(order.id, "PreparingOrder")
        for body in HINTED:
            assert await it.post(f"/webhooks/acme/orders/{SECRET}", body % HOSTILE[hostile]) == 200
        assert await it.post(f"/webhooks/acme/orders/{SECRET}", b'{"id": %s}' % order.id.encode()) == 200
        await it.floor.event("order.drifted", order=order.id)


async def test_a_webhook_that_no_reader_foresaw_is_set_aside_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(body: dict[str, object]) -> object:
        if body["id"] == 7:
            raise ZeroDivisionError("no such luck")
        return product_of(body)

    monkeypatch.setattr(shopify_notifications, "product_of", raises)
    async with front(tmp_path) as it:
        assert await it.signed("products/create", b'{"id": 7, "title": "a"}', url=PRODUCTS) == 200
        assert await it.signed("products/create", b'{"id": 9, "title": "kept"}', url=PRODUCTS) == 200
        await it.floor.event("product.created")
        await it.floor.event("import.rejected")
        (aside,) = await it.floor.store.read(lambda tx: list_rejected(tx, 0, 10))
        assert (aside.source, aside.payload) == ("webhook", b'{"id": 7, "title": "a"}')
        assert "ZeroDivisionError" in aside.error


async def test_a_webhook_whose_look_raises_each_time_is_set_aside_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def order_of_part(self: OrderReads, part: str) -> str | None:
        raise ZeroDivisionError("no such luck")

    monkeypatch.setattr(OrderReads, "order_of_part", order_of_part)
    body = b'{"fulfillment_order": {"id": "gid://shopify/FulfillmentOrder/5"}}'
    async with front(tmp_path, is_working=False) as it:
        assert await it.signed("fulfillment_orders/moved", body) == 200
        await it.floor.store.write(lambda tx: tx.execute("UPDATE webhooks SET attempts = 3"))
        async with anyio.create_task_group() as group:
            group.start_soon(it.inbox.run)
            await it.floor.event("import.rejected")
            await it.worked_off()
            group.cancel_scope.cancel()
        (aside,) = await it.floor.store.read(lambda tx: list_rejected(tx, 0, 10))
        assert aside.payload == body
        assert "ZeroDivisionError" in aside.error
