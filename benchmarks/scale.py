"""How the daemon behaves with many orders: 200 shops, nine of ten orders at rest, the others imported and then driven.

A store is filled with orders at rest (`benchmarks.fill`), and a daemon imports the sandbox's orders beside them. The
shops are paused, most of what was imported gets a target in bulk calls of 10,000 lines, and the API is asked. Then the
daemon is started anew without pauses, drives 5 calls a second for each shop, and the API is asked again. The rest of
what was imported is for single submissions.

    python -m benchmarks scale --orders 10000,100000,1000000
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import psutil

from benchmarks import asked
from benchmarks.fill import Wanted, fill
from benchmarks.lagged import noted
from benchmarks.machine import cpu_of, load, watched
from benchmarks.processes import Api, Daemon, Sandbox, daemon, ledger, sandbox, steps

SHOPS = 200
RATE = 5
_LEAST_IMPORTED = 5_000
_LINES = 10_000
_WITH_EVENTS = 20_000
_LATENCY_MS = 20
_PATIENCE_SECONDS = 600
_SETTLE_SECONDS = 2.0
_LEAST_SINGLE, _MOST_SINGLE = 40, 4_000  # orders for single submissions: a fifth of what was imported, within these


@dataclass(frozen=True)
class Scale:
    """`orders` in the store at the end, in `shops` shops; `seconds`: how long each call of the API is measured."""

    orders: int
    shops: int = SHOPS
    seconds: float = 3.0
    least_imported: int = _LEAST_IMPORTED

    @property
    def imported(self) -> int:
        """Orders of the sandbox: a tenth, but enough to be driven for a while, and as many in each shop."""
        wanted = min(self.orders, max(self.orders // 10, self.least_imported))
        return math.ceil(wanted / self.shops) * self.shops


def measure(size: Scale) -> dict[str, Any]:
    """Everything of one size."""
    began = load()
    with TemporaryDirectory(prefix="fulfilld-bench-") as name:
        folder = Path(name)
        rest = max(0, size.orders - size.imported)
        wanted = Wanted(rest, 0, size.shops, min(rest, _WITH_EVENTS))
        since = time.monotonic()
        anyio.run(fill, folder / "fulfilld.db", wanted, time.time_ns() // 1_000_000)
        filled = time.monotonic() - since
        a_shop = size.imported // size.shops
        with sandbox("--shops", str(size.shops), "--orders", str(a_shop), "--latency", str(_LATENCY_MS)) as platform:
            found = {
                "orders": rest + size.imported,
                "imported": size.imported,
                "shops": size.shops,
                "fill_seconds": round(filled, 1),
                "bytes_an_order_at_rest": round((folder / "fulfilld.db").stat().st_size / rest) if rest else None,
            }
            first = _run(folder, platform, size, "paused")
            second = _run(folder, platform, size, "driving")
    return {**found, "load": [began, load()], **first, **second}


def _run(folder: Path, platform: Sandbox, size: Scale, part: str) -> dict[str, Any]:
    config = dict(platform.config)
    limits = {"concurrency": 8, "rate_per_second": RATE, "burst": 2 * RATE, "window": {"calls": 0}}
    more = {"limits": limits, "fresh_seconds": 86_400, "poll": {"interval_seconds": 3600, "page_size": 250}}
    config["shops"] = {name: {**shop, **more} for name, shop in config["shops"].items()}
    began = time.time()
    with daemon(folder, config, module="benchmarks.lagged") as running:
        ready = time.time() - began
        work = {"paused": _paused, "driving": _driving}[part]
        with watched([platform.pid, running.pid]) as watch:
            found = anyio.run(work, running, platform, size, began)
    return {f"start_{part}_seconds": round(ready, 2), f"foreign_{part}": round(watch.foreign, 3), **found}


async def _paused(running: Daemon, platform: Sandbox, size: Scale, _: float) -> dict[str, Any]:
    shops = list(platform.config["shops"])
    async with running.api() as api:
        found = await _imported(running, size)
        for shop in shops:
            await api.text("POST", f"/v1/shops/{shop}/pause")
        await anyio.sleep(_SETTLE_SECONDS)
        idle = await asked.idle_cores(running.pid, _SETTLE_SECONDS)
        untouched = _untouched(running.store)
        single = min(_MOST_SINGLE, max(_LEAST_SINGLE, len(untouched) // 5))
        found |= await _bulk(running, api, untouched[single:], idle)
        await anyio.sleep(_SETTLE_SECONDS)
        since = time.time()
        found["paused"] = await _asked(running, api, size, idle)
        found["paused"]["loop_lag"] = _lag(running, since)
        found["pages"] = await _filtered(running, api, size, shops, idle)
        found["idle_cores"] = round(idle, 4)
        for shop in shops:
            await api.text("POST", f"/v1/shops/{shop}/resume")
    return found


async def _driving(running: Daemon, platform: Sandbox, size: Scale, began: float) -> dict[str, Any]:
    async with running.api() as api, _watching(running) as memory:
        first = await _first_step(platform, began)
        await anyio.sleep(_SETTLE_SECONDS)
        since, before = time.time(), cpu_of(running.pid)
        driven = len(await steps(platform.control))
        asked_for = await _asked(running, api, size)
        asked_for["loop_lag"] = _lag(running, since)
        seconds, taken = time.time() - since, (cpu_of(running.pid) - before).total
        driven = len(await steps(platform.control)) - driven
    return {
        "first_step_seconds": round(first - began, 2),
        "driving": {
            **asked_for,
            "steps_a_second": round(driven / seconds),
            "cpu_of_a_core": round(taken / seconds, 3),
            "rss_mb": memory["peak"],
            "is_busy": driven / seconds > 0.5 * RATE * size.shops,
        },
    }


async def _first_step(platform: Sandbox, began: float) -> float:
    """When the first call after this instant came, once it has (Unix seconds)."""
    with anyio.fail_after(_PATIENCE_SECONDS):
        while True:
            for call in await ledger(platform.control, "confirm"):  # in the order of their arrival
                if call["at_ms"] / 1000 > began:
                    return float(call["at_ms"] / 1000)
            await anyio.sleep(0.2)


async def _imported(running: Daemon, size: Scale) -> dict[str, Any]:
    """Waits until all orders of the sandbox are there."""
    rest = max(0, size.orders - size.imported)
    # What was imported before the daemon was ready counts as little as the time that took.
    before = cpu_of(running.pid)
    since = time.time()
    there = asked.scalar(running.store, "SELECT max(seq) FROM orders") - rest
    async with _watching(running) as memory:
        with anyio.fail_after(_PATIENCE_SECONDS):
            now = await asked.reached(running.store, "SELECT max(seq) FROM orders", rest + size.imported) - rest
        ended = time.time()
    seconds = max(ended - since, 0.001)
    return {
        "rss_start_mb": memory["first"],
        "import": {
            "orders_a_second": round((now - there) / seconds) if now > there else None,
            "cpu_us_an_order": round((cpu_of(running.pid) - before).total / max(1, now - there) * 1e6),
            "rss_mb": memory["peak"],
            "loop_lag": _lag(running, since),
        },
    }


def _untouched(store: Path) -> list[tuple[str, str]]:
    """What was imported and has no target, in any order."""
    sql = "SELECT shop, id FROM orders WHERE situation = 'idle' AND state = 'CheckQueue' ORDER BY seq"
    found = asked.rows(store, sql)
    random.Random(2).shuffle(found)
    return found


async def _bulk(running: Daemon, api: Api, orders: list[tuple[str, str]], idle: float) -> dict[str, Any]:
    since, clock, before = time.time(), time.monotonic(), cpu_of(running.pid)
    for start in range(0, len(orders), _LINES):
        part = orders[start : start + _LINES]
        await api.submit([{"shop": shop, "order": order, "state": "delivered"} for shop, order in part])
    seconds = time.time() - since
    return {
        "bulk": {
            "targets": len(orders),
            "targets_a_second": round(len(orders) / seconds),
            "cpu_us_a_target": round(asked.used(running.pid, before, clock, idle) / len(orders) * 1e6),
            "rss_mb": _rss(running),
            "loop_lag": _lag(running, since),
        }
    }


async def _asked(running: Daemon, api: Api, size: Scale, idle: float = 0) -> dict[str, Any]:
    """Asks what an ERP and a dashboard ask."""
    last = asked.scalar(running.store, "SELECT max(cursor) FROM events")
    calls = {
        "status": (asked.status, 0.05),
        "order_page": (asked.order_pages(), 0.02),
        "feed_page": (asked.feed_pages(last), 0.02),
        "submit": (asked.submissions(_untouched(running.store)), 0.02),
    }
    return {
        name: await asked.timed(api, ask, size.seconds, pause, running.pid, idle)
        for name, (ask, pause) in calls.items()
    }


async def _filtered(running: Daemon, api: Api, size: Scale, shops: list[str], idle: float) -> dict[str, Any]:
    """Pages by filter, while nothing else goes on: so the CPU is theirs."""
    references = [order for _, order in _untouched(running.store)[:200]]
    calls = {
        "situation": asked.order_pages(situation="queued"),
        "milestone": asked.order_pages(milestone="delivered"),
        "state": asked.order_pages(state="CheckQueue"),
        "shop": asked.by_shop(shops),
        "reference": asked.by_reference(references),
    }
    return {name: await asked.timed(api, ask, size.seconds / 2, 0.02, running.pid, idle) for name, ask in calls.items()}


def _lag(running: Daemon, since: float) -> dict[str, float]:
    late = noted(running.folder, since, time.time())
    if not late:
        return {}
    return {
        "p50_ms": asked.percentile(late, 0.5),
        "p99_ms": asked.percentile(late, 0.99),
        "max_ms": asked.percentile(late, 1),
    }


def _rss(running: Daemon) -> int:
    return int(psutil.Process(running.pid).memory_info().rss / 2**20)


@asynccontextmanager
async def _watching(running: Daemon) -> AsyncIterator[dict[str, int]]:
    """The daemon's resident memory in MB: at first, and at its peak by now."""
    memory = {"first": _rss(running), "peak": _rss(running)}

    async def look() -> None:
        while True:
            memory["peak"] = max(memory["peak"], _rss(running))
            await anyio.sleep(0.05)

    async with anyio.create_task_group() as group:
        group.start_soon(look)
        yield memory
        group.cancel_scope.cancel()
