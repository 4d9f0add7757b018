"""What all queries work with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.clock import Clock
from orchestrator.operations.deliveries import EndpointFacts
from orchestrator.operations.feed import Feed
from orchestrator.operations.ports import NodeFacts
from storage.store import Store


class QueryGroup:
    """Queries about one thing. `endpoints` returns the receivers of events, as the config has them now."""

    def __init__(
        self,
        store: Store,
        node: NodeFacts,
        feed: Feed,
        clock: Clock,
        endpoints: Callable[[], Sequence[EndpointFacts]] = tuple,
    ) -> None:
        self._store, self._node, self._feed, self._clock = store, node, feed, clock
        self._endpoints = endpoints
