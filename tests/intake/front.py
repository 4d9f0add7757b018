"""The webhook listener over real HTTP, with the inbox behind it and a sandbox shop at work.

The shop `signed` takes signed webhooks about the orders of the simulated Selldone shop: what a webhook leads to is the
same on every platform, a read of the order.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import anyio
from pydantic import SecretStr

from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Chance, Clock
from orchestrator.config import ShopConfig, WebhookSettings
from orchestrator.intake.inbox import Inbox
from orchestrator.intake.listener import listening
from orchestrator.intake.receiver import Reception, build_receiver, place_of_webhooks
from orchestrator.platforms.base.signing import signature_of
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.transaction import Transaction
from tests.support.shopfloor import SHOP, Shopfloor, config_of, worked_off, working_on

SECRET, OLD_SECRET = "signing-secret", "old-signing-secret"
ANY_PORT = 0


@dataclass
class Front:
    """What a test works with."""

    floor: Shopfloor
    http: aiohttp.ClientSession
    address: tuple[str, int]
    inbox: Inbox

    async def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> int:
        async with self.http.post(
            f"http://{self.address[0]}:{self.address[1]}{path}", data=body, headers=headers
        ) as it:
            await it.read()
            return it.status

    async def signed(self, topic: str | None, body: bytes, **options: Any) -> int:
        """Posts a webhook as Shopify does. `options`: `secret`, `id`, `event`, `url`."""
        headers = {"X-Shopify-Hmac-Sha256": signature_of(body, options.get("secret", SECRET))}
        for name, value in (("Topic", topic), ("Webhook-Id", options.get("id")), ("Event-Id", options.get("event"))):
            if value is not None:
                headers[f"X-Shopify-{name}"] = value
        return await self.post(options.get("url", f"/webhooks/{SHOP}/orders"), body, headers)

    async def rows(self) -> int:
        """How many webhooks are kept."""

        def count(tx: Transaction) -> int:
            found: int = tx.query("SELECT count(*) FROM webhooks")[0][0]
            return found

        return await self.floor.store.read(count)

    async def worked_off(self) -> None:
        """Returns once nothing waits in the inbox."""
        await worked_off(self.floor)


@asynccontextmanager
async def front(
    folder: Path, *, platform: str = "shopify", orders: int = 2, is_working: bool = True, **settings: Any
) -> AsyncIterator[Front]:
    """A listener for one shop. `is_working` False: nothing is worked off, only kept."""
    sandbox = Sandbox(SandboxSettings(orders=orders))
    async with sandbox.running():
        config = config_of(sandbox, folder)
        shop = replace(config.shops[SHOP], platform=platform)
        async with working_on(sandbox, config, folder) as floor, facing(floor, shop, **settings) as it:
            await floor.commands.sync(SHOP, 30)
            if not is_working:
                yield it
                return
            async with anyio.create_task_group() as group:
                group.start_soon(it.inbox.run)
                try:
                    yield it
                finally:
                    group.cancel_scope.cancel()


@asynccontextmanager
async def facing(
    floor: Shopfloor,
    shop: ShopConfig,
    secrets: tuple[str, ...] = (SECRET, OLD_SECRET),
    *,
    shops: Callable[[], Mapping[str, ShopConfig]] | None = None,
    reread: Callable[[str], Awaitable[None]] | None = None,
    **settings: Any,
) -> AsyncIterator[Front]:
    """The listener alone. `shops`: in place of the one shop with `secrets`; `reread`: as in `Reception`."""
    own = {SHOP: replace(shop, webhook_secrets=tuple(map(SecretStr, secrets)))}
    inbox = Inbox(floor.store, floor.supervisor.worker, Clock(), Chance(random.Random(1)))
    plain = {
        "host": "127.0.0.1",
        "port": ANY_PORT,
        "tls": None,
        "max_body_bytes": 100_000,
        "read_timeout_seconds": 60.0,
    }
    chosen = WebhookSettings.model_construct(None, **plain | settings)
    reception = Reception(floor.store, shops or (lambda: own), chosen, Clock(), Checkpoints(), inbox.arrived)
    if reread is not None:
        reception = replace(reception, reread=reread)
    async with (
        listening(build_receiver(reception), place_of_webhooks(chosen)) as address,
        aiohttp.ClientSession() as http,
    ):
        yield Front(floor, http, address, inbox)
