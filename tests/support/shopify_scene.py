"""The real daemon on the sandbox's Shopify shop, with its webhook listener, and what came of what was sent to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.engines import engine_of
from storage.webhooks import shops_with_webhooks
from tests.support.engines import store_url
from tests.support.ports import free_port
from tests.support.process import DaemonProcess, daemon_process
from tests.support.shopify_sender import Sender

NOTHING: dict[str, Any] = {"events": [], "rejected": [], "products": {}, "orders": []}
_FROM_WEBHOOKS = ("order.", "fulfillment.", "product.", "import.")


@dataclass
class Scene:
    """A daemon, and who sends to it."""

    daemon: DaemonProcess
    sandbox: Sandbox
    shop: str
    port: int
    sender: Sender

    @property
    def orders(self) -> list[str]:
        return self.sandbox.platforms["shopify"].order_ids()

    async def start(self, crash: str | None = None) -> None:
        self.daemon.start(crash)
        await self.daemon.ready()

    async def worked_off(self) -> list[dict[str, Any]]:
        """What webhooks led to in the feed, once nothing waits in the inbox."""
        await is_worked_off(self.daemon.folder)
        return of_types(await all_events(self.daemon), *_FROM_WEBHOOKS)

    async def products(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        after = ""
        while True:
            _, page = await self.daemon.call("GET", f"/v1/products?shop={self.shop}{after}")
            found |= {each["id"]: each for each in page["products"]}
            if page["next"] is None:
                return found
            after = f"&after={page['next']}"

    async def known_orders(self) -> list[str]:
        _, page = await self.daemon.call("GET", "/v1/orders?limit=500")
        return sorted(found["id"] for found in page["orders"])

    async def outcome(self) -> dict[str, Any]:
        """Everything that webhooks can lead to; NOTHING where nothing came of them."""
        events = await self.worked_off()
        _, page = await self.daemon.call("GET", "/v1/rejected")
        found = {"rejected": page["rejected"], "products": await self.products(), "orders": await self.known_orders()}
        return {"events": events, **found}

    def is_silent(self) -> bool:
        """Whether the daemon had no error to report."""
        return '"level": "error"' not in self.daemon.errors.read_text()


@asynccontextmanager
async def scene(folder: Path, orders: int = 25, **settings: Any) -> AsyncIterator[Scene]:
    """Everything ready but the daemon's start. It does not poll, so nothing but a webhook can bring an order.

    `settings`: of the webhook listener.
    """
    sandbox, port = Sandbox(SandboxSettings(orders=orders)), free_port()
    async with sandbox.running(), daemon_process(folder) as daemon:
        shop = daemon.configure(sandbox, "shopify", poll={"enabled": False})
        configure(daemon, webhooks={"port": port, **settings})
        yield Scene(daemon, sandbox, shop, port, Sender(shop, port))


def configure(daemon: DaemonProcess, **sections: Any) -> None:
    """Puts sections into the daemon's config; takes effect at its next start."""
    path = daemon.folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | sections))


async def is_worked_off(folder: Path) -> None:
    """Returns once nothing waits in the inbox of a running daemon. No answer and no event shows that, so it is
    looked up."""
    store = engine_of(store_url(folder))
    with anyio.fail_after(120):
        while await anyio.to_thread.run_sync(store.glance, shops_with_webhooks):  # noqa: ASYNC110
            await anyio.sleep(0.02)


async def all_events(daemon: DaemonProcess) -> list[dict[str, Any]]:
    """The whole feed."""
    found: list[dict[str, Any]] = []
    after = 0
    while True:
        _, page = await daemon.call("GET", f"/v1/events?after={after}&limit=1000")
        if not page["events"]:
            return found
        found += page["events"]
        after = page["next"]


def of_types(events: Iterable[dict[str, Any]], *areas: str) -> list[dict[str, Any]]:
    """The events whose type begins with one of the areas (`order.`, `product.created`)."""
    return [event for event in events if event["type"].startswith(areas)]


def imports(events: Iterable[dict[str, Any]]) -> list[str]:
    """The orders that the feed has as new, as often as it has them."""
    return sorted(event["order"] for event in of_types(events, "order.imported"))
