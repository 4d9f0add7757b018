"""What a filter of orders means: names of states on each shop's machine, a cause by its name.

A cause cannot be asked of the store, only its type and step can; whoever selects by a cause compares the words of what
the store answers (`has_cause`).
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Final

from orchestrator.decisions.causes import cause_of, type_and_step
from orchestrator.decisions.problems import FieldError
from orchestrator.decisions.refusals import Refused, no_shop
from orchestrator.operations.views.shops import shop_wait
from orchestrator.runtime.reports import ShopFacts
from statemachines.machine import Milestone
from statemachines.suggestion import hint
from storage.counts import count_orders
from storage.nodes import is_configured
from storage.order_columns import load_problem
from storage.order_search import OrderFilter, find_orders
from storage.records import Problem, Shop
from storage.shops import get_shop, list_shops
from storage.transaction import Transaction

Configured = Mapping[str, ShopFacts]
"""The shops of the config by name."""

_AT_ONCE = 10_000
_GONE = "order-not-found"  # shown with orders that are gone, and written to none


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which orders. `state` is a native name or a milestone of any shop, without regard to case; `cause` the name of a
    cause. None means all."""

    shop: str | None = None
    state: str | None = None
    milestone: str | None = None
    situation: str | None = None
    problem: str | None = None
    step: str | None = None
    cause: str | None = None
    reference: str | None = None
    updated_after: int | None = None
    updated_before: int | None = None


FILTERS: Final = tuple(each.name for each in fields(Wanted))
"""The names of what narrows."""


def select_orders(
    tx: Transaction, configured: Configured, wanted: Wanted, most: int | None, now: int
) -> Iterator[tuple[int, str, str]]:
    """`seq`, shop and id of what is wanted, at most so many, in the order of their import.

    Raises Refused: `shop-not-found`, and as `order_filter`.
    """
    check_shop(tx, configured, wanted.shop)
    fits = order_filter(tx, configured, wanted, waiting_shops(list_shops(tx), configured, now))
    return found_orders(tx, fits, wanted.cause, 0, sys.maxsize if most is None else most)


def waiting_shops(shops: Iterable[Shop], configured: Configured, now: int) -> list[str]:
    """The shops whose orders wait, though they would go on: each is paused, waits itself, or left the config."""
    return [shop.name for shop in shops if shop.name not in configured or shop_wait(shop, now) is not None]


def check_shop(tx: Transaction, configured: Configured, name: str | None) -> None:
    """A shop that left the config keeps its history, one that another node alone has may have none yet; a name that
    never was a shop's is a mistake. Raises Refused `shop-not-found`."""
    if name is not None and name not in configured and not is_known(tx, name):
        raise no_shop(name, configured)


def is_known(tx: Transaction, shop: str) -> bool:
    """Whether a name is that of a shop that the store has, or that the config of another node has."""
    return get_shop(tx, shop) is not None or is_configured(tx, shop)


def order_filter(
    tx: Transaction, configured: Configured, wanted: Wanted, waiting_shops: Collection[str] = ()
) -> OrderFilter | None:
    """The filter for the store; None where nothing can fit. `waiting_shops`: those whose orders wait, though they would
    go on.

    Raises Refused `invalid-request` for a state that no machine and no order has, and for what is no cause.
    """
    problem, step = wanted.problem, wanted.step
    if wanted.cause is not None:
        if (found := type_and_step(wanted.cause)) is None:
            message = f"{wanted.cause!r} names no cause; GET /v1/orders/causes has their names"
            raise Refused("invalid-request", message, extra={"errors": [FieldError(path="cause", message=message)]})
        if problem not in (None, found[0]) or (step is not None and step != found[1]):
            return None
        problem, step = found
    is_gone = problem == _GONE
    if is_gone and step is not None:
        return None
    return OrderFilter(
        shop=wanted.shop,
        states=() if wanted.state is None else _states(tx, configured, wanted.state, wanted.shop),
        milestone=wanted.milestone,
        passed=_passed(configured, wanted.milestone),
        situation=wanted.situation,
        reference=wanted.reference,
        updated_after=wanted.updated_after,
        updated_before=wanted.updated_before,
        problem=None if is_gone else problem,
        step=step,
        is_gone=is_gone,
        waiting_shops=tuple(waiting_shops),
    )


def has_cause(problem: Problem | None, cause: str | None) -> bool:
    """Whether a problem has this cause; None: whatever it has."""
    if cause is None:
        return True
    return problem is not None and cause_of(problem.type, problem.step, problem.detail).name == cause


def column_has_cause(problem: str | None, cause: str | None) -> bool:
    """As `has_cause`, of the column of a problem: one that is damaged has none."""
    if cause is None:
        return True
    try:
        return problem is not None and has_cause(load_problem(problem), cause)
    except (ValueError, TypeError, RecursionError):
        return False


def found_orders(
    tx: Transaction, fits: OrderFilter | None, cause: str | None, after: int, limit: int
) -> Iterator[tuple[int, str, str]]:
    """`seq`, shop and id of at most `limit` orders above the position `after`, in the order of their import."""
    while fits is not None and limit > 0:
        rows = find_orders(tx, after, min(limit, _AT_ONCE) if cause is None else _AT_ONCE, fits)
        for seq, shop, order, problem in rows:
            if limit > 0 and column_has_cause(problem, cause):
                yield seq, shop, order
                limit -= 1
        if not rows:
            return
        after = rows[-1][0]


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
