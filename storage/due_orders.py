"""Which orders are to be looked at: what is due, what was out when a daemon died, what nobody has observed for long."""

from __future__ import annotations

from collections.abc import Sequence

from storage.order_columns import COLUMNS, read_order
from storage.records import Order
from storage.transaction import Row, Transaction

_FAR_MS = 2**62

LONGEST_WAIT_MS = 86_400_000
"""No order is postponed for longer than that, whatever the config says."""


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


def shops_with_due_orders(tx: Transaction, shops: Sequence[str], now_ms: int) -> list[str]:
    """Those of the shops that have an order that is due now: one look into the index for each."""
    if not shops:
        return []
    marks = ", ".join("?" * len(shops))
    is_due = "EXISTS (SELECT 1 FROM orders WHERE orders.shop = shops.name AND due_at <= ?)"
    rows = tx.query(f"SELECT name FROM shops WHERE name IN ({marks}) AND {is_due}", (*shops, now_ms))  # noqa: S608
    return [row[0] for row in rows]


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
