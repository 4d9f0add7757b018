"""What the outside would be shown of a shop floor."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.clock import Clock
from orchestrator.operations.feed import Feed
from orchestrator.operations.queries import Queries
from orchestrator.runtime.reports import ShopFacts
from tests.support.shopfloor import Shopfloor


class Node:
    """What the views need of a daemon."""

    node, pid, started_at, is_draining, is_ready = "test", 1, 0, False, True

    def __init__(self, floor: Shopfloor) -> None:
        self._floor = floor

    def shops(self) -> Mapping[str, ShopFacts]:
        return self._floor.supervisor.shops()


def queries(floor: Shopfloor) -> Queries:
    return Queries(floor.store, Node(floor), Feed(), Clock())
