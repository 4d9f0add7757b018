"""Webhooks that come to several nodes: kept where they come, processed by the node that works for their shop, each
once. Nodes look by themselves only once an hour, so it is the notices that do it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.events import EventFilter, list_events
from storage.order_search import list_orders
from storage.records import Event
from storage.store import Store
from storage.transaction import Transaction
from storage.webhooks import Arrival, add_webhook, shops_with_webhooks
from tests.support.nodes import NEVER_SECONDS, Node, database, nodes
from tests.support.shopfloor import config_of

PLATFORM = "shopify"


@asynccontextmanager
async def floor(
    folder: Path, *, poll_seconds: float = NEVER_SECONDS, deaf: bool = False
) -> AsyncIterator[tuple[str, Node, Node]]:
    """The shop, the node that has it and another one."""
    sandbox = Sandbox(SandboxSettings(orders=2))
    with database() as url:
        async with sandbox.running():
            config = config_of(sandbox, folder, platform=PLATFORM)
            (shop,) = config.shops
            async with nodes(url, config, poll_seconds=poll_seconds, deaf=deaf) as (holder, other):
                await holder.commands.sync(shop, 30)
                yield shop, holder, other


async def keep(node: Node, shop: str, topic: str, body: dict[str, object], number: int) -> None:
    """As the listener of a node does."""
    kind = "product" if topic.startswith("products") else "order"
    arrival = Arrival(shop, PLATFORM, topic, f"w{number}", None, None, json.dumps(body).encode(), kind)
    assert await node.store.write(lambda tx: add_webhook(tx, arrival, 1))
    await node.inbox.arrived(shop)


def product(number: int) -> dict[str, object]:
    return {"id": number, "title": f"No. {number}", "updated_at": "2026-01-01T00:00:00Z"}


async def processed(node: Node) -> None:
    with anyio.fail_after(60):
        await node.committed.until(lambda: node.store.read(shops_with_webhooks), lambda waiting: not waiting)


async def events(store: Store, *types: str) -> list[Event]:
    return await store.read(lambda tx: list_events(tx, 0, 10_000, EventFilter(types=types)))


def unprocessed(tx: Transaction) -> int:
    found: int = tx.query("SELECT count(*) FROM webhooks WHERE processed_at IS NULL")[0][0]
    return found


async def test_a_webhook_that_came_to_another_node_is_processed_by_the_holder(tmp_path: Path) -> None:
    async with floor(tmp_path) as (shop, holder, other):
        await keep(other, shop, "products/create", product(7), 1)
        await processed(holder)
        assert [event.data["id"] for event in await events(other.store, "product.created")] == ["7"]


@pytest.mark.parametrize("deaf", [False, True], ids=["notices", "looking"])
async def test_webhooks_at_both_nodes_are_processed_once_each(tmp_path: Path, deaf: bool) -> None:
    async with floor(tmp_path, poll_seconds=0.02 if deaf else NEVER_SECONDS, deaf=deaf) as (shop, holder, other):
        orders = [order.id for order in await holder.store.read(lambda tx: list_orders(tx, 0, 9))]
        for number in range(1, 41):
            node = (holder, other)[number % 2]
            await keep(node, shop, "products/create", product(number), 2 * number)
            await keep(node, shop, "orders/updated", {"id": int(orders[number % 2])}, 2 * number + 1)
        await processed(holder)
        seen = Counter(event.data["id"] for event in await events(other.store, "product.created", "product.updated"))
        assert seen == {str(number): 1 for number in range(1, 41)}


async def test_a_node_leaves_webhooks_of_shops_that_another_one_has_alone(tmp_path: Path) -> None:
    """Those of a shop that nobody works for it processes, as far as they need no platform."""
    async with floor(tmp_path) as (shop, holder, other):
        holder.processing.cancel()
        await keep(other, shop, "products/create", product(1), 1)
        await keep(other, "gone", "products/create", product(2), 2)
        with anyio.fail_after(60):
            left = await other.committed.until(
                lambda: other.store.read(shops_with_webhooks), lambda left: "gone" not in dict(left)
            )
        assert [name for name, _ in left] == [shop]


async def test_a_holder_that_lost_its_shop_finishes_no_webhook(tmp_path: Path) -> None:
    """It was frozen, and does not know yet: the other node's epoch keeps it from settling anything."""
    async with floor(tmp_path) as (shop, holder, other):

        def take(tx: Transaction) -> None:
            tx.execute("UPDATE shops SET lease_epoch = lease_epoch + 1 WHERE name = ?", (shop,))

        await other.store.write(take)
        await keep(holder, shop, "products/create", product(1), 1)
        await anyio.wait_all_tasks_blocked()
        assert await other.store.read(unprocessed) == 1
        assert await events(other.store, "product.created") == []
