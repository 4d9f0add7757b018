"""How fast orders are driven, beside a bare client that promises nothing and beside others that keep every step.

All sides do the same four calls in sequence for each order (confirm, prepare, send, deliver), 64 orders at once,
against the same sandbox process, in turns; the first of a cycle is another one each time. Times are taken by the
sandbox's own ledger and by its calls, whoever goes order by order or does the first call of all orders first: from the
moment when a quarter of a turn's calls were done (by then all targets are submitted) to the last one, divided by the
calls in between. CPU is that of the whole turn, divided by all its calls; what submitting takes the daemon is measured
by itself at the end and taken off (`scale` has how fast it is). Ratios are of turns of the same cycle.

    python -m benchmarks driving peers
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio

from benchmarks.bare import STATES
from benchmarks.machine import CALM, Cpu, load, watched
from benchmarks.peers.installed import Peer
from benchmarks.processes import ROOT, Sandbox, sandbox, steps
from benchmarks.sides import Bare, Ours, Side, Turn, ours, own_pids, theirs

UVLOOP = {"use_uvloop": True}
_TICK_MS = 1  # what the sandbox's ledger can tell apart


@dataclass(frozen=True)
class Size:
    """How much is driven: cycles, and orders in each turn."""

    cycles: int
    orders: int


@contextmanager
def scene(latency_ms: float, orders: int) -> Iterator[tuple[Sandbox, str, Mapping[str, Any], Path]]:
    """A sandbox with one shop of so many orders: with its name, its settings and a folder for those who drive them."""
    with TemporaryDirectory(prefix="fulfilld-bench-") as name:
        Path(name).chmod(0o711)  # PostgreSQL runs as another user where we are root
        with sandbox("--orders", str(orders), "--latency", str(latency_ms)) as platform:
            ((shop, settings),) = platform.config["shops"].items()
            yield platform, shop, settings, Path(name)


def beside_bare(latency_ms: float, size: Size, before: Path | None) -> dict[str, Any]:
    """The daemon beside the bare client, and beside the build in `before` where there is one."""
    builds = {"daemon": ROOT, **({"before": before} if before else {})}
    orders = ((1 + len(builds)) * size.cycles + 1) * size.orders
    with scene(latency_ms, orders) as (platform, shop, settings, folder), ExitStack() as stack:
        sides: list[Side] = [Bare(settings)]
        for name, checkout in builds.items():
            sides.append(stack.enter_context(ours(name, folder / name, shop, settings, checkout)))
        return anyio.run(series, platform, sides, size, backend_options=UVLOOP)


def beside_peer(peer: Peer, latency_ms: float, size: Size) -> dict[str, Any]:
    """The daemon beside another's engine, and the bare client."""
    with (
        scene(latency_ms, (3 * size.cycles + 1) * size.orders) as (platform, shop, settings, folder),
        ours("daemon", folder / "daemon", shop, settings) as daemon,
        theirs(peer, folder, settings) as other,
    ):
        sides: list[Side] = [Bare(settings), daemon, other]
        return anyio.run(series, platform, sides, size, backend_options=UVLOOP)


async def series(platform: Sandbox, sides: list[Side], size: Size) -> dict[str, Any]:
    """Turns of all sides, cycle after cycle, and what they come to."""
    orders: list[str] = []
    for side in sides:
        if isinstance(side, Ours):
            orders = await side.prepare()
    parts = iter([orders[start : start + size.orders] for start in range(0, len(orders), size.orders)])
    began = load()
    turns = []
    for cycle in range(size.cycles):
        turn = {}
        for side in [*sides[cycle % len(sides) :], *sides[: cycle % len(sides)]]:
            part = next(parts)
            with watched([platform.pid, *own_pids(sides)]) as watch:
                done = await side.drive(part)
            turn[side.name] = (part, done, watch.foreign)
            await anyio.sleep(0.1)
        turns.append(turn)
    spare = next(parts)
    submitted = {side.name: await side.submit(spare) for side in sides if isinstance(side, Ours)}
    ended: dict[str, list[int]] = {}
    for call in await steps(platform.control):
        ended.setdefault(call["order"], []).append(call["ended_at_ms"])
    cycles = []
    for turn in turns:
        row = {}
        for name, (part, done, foreign) in turn.items():
            times = [at for order in part for at in ended[order]]
            assert len(times) == len(part) * len(STATES), f"{name}: {len(times)} calls for {len(part)} orders"
            taken = Turn(done.cpu - submitted.get(name, Cpu()), done.counts)
            row[name] = {**figures(times, taken), "foreign": round(foreign, 4)}
        cycles.append(row)
    return {"orders": size.orders, "load": [began, load()], "cycles": cycles, **summary(cycles)}


def figures(ended_at_ms: Iterable[int], taken: Turn) -> dict[str, float]:
    """What a step took in a turn, in µs and as shares of what was counted, by when each call of the turn was done.

    The first quarter of the calls is left out of the time: orders are submitted meanwhile. Calls are counted, not
    orders that are over: who works breadth first has done most calls before the first order is over.
    """
    ended = sorted(ended_at_ms)
    begun = len(ended) // 4
    found = {
        "us": max(ended[-1] - ended[begun - 1], _TICK_MS) / (len(ended) - begun) * 1e3,
        "loop_us": taken.cpu.main / len(ended) * 1e6,
        "other_us": taken.cpu.other / len(ended) * 1e6,
        **{f"{count}_a_step": value / len(ended) for count, value in taken.counts.items()},
    }
    return {key: round(value, 4) for key, value in found.items()}


def summary(cycles: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """What a series comes to: medians of the calm cycles, of all where fewer than three were calm."""
    calm = [row for row in cycles if max(turn["foreign"] for turn in row.values()) < CALM]
    rows = calm if len(calm) >= 3 else cycles
    names = [name for name in cycles[0] if name != "bare"]
    return {
        "calm": len(calm),
        "sides": {"bare": _bare(rows), **{name: _side(rows, name) for name in names}},
    }


def _bare(rows: list[dict[str, dict[str, float]]]) -> dict[str, float]:
    return {key: _median([row["bare"][key] for row in rows]) for key in ("us", "loop_us")}


def _side(rows: list[dict[str, dict[str, float]]], name: str) -> dict[str, Any]:
    shares = [row["bare"]["us"] / row[name]["us"] for row in rows]
    cpu = [(row[name]["loop_us"] + row[name]["other_us"]) / row["bare"]["loop_us"] for row in rows]
    found: dict[str, Any] = {key: _median([row[name][key] for row in rows]) for key in rows[0][name]}
    for key, values in (("share", shares), ("cpu_x_bare", cpu)):
        found[key] = round(statistics.median(values), 3)
        found[f"{key}_range"] = [round(min(values), 3), round(max(values), 3)]
    if name != "daemon" and "daemon" in rows[0]:
        found["daemon_is_times"] = round(statistics.median(row[name]["us"] / row["daemon"]["us"] for row in rows), 2)
    return found


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 3)
