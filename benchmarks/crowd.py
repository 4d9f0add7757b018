"""A flood beside little shops: 50,000 targets in one bulk call, and how soon others are served meanwhile.

Twenty shops have 2,500 orders each, which one bulk call sends on their way; once it has begun, each of five little
shops gets one target by a call of its own. Measured are the bulk call as a whole, and for the little shops the time
from their submission to the arrival of their first step at the sandbox.

    python -m benchmarks crowd
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio

from benchmarks import asked
from benchmarks.lagged import noted
from benchmarks.machine import cpu_of, load, watched
from benchmarks.processes import Daemon, Sandbox, daemon, ledger, sandbox

LITTLE = 5
_LATENCY_MS = 20
_RATE = 5
_PATIENCE_SECONDS = 600


def measure(targets: int = 50_000, shops: int = 20) -> dict[str, Any]:
    """One flood of so many targets, over so many shops."""
    began = load()
    a_shop = targets // shops
    options = ("--shops", str(shops), "--orders", str(a_shop), "--latency", str(_LATENCY_MS))
    little = ("--shops", str(LITTLE), "--orders", "4", "--latency", str(_LATENCY_MS))
    with TemporaryDirectory(prefix="fulfilld-bench-") as name, sandbox(*options) as platform, sandbox(*little) as other:
        limits = {"concurrency": 8, "rate_per_second": _RATE, "burst": 2 * _RATE, "window": {"calls": 0}}
        more = {"limits": limits, "fresh_seconds": 86_400, "poll": {"interval_seconds": 3600, "page_size": 250}}
        config = dict(platform.config)
        config["shops"] = {
            **{shop: {**settings, **more} for shop, settings in platform.config["shops"].items()},
            **{f"little-{shop}": {**settings, **more} for shop, settings in other.config["shops"].items()},
        }
        with (
            daemon(Path(name), config, module="benchmarks.lagged") as running,
            watched([platform.pid, other.pid, running.pid]) as watch,
        ):
            found = anyio.run(_flood, running, platform, other, a_shop * shops)
    return {"targets": a_shop * shops, "load": [began, load()], "foreign": round(watch.foreign, 3), **found}


async def _flood(running: Daemon, platform: Sandbox, other: Sandbox, many: int) -> dict[str, Any]:
    with anyio.fail_after(_PATIENCE_SECONDS):
        await asked.reached(running.store, "SELECT count(*) FROM orders", many + LITTLE * 4)
    big = set(platform.config["shops"])
    lines, little = [], {}
    for shop, order in asked.rows(running.store, "SELECT shop, id FROM orders ORDER BY seq"):
        if shop in big:
            lines.append({"shop": shop, "order": order, "state": "delivered"})
        else:
            little[shop] = order
    submitted: dict[str, float] = {}
    taken: list[float] = []
    async with running.api() as api, running.api() as of_little:
        since, before = time.time(), cpu_of(running.pid)

        async def flood() -> None:
            await api.submit(lines)
            taken.append(time.time() - since)

        async with anyio.create_task_group() as group:
            group.start_soon(flood)
            await anyio.sleep(1)
            for shop, order in little.items():
                submitted[order] = time.time()
                await of_little.text("POST", f"/v1/shops/{shop}/orders/{order}/targets", json={"state": "delivered"})
        cpu = (cpu_of(running.pid) - before).total
        first = await _first_steps(other, submitted)
    late = noted(running.folder, since, since + taken[0])
    return {
        "seconds": round(taken[0], 1),
        "cpu_us_a_target": round(cpu / many * 1e6),
        "little_first_step_seconds": [round(value, 2) for value in sorted(first)],
        "loop_lag_p99_ms": asked.percentile(late, 0.99) if late else None,
    }


async def _first_steps(other: Sandbox, submitted: dict[str, float]) -> list[float]:
    """The seconds from a submission to the order's first step, once all had theirs."""
    with anyio.fail_after(_PATIENCE_SECONDS):
        while True:
            arrived = {call["order"]: call["at_ms"] / 1000 for call in await ledger(other.control, "confirm")}
            if submitted.keys() <= arrived.keys():
                return [arrived[order] - at for order, at in submitted.items()]
            await anyio.sleep(0.2)
