"""Orders: one row each, saved whole and fenced by their version; payloads apart."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import structlog

from storage.counts import correct_counts
from storage.errors import StaleLease, StoreError
from storage.order_columns import COLUMNS, dump_intent, dump_problem, load_intent, read_order, show_order
from storage.packing import Damaged, pack_all, unpack
from storage.records import Json, Kept, Order, Problem, Situation, changed
from storage.text import dump_json, dump_large, load_json
from storage.transaction import Row, Transaction, Value

log = structlog.get_logger()

LONGEST_WAIT_MS = 86_400_000
"""No order is postponed for longer than that, whatever the config says."""

CONTENT_VERSION = 2
"""The form of content that is kept now: a member that the platform does not give is left out of it."""

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

_KEPT = "SELECT payload, content, packed, words"
_OF_ORDER = (
    "FROM payloads LEFT JOIN dictionaries ON dictionaries.id = payloads.dictionary"
    " WHERE payloads.shop = ? AND payloads.id = ?"
)

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
    _write_payloads(
        tx,
        new[0].order.shop,
        [_Payload(order.id, order.imported_at, payload, content, order.observed_at) for order, payload, content in new],
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


def touch_order(tx: Transaction, seq: int, observed_at: int, now_ms: int = _FAR_MS) -> None:
    """An observation showed nothing new: not a change, so neither version nor `updated_at` move.

    `now_ms`: a later observation than that is impossible; our clock was ahead then.
    """
    tx.execute(
        "UPDATE orders SET observed_at = ? WHERE seq = ? AND (observed_at < ? OR observed_at > ?)",
        (observed_at, seq, observed_at, now_ms),
    )


def save_payload(
    tx: Transaction,
    shop: str,
    order: str,
    payload: bytes,
    now_ms: int,
    content: dict[str, Json] | None = None,
    read_at: int | None = None,
) -> None:
    """Keeps the newest payload byte for byte, with the content of the observation that began at `read_at`."""
    _write_payloads(tx, shop, [_Payload(order, now_ms, payload, content, read_at)])


class _Payload(NamedTuple):
    order: str
    received_at: int
    payload: bytes
    content: dict[str, Json] | None
    read_at: int | None


def _write_payloads(tx: Transaction, shop: str, payloads: Sequence[_Payload]) -> None:
    texts = [None if each.content is None else dump_large(each.content) for each in payloads]
    packed = pack_all(tx, shop, [(each.payload, text) for each, text in zip(payloads, texts, strict=True)])
    values: list[Value] = []
    for each, text, (data, dictionary) in zip(payloads, texts, packed, strict=True):
        version = None if text is None else CONTENT_VERSION
        values += (shop, each.order, each.received_at, b"", data, dictionary, each.read_at, version)
    places = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?)"] * len(payloads))
    tx.execute(
        "INSERT INTO payloads (shop, id, received_at, payload, packed, dictionary, read_at, content_version)"  # noqa: S608
        f" VALUES {places}"
        " ON CONFLICT (shop, id) DO UPDATE SET received_at = excluded.received_at, payload = excluded.payload,"
        " content = NULL, packed = excluded.packed, dictionary = excluded.dictionary, read_at = excluded.read_at,"
        " content_version = excluded.content_version",
        values,
    )


def get_kept(tx: Transaction, shop: str, order: str) -> Kept | None:
    """The content of an order as it was last observed; None for one that has no payload. What is damaged counts as kept
    by an older version: the next observation keeps it anew."""
    rows = tx.query(f"{_KEPT}, read_at, received_at, content_version {_OF_ORDER}", (shop, order))
    if not rows:
        return None
    *kept, read_at, received_at, version = rows[0]
    unpacked = _unpacked(shop, order, kept)
    if unpacked is None:
        return Kept(None, read_at, received_at, is_exact=False)
    _, content = unpacked
    is_exact = version is not None and version >= CONTENT_VERSION
    return Kept(None if content is None else load_json(content), read_at, received_at, is_exact)


def get_payload(tx: Transaction, shop: str, order: str) -> bytes | None:
    """The payload as it was received; None where none is kept, or it is damaged."""
    rows = tx.query(f"{_KEPT} {_OF_ORDER}", (shop, order))
    unpacked = _unpacked(shop, order, rows[0]) if rows else None
    return None if unpacked is None else unpacked[0]


def _unpacked(shop: str, order: str, row: Sequence[Any]) -> tuple[bytes, str | None] | None:
    """Payload and content, of a row from before they were packed as well; None where they are damaged. One order must
    not hold up those who read the feed or the list, so it is the log that says so."""
    payload, content, packed, words = row
    if packed is None:
        return bytes(payload), content
    try:
        return unpack(packed, words)
    except Damaged as damage:
        remedy = f"check the disk; `{shlex.join(('fulfilld', 'refresh', shop, order))}` keeps it anew"
        log.error("payload.damaged", shop=shop, order=order, detail=str(damage), remedy=remedy)
        return None


def due_orders(tx: Transaction, shop: str, now_ms: int, limit: int, longest_ms: int = LONGEST_WAIT_MS) -> list[Order]:
    """The shop's orders that are due now, longest due first. Raises DamagedRow.

    None waits longer than `longest_ms`: one that is due later than that was put off by a clock that was ahead.
    """
    return list(map(read_order, _due(tx, COLUMNS, shop, now_ms, limit, longest_ms)))


def due_ids(tx: Transaction, shop: str, now_ms: int, limit: int, longest_ms: int = LONGEST_WAIT_MS) -> list[str]:
    """The ids of those that `due_orders` reads."""
    return [row[0] for row in _due(tx, "id", shop, now_ms, limit, longest_ms)]


def _due(tx: Transaction, columns: str, shop: str, now_ms: int, limit: int, longest_ms: int) -> list[Row]:
    select = f"SELECT {columns} FROM orders WHERE shop = ? AND due_at"  # noqa: S608
    rows = tx.query(f"{select} <= ? ORDER BY due_at LIMIT ?", (shop, now_ms, limit))
    if len(rows) < limit:
        rows += tx.query(
            f"{select} > ? ORDER BY due_at LIMIT ?",
            (shop, now_ms + longest_ms, limit - len(rows)),
        )
    return rows


def next_due_at(tx: Transaction, shop: str, after: int) -> int | None:
    """When the shop's next order falls due after `after`, None if none does."""
    rows = tx.query("SELECT min(due_at) FROM orders WHERE shop = ? AND due_at > ?", (shop, after))
    return None if rows[0][0] is None else int(rows[0][0])


