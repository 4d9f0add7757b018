"""Orders by filter, a page at a time, as they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from orchestrator.operations import documents
from orchestrator.operations.content_view import with_payment_status
from orchestrator.operations.inclusions import Included, included_of_order, within_bounds
from orchestrator.operations.order_filter import Configured, Wanted, found_orders, order_filter
from orchestrator.operations.views import order_view, shop_wait
from storage.order_columns import show_order
from storage.order_search import OrderFilter, list_orders
from storage.orders import get_order
from storage.records import Order, Target
from storage.shops import list_shops
from storage.targets import pending_targets_of, show_target
from storage.transaction import Transaction


@dataclass(frozen=True, slots=True)
class OrderQuery(Wanted):
    """Which orders to list. `include`: what to show beside each."""

    include: tuple[str, ...] = ()


OrderPage = list[tuple[documents.OrderRow, Included]]
"""Orders, each with what is shown beside it."""


def order_page(
    tx: Transaction, configured: Configured, query: OrderQuery, after: int, limit: int, now: int
) -> tuple[OrderPage, int | None]:
    """A page of orders above the position `after`, and the position of the next page, None at the end.

    Raises Refused as `order_filter`.
    """
    shops = {shop.name: shop for shop in list_shops(tx)}
    waiting = [name for name, shop in shops.items() if name not in configured or shop_wait(shop, now) is not None]
    found = _found(tx, order_filter(tx, configured, query, waiting), query.cause, after, limit + 1)
    beside = ((order, included_of_order(tx, order, query.include)) for order in found[:limit])
    rows = list(within_bounds(beside))
    page = with_payment_status(tx, [order for order, _ in rows])
    pending = _pending_of(tx, page)
    machines = {name: facts.machine for name, facts in configured.items()}
    views = []
    for each in page:
        targets, machine = pending.get((each.shop, each.id), ()), machines.get(each.shop)
        is_there = each.shop in configured
        views.append(order_view(each, targets, shops.get(each.shop), machine, now, is_configured=is_there))
    shown = [(cast("documents.OrderRow", view), included) for view, (_, included) in zip(views, rows, strict=True)]
    return shown, page[-1].seq if len(found) > len(page) else None


def _found(tx: Transaction, fits: OrderFilter | None, cause: str | None, after: int, limit: int) -> list[Order]:
    if fits is None:
        return []
    if cause is None:
        return list_orders(tx, after, limit, fits)
    wanted = found_orders(tx, fits, cause, after, limit)
    return list(filter(None, (get_order(tx, shop, order, show_order) for _, shop, order in wanted)))


def _pending_of(tx: Transaction, orders: list[Order]) -> Mapping[tuple[str, str], list[Target]]:
    by_shop: dict[str, list[str]] = {}
    for order in orders:
        by_shop.setdefault(order.shop, []).append(order.id)
    return {
        (shop, order): targets
        for shop, ids in by_shop.items()
        for order, targets in pending_targets_of(tx, shop, ids, show_target).items()
    }
