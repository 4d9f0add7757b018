"""Orders by filter, a page at a time, in the order of their import; the time that a page takes does not grow with the
store.

No index can be in the order of import and by situation, state, milestone and shop at once, and one on what each step
changes would cost each step more than it is worth. So a page is put together of parts, each of which an index answers
in order and which end with the page: the busy orders that fit, and for each place at rest that fits the orders that
stand there. The kept counts say which places there are. Where no busy order fits, which only a walk past all of them
would show, they say that as well. They are as the transaction found them: a page is for one that only reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from storage.order_columns import COLUMNS, show_order, step_condition, type_condition
from storage.records import HAVE_PROBLEMS, HELD_UP, Order, Situation
from storage.transaction import Row, Transaction, Value

_FEW = 250_000
"""So many orders are sorted for a page rather than walked past."""
_MOST_PARTS = 400
"""A statement has no more than 500 parts in SQLite; with so many places, the walk is short enough."""


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders to select; None means all. `passed`: states, by shop, that have the milestone of the filter beside a
    further one. `problem`, `step`: the type of the order's problem, and of which step it is; `has_problem`: any;
    `is_gone`: the platform has no such order any more. `waiting_shops`: shops whose orders wait, though they would go
    on."""

    shop: str | None = None
    states: tuple[str, ...] = ()
    milestone: str | None = None
    passed: tuple[tuple[str, str], ...] = ()
    situation: str | None = None
    reference: str | None = None
    updated_after: int | None = None
    updated_before: int | None = None
    problem: str | None = None
    step: str | None = None
    has_problem: bool = False
    is_gone: bool = False
    waiting_shops: tuple[str, ...] = ()

    @property
    def wants_problem(self) -> bool:
        """Whether only orders with a problem fit."""
        return self.has_problem or self.problem is not None or self.step is not None


@dataclass(frozen=True, slots=True)
class _Condition:
    """What stands in a WHERE, and the values of its places."""

    sql: str
    values: tuple[Value, ...] = ()

    @staticmethod
    def of_all(conditions: list[_Condition]) -> _Condition:
        sql = " AND ".join(each.sql for each in conditions) or "1 = 1"
        return _Condition(sql, tuple(value for each in conditions for value in each.values))


def list_orders(tx: Transaction, after: int, limit: int, wanted: OrderFilter = OrderFilter()) -> list[Order]:
    """Orders with `seq` above `after`, in the order of their import, to be shown (`show_order`)."""
    return [show_order(row) for row in _rows(tx, COLUMNS, after, limit, wanted)]


def find_orders(tx: Transaction, after: int, limit: int, wanted: OrderFilter) -> list[Row]:
    """As `list_orders`, of each `seq`, shop, id and problem (its column) alone."""
    return _rows(tx, "seq, shop, id, problem", after, limit, wanted)


def fitting_orders(tx: Transaction, shop: str, orders: Sequence[str], wanted: OrderFilter) -> list[Row]:
    """The id and problem (its column) of those of a shop's orders that fit."""
    fits = _Condition.of_all([_one_of("id", list(orders)), *_conditions(wanted)])
    return tx.query(f"SELECT id, problem FROM orders WHERE shop = ? AND {fits.sql}", (shop, *fits.values))  # noqa: S608


class KeptSituation(NamedTuple):
    """What is kept of an order that says what can be done to it. `problem`: its column; `is_stopped`: it is held, or
    the ERP asks for a person."""

    situation: Situation
    problem: str | None
    is_stopped: bool


def kept_situations(tx: Transaction, seqs: Sequence[int]) -> list[KeptSituation]:
    """Of the orders at these positions; there may be as many as a statement takes."""
    if not seqs:
        return []
    places = ", ".join("?" * len(seqs))
    sql = f"SELECT situation, problem, held_at, attention_at FROM orders WHERE seq IN ({places})"  # noqa: S608
    rows = tx.query(sql, list(seqs))
    return [KeptSituation(Situation(row[0]), row[1], row[2] is not None or row[3] is not None) for row in rows]


