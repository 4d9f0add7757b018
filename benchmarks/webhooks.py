"""How soon a burst of webhooks is answered, as the sender sees it: from before it connects to the end of the answer.

Sandbox and daemon are processes of their own, the sender is this one. Each burst is a connection for every webhook, all
at once, a third each about orders, fulfilments and products. All are new to the daemon, which keeps each on disk
(synchronous=FULL) before its answer and meanwhile begins to read the orders from the sandbox. The next burst comes when
all fulfilments of the one before were in the feed. A first burst is not counted.

    python -m benchmarks.webhooks [--bursts 5] [--webhooks 300]
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import anyio

from benchmarks.run import started, until_ready

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


async def measure(scene: Scene, bursts: int, count: int) -> list[list[float]]:
    """The seconds of each webhook, burst by burst."""
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(scene.socket))) as api:
        await ask(api, f"/v1/shops/{scene.shop}/sync?wait=300", "POST")
        orders = [order["id"] for order in (await ask(api, "/v1/orders?limit=500"))["orders"]]
        assert len(orders) == ORDERS
        found = []
        after = 0
        for number in range(bursts + 1):
            found.append(await send(burst_of(scene, orders, number, count)))
            published = 0
            while published < (count + 1) // 3:  # a fulfilment is in the feed after the read of its order
                page = await ask(api, f"/v1/events?after={after}&type=fulfillment.created&limit=1000&wait=60")
                published, after = published + len(page["events"]), page["next"]
    return found[1:]


async def ask(api: aiohttp.ClientSession, path: str, method: str = "GET") -> Any:
    """A call of the socket API."""
    async with api.request(method, f"http://localhost{path}") as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


@contextmanager
def scenery() -> Iterator[Scene]:
    """A sandbox process and a daemon process in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="fulfilld-bench-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "orchestrator"]
        options = ["--port", "0", "--orders", str(ORDERS)]
        with started([*command, "sandbox", *options], stdout=subprocess.PIPE) as sandbox:
            assert sandbox.stdout is not None
            config = json.loads(sandbox.stdout.readline())
            shop, settings = next((n, s) for n, s in config["shops"].items() if s["platform"] == "shopify")
            config["shops"] = {shop: {**settings, "poll": {"interval_seconds": 3600}}}
            config["webhooks"] = {"port": _free_port()}
            config["log"] = {"level": "error"}
            (folder / "config.json").write_text(json.dumps(config))
            with started([*command, "--config", str(folder / "config.json"), "run"]):
                path = folder / config["api"]["socket"]
                anyio.run(until_ready, path)
                yield Scene(shop, settings["webhook_secret"][0], path, config["webhooks"]["port"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Prints a line for each burst, and one for all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bursts", type=int, default=5)
    parser.add_argument("--webhooks", type=int, default=300, help="webhooks in each burst")
    arguments = parser.parse_args()
    with scenery() as scene:
        backend = {"use_uvloop": True}
        found = anyio.run(measure, scene, arguments.bursts, arguments.webhooks, backend_options=backend)
    for number, seconds in enumerate(found, 1):
        print(f"burst {number}: {len(seconds)} webhooks, {_times(statistics.median(seconds), max(seconds))}")
    medians = [statistics.median(seconds) for seconds in found]
    slowest = [max(seconds) for seconds in found]
    print(f"median of the bursts: {_times(statistics.median(medians), statistics.median(slowest))}")
    print(f"worst of the bursts: {_times(max(medians), max(slowest))}")


def _times(median: float, slowest: float) -> str:
    return f"median {median * 1000:.0f} ms, slowest {slowest * 1000:.0f} ms"


if __name__ == "__main__":
    main()
