"""Orders by filter, a page at a time, as they are shown."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.operations.content_view import with_payment_status
from orchestrator.operations.inclusions import included_of_order, within_bounds
from orchestrator.operations.order_filter import Configured, Wanted, found_orders, order_filter, waiting_shops
from orchestrator.operations.views.orders import order_view
from orchestrator.operations.writing import with_texts
from storage.order_columns import show_order
from storage.order_search import OrderFilter, list_orders
from storage.orders import get_order
from storage.records import Order
from storage.shops import list_shops
from storage.targets import pending_targets_among, show_target
from storage.transaction import Transaction


@dataclass(frozen=True, slots=True)
class OrderQuery(Wanted):
    """Which orders to list. `include`: what to show beside each."""

    include: tuple[str, ...] = ()


def order_page(
    tx: Transaction, configured: Configured, query: OrderQuery, after: int, limit: int, now: int
) -> tuple[list[bytes], int | None]:
    """A page of orders above the position `after`, each as JSON (`documents.OrderRow`), and the position of the next
    page, None at the end.

    Raises Refused as `order_filter`.
    """
    shops = {shop.name: shop for shop in list_shops(tx)}
    fits = order_filter(tx, configured, query, waiting_shops(shops.values(), configured, now))
    found = _found(tx, fits, query.cause, after, limit + 1)
    beside = ((order, included_of_order(tx, order, query.include)) for order in found[:limit])
    rows = list(within_bounds(beside))
    page = with_payment_status(tx, [order for order, _ in rows])
    pending = pending_targets_among(tx, [(order.shop, order.id) for order in page], show_target)
    machines = {name: configured[name].machine for name in {order.shop for order in page} if name in configured}
    texts = []
    for each, (_, included) in zip(page, rows, strict=True):
        targets, machine = pending.get((each.shop, each.id), ()), machines.get(each.shop)
        view = order_view(each, targets, shops.get(each.shop), machine, now, is_configured=machine is not None)
        texts.append(with_texts(view, included))
    return texts, page[-1].seq if len(found) > len(page) else None


def _found(tx: Transaction, fits: OrderFilter | None, cause: str | None, after: int, limit: int) -> list[Order]:
    if fits is None:
        return []
    if cause is None:
        return list_orders(tx, after, limit, fits)
    wanted = found_orders(tx, fits, cause, after, limit)
    return list(filter(None, (get_order(tx, shop, order, show_order) for _, shop, order in wanted)))
