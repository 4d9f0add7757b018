"""Who drives orders in turns: the bare client, a build of the daemon, another's engine. All against one sandbox."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import anyio
import anyio.to_thread

from benchmarks import bare
from benchmarks.machine import Cpu, cpu_of
from benchmarks.peers.installed import Peer
from benchmarks.processes import ROOT, Api, Daemon, daemon

LIFTED: Mapping[str, Any] = {
    "limits": {"concurrency": bare.AT_ONCE, "rate_per_second": 1_000_000, "burst": 1_000_000, "window": {"calls": 0}},
    "poll": {"enabled": False},
    "fresh_seconds": 86_400,
}
"""A shop whose limits do not matter, and that is not polled."""
_SETTLE_SECONDS = 0.03
_SETTLED_CPU = 0.002


@dataclass
class Turn:
    """What one turn took: CPU seconds of what did the work."""

    cpu: Cpu
    counts: dict[str, float] = field(default_factory=dict)
    """What the daemon's metrics counted: `commits`, and the `units` in them."""


class Side(Protocol):
    """One who drives orders to their end."""

    name: str
    pids: tuple[int, ...]

    async def drive(self, orders: list[str]) -> Turn:
        """Drives these orders; ends when all have arrived."""
        ...


class Bare:
    """The bare client, in this process."""

    def __init__(self, shop: Mapping[str, Any]) -> None:
        self.name = "bare"
        self.pids: tuple[int, ...] = ()
        self._shop = shop

    async def drive(self, orders: list[str]) -> Turn:
        """As Side."""
        before = time.thread_time()
        await bare.drive(self._shop, orders)
        return Turn(Cpu(main=time.thread_time() - before))


class Ours:
    """A daemon with one shop. Its orders are imported by `prepare`."""

    def __init__(self, name: str, running: Daemon, shop: str) -> None:
        self.name = name
        self.pids: tuple[int, ...] = (running.pid,)
        self._running, self._shop = running, shop

    async def prepare(self) -> list[str]:
        """Imports the shop's orders; their ids."""
        async with self._running.api() as api:
            await api.text("POST", f"/v1/shops/{self._shop}/sync", params={"wait": "300"})
            return [order["id"] async for order in orders_of(api)]

    async def drive(self, orders: list[str]) -> Turn:
        """As Side. The turn begins with the submission of its targets: a shop that was paused for that would read all
        orders again when it is resumed."""
        pid = self._running.pid
        async with self._running.api() as api:
            counted, before = await api.metrics(), await settled(pid)
            targets = await api.submit(self._targets(orders))
            await reached(api, targets[-1])
            taken = await settled(pid) - before
            for target in targets:
                await reached(api, target)
            after = await api.metrics()
        counts = {
            "commits": after["fulfilld_commit_units_count"] - counted["fulfilld_commit_units_count"],
            "units": after["fulfilld_commit_units_sum"] - counted["fulfilld_commit_units_sum"],
        }
        return Turn(taken, counts)

    async def submit(self, orders: list[str]) -> Cpu:
        """What it takes to submit targets for these orders. They are never driven: the shop stays paused."""
        async with self._running.api() as api:
            await api.text("POST", f"/v1/shops/{self._shop}/pause")
            before = await settled(self._running.pid)
            await api.submit(self._targets(orders))
            return await settled(self._running.pid) - before

    def _targets(self, orders: list[str]) -> list[dict[str, str]]:
        return [{"shop": self._shop, "order": id_, "state": "delivered"} for id_ in orders]


async def orders_of(api: Api) -> Any:
    """All orders of a daemon, page by page."""
    after: str | None = None
    while True:
        page = await api.json("GET", "/v1/orders", params={"limit": "1000", **({"after": after} if after else {})})
        for order in page["orders"]:
            yield order
        if (after := page["next"]) is None:
            return


async def reached(api: Api, target: str) -> None:
    """Waits until a target is reached; AssertionError where it ends otherwise."""
    found = await api.json("GET", f"/v1/targets/{target}", params={"wait": "300"})
    assert found["status"] == "reached", found


async def settled(pid: int) -> Cpu:
    """The CPU of a process once it has nothing left to do."""
    last = cpu_of(pid)
    for _ in range(200):
        await anyio.sleep(_SETTLE_SECONDS)
        now = cpu_of(pid)
        if (now - last).total < _SETTLED_CPU:
            return now
        last = now
    return last


class Theirs:
    """Another's engine. The program reads a turn's orders from its standard input (`benchmarks/peers/turns.py`)."""

    def __init__(self, name: str, process: Any, pids: tuple[int, ...]) -> None:
        self.name, self.pids = name, pids
        self._process = process

    async def drive(self, orders: list[str]) -> Turn:
        """As Side."""
        before = [cpu_of(pid) for pid in self.pids]
        await anyio.to_thread.run_sync(self._turn, orders)
        taken = sum((cpu_of(pid) - cpu).total for pid, cpu in zip(self.pids, before, strict=True))
        return Turn(Cpu(other=taken))

    def _turn(self, orders: list[str]) -> None:
        self._process.stdin.write(json.dumps(orders).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"{self.name} ended"


@contextmanager
def ours(
    name: str,
    folder: Path,
    shop: str,
    settings: Mapping[str, Any],
    checkout: Path = ROOT,
    url: str = "sqlite:///fulfilld.db",
) -> Iterator[Ours]:
    """A daemon of some checkout with one shop without limits, on the store that the URL names.

    No order is read again after its last step, as neither the bare client nor older builds do: at these speeds such
    reads fall into the turns of others.
    """
    has_reads = (checkout / "orchestrator" / "runtime" / "refreshes.py").exists()
    poll = {**LIFTED["poll"], **({"after_step_seconds": None} if has_reads else {})}
    config = {
        "storage": {"url": url},
        "api": {"socket": "d.sock"},
        "shops": {shop: {**settings, **LIFTED, "poll": poll}},
    }
    with daemon(folder, config, checkout=checkout) as running:
        yield Ours(name, running, shop)


@contextmanager
def theirs(peer: Peer, folder: Path, shop: Mapping[str, Any]) -> Iterator[Theirs]:
    """Another's engine, ready for turns."""
    with ExitStack() as stack:
        process, pids = stack.enter_context(peer.running(folder, bare.orders_url(shop), shop["token"]))
        assert json.loads(process.stdout.readline())["ready"], peer.name
        yield Theirs(peer.name, process, pids)


def own_pids(sides: list[Side]) -> list[int]:
    """The processes of all sides, this one among them."""
    return [os.getpid(), *(pid for side in sides for pid in side.pids)]
