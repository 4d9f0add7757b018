"""The simulated Shopify's own webhooks, repeated and out of order, against the listener and a Shopify shop at work."""

from __future__ import annotations

import random
from pathlib import Path

import anyio

from orchestrator.clock import Chance, Clock
from orchestrator.config import WebhookSettings
from orchestrator.crash import CrashPoints
from orchestrator.intake.inbox import Inbox
from orchestrator.intake.listener import listening
from orchestrator.intake.receiver import Reception, build_receiver
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.shopify_webhooks import Courier
from storage.webhooks import shops_with_webhooks
from tests.support.shopfloor import config_of, working_on


async def test_repeated_and_shuffled_webhooks_lead_to_what_shopify_shows(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=4))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, platform="shopify")
        (name,) = config.shops
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync(name, 30)
            inbox = Inbox(floor.store, floor.supervisor.worker, Clock(), Chance(random.Random(1)))
            settings = WebhookSettings.model_construct(
                host="127.0.0.1", port=0, tls=None, max_body_bytes=100_000, read_timeout_seconds=5.0
            )
            reception = Reception(floor.store, lambda: config.shops, settings, Clock(), CrashPoints(), inbox.wake)
            shop = sandbox.shopify.shop
            async with (
                listening(build_receiver(reception), settings) as (host, port),
                anyio.create_task_group() as group,
            ):
                group.start_soon(inbox.run)
                address = f"http://{host}:{port}/webhooks/{name}/orders"
                courier = Courier(shop, address, duplicates=1.0, disorder=True)
                orders = [order.id for order in await floor.orders()]
                for order in orders:
                    sandbox.shopify.panel.fulfill(order, "1Z")
                added = sandbox.shopify.panel.add()
                statuses = await courier.flush()
                assert statuses
                assert set(statuses) == {200}
                while await floor.store.read(shops_with_webhooks):  # noqa: ASYNC110 - nothing tells of an empty inbox
                    await anyio.sleep(0.01)
                for order in orders:
                    assert (await floor.order(order, name)).milestone == "shipped"
                assert await floor.order(added, name)
                parcels = [each for order in orders for each in sandbox.shopify.panel.order(order).fulfillments]
                assert len(await floor.events("fulfillment.created")) == len(parcels)
                group.cancel_scope.cancel()
