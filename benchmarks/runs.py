"""The runs that `performance.json` keeps, and what their sides are called."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.goals import Run
from benchmarks.peers.installed import PEERS

NAMES = {
    "bare": "bare client",
    "daemon": "fulfilld",
    "before": "fulfilld before",
    **{peer.name: peer.title for peer in PEERS},
}
"""Sides as people read them."""

Data = Mapping[str, Run]
"""Runs by their name: `now`, and `before`, of the build before the work on speed."""


def sizes(data: Data) -> list[str]:
    """The numbers of orders that some run has, ascending."""
    return sorted({size for run in data.values() for size in run.get("scale") or {}}, key=int)
