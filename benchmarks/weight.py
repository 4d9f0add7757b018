"""What a finished order costs on disk, and how often the disk is waited for.

A new store imports orders of the sandbox and drives all of them to their end, at once and without limits. The bytes are
those of the pages in use once all is at rest, less those of a store without orders. Where `strace` is there, it counts
the daemon's `fsync` and `fdatasync` while the orders are driven; the times of this part are of no use then.

    python -m benchmarks weight
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio

from benchmarks.bare import STATES
from benchmarks.processes import Daemon, daemon, sandbox
from benchmarks.sides import LIFTED, Ours

_TABLES = "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 8"


def measure(orders: int = 2_000) -> dict[str, Any]:
    """One store of so many finished orders."""
    with TemporaryDirectory(prefix="fulfilld-bench-") as name, sandbox("--orders", str(orders)) as platform:
        ((shop, settings),) = platform.config["shops"].items()
        config = {**platform.config, "shops": {shop: {**settings, **LIFTED}}}
        trace = Path(name) / "syncs"
        strace = shutil.which("strace")
        with daemon(Path(name), config, before=traced(strace, trace) if strace else None) as running:
            empty, _ = _used(running.store)
            began, ended = anyio.run(_drive, running, shop, backend_options={"use_uvloop": True})
        full, tables = _used(running.store)
        syncs = _syncs(trace, began, ended) if strace else None
    steps = orders * len(STATES)
    return {
        "orders": orders,
        "bytes_an_order": round((full - empty) / orders),
        "bytes_by_table": {table: round(size / orders) for table, size in tables.items()},
        "fsyncs_a_step": round(syncs / steps, 4) if syncs is not None else None,
    }


def traced(strace: str, log: Path) -> list[str]:
    """What stands before a command so that its syncs are noted."""
    return [
        strace,
        "-D",
        "-f",
        "--seccomp-bpf",
        "-ttt",
        "-e",
        "trace=fsync,fdatasync",
        "-e",
        "signal=none",
        "-o",
        str(log),
    ]


async def _drive(running: Daemon, shop: str) -> tuple[float, float]:
    """When driving began and ended."""
    side = Ours("daemon", running, shop)
    orders = await side.prepare()
    began = time.time()
    await side.drive(orders)
    return began, time.time()


def _used(store: Path) -> tuple[int, dict[str, int]]:
    """Bytes of the pages in use, and by table or index where this SQLite can say so."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        try:
            tables = dict(connection.execute(_TABLES).fetchall())
        except sqlite3.OperationalError:  # built without dbstat
            tables = {}
    return (pages - free) * size, tables


def _syncs(log: Path, began: float, ended: float) -> int:
    for _ in range(100):  # strace writes the end of the log after the daemon's end
        if log.read_text().rstrip().endswith("+++"):
            break
        time.sleep(0.1)
    times = [float(line.split()[1]) for line in log.read_text().splitlines() if "sync(" in line]
    return sum(began <= at <= ended for at in times)