def orders_with_intent(tx: Transaction, shop: str) -> list[Order]:
    """Orders whose call was out: after a restart these are read before anything is sent again. Raises DamagedRow."""
    sql = f"SELECT {COLUMNS} FROM orders WHERE shop = ? AND intent IS NOT NULL"  # noqa: S608
    return [read_order(row) for row in tx.query(sql, (shop,))]


def ids_with_intent(tx: Transaction, shop: str) -> list[str]:
    """The ids of those that `orders_with_intent` reads."""
    return [row[0] for row in tx.query("SELECT id FROM orders WHERE shop = ? AND intent IS NOT NULL", (shop,))]


def is_outdated(tx: Transaction, shop: str, order: str) -> bool:
    """Whether an order is at rest and was not observed since our last call on it ended. One that is provisional or gone
    has its own time to be read."""
    sql = (
        "SELECT 1 FROM orders WHERE shop = ? AND id = ? AND situation = 'idle' AND moved_at >= observed_at"
        " AND gone_at IS NULL AND is_provisional = 0"
    )
    return bool(tx.query(sql, (shop, order)))


def stalest_orders(
    tx: Transaction, shop: str, ends: tuple[str, ...], observed_before: int, limit: int, now_ms: int = _FAR_MS
) -> list[str]:
    """Ids of the shop's orders that were not observed since `observed_before`, stalest first: those outside the end
    states, and those in them that were not observed since our last call on them ended.

    An observation later than `now_ms` is impossible: our clock was ahead, and its real time is unknown.

    An order that is gone is read again when it has been gone for twice as long as at the last read: after a passing
    fault of the platform it is found again soon, and a deleted order is asked for a few times in a year.
    """
    marks = ", ".join("?" * len(ends))
    rows = tx.query(
        f"SELECT id FROM orders WHERE shop = ? AND (state NOT IN ({marks})"  # noqa: S608
        " OR (moved_at > observed_at AND observed_at > 0)) AND (observed_at > ? OR (observed_at < ?"
        " AND (gone_at IS NULL OR ? - observed_at > observed_at - gone_at)))"
        " ORDER BY CASE WHEN observed_at > ? THEN 0 ELSE observed_at END LIMIT ?",
        (shop, *ends, now_ms, observed_before, observed_before, now_ms, limit),
    )
    return [row[0] for row in rows]


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
