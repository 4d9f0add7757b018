"""How fast one to several daemons on one PostgreSQL drive orders together, and what a step costs each part.

Each turn has another number of nodes, in turns of one run; they share the shops evenly before its targets are
submitted. All is on this machine: sandbox, server and nodes. A node can be kept to a part of a core (`--cores`), as if
it had a small machine of its own: then it shows what the database does when nodes are added, which it does not where a
few processes fill the machine. CPU is counted, as it does not depend on who else is busy; it has the submission in it.

    python -m benchmarks.nodes [--nodes 1,2,3,4] [--cycles 3] [--shops 12] [--orders 600] [--latency 20] [--cores 0.25]
    python -m benchmarks.nodes --stored 10000,100000   what one node costs with so many orders in the store
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import anyio
import psycopg

from benchmarks.driving import UVLOOP, figures
from benchmarks.fill import Wanted, fill
from benchmarks.machine import Cpu, commit, cpu_of, facts, load, watched
from benchmarks.peers.installed import postgres_tools, running_postgres
from benchmarks.processes import Daemon, Sandbox, daemon, sandbox, steps
from benchmarks.sides import LIFTED, Turn, settled
from benchmarks.wire import counting

_AT_ONCE: Final = 64
_PATIENCE_SECONDS: Final = 300
_COUNTED: Final = 200
"""Orders of the turn in which statements are counted."""
_GROUPS: Final = Path("/sys/fs/cgroup")
_PERIOD_US: Final = 10_000
_IDLE_SECONDS: Final = 3.0


@dataclass(frozen=True)
class Scene:
    """What all turns share: the platform, the server and its database, and a folder."""

    platform: Sandbox
    server: int
    url: str
    folder: Path

    @property
    def shops(self) -> list[str]:
        """The names of the shops."""
        return list(self.platform.config["shops"])

    def ask(self, sql: str) -> tuple[Any, ...]:
        """The one row that the database answers."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(sql.encode()).fetchone()
        assert row is not None
        return row


