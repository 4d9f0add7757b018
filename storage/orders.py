"""Orders: one row each, saved whole and fenced by their version; payloads apart (`payloads`), and what is due
(`due_orders`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from storage.counts import correct_counts
from storage.errors import StaleLease, StoreError
from storage.order_columns import COLUMNS, dump_intent, dump_problem, load_intent, read_order, show_order
from storage.payloads import Received, write_payloads
from storage.records import Json, Order, Problem, Situation, changed
from storage.text import dump_json
from storage.transaction import Row, Transaction, Value

_FAR_MS = 2**62

_INSERT = (
    "INSERT INTO orders (shop, platform, id, imported_at, version, updated_at, state, platform_state, milestone,"
    " situation, observed_at, moved_at, due_at, intent, attempts, read_attempts, crashes, next_attempt_at, wait,"
    " problem, reference, payment, facts, content_hash, platform_updated_at, held_at, held_reason, gone_at,"
    " gone_detail, is_provisional, parcels, payment_status, attention_at, attention_reason, returned) VALUES"
    " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

SAVE_STEP = (
    "UPDATE orders SET state = ?, platform_state = ?, milestone = ?, situation = ?, observed_at = ?, moved_at = ?,"
    " due_at = ?, intent = ?, attempts = ?, read_attempts = ?, crashes = ?, next_attempt_at = ?, wait = ?, problem = ?,"
    " updated_at = ?, version = version + 1 WHERE seq = ? AND version = ?"
)
"""Writes a `step_row`; changes no row when the version is another by now."""

SAVE_FENCED = f"{SAVE_STEP} AND EXISTS (SELECT 1 FROM shops WHERE name = orders.shop AND lease_epoch = ?)"  # noqa: S608
"""As SAVE_STEP, with an epoch behind the row: changes no row when the lease of the shop is another by now."""

SAVE_SELDOM = (
    "UPDATE orders SET reference = ?, payment = ?, facts = ?, content_hash = ?, platform_updated_at = ?, held_at = ?,"
    " held_reason = ?, gone_at = ?, gone_detail = ?, is_provisional = ?, parcels = ?, payment_status = ?,"
    " attention_at = ?, attention_reason = ?, returned = ? WHERE seq = ?"
)
"""Writes a `seldom_row`."""


SELDOM = frozenset(
    {
        "reference",
        "payment",
        "facts",
        "content_hash",
        "platform_updated_at",
        "held_at",
        "held_reason",
        "gone_at",
        "gone_detail",
        "is_provisional",
        "parcels",
        "payment_status",
        "attention_at",
        "attention_reason",
        "returned",
    }
)
"""Fields that a step mostly leaves alone: written apart, only when they changed."""


class LostUpdate(StoreError):
    """The order was changed by someone else since it was read."""


def get_order(tx: Transaction, shop: str, order: str, read: Callable[[Row], Order] = read_order) -> Order | None:
    """One order, None if it is not known; `read`: or `show_order`. Raises DamagedRow."""
    rows = tx.query(f"SELECT {COLUMNS} FROM orders WHERE shop = ? AND id = ?", (shop, order))  # noqa: S608
    return read(rows[0]) if rows else None


def is_known(tx: Transaction, shop: str, order: str) -> bool:
    """Whether there is such an order."""
    return bool(tx.query("SELECT 1 FROM orders WHERE shop = ? AND id = ?", (shop, order)))


def get_orders(tx: Transaction, shop: str, orders: Sequence[str]) -> dict[str, Order]:
    """Those of several orders of a shop that are known, by id."""
    marks = ", ".join("?" * len(orders))
    rows = tx.query(f"SELECT {COLUMNS} FROM orders WHERE shop = ? AND id IN ({marks})", (shop, *orders))  # noqa: S608
    return {order.id: order for order in map(read_order, rows)}


def orders_among(tx: Transaction, places: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Order]:
    """As `get_orders`, of orders by their shops and ids."""
    if not places:
        return {}
    marks = ", ".join(["(?, ?)"] * len(places))
    rows = tx.query(
        f"WITH wanted (of_shop, of_order) AS (VALUES {marks}) SELECT {COLUMNS} FROM wanted JOIN orders"  # noqa: S608
        " ON shop = of_shop AND id = of_order",
        [name for place in places for name in place],
    )
    return {(order.shop, order.id): order for order in map(read_order, rows)}


def is_unchanged(tx: Transaction, known: Order, epoch: int) -> bool:
    """Whether an order is still as it was read, in one query with the fence. Raises StaleLease unless the lease of its
    shop is of this epoch."""
    rows = tx.query(
        "SELECT lease_epoch, (SELECT version FROM orders WHERE seq = ? AND shop = shops.name)"  # noqa: S608
        f" FROM shops WHERE name = ?{tx.dialect.row_lock}",
        (known.seq, known.shop),
    )
    if not rows or rows[0][0] != epoch:
        raise StaleLease(known.shop)
    return bool(rows[0][1] == known.version)


class NewOrder(NamedTuple):
    """An order to be added (its `seq` is ignored), with its payload and content."""

    order: Order
    payload: bytes
    content: dict[str, Json] | None = None


def insert_orders(tx: Transaction, new: Sequence[NewOrder]) -> list[Order]:
    """Adds orders of one shop, each once, in a few statements; returns them with their `seq`."""
    if not new:
        return []
    seqs = tx.insert_many(_INSERT, [_new_row(order) for order, _, _ in new])
    write_payloads(
        tx,
        new[0].order.shop,
        [Received(order.id, order.imported_at, payload, content, order.observed_at) for order, payload, content in new],
    )
    found = []
    for seq, (order, _, _) in zip(seqs, new, strict=True):
        tx.moves.order(order.shop, None, place := order.place)
        found.append(changed(order, seq=seq, counted=place))
    return found


def insert_order(tx: Transaction, order: Order, payload: bytes, content: dict[str, Json] | None = None) -> Order:
    """Adds an order (its `seq` is ignored) with its payload and content; returns it with its `seq`."""
    return insert_orders(tx, [NewOrder(order, payload, content)])[0]


def _new_row(order: Order) -> Row:
    own = (order.shop, order.platform, order.id, order.imported_at, order.version, order.updated_at)
    return (*own, *_step_values(order), *_seldom_values(order))


def save_order(tx: Transaction, order: Order, *, has_seldom: bool = True) -> Order:
    """Writes the order and returns it with its new version; `has_seldom` False: no field of SELDOM changed.

    Raises LostUpdate when `order.version` is not the stored one.
    """
    if tx.execute(SAVE_STEP, step_row(order)) != 1:
        raise LostUpdate(f"order {order.id} of {order.shop} was changed meanwhile")
    if has_seldom:
        tx.execute(SAVE_SELDOM, seldom_row(order))
    tx.moves.order(order.shop, order.counted, place := order.place)
    return changed(order, version=order.version + 1, counted=place)


def step_row(order: Order) -> Row:
    """What a step changes of an order, for SAVE_STEP: `order.version` is the one that is stored."""
    return (*_step_values(order), order.updated_at, order.seq, order.version)


def seldom_row(order: Order) -> Row:
    """The fields of SELDOM, for SAVE_SELDOM."""
    return (*_seldom_values(order), order.seq)


def forget_observations(tx: Transaction) -> None:
    """No observation counts as fresh any more: each order is read before anything is done to it."""
    tx.execute("UPDATE orders SET observed_at = 0")


def forget_observations_since(tx: Transaction, instant_ms: int) -> None:
    """As `forget_observations`, of orders that are not at rest, or were seen or moved since an instant: an older
    observation is not fresh anyway."""
    tx.execute(
        "UPDATE orders SET observed_at = 0 WHERE observed_at <> 0 AND (situation <> 'idle' OR observed_at >= ?"
        " OR moved_at >= ?)",
        (instant_ms, instant_ms),
    )


def touch_order(tx: Transaction, seq: int, observed_at: int, now_ms: int = _FAR_MS) -> None:
    """An observation showed nothing new: not a change, so neither version nor `updated_at` move.

    `now_ms`: a later observation than that is impossible; our clock was ahead then.
    """
    tx.execute(
        "UPDATE orders SET observed_at = ? WHERE seq = ? AND (observed_at < ? OR observed_at > ?)",
        (observed_at, seq, observed_at, now_ms),
    )


def blocked_orders(tx: Transaction, limit: int) -> list[Order]:
    """Orders that wait for a person."""
    sql = f"SELECT {COLUMNS} FROM orders WHERE situation = 'blocked' ORDER BY updated_at LIMIT ?"  # noqa: S608
    return [show_order(row) for row in tx.query(sql, (limit,))]


def attention_orders(tx: Transaction, limit: int) -> list[Order]:
    """Orders that the ERP asks for a person about, longest first."""
    sql = f"SELECT {COLUMNS} FROM orders WHERE attention_at IS NOT NULL ORDER BY attention_at LIMIT ?"  # noqa: S608
    return [show_order(row) for row in tx.query(sql, (limit,))]


def count_attention(tx: Transaction) -> dict[str, int]:
    """How many orders of each shop the ERP asks for a person about."""
    table = tx.dialect.by_index("orders", "orders_attention")
    rows = tx.query(f"SELECT shop, count(*) FROM {table} WHERE attention_at IS NOT NULL GROUP BY shop")  # noqa: S608
    return {row[0]: row[1] for row in rows}


def block_damaged(tx: Transaction, shop: str, order: str, problem: Problem) -> tuple[str, str | None] | None:
    """Blocks an order, and the head of its queue, whose rows cannot be read: none of what is damaged is read or
    written. Returns its state, and the target; None for an order that is blocked already.

    A call that was out is uncertain from then on, as far as its column can be read: should a person correct the row,
    the order is read before anything is sent again.
    """
    sql = "SELECT seq, situation, state, milestone, intent FROM orders WHERE shop = ? AND id = ?"
    rows = tx.query(sql, (shop, order))
    if not rows or rows[0][1] == Situation.BLOCKED:
        return None
    seq, situation, state, milestone, intent = rows[0]
    if intent is not None:
        with suppress(ValueError, TypeError, LookupError, RecursionError):
            intent = dump_intent(load_intent(intent).cut_off())
    tx.execute(
        "UPDATE orders SET situation = ?, problem = ?, intent = ?, wait = NULL, due_at = NULL, next_attempt_at = NULL,"
        " observed_at = 0, updated_at = ?, version = version + 1 WHERE seq = ?",
        (Situation.BLOCKED.value, dump_problem(problem), intent, problem.since, seq),
    )
    if situation in set(Situation):
        at = (state, milestone or "")
        tx.moves.order(shop, (situation, *at), (Situation.BLOCKED.value, *at))
    else:  # what it was counted as is lost
        correct_counts(tx, shop)
    heads = tx.query(
        "SELECT seq, id FROM targets WHERE shop = ? AND order_id = ? AND finished_at IS NULL ORDER BY seq LIMIT 1",
        (shop, order),
    )
    for head, _ in heads:
        sql = "UPDATE targets SET status = 'blocked', problem = ? WHERE seq = ?"
        tx.execute(sql, (dump_problem(problem), head))
    return state, heads[0][1] if heads else None


def _step_values(order: Order) -> tuple[Value, ...]:
    """What a step changes, in the order of SAVE_STEP."""
    intent, wait = order.intent, order.wait
    return (
        order.state,
        order.platform_state,
        order.milestone,
        order.situation._value_,  # as `value`, which is a descriptor of Python code
        order.observed_at,
        order.moved_at,
        order.due_at,
        None if intent is None else dump_intent(intent),
        order.attempts,
        order.read_attempts,
        order.crashes,
        order.next_attempt_at,
        None if wait is None else dump_json([wait.reason, wait.until, wait.detail]),
        dump_problem(order.problem),
    )


def _seldom_values(order: Order) -> tuple[Value, ...]:
    return (
        order.reference,
        order.payment,
        dump_json(order.facts),
        order.content_hash,
        order.platform_updated_at,
        order.held_at,
        order.held_reason,
        order.gone_at,
        order.gone_detail,
        int(order.is_provisional),
        dump_json(order.parcels) if order.parcels else None,
        order.payment_status,
        order.attention_at,
        order.attention_reason,
        None if order.returned is None else dump_json(order.returned),
    )
