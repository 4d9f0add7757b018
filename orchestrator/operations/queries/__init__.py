"""Everything that only reads: what the API, the status file and the metrics show of the store, a file a duty.

Each answer comes from one snapshot of the store. Waiting (long polls, `?wait=`) happens between snapshots and never
inside one, so a reader that waits for minutes holds nothing. Units of work run in a reader's thread; the configured
shops belong to the event loop, so they are read before and handed in.
"""

from __future__ import annotations

from orchestrator.operations.queries.daemon import DaemonQueries
from orchestrator.operations.queries.deliveries import DeliveryQueries
from orchestrator.operations.queries.feed import FeedQueries
from orchestrator.operations.queries.orders import OrderQueries
from orchestrator.operations.queries.shops import ShopQueries
from orchestrator.operations.queries.targets import TargetQueries


class Queries(DaemonQueries, ShopQueries, OrderQueries, TargetQueries, FeedQueries, DeliveryQueries):
    """Reads the store for the outside."""