@contextmanager
def scene(shops: int, orders: int, latency_ms: float) -> Iterator[Scene]:
    """A sandbox with so many shops, so many orders in each, and an empty database."""
    with TemporaryDirectory(prefix="fulfilld-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as another user where we are root
        options = ("--shops", str(shops), "--orders", str(orders), "--latency", str(latency_ms))
        with sandbox(*options) as platform, running_postgres(folder) as (server, url):
            yield Scene(platform, server, url, folder)


@contextmanager
def kept_to(cores: float | None, pid: int) -> Iterator[None]:
    """Keeps a process to a part of a core for as long as the block lasts. Raises SystemExit where that cannot be."""
    if cores is None:
        yield
        return
    groups, limits = limits_of(_GROUPS, cores)
    group = groups / f"fulfilld-bench-{pid}"
    try:
        if (handing_down := groups / "cgroup.subtree_control").exists():
            handing_down.write_text("+cpu")
        group.mkdir()
        for name, text in limits.items():
            (group / name).write_text(text)
        (group / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        with suppress(OSError):
            group.rmdir()
        raise SystemExit(
            f"--cores: {error.filename}: {error.strerror}; it takes root, and cgroups with the cpu controller"
        ) from None
    try:
        yield
    finally:
        (groups / "cgroup.procs").write_text(str(pid))
        group.rmdir()


def limits_of(root: Path, cores: float) -> tuple[Path, dict[str, str]]:
    """Where a machine makes its cgroups, whichever version they are of, and what a group's files say that keep it to a
    part of a core, in the order in which they are written."""
    quota = str(int(cores * _PERIOD_US))
    if (root / "cgroup.controllers").exists():
        return root, {"cpu.max": f"{quota} {_PERIOD_US}"}
    return root / "cpu", {"cpu.cfs_period_us": str(_PERIOD_US), "cpu.cfs_quota_us": quota}


@contextmanager
def nodes(scene: Scene, count: int, cores: float | None, url: str | None = None) -> Iterator[list[Daemon]]:
    """So many daemons, ready, on the scene's database or by way of another URL. Each has as many orders at once,
    however many there are: what is added is a node with its work, as when shops are added."""
    at_once = max(1, count * _AT_ONCE // len(scene.shops))
    lifted = {
        "limits": {**LIFTED["limits"], "concurrency": at_once},
        "poll": {**LIFTED["poll"], "after_step_seconds": None},
    }
    config = {
        "storage": {"url": url or scene.url},
        "api": {"socket": "d.sock"},
        "shops": {name: {**shop, **LIFTED, **lifted} for name, shop in scene.platform.config["shops"].items()},
    }
    with ExitStack() as stack:
        started = []
        for number in range(count):
            running = stack.enter_context(daemon(scene.folder / f"node{number}", config))
            stack.enter_context(kept_to(cores, running.pid))
            started.append(running)
        yield started


async def even(scene: Scene, count: int) -> None:
    """Waits until so many nodes share the shops evenly."""
    with anyio.fail_after(_PATIENCE_SECONDS):
        while True:
            least, most, holders = scene.ask(
                "SELECT coalesce(min(n), 0), coalesce(max(n), 0), count(*) FROM (SELECT count(*) AS n FROM shops"
                " WHERE lease_holder IS NOT NULL GROUP BY lease_holder) AS held"
            )
            if holders == count and most - least <= 1 and least * holders <= len(scene.shops) <= most * holders:
                return
            await anyio.sleep(0.1)


async def imported(scene: Scene, running: Daemon) -> list[tuple[str, str]]:
    """Imports all orders; shop and id of each, the shops in turn."""
    by_shop: dict[str, list[str]] = {name: [] for name in scene.shops}
    async with running.api() as api:
        for shop in scene.shops:
            await api.text("POST", f"/v1/shops/{shop}/sync", params={"wait": "300"})
    with psycopg.connect(scene.url) as connection:
        for shop, id_ in connection.execute("SELECT shop, id FROM orders WHERE state = 'CheckQueue' ORDER BY seq"):
            by_shop[shop].append(id_)
    rows = zip(*by_shop.values(), strict=True)
    return [(shop, id_) for row in rows for shop, id_ in zip(by_shop, row, strict=True)]


_COUNTS: Final = (
    "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn, (SELECT xact_commit FROM pg_stat_database WHERE datname ="
    " current_database()), (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    " AND pid <> pg_backend_pid())"
)


async def turn(scene: Scene, running: list[Daemon], part: list[tuple[str, str]]) -> dict[str, Any]:
    """Drives these orders to their end. Everything of it but its speed, which the sandbox has seen."""
    pids = [node.pid for node in running]
    idle = await _idle(scene, pids)
    before = [await settled(pid) for pid in pids]
    database, platform, (wal, commits, _) = cpu_of(scene.server), cpu_of(scene.platform.pid), scene.ask(_COUNTS)
    async with running[0].api() as api:
        await api.submit([{"shop": shop, "order": id_, "state": "delivered"} for shop, id_ in part])
    with anyio.fail_after(_PATIENCE_SECONDS):
        while scene.ask("SELECT coalesce(sum(pending), 0) FROM target_counts")[0]:  # noqa: ASYNC110
            await anyio.sleep(0.1)
    after = [await settled(pid) for pid in pids]
    wal_after, commits_after, connections = scene.ask(_COUNTS)
    count = 4 * len(part)
    return {
        "idle_ms": idle,
        "node_us": _us(after, before, count),
        "database_us": _us([cpu_of(scene.server)], [database], count),
        "platform_us": _us([cpu_of(scene.platform.pid)], [platform], count),
        "wal_bytes": round(float(wal_after - wal) / count),
        "transactions": round((commits_after - commits) / count, 2),
        "connections": connections,
    }


async def _idle(scene: Scene, pids: list[int]) -> float:
    """CPU a second of nodes and database together while there is nothing to do, in ms."""
    before = [cpu_of(pid) for pid in (*pids, scene.server)]
    await anyio.sleep(_IDLE_SECONDS)
    after = [cpu_of(pid) for pid in (*pids, scene.server)]
    return round(sum((now - then).total for now, then in zip(after, before, strict=True)) / _IDLE_SECONDS * 1e3, 1)


def _us(after: list[Cpu], before: list[Cpu], count: int) -> float:
    """CPU a step, in µs."""
    return round(sum((now - then).total for now, then in zip(after, before, strict=True)) / count * 1e6, 1)


def by_nodes(counts: list[int], cycles: int, shops: int, orders: int, latency_ms: float, cores: float | None) -> Any:
    """Turns with each number of nodes, cycle after cycle; what they come to, by the number of nodes."""
    turns = len(counts) * cycles + 1
    a_shop = -(-orders // shops)
    with scene(shops, a_shop * turns + -(-_COUNTED // shops), latency_ms) as here:
        with nodes(here, 1, None) as running:
            todo = iter(anyio.run(imported, here, running[0]))
        found: dict[int, list[dict[str, Any]]] = {count: [] for count in counts}
        parts: list[tuple[int, int, list[str]]] = []
        for cycle in range(cycles):
            for count in [*counts[cycle % len(counts) :], *counts[: cycle % len(counts)]]:
                part = list(islice(todo, a_shop * shops))
                with nodes(here, count, cores) as running, watched([here.platform.pid]) as watch:
                    anyio.run(even, here, count)
                    row = anyio.run(turn, here, running, part, backend_options=UVLOOP)
                parts.append((count, len(found[count]), [id_ for _, id_ in part]))
                found[count].append({**row, "foreign": round(watch.foreign, 3)})
        _speeds(here, found, parts)
        said = _said(here, list(islice(todo, _COUNTED)))
    return {"by_nodes": {count: _medians(rows) for count, rows in found.items()}, "said": said}


def _speeds(here: Scene, found: Mapping[int, list[dict[str, Any]]], parts: list[tuple[int, int, list[str]]]) -> None:
    ended: dict[str, list[int]] = {}
    for call in anyio.run(steps, here.platform.control):
        ended.setdefault(call["order"], []).append(call["ended_at_ms"])
    for count, number, ids in parts:
        row = figures([at for id_ in ids for at in ended[id_]], Turn(Cpu()))
        found[count][number]["steps_a_second"] = round(1e6 / row["us"], 1)


def _medians(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: round(statistics.median(row[name] for row in rows), 2) for name in rows[0]}


def _said(here: Scene, part: list[tuple[str, str]]) -> dict[str, float]:
    """Statements and round trips a step of one node, counted on the way."""
    place = Path(here.url.rpartition("host=")[2])
    with TemporaryDirectory(prefix="fulfilld-wire-") as name, counting(Path(name), place) as said:
        url = here.url.replace(f"host={place}", f"host={name}")
        with nodes(here, 1, None, url) as running:
            anyio.run(even, here, 1)
            time.sleep(1)
            before = said.of_now()
            anyio.run(turn, here, running, part, backend_options=UVLOOP)
            after = said.of_now()
    statements, trips = ((now - then) / (4 * len(part)) for now, then in zip(after, before, strict=True))
    return {"statements": round(statements, 2), "round_trips": round(trips, 3)}


def by_stored(sizes: list[int], shops: int, orders: int, latency_ms: float) -> dict[int, dict[str, Any]]:
    """One node with so many delivered orders in the store before the turn begins."""
    found = {}
    a_shop = -(-orders // shops)
    for size in sizes:
        with scene(shops, a_shop, latency_ms) as here:
            wanted = Wanted(size, 0, shops, min(size, 20_000))
            anyio.run(fill, here.url, wanted, time.time_ns() // 1_000_000)
            here.ask("SELECT pg_stat_reset()")
            with psycopg.connect(here.url, autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")
            with nodes(here, 1, None) as running:
                part = anyio.run(imported, here, running[0])
                anyio.run(even, here, 1)
                row = anyio.run(turn, here, running, part, backend_options=UVLOOP)
            _speeds(here, {1: [row]}, [(1, 0, [id_ for _, id_ in part])])
            (bytes_,) = here.ask("SELECT pg_database_size(current_database())")
            found[size] = {**row, "mb": round(bytes_ / 2**20)}
    return found


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", default="1,2,3,4", help="numbers of nodes, with commas")
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--shops", type=int, default=12)
    parser.add_argument("--orders", type=int, default=600, help="in each turn")
    parser.add_argument("--latency", type=float, default=20.0, help="of the platform, in milliseconds")
    parser.add_argument("--cores", type=float, default=None, help="what each node has (Linux, as root)")
    parser.add_argument("--stored", default="", help="measure one node with so many orders in the store, with commas")
    chosen = parser.parse_args()
    if postgres_tools() is None:
        print("PostgreSQL is not installed (Debian: apt-get install postgresql)", file=sys.stderr)
        return 1
    machine = facts()
    print(f"commit {commit()}, {machine['cores']} cores, {machine['processor']}, load {load()}")
    if chosen.stored:
        sizes = [int(size) for size in chosen.stored.split(",")]
        _print("orders", by_stored(sizes, chosen.shops, chosen.orders, chosen.latency))
        return 0
    counts = [int(count) for count in chosen.nodes.split(",")]
    found = by_nodes(counts, chosen.cycles, chosen.shops, chosen.orders, chosen.latency, chosen.cores)
    _print("nodes", found["by_nodes"])
    print(f"a step of one node: {found['said']['statements']} statements, {found['said']['round_trips']} round trips")
    return 0


def _print(title: str, rows: Mapping[int, Mapping[str, Any]]) -> None:
    names = [*next(iter(rows.values()))]
    print("".join(f"{name:>15}" for name in (title, *names)))
    for key, row in rows.items():
        print("".join(f"{value:>15}" for value in (key, *row.values())), flush=True)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(_main())
