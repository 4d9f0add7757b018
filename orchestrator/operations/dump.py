"""Everything as NDJSON, streamed page by page (docs/cli.md).

One snapshot of a large store would hold its write-ahead log back for as long as the slowest reader takes
(docs/pitfalls.md S6). So each page is a snapshot of its own: a line is consistent in itself, two lines may be moments
apart.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping
from functools import partial
from typing import cast

from orchestrator.clock import Clock
from orchestrator.operations.cluster import read_cluster
from orchestrator.operations.content_view import with_payment_status
from orchestrator.operations.documents import OrderLine, ShopLine
from orchestrator.operations.inclusions import Included, included_of_order
from orchestrator.operations.ports import NodeFacts
from orchestrator.operations.timeline import order_events
from orchestrator.operations.views.events import event_view
from orchestrator.operations.views.orders import order_view, target_view
from orchestrator.operations.views.shops import shop_view
from statemachines.machine import PlatformMachine
from storage.order_search import list_orders
from storage.records import Shop
from storage.shops import list_shops
from storage.store import Store
from storage.targets import list_targets
from storage.transaction import Transaction

_PAGE = 50


DumpLine = tuple[ShopLine | OrderLine, Included]
"""A line, and what is shown beside its order."""


async def dump_lines(
    store: Store, node: NodeFacts, clock: Clock, include: Collection[str] = ()
) -> AsyncGenerator[DumpLine, None]:
    """A line for each shop, then one for each order with all its targets and events, oldest import first.

    `kind` is `shop` or `order`; the other members are those of the API's shops, orders, targets and events. `include`:
    what to show beside each order.
    """
    shops, cluster = await store.read(lambda tx: (list_shops(tx), read_cluster(tx)))
    rows = {shop.name: shop for shop in shops}
    for facts in node.shops().values():
        yield {"kind": "shop", **shop_view(cluster.completed(facts), rows.get(facts.name), clock.now_ms())}, {}
    after = 0
    while True:
        machines = {name: facts.machine for name, facts in node.shops().items()}
        page = await store.read(
            partial(_page, after=after, shops=rows, machines=machines, now_ms=clock.now_ms(), include=include)
        )
        for seq, line, included in page:
            yield line, included
            after = seq
        if not page:
            return


def _page(
    tx: Transaction,
    after: int,
    shops: Mapping[str, Shop],
    machines: Mapping[str, PlatformMachine],
    now_ms: int,
    include: Collection[str],
) -> list[tuple[int, OrderLine, Included]]:
    lines: list[tuple[int, OrderLine, Included]] = []
    for order in with_payment_status(tx, list_orders(tx, after, _PAGE)):
        view = order_view(
            order, (), shops.get(order.shop), machines.get(order.shop), now_ms, is_configured=order.shop in machines
        )
        view["targets"] = [target_view(target, order.situation) for target in list_targets(tx, order.shop, order.id)]
        events = [event_view(event) for event in order_events(tx, order.shop, order.id)]
        line = {"kind": "order", **view, "events": events}
        lines.append((order.seq, cast("OrderLine", line), included_of_order(tx, order, include)))
    return lines
