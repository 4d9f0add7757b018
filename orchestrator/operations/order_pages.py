"""Orders by filter, a page at a time: what a filter means on each shop's machine, and the orders as they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from orchestrator.decisions.problems import FieldError
from orchestrator.decisions.refusals import Refused
from orchestrator.operations import documents
from orchestrator.operations.content_view import with_payment_status
from orchestrator.operations.inclusions import Included, included_of_order, within_bounds
from orchestrator.operations.views import order_view, shop_wait
from orchestrator.runtime.reports import ShopFacts
from statemachines.machine import Milestone
from statemachines.suggestion import hint
from storage.counts import count_orders
from storage.order_search import OrderFilter, list_orders
from storage.records import Order, Target
from storage.shops import list_shops
from storage.targets import pending_targets_of, show_target
from storage.transaction import Transaction

Configured = Mapping[str, ShopFacts]
"""The shops of the config by name."""


@dataclass(frozen=True, slots=True)
class OrderQuery:
    """Which orders to list. `state` is a native name or a milestone of any shop, without regard to case. `include`:
    what to show beside each."""

    shop: str | None = None
    state: str | None = None
    milestone: str | None = None
    situation: str | None = None
    reference: str | None = None
    updated_after: int | None = None
    include: tuple[str, ...] = ()


OrderPage = list[tuple[documents.OrderRow, Included]]
"""Orders, each with what is shown beside it."""


def order_page(
    tx: Transaction, configured: Configured, query: OrderQuery, after: int, limit: int, now: int
) -> tuple[OrderPage, int | None]:
    """A page of orders above the position `after`, and the position of the next page, None at the end.

    Raises Refused `invalid-request` for a state that no machine and no order has.
    """
    shops = {shop.name: shop for shop in list_shops(tx)}
    wanted = OrderFilter(
        shop=query.shop,
        states=() if query.state is None else _states(tx, configured, query.state, query.shop),
        milestone=query.milestone,
        passed=_passed(configured, query.milestone),
        situation=query.situation,
        reference=query.reference,
        updated_after=query.updated_after,
        waiting_shops=tuple(
            name for name, shop in shops.items() if name not in configured or shop_wait(shop, now) is not None
        ),
    )
    found = list_orders(tx, after, limit + 1, wanted)
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


def _passed(configured: Configured, milestone: str | None) -> tuple[tuple[str, str], ...]:
    """The states, by shop, that have this milestone and show a further one."""
    return tuple(
        (name, state.name)
        for name, facts in configured.items()
        for state in facts.machine.states.values()
        if milestone in state.milestones and milestone != state.milestone
    )


def _states(tx: Transaction, configured: Configured, name: str, shop: str | None) -> tuple[str, ...]:
    """The native states that a name means in the shop, or in any."""
    chosen = configured.values() if shop is None else filter(None, [configured.get(shop)])
    machines = list({id(facts.machine): facts.machine for facts in chosen}.values())
    states = {state.name for machine in machines if (state := machine.resolve(name)) is not None}
    if not states:  # a state that no machine knows is kept as it is, so it can be searched for
        asked = name.strip().casefold()
        states = {state for _, _, state, _ in count_orders(tx) if state.casefold() == asked}
        if not states and asked not in set(Milestone):
            known = dict.fromkeys(known for machine in machines for known in machine.names())
            detail = f"no machine knows a state {name!r}{hint(name, known)}; known are {', '.join(known)}"
            error = FieldError(path="state", message=detail)
            raise Refused("invalid-request", detail, extra={"errors": [error], "allowed": list(known)})
    return tuple(sorted(states)) or (name,)


def _pending_of(tx: Transaction, orders: list[Order]) -> Mapping[tuple[str, str], list[Target]]:
    by_shop: dict[str, list[str]] = {}
    for order in orders:
        by_shop.setdefault(order.shop, []).append(order.id)
    return {
        (shop, order): targets
        for shop, ids in by_shop.items()
        for order, targets in pending_targets_of(tx, shop, ids, show_target).items()
    }
