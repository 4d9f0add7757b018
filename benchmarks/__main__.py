"""Measures, and writes docs/performance.json, docs/performance.md and its pictures: `make bench`.

    python -m benchmarks [PART ...] [--orders 10000,100000,1000000]

Without a part all of them are measured; what is not measured stays as it was. The parts are `driving` (beside a bare
client and the build before), `peers` (beside others' engines), `scale` (with many orders), `crowd` (50,000 targets in
one call), `weight` (bytes and syncs), `webhooks` (bursts), and `page`, which measures nothing and writes the page anew.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import builds, crowd, driving, machine, page, scale, webhooks, weight
from benchmarks.driving import Size
from benchmarks.peers.installed import PEERS, versions
from benchmarks.processes import ROOT
from benchmarks.scale import Scale

LATENCIES = (0, 20)


Piece = tuple[str, dict[str, Any]]
"""A part's figures under a name, such as a latency or a peer."""


@dataclass
class Bench:
    """A run: how much is measured (`is_tiny`: next to nothing, for a test), and what a part skipped.

    Each part answers piece by piece, as they are measured.
    """

    orders: tuple[int, ...]
    is_tiny: bool
    skipped: list[str] = field(default_factory=list)

    def skip(self, line: str) -> None:
        """Notes what was not measured, and why."""
        self.skipped.append(line)
        print(f"SKIPPED {line}", flush=True)

    def driving(self) -> Iterator[Piece]:
        """By latency, beside the bare client and the build before."""
        size = Size(1, 8) if self.is_tiny else Size(10, 400)
        with TemporaryDirectory(prefix="fulfilld-before-") as folder:
            before = builds.unpacked(Path(folder))
            if before is None:
                self.skip(f"the build before: this repository has no commit {builds.BEFORE[:7]} (a shallow clone?)")
            for latency in LATENCIES:
                yield str(latency), driving.beside_bare(latency, size, before)

    def peers(self) -> Iterator[Piece]:
        """By peer, and there by latency; those that are not there are skipped."""
        for peer in PEERS:
            if (reason := peer.missing()) is not None:
                self.skip(reason)
                continue
            yield peer.name, {str(each): driving.beside_peer(peer, each, self._peer_size(each)) for each in LATENCIES}

    def _peer_size(self, latency: int) -> Size:
        return Size(1, 8) if self.is_tiny else Size(3 if latency else 5, 200)

    def scale(self) -> Iterator[Piece]:
        """By the number of orders."""
        tiny = Scale(160, shops=2, seconds=0.05, least_imported=100)
        for size in [tiny] if self.is_tiny else map(Scale, self.orders):
            yield str(size.orders), scale.measure(size)

    def crowd(self) -> Iterator[Piece]:
        """A flood beside little shops."""
        yield "flood", crowd.measure(40, 2) if self.is_tiny else crowd.measure()

    def weight(self) -> Iterator[Piece]:
        """Bytes and syncs."""
        found = weight.measure(8 if self.is_tiny else 2_000)
        if found["fsyncs_a_step"] is None:
            self.skip("syncs of the disk: strace is not installed (Debian: apt-get install strace)")
        yield "store", found

    def webhooks(self) -> Iterator[Piece]:
        """Bursts of webhooks."""
        yield "shopify", webhooks.measure(1, 6) if self.is_tiny else webhooks.measure()


PARTS: dict[str, Callable[[Bench], Iterator[Piece]]] = {
    "driving": Bench.driving,
    "peers": Bench.peers,
    "weight": Bench.weight,
    "webhooks": Bench.webhooks,
    "crowd": Bench.crowd,
    "scale": Bench.scale,
}


def run(parts: list[str], bench: Bench, folder: Path, name: str) -> None:
    """Measures these parts and keeps each piece as soon as it is there: what ends early has what it measured."""
    data = page.read(folder)
    kept = data.setdefault(name, {})
    for part in parts:
        print(f"{part}, load {machine.load():g}", flush=True)
        began, bench.skipped = time.monotonic(), []
        for piece, found in PARTS[part](bench):
            print(f"  {piece}: {time.monotonic() - began:.0f} s", flush=True)
            kept[part] = {**kept.get(part, {}), piece: found}
            page.keep(folder, data)
        ran = {
            "commit": machine.commit(),
            "day": datetime.now(UTC).date().isoformat(),
            "seconds": round(time.monotonic() - began),
            "skipped": bench.skipped,
        }
        kept["parts"] = {**kept.get("parts", {}), part: ran}
        kept |= {"machine": machine.facts(), "peer_versions": versions()}
        page.keep(folder, data)
    page.write(folder)


def main() -> None:
    """Measures as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} or page; all where none is named")
    parser.add_argument("--orders", default="10000,100000,1000000", help="sizes of the part scale, with commas")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs", help="where the page and its data are")
    parser.add_argument("--run", choices=("now", "before"), default="now", help="which run of the data is measured")
    parser.add_argument("--tiny", action="store_true", help="next to nothing: whether it works, not how fast")
    given = parser.parse_args()
    parts = [part for each in given.parts for part in each.split(",")] or list(PARTS)
    if strange := [part for part in parts if part not in PARTS and part != "page"]:
        parser.error(f"{', '.join(strange)}: no such part; there are {', '.join(PARTS)} and page")
    if sys.platform != "linux":
        parser.error("CPU by thread is read from /proc: this needs Linux")
    try:
        orders = tuple(sorted(int(number) for number in given.orders.split(",")))
    except ValueError:
        parser.error(f"--orders {given.orders}: give numbers with commas, such as 10000,100000")
    os.chdir(ROOT)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that what was started ends as well
    run([part for part in parts if part != "page"], Bench(orders, given.tiny), given.folder.resolve(), given.run)


if __name__ == "__main__":
    main()
