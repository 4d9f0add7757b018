"""Kills each part of the cluster in turn under load, and judges what became of the orders:

    make trial
    python -m deploy.patroni.trial [FOLDER]   where psycopg is installed

A sandbox plays the shops and keeps a ledger of every call. Targets are submitted at both daemons all the while. At the
end each has to be reached, with each step done once and in turn, and the feed has to be whole. Takes some four minutes.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import anyio
from anyio import to_thread

from deploy.patroni.cluster import DAEMONS, SERVERS, Cluster, until
from orchestrator.sandbox.server import Sandbox, SandboxSettings

_SHOPS: Final = 6
_ORDERS: Final = 400  # a shop
_EVERY_SECONDS: Final = 0.15
"""So often a target is submitted."""
_WALK: Final = ["confirm", "prepare", "set_tracking", "send", "deliver"]
_LEASE_SECONDS: Final = 5
_GONE: Final = (OSError, aiohttp.ClientError, TimeoutError)


class Erp:
    """Submits targets until they are accepted, each with its key, now at the one daemon and now at the other."""

    def __init__(self, cluster: Cluster, shops: list[str], sandbox: Sandbox) -> None:
        self._cluster, self._sandbox = cluster, sandbox
        stock = [
            [str(order) for order in sandbox.selldone.states_of(shop)]
            for shop in sandbox.selldone.shops_by_key.values()
        ]
        self._todo = iter(
            [(shop, order) for row in zip(*stock, strict=True) for shop, order in zip(shops, row, strict=True)]
        )
        self._nodes: Iterator[str] = itertools.cycle(DAEMONS)
        self.targets: dict[tuple[str, str], str] = {}
        self.refused = 0
        self.feeds: set[str] = set()
        self.is_over = False

    async def run(self) -> None:
        """Submits one after the other until it is over, or all are submitted."""
        for shop, order in self._todo:
            if self.is_over:
                return
            body = {"state": "delivered", "tracking": {"code": f"T{shop}-{order}"}}
            path = f"/v1/shops/{shop}/orders/{order}/targets"
            answer = await self.call("POST", path, body, {"Idempotency-Key": f"{shop}-{order}"})
            self.targets[shop, order] = str(answer["id"])
            await anyio.sleep(_EVERY_SECONDS)

    async def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """The answer of the first daemon that gives one; asked again for as long as none does."""
        while True:
            node = next(self._nodes)
            connector = aiohttp.UnixConnector(str(self._cluster.socket(node)))
            try:
                async with (
                    aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=20)) as session,
                    session.request(method, f"http://localhost{path}", json=body, headers=headers) as response,
                ):
                    if response.status < 300:
                        return await response.json()
                    # an order that was not imported yet is unknown
                    assert response.status in {404, 503}, await response.text()
            except _GONE:
                pass
            self.refused += 1
            await anyio.sleep(0.1)

    async def events(self) -> list[dict[str, Any]]:
        """The whole feed."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self.call("GET", f"/v1/events?after={found[-1]['cursor'] if found else 0}&limit=1000")
            self.feeds.add(page["feed"])
            if not page["events"]:
                return found
            found += page["events"]


def since(sandbox: Sandbox, at_ms: int) -> tuple[int, float]:
    """How many steps took effect on the platforms from an instant on, and for how many seconds at most a shop stood
    still."""
    now_ms = sandbox.clock.now_ms()
    times = {shop: [at_ms, now_ms] for shop in sandbox.selldone.shops_by_key}
    for call in sandbox.ledger.calls():
        if call.took_effect and call.at_ms >= at_ms:
            times[call.shop].append(call.at_ms)
    pauses = [b - a for each in times.values() for a, b in itertools.pairwise(sorted(each))]
    return sum(map(len, times.values())) - 2 * len(times), max(pauses) / 1000


