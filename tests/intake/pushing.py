"""A Shopify shop at work with its listener and inbox, and its webhooks in the test's hands."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Chance, Clock
from orchestrator.config import WebhookSettings
from orchestrator.intake.inbox import Inbox
from orchestrator.intake.listener import listening
from orchestrator.intake.receiver import Reception, build_receiver, place_of_webhooks
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.shopify.webhooks import ManualSender
from tests.support.shopfloor import Shopfloor, config_of, working_on


@asynccontextmanager
async def pushing(folder: Path, orders: int) -> AsyncIterator[tuple[Shopfloor, str, ManualSender]]:
    """A Shopify shop at work that nobody polls, its webhooks as they are due, and the listener that takes them."""
    sandbox = Sandbox(SandboxSettings(orders=orders))
    async with sandbox.running():
        config = config_of(sandbox, folder, platform="shopify")
        (name,) = config.shops
        async with working_on(sandbox, config, folder) as floor:
            await floor.commands.sync(name, 30)
            inbox = Inbox(floor.store, floor.supervisor.worker, Clock(), Chance(random.Random(1)))
            settings = WebhookSettings.model_construct(
                host="127.0.0.1", port=0, tls=None, max_body_bytes=100_000, read_timeout_seconds=60.0
            )
            reception = Reception(floor.store, lambda: config.shops, settings, Clock(), Checkpoints(), inbox.arrived)
            async with (
                listening(build_receiver(reception), place_of_webhooks(settings)) as (host, port),
                anyio.create_task_group() as group,
            ):
                group.start_soon(inbox.run)
                sender = ManualSender(
                    sandbox.shopify.shop,
                    f"http://{host}:{port}/webhooks/{name}/orders",
                    duplicates=1.0,
                    disorder=True,
                )
                yield floor, name, sender
                group.cancel_scope.cancel()