def _rows(tx: Transaction, columns: str, after: int, limit: int, wanted: OrderFilter) -> list[Row]:
    found = _parts(tx, after, limit, wanted)
    if found is None:
        fits = _Condition.of_all(_conditions(wanted))
        sql = f"SELECT {columns} FROM orders WHERE seq > ? AND {fits.sql} ORDER BY seq LIMIT ?"  # noqa: S608
        return tx.query(sql, [after, *fits.values, limit])
    if not found:
        return []
    parts = " UNION ALL ".join(f"SELECT seq FROM ({part.sql}) AS part{n}" for n, part in enumerate(found))  # noqa: S608
    sql = (
        f"SELECT {columns} FROM orders WHERE seq IN"  # noqa: S608
        f" (SELECT seq FROM ({parts}) AS found ORDER BY seq LIMIT ?) ORDER BY seq"
    )
    return tx.query(sql, [*(value for part in found for value in part.values), limit])


def _parts(tx: Transaction, after: int, limit: int, wanted: OrderFilter) -> list[_Condition] | None:
    """The statements that answer with the `seq` of a page's orders, each in order and none longer than a page; None
    where the orders are best walked through."""
    if wanted.reference is not None or wanted == OrderFilter(waiting_shops=wanted.waiting_shops):
        return None
    page = _Condition("ORDER BY seq LIMIT ?", (limit,))
    parts: list[_Condition] = []
    if wanted.is_gone:
        return [_part(tx, "orders_gone", "gone_at IS NOT NULL", after, _conditions(wanted), page)]
    if wanted.situation != Situation.IDLE and (busy := _busy_conditions(tx, wanted)) is not None:
        parts.append(_part(tx, "orders_busy", "situation <> 'idle'", after, busy, page))
    if wanted.situation not in (None, Situation.IDLE) or wanted.wants_problem:
        return parts
    if wanted.updated_after is not None and _are_few(tx, wanted.updated_after):
        parts.append(_part(tx, "orders_rested", "situation = 'idle'", after, _conditions(wanted), page))
        return parts
    places = _places_at_rest(tx, wanted)
    if len(places) > _MOST_PARTS:
        return None
    index = "orders_rest" if wanted.shop is None else "orders_rest_of_shop"
    return parts + [_part(tx, index, "situation = 'idle'", after, place, page) for place in places]


def _part(
    tx: Transaction, index: str, of_index: str, after: int, conditions: list[_Condition], page: _Condition
) -> _Condition:
    fits = _Condition.of_all([_Condition(of_index), _Condition("seq > ?", (after,)), *conditions])
    sql = f"SELECT seq FROM {tx.dialect.by_index('orders', index)} WHERE {fits.sql} {page.sql}"  # noqa: S608
    return _Condition(sql, (*fits.values, *page.values))


def _busy_conditions(tx: Transaction, wanted: OrderFilter) -> list[_Condition] | None:
    """What busy orders that fit have in common; None where there are none."""
    stands = _Condition.of_all([*_place_conditions(wanted), *_situation_conditions(wanted)])
    sql = f"SELECT DISTINCT shop FROM order_counts WHERE orders > 0 AND situation <> 'idle' AND {stands.sql}"  # noqa: S608
    shops = [row[0] for row in tx.query(sql, stands.values)]
    if not shops:
        return None
    # an order that is walked past is compared with the name of each waiting shop: as few of them as will do
    if wanted.situation == Situation.WAITING:
        return _conditions(replace(wanted, waiting_shops=tuple(sorted({*wanted.waiting_shops}.intersection(shops)))))
    if wanted.situation in HELD_UP and len(shops) < len(wanted.waiting_shops):
        return [*_conditions(replace(wanted, waiting_shops=())), _one_of("shop", shops)]
    return _conditions(wanted)


def _are_few(tx: Transaction, updated_after: int) -> bool:
    """Whether few orders at rest changed since then."""
    sql = (
        f"SELECT count(*) FROM (SELECT 1 FROM {tx.dialect.by_index('orders', 'orders_rested')}"  # noqa: S608
        " WHERE situation = 'idle' AND updated_at > ? LIMIT ?) AS changed"
    )
    found: int = tx.query(sql, (updated_after, _FEW + 1))[0][0]
    return found <= _FEW