async def trouble(cluster: Cluster, sandbox: Sandbox) -> None:
    """Each part is killed, is away for a while, and comes back; the next one after everything works again."""
    primary = cluster.primary()
    assert primary is not None
    follower = next(name for name in SERVERS if name != primary)
    for name in (*DAEMONS, "etcd", primary, follower):
        at_ms = sandbox.clock.now_ms()
        await to_thread.run_sync(cluster.kill, name)
        await anyio.sleep(12 if name in DAEMONS else 5)
        if name == primary:
            await to_thread.run_sync(until, "the other server is the primary", lambda: cluster.primary() == follower)
        await to_thread.run_sync(cluster.start, name)
        await anyio.sleep(5)
        if name in SERVERS:
            await to_thread.run_sync(until, "both servers work", cluster.is_whole)
        await anyio.sleep(5)
        steps, longest = since(sandbox, at_ms)
        role = {primary: " (the primary)", follower: " (then the primary)"}.get(name, "")
        say(f"killed {name}{role}: {steps} steps meanwhile; a shop stood still for {longest:.1f} s at most")


def judge(sandbox: Sandbox, erp: Erp, events: list[dict[str, Any]]) -> list[str]:
    """What is wrong."""
    wrong = []
    numbers = {f"acme{n if n > 1 else ''}": str(12344 + n) for n in range(1, _SHOPS + 1)}
    for shop, order in erp.targets:
        done = sandbox.ledger.effects(order, numbers[shop])
        if done != _WALK:
            wrong.append(f"order {order} of {shop}: {done}")
    wrong += [f"twice: {call.to_json()}" for call in sandbox.ledger.repeats_after_effect()]
    wrong += [f"out of turn: {call.to_json()}" for call in sandbox.ledger.out_of_sequence()]
    if len(erp.feeds) > 1:
        wrong.append("the feed has become another one, though no commit was lost")
    cursors = [event["cursor"] for event in events]
    if cursors != list(range(1, len(cursors) + 1)):
        wrong.append("the feed has gaps")
    reached = sorted(event["target"] for event in events if event["type"] == "target.reached")
    if reached != sorted(erp.targets.values()):
        wrong.append(f"{len(erp.targets)} targets, {len(reached)} times `target.reached`")
    return wrong


def say(text: str) -> None:
    """To whoever watches."""
    print(text, flush=True)


async def attempt(folder: Path, first_port: int) -> list[str]:
    """One trial; answers what is wrong."""
    sandbox = Sandbox(SandboxSettings(orders=_ORDERS, shops=_SHOPS, latency_ms=20))
    async with sandbox.running():
        config = sandbox.config()
        limits = {"concurrency": 4, "rate_per_second": 20, "burst": 20, "window": {"calls": 0}}
        shops = {
            name: {**shop, "limits": limits, "poll": {"interval_seconds": 5, "after_step_seconds": None}}
            for name, shop in config["shops"].items()
            if shop["platform"] == "selldone"
        }
        config |= {"shops": shops, "storage": {"lease_seconds": _LEASE_SECONDS}, "log": {"level": "info"}}
        cluster = Cluster(folder, config, first_port)
        try:
            await to_thread.run_sync(cluster.up)
            say(f"up: etcd, PostgreSQL {' and '.join(SERVERS)} ({cluster.primary()} is the primary), two daemons")
            erp = Erp(cluster, sorted(shops), sandbox)
            await erp.events()
            async with anyio.create_task_group() as group:
                group.start_soon(erp.run)
                await anyio.sleep(5)
                await trouble(cluster, sandbox)
                erp.is_over = True
            say(f"{len(erp.targets)} targets accepted, {erp.refused} calls answered by the other node or later")
            with anyio.fail_after(300):
                for target in erp.targets.values():
                    while (await erp.call("GET", f"/v1/targets/{target}?wait=5"))["status"] != "reached":
                        pass
            events = await erp.events()
            say(f"all of them reached; {len(events)} events, {len(sandbox.ledger.calls())} calls to the platforms")
            return judge(sandbox, erp, events)
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(cluster.down)


def main() -> None:
    """Exits with 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="a temporary one, if left out")
    parser.add_argument("--first-port", type=int, default=17400)
    given = parser.parse_args()
    logging.disable()
    with tempfile.TemporaryDirectory(prefix="fulfilld-trial-") as temporary:
        Path(temporary).chmod(0o755)
        wrong = anyio.run(attempt, given.folder or Path(temporary) / "cluster", given.first_port)
    for each in wrong[:20]:
        say(each)
    say("nothing is missing, nothing was done twice or out of turn" if not wrong else f"{len(wrong)} faults")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
