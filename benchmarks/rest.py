"""What 100,000 orders at rest cost a daemon: its memory, and how long the status dump takes.

python -m benchmarks.rest [--orders 100000]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import anyio
import psutil

from benchmarks.run import started, until_ready
from storage.orders import insert_order
from storage.records import Order
from storage.sqlite.store import SqliteStore, open_sqlite
from storage.transaction import Transaction

STATES = (("CheckQueue", "new"), ("OrderConfirm", "accepted"), ("SentOrder", "shipped"), ("ToCustomer", "delivered"))
PAYLOAD = json.dumps({"id": 1, "items": [{"id": number, "note": "x" * 150} for number in range(10)]}).encode()
BATCH = 1000
STATUS_CALLS = 21


def order(number: int, now: int) -> Order:
    """An order at rest."""
    state, milestone = STATES[number % len(STATES)]
    return Order.first_seen(
        shop="acme",
        platform="selldone",
        id=str(number),
        reference=str(number),
        state=state,
        platform_state=state,
        milestone=milestone,
        payment="paid",
        facts={"status": "Payed", "items": ["1", "2"]},
        content_hash="0" * 32,
        platform_updated_at=now,
        observed_at=now,
        now=now,
    )


async def fill(path: Path, count: int, now: int) -> None:
    """Puts orders into a new store."""
    async with open_sqlite(path, now) as store:
        for start in range(0, count, BATCH):
            await _insert(store, range(start, min(start + BATCH, count)), now)


async def _insert(store: SqliteStore, numbers: range, now: int) -> None:
    def unit(tx: Transaction) -> None:
        for number in numbers:
            insert_order(tx, order(number, now), PAYLOAD)

    await store.write(unit)


async def status_seconds(socket: Path) -> list[float]:
    """How long each status dump takes, after a first one."""
    seconds = []
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as api:
        for _ in range(STATUS_CALLS + 1):
            began = time.perf_counter()
            async with api.get("http://localhost/v1/status") as response:
                await response.read()
            seconds.append(time.perf_counter() - began)
    return seconds[1:]


def main() -> None:
    """Prints two lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fulfilld-bench-") as name:
        folder = Path(name)
        anyio.run(fill, folder / "fulfilld.db", arguments.orders, time.time_ns() // 1_000_000)
        shop = {
            "platform": "selldone",
            "shop_id": 1,
            "token": "x",
            "base_url": "http://127.0.0.1:9",
            "poll": {"enabled": False},
        }
        config = {"api": {"socket": "d.sock"}, "log": {"level": "error"}, "shops": {"acme": shop}}
        (folder / "config.json").write_text(json.dumps(config))
        command = [sys.executable, "-m", "orchestrator", "--config", str(folder / "config.json"), "run"]
        with started(command) as daemon:
            anyio.run(until_ready, folder / "d.sock")
            seconds = anyio.run(status_seconds, folder / "d.sock")
            memory = psutil.Process(daemon.pid).memory_info().rss
        print(f"{arguments.orders} orders at rest: {memory / 2**20:.0f} MB resident after {STATUS_CALLS} status dumps")
        print(f"GET /v1/status: median {statistics.median(seconds) * 1000:.1f} ms, worst {max(seconds) * 1000:.1f} ms")


if __name__ == "__main__":
    main()
