"""How soon the API answers, and what an answer costs the daemon."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from itertools import cycle
from pathlib import Path
from typing import Any

import anyio

from benchmarks.machine import Cpu, cpu_of
from benchmarks.processes import Api

Ask = Callable[[Api], Any]
_MORE_CALLS = 10


def scalar(store: Path, sql: str) -> int:
    """A number of the store, read beside the daemon."""
    return int(rows(store, sql)[0][0] or 0)


async def reached(store: Path, sql: str, least: int) -> int:
    """Waits until this number of the store is not below `least`; answers it."""
    while True:
        if (now := scalar(store, sql)) >= least:
            return now
        await anyio.sleep(0.05)


def rows(store: Path, sql: str) -> list[Any]:
    """Rows of the store, read beside the daemon."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def percentile(values: list[float], share: float) -> float:
    """The value below which that share of the values lies, in ms where they are seconds."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 2)


async def timed(api: Api, ask: Ask, seconds: float, pause: float, pid: int, idle: float = 0) -> dict[str, float]:
    """Asks again and again for so many seconds (at least ten times): the latencies, and the daemon's CPU a call, in ms.

    The CPU is that of all which the daemon did meanwhile, less what it takes when nobody asks (`idle`, in cores): so it
    is an answer's only where nothing else goes on.
    """
    taken: list[float] = []
    before, since = cpu_of(pid), time.monotonic()
    until = since + seconds
    while time.monotonic() < until or len(taken) < _MORE_CALLS:
        began = time.perf_counter()
        await ask(api)
        taken.append(time.perf_counter() - began)
        await anyio.sleep(pause)
    cpu = used(pid, before, since, idle) / len(taken) * 1000
    return {
        "calls": len(taken),
        "p50_ms": percentile(taken, 0.5),
        "p95_ms": percentile(taken, 0.95),
        "max_ms": percentile(taken, 1.0),
        "cpu_ms": round(cpu, 2),
    }


def used(pid: int, before: Cpu, since: float, idle: float) -> float:
    """CPU seconds of a process since then (of the monotonic clock), less what it takes when nobody asks."""
    return max(0.0, (cpu_of(pid) - before).total - idle * (time.monotonic() - since))


async def idle_cores(pid: int, seconds: float) -> float:
    """How many cores a process takes while nobody asks."""
    before = cpu_of(pid)
    await anyio.sleep(seconds)
    return (cpu_of(pid) - before).total / seconds


def status(api: Api) -> Any:
    """The status dump."""
    return api.text("GET", "/v1/status")


def order_pages(**filters: str) -> Ask:
    """Pages of 100 orders, one after the other; from the first again after the last. Only where the next one begins is
    read of a page: what this client does with the rest is not the daemon's time."""
    position: dict[str, str] = {}

    async def ask(api: Api) -> None:
        page = await api.text("GET", "/v1/orders", params={"limit": "100", **filters, **position})
        position.clear()
        following = json.loads("{" + page[page.rindex('"next":') :])["next"]
        if following is not None:
            position["after"] = following

    return ask


def by_reference(references: list[str]) -> Ask:
    """The orders of one reference, another one each time."""
    turn = cycle(references)
    return lambda api: api.text("GET", "/v1/orders", params={"reference": next(turn)})


def by_shop(shops: list[str]) -> Ask:
    """The first 100 orders of a shop, of another one each time."""
    turn = cycle(shops)
    return lambda api: api.text("GET", "/v1/orders", params={"limit": "100", "shop": next(turn)})


def feed_pages(last: int) -> Ask:
    """Pages of 500 events from anywhere in the feed."""
    chance = random.Random(1)
    return lambda api: api.text(
        "GET", "/v1/events", params={"limit": "500", "after": str(chance.randrange(max(1, last - 600)))}
    )


def submissions(orders: list[tuple[str, str]]) -> Ask:
    """A target for an order that has none; AssertionError once all have one."""
    turn = iter(orders)

    async def ask(api: Api) -> None:
        shop, order = next(turn, ("", ""))
        assert order, "too few orders for so many submissions"
        await api.text("POST", f"/v1/shops/{shop}/orders/{order}/targets", json={"state": "delivered"})

    return ask
