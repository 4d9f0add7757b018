"""How fast orders are driven on PostgreSQL beside SQLite, in turns of one run, as in `benchmarks.driving`.

The server is as PostgreSQL is by default (`fsync` on), on the same disk and the same cores.

    python -m benchmarks.engines [--latency 20] [--cycles 5] [--orders 400]
"""

from __future__ import annotations

import argparse
import statistics
import sys
from typing import Any

import anyio

from benchmarks.driving import UVLOOP, Size, scene, series
from benchmarks.peers.installed import postgres_tools, running_postgres
from benchmarks.sides import Bare, Side, ours


def on_each(latency_ms: float, size: Size) -> dict[str, Any]:
    """The bare client, the daemon on SQLite and the daemon on PostgreSQL."""
    with (
        scene(latency_ms, (3 * size.cycles + 1) * size.orders) as (platform, shop, settings, folder),
        running_postgres(folder) as (_, url),
        ours("daemon", folder / "sqlite", shop, settings) as sqlite,
        ours("postgresql", folder / "postgresql", shop, settings, url=url) as postgresql,
    ):
        sides: list[Side] = [Bare(settings), sqlite, postgresql]
        return anyio.run(series, platform, sides, size, backend_options=UVLOOP)


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0, help="of the platform, in milliseconds")
    parser.add_argument("--cycles", type=int, default=5)
    parser.add_argument("--orders", type=int, default=400, help="in each turn")
    chosen = parser.parse_args()
    if postgres_tools() is None:
        print("PostgreSQL is not installed (Debian: apt-get install postgresql)", file=sys.stderr)
        return 1
    found = on_each(chosen.latency, Size(chosen.cycles, chosen.orders))
    ratios = [row["daemon"]["us"] / row["postgresql"]["us"] for row in found["cycles"]]
    print(
        f"PostgreSQL is {statistics.median(ratios):.2f} times as fast as SQLite ({min(ratios):.2f}-{max(ratios):.2f})"
    )
    for name, side in found["sides"].items():
        print(f"{name:11} {side['us']:8.1f} us a step, CPU {side['loop_us']:.1f} + {side.get('other_us', 0):.1f} us")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
