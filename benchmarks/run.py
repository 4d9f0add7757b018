"""How fast the daemon drives orders, beside a bare aiohttp client that promises nothing.

Both do the same four calls in sequence for each order (confirm, prepare, send, deliver), 64 orders at once, against the
same sandbox process, in turns: bare, daemon, bare, daemon, … The daemon is the real one, a process of its own with its
limits lifted: every intent is on disk (synchronous=FULL) before its call goes out. Times are taken by the sandbox's own
ledger: from the first call, or from the submission of the targets (a shop that was paused would be synced as well), to
the end of the last call. Reported is the median over the cycles of (bare seconds / daemon seconds): 1.00 would mean
that durability is free.

    python -m benchmarks.run [--cycles 5] [--orders 400] [--latency 0 --latency 20]
"""

from __future__ import annotations

import argparse
import json
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

AT_ONCE = 64
STATES = ("OrderConfirm", "PreparingOrder", "SentOrder", "ToCustomer")
LIFTED = {
    "limits": {"concurrency": AT_ONCE, "rate_per_second": 1_000_000, "burst": 1_000_000, "window": {"calls": 0}},
    "poll": {"interval_seconds": 3600, "page_size": 250},
    "fresh_seconds": 86_400,
}


@dataclass(frozen=True)
class Scene:
    """One sandbox and one daemon on its shop."""

    platform: str
    shop: dict[str, Any]
    socket: Path
    control: str


async def bare(scene: Scene, orders: list[str]) -> float:
    """Drives orders with nothing but a client session; answers when it began (Unix seconds)."""
    headers = {"Authorization": f"Bearer {scene.shop['token']}"}
    base = f"{scene.shop['base_url']}/shops/{scene.shop['shop_id']}/process-center/baskets"
    queue = iter(orders)
    timeout = aiohttp.ClientTimeout(total=30)
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as session:

        async def slot() -> None:
            for order in queue:
                for state in STATES:
                    body = {"state": state, "list": None, "delivery_info": None}
                    async with session.post(f"{base}/{order}/state", json=body) as response:
                        answer = await response.json()
                        assert answer["delivery_state"] == state, answer

        began = time.time()
        async with anyio.create_task_group() as group:
            for _ in range(AT_ONCE):
                group.start_soon(slot)
    return began


async def daemon(scene: Scene, orders: list[str]) -> float:
    """Submits the orders' targets and lets the daemon drive them; answers when the first was submitted."""
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(scene.socket))) as api:
        lines = "\n".join(
            json.dumps({"shop": scene.platform, "order": order, "state": "delivered"}) for order in orders
        )
        headers = {"Content-Type": "application/x-ndjson"}
        began = time.time()
        text = await _ok(api.post("http://localhost/v1/targets", data=lines + "\n", headers=headers))
        targets = [json.loads(line)["target"]["id"] for line in text.splitlines()]
        assert len(targets) == len(orders), text
        for target in reversed(targets):
            found = json.loads(await _ok(api.get(f"http://localhost/v1/targets/{target}", params={"wait": "300"})))
            assert found["status"] == "reached", found
    return began


async def _ok(request: Any) -> str:
    async with request as response:
        text = await response.text()
        assert response.status < 300, text
        return str(text)


async def measure(scene: Scene, cycles: int, count: int) -> list[tuple[float, float]]:
    """Seconds of bare client and daemon, cycle by cycle."""
    orders = await _imported(scene)
    assert len(orders) >= 2 * cycles * count, "the sandbox has too few orders"
    slices = [orders[start : start + count] for start in range(0, 2 * cycles * count, count)]
    began: list[tuple[list[str], float]] = []
    for index, part in enumerate(slices):
        side = bare if index % 2 == 0 else daemon
        began.append((part, await side(scene, part)))
    ended = await _ends(scene)
    seconds = [max(ended[order] for order in part) - start for part, start in began]
    return list(zip(seconds[::2], seconds[1::2], strict=True))


async def _imported(scene: Scene) -> list[str]:
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(scene.socket))) as api:
        await _ok(api.post(f"http://localhost/v1/shops/{scene.platform}/sync", params={"wait": "300"}))
        found: list[str] = []
        after: str | None = None
        while True:
            params = {"limit": "1000", **({"after": after} if after else {})}
            page = json.loads(await _ok(api.get("http://localhost/v1/orders", params=params)))
            found += [order["id"] for order in page["orders"]]
            if (after := page["next"]) is None:
                return found


async def _ends(scene: Scene) -> dict[str, float]:
    """When each order's last call ended, from the sandbox's ledger."""
    async with aiohttp.ClientSession() as session:
        ledger = json.loads(await _ok(session.get(f"{scene.control}/_sandbox/ledger", params={"step": "deliver"})))
    calls = ledger["calls"] if isinstance(ledger, dict) else ledger
    return {call["order"]: call["ended_at_ms"] / 1000 for call in calls}


@contextmanager
def scenery(latency_ms: float, orders: int) -> Iterator[Scene]:
    """A sandbox process and a daemon process in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="fulfilld-bench-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "orchestrator"]
        options = ["--port", "0", "--orders", str(orders), "--latency", str(latency_ms)]
        with started([*command, "sandbox", *options], stdout=subprocess.PIPE) as sandbox:
            assert sandbox.stdout is not None
            config = json.loads(sandbox.stdout.readline())
            platform, shop = next((n, s) for n, s in config["shops"].items() if s["platform"] == "selldone")
            config["shops"] = {platform: {**shop, **LIFTED}}
            config["log"] = {"level": "warning"}
            (folder / "config.json").write_text(json.dumps(config))
            socket = folder / config["api"]["socket"]
            with started([*command, "--config", str(folder / "config.json"), "run"]):
                anyio.run(until_ready, socket)
                control = shop["base_url"].rsplit("/", 1)[0]
                yield Scene(platform, shop, socket, control)


@contextmanager
def started(command: list[str], stdout: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process for as long as the block lasts."""
    process = subprocess.Popen(command, stdout=stdout)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


async def until_ready(socket: Path) -> None:
    """Returns once the daemon at this socket is ready; TimeoutError after a minute."""
    with anyio.fail_after(60):
        while True:
            try:
                async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as api:
                    await _ok(api.get("http://localhost/v1/ready"))
                    return
            except (OSError, aiohttp.ClientError, AssertionError):
                await anyio.sleep(0.05)


def main() -> None:
    """Prints one table per latency."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=5)
    parser.add_argument("--orders", type=int, default=400, help="orders in each turn")
    parser.add_argument("--latency", type=float, action="append", help="platform latency in ms (0 and 20)")
    arguments = parser.parse_args()
    for latency in arguments.latency or [0.0, 20.0]:
        with scenery(latency, 2 * arguments.cycles * arguments.orders) as scene:
            pairs = anyio.run(measure, scene, arguments.cycles, arguments.orders, backend_options={"use_uvloop": True})
        calls = len(STATES) * arguments.orders
        print(f"platform latency {latency:g} ms, {arguments.orders} orders a turn, {AT_ONCE} at once")
        for number, (plain, ours) in enumerate(pairs, 1):
            line = f"bare {calls / plain:7.0f} calls/s   daemon {calls / ours:7.0f} calls/s   ratio {plain / ours:.2f}"
            print(f"  cycle {number}: {line}")
        print(f"  median ratio {statistics.median(plain / ours for plain, ours in pairs):.2f}\n", flush=True)


if __name__ == "__main__":
    main()
