"""How soon a burst of webhooks is answered, as the sender sees it: from before it connects to the end of the answer.

Sandbox and daemon are processes of their own, the sender is this one. Each burst is a connection for every webhook, all
at once, a third each about orders, fulfilments and products. All are new to the daemon, which keeps each on disk
(synchronous=FULL) before its answer and meanwhile begins to read the orders from the sandbox. The next burst comes when
all fulfilments of the one before were in the feed. A first burst is not counted.

    python -m benchmarks webhooks
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import anyio

from benchmarks.machine import load
from benchmarks.processes import Api, daemon, sandbox

ORDERS = 100
LINES = [
    {"id": 487_817_672_276_298_000 + n, "title": "Aviator sunglasses", "note": "x" * 400, "price": "89.99"}
    for n in range(10)
]


@dataclass(frozen=True)
class Scene:
    """A daemon on a simulated Shopify shop."""

    shop: str
    secret: str
    socket: Path
    port: int


@dataclass(frozen=True)
class Webhook:
    """One call, ready to be sent."""

    url: str
    body: bytes
    headers: dict[str, str]


def burst_of(scene: Scene, orders: list[str], number: int, count: int) -> list[Webhook]:
    """The webhooks of one burst, each of them new."""
    made = []
    for n in range(count):
        area, action = (("orders", "updated"), ("fulfillments", "create"), ("products", "create"))[n % 3]
        body = {
            "id": int(orders[n % len(orders)]) if area == "orders" else number * count + n + 1,
            "order_id": int(orders[n % len(orders)]),
            "title": "Aviator sunglasses",
            "updated_at": f"2199-01-01T00:{number:02}:00-05:00",
            "line_items": LINES,
        }
        raw = json.dumps(body).encode()
        signature = base64.b64encode(hmac.new(scene.secret.encode(), raw, hashlib.sha256).digest()).decode()
        headers = {
            "Content-Type": "application/json",
            "X-Shopify-Topic": f"{area}/{action}",
            "X-Shopify-Hmac-Sha256": signature,
            "X-Shopify-Webhook-Id": f"w-{number}-{n}",
            "X-Shopify-Event-Id": f"e-{number}-{n}",
        }
        place = "products" if area == "products" else "orders"
        made.append(Webhook(f"http://127.0.0.1:{scene.port}/webhooks/{scene.shop}/{place}", raw, headers))
    return made


async def send(burst: list[Webhook]) -> list[float]:
    """Sends all at once; the seconds that each took."""
    seconds: list[float] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as session:

        async def send_one(webhook: Webhook) -> None:
            began = time.perf_counter()
            async with session.post(webhook.url, data=webhook.body, headers=webhook.headers) as answer:
                await answer.read()
                assert answer.status == 200, answer.status
            seconds.append(time.perf_counter() - began)

        async with anyio.create_task_group() as group:
            for webhook in burst:
                group.start_soon(send_one, webhook)
    return seconds


def measure(bursts: int = 5, webhooks: int = 300) -> dict[str, Any]:
    """So many bursts of so many webhooks: in the median and in the worst burst, the ms for half of them and for all."""
    began = load()
    with scenery() as scene:
        found = anyio.run(_bursts, scene, bursts, webhooks, backend_options={"use_uvloop": True})
    half = [statistics.median(seconds) * 1000 for seconds in found]
    whole = [max(seconds) * 1000 for seconds in found]
    return {
        "webhooks": webhooks,
        "load": [began, load()],
        "median_burst": {"half_ms": round(statistics.median(half)), "all_ms": round(statistics.median(whole))},
        "worst_burst": {"half_ms": round(max(half)), "all_ms": round(max(whole))},
    }


async def _bursts(scene: Scene, bursts: int, count: int) -> list[list[float]]:
    """The seconds of each webhook, burst by burst."""
    async with Api(scene.socket) as api:
        await api.text("POST", f"/v1/shops/{scene.shop}/sync", params={"wait": "300"})
        orders = [order["id"] for order in (await api.json("GET", "/v1/orders", params={"limit": "500"}))["orders"]]
        assert len(orders) == ORDERS
        found = []
        after = 0
        for number in range(bursts + 1):
            found.append(await send(burst_of(scene, orders, number, count)))
            published = 0
            while published < (count + 1) // 3:  # a fulfilment is in the feed after the read of its order
                asked = {"after": str(after), "type": "fulfillment.created", "limit": "1000", "wait": "60"}
                page = await api.json("GET", "/v1/events", params=asked)
                published, after = published + len(page["events"]), page["next"]
    return found[1:]


@contextmanager
def scenery() -> Iterator[Scene]:
    """A sandbox process and a daemon process in a temporary directory."""
    with (
        TemporaryDirectory(prefix="fulfilld-bench-") as name,
        sandbox("--platform", "shopify", "--orders", str(ORDERS)) as platform,
    ):
        ((shop, settings),) = platform.config["shops"].items()
        config = {
            **platform.config,
            "shops": {shop: {**settings, "poll": {"interval_seconds": 3600}}},
            "webhooks": {"port": _free_port()},
        }
        with daemon(Path(name), config) as running:
            yield Scene(shop, settings["webhook_secret"][0], running.socket, config["webhooks"]["port"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
