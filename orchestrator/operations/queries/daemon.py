"""What the daemon shows of itself: the status dump, what it did over time, everything at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection

from orchestrator.operations import documents
from orchestrator.operations.deliveries import consumer_views, delivery_views
from orchestrator.operations.dump import DumpLine, dump_lines
from orchestrator.operations.history import Span, history
from orchestrator.operations.order_filter import check_shop
from orchestrator.operations.queries.services import QueryGroup
from orchestrator.operations.status import NodeNow, read_counts, status_dump
from orchestrator.operations.writing import to_json
from storage.events import acknowledge
from storage.transaction import Transaction

_PROBE = ".ready"  # no consumer of the API can have this name


class DaemonQueries(QueryGroup):
    """Reads what concerns the daemon as a whole."""

    async def status(self) -> documents.Status:
        """The status dump."""
        return await self._store.read(self._status_unit())

    async def status_text(self) -> bytes:
        """The status dump as JSON."""
        unit = self._status_unit()
        return await self._store.read(lambda tx: to_json(unit(tx)))

    def _status_unit(self) -> Callable[[Transaction], documents.Status]:
        """Makes the dump in a reader's thread, of the node as it is now."""
        now, endpoints, node = self._clock.now_ms(), self._endpoints(), NodeNow.of(self._node)

        def unit(tx: Transaction) -> documents.Status:
            counts, deliveries, consumers = read_counts(tx), delivery_views(tx, endpoints, now), consumer_views(tx, now)
            return status_dump(counts, node, self._store.url, now, deliveries, consumers)

        return unit

    async def probe_storage(self) -> None:
        """Writes to the store, so that a full or broken disk shows. Raises StoreUnavailable."""
        now = self._clock.now_ms()
        await self._store.write(lambda tx: acknowledge(tx, _PROBE, now, now))

    def dump(self, include: Collection[str] = ()) -> AsyncGenerator[DumpLine, None]:
        """Everything, line by line (dump.py)."""
        return dump_lines(self._store, self._node, self._clock, include)

    async def history(
        self, shop: str | None, step: Span, since_ms: int | None, until_ms: int | None
    ) -> documents.History:
        """What a shop, or all together, did in each minute or hour from `since_ms` on and before `until_ms` (None: all
        that is kept, up to now). Raises Refused `shop-not-found`."""
        configured, until = self._node.shops(), self._clock.now_ms() if until_ms is None else until_ms

        def unit(tx: Transaction) -> documents.History:
            check_shop(tx, configured, shop)
            return history(tx, shop, step, since_ms or 0, until)

        return await self._store.read(unit)