def _places_at_rest(tx: Transaction, wanted: OrderFilter) -> list[list[_Condition]]:
    """The conditions of each place at rest that has orders that fit."""
    shop, stands = _shop_conditions(wanted), _Condition.of_all(_place_conditions(wanted))
    sql = f"SELECT DISTINCT state, milestone FROM order_counts WHERE situation = 'idle' AND {stands.sql}"  # noqa: S608
    passed: dict[str, list[str]] = {}
    for name, state in wanted.passed:
        passed.setdefault(state, []).append(name)
    places = []
    for state, milestone in tx.query(sql, stands.values):
        place = [
            *shop,
            _Condition("state = ?", (state,)),
            _Condition("milestone = ?", (milestone,)) if milestone else _Condition("milestone IS NULL"),
        ]
        if wanted.milestone not in (None, milestone):
            place.append(_one_of("shop", passed.get(state, [])))
        places.append([*place, *_time_conditions(wanted)])
    return places


def _conditions(wanted: OrderFilter) -> list[_Condition]:
    conditions = _place_conditions(wanted)
    if wanted.reference is not None:
        conditions.append(_Condition("reference = ?", (wanted.reference,)))
    if wanted.is_gone:
        conditions.append(_Condition("gone_at IS NOT NULL"))
    return conditions + _situation_conditions(wanted) + _problem_conditions(wanted) + _time_conditions(wanted)


def _place_conditions(wanted: OrderFilter) -> list[_Condition]:
    """Of the shop, and where in it an order stands: the kept counts have the same columns."""
    return [*_shop_conditions(wanted), *_state_conditions(wanted), *_milestone_conditions(wanted)]


def _situation_conditions(wanted: OrderFilter) -> list[_Condition]:
    """As `_place_conditions`, of the situation."""
    found = [_one_of("situation", [each.value for each in HAVE_PROBLEMS])] if wanted.wants_problem else []
    if wanted.situation is not None:
        found.append(_situation_condition(wanted.situation, wanted.waiting_shops))
    return found


def _shop_conditions(wanted: OrderFilter) -> list[_Condition]:
    return [] if wanted.shop is None else [_Condition("shop = ?", (wanted.shop,))]


def _state_conditions(wanted: OrderFilter) -> list[_Condition]:
    return [_one_of("state", list(wanted.states))] if wanted.states else []


def _time_conditions(wanted: OrderFilter) -> list[_Condition]:
    bounds = [("updated_at > ?", wanted.updated_after), ("updated_at < ?", wanted.updated_before)]
    return [_Condition(sql, (at,)) for sql, at in bounds if at is not None]


def _problem_conditions(wanted: OrderFilter) -> list[_Condition]:
    """Behind those of the situation: that is in the index, the problem is not."""
    if not wanted.wants_problem:
        return []
    found = [_Condition("problem IS NOT NULL")]
    if wanted.problem is not None:
        sql, value = type_condition(wanted.problem)
        found.append(_Condition(sql, (value,)))
    if wanted.step is not None:
        sql, value = step_condition(wanted.step)
        found.append(_Condition(sql, (value,)))
    return found


def _milestone_conditions(wanted: OrderFilter) -> list[_Condition]:
    if wanted.milestone is None:
        return []
    passed: dict[str, list[str]] = {}
    for shop, state in wanted.passed:
        passed.setdefault(state, []).append(shop)
    ways = [_Condition("milestone = ?", (wanted.milestone,))]
    for state, shops in passed.items():
        at = _one_of("shop", shops)
        ways.append(_Condition(f"(state = ? AND {at.sql})", (state, *at.values)))
    sql = " OR ".join(way.sql for way in ways)
    return [_Condition(f"({sql})", tuple(value for way in ways for value in way.values))]


def _one_of(column: str, values: list[str]) -> _Condition:
    return _Condition(f"{column} IN ({', '.join('?' * len(values))})", tuple(values))


def _situation_condition(situation: str, waiting_shops: tuple[str, ...]) -> _Condition:
    """Orders of a shop that stands still are shown as waiting, without a write to each of them."""
    marks = ", ".join("?" * len(waiting_shops))
    if waiting_shops and situation == Situation.WAITING:
        held_up = f"situation IN ('queued', 'retrying') AND shop IN ({marks})"
        return _Condition(f"(situation = 'waiting' OR ({held_up}))", waiting_shops)
    if waiting_shops and situation in HELD_UP:
        return _Condition(f"situation = ? AND shop NOT IN ({marks})", (situation, *waiting_shops))
    return _Condition("situation = ?", (situation,))
