"""How many orders there are and how many targets pend: kept beside the rows, not counted when somebody asks.

Counting takes as long as reading all that is counted. So whatever changes where an order stands, and whatever adds or
ends a target, notes how the counts move (`Transaction.moves`), and the engine writes the sum before the transaction
ends: both are kept, or neither is. The changes of a group mostly meet in a few counts. A shop has one node that works
for it, so few writers meet at a count; where several do, each writes in the order of the keys, and none waits for
another in a circle.

Kept counts can be wrong in one way only, by a mistake in this program. So after each start every shop is counted
(`wrong_counts`), and what is wrong is put right (`correct_counts`).
"""

from __future__ import annotations

from storage.moves import Moves
from storage.transaction import Transaction

_MOVE_ORDERS = (
    "INSERT INTO order_counts (shop, situation, state, milestone, orders) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (shop, situation, state, milestone) DO UPDATE SET orders = order_counts.orders + excluded.orders"
)
_MOVE_PENDING = (
    "INSERT INTO target_counts (shop, pending) VALUES (?, ?)"
    " ON CONFLICT (shop) DO UPDATE SET pending = target_counts.pending + excluded.pending"
)


def write_moves(tx: Transaction) -> None:
    """Writes how the counts moved so far: what an engine does before a transaction ends."""
    for sql, rows in (
        (_MOVE_ORDERS, [(*key, by) for key, by in sorted(tx.moves.orders.items()) if by]),
        (_MOVE_PENDING, [(shop, by) for shop, by in sorted(tx.moves.pending.items()) if by]),
    ):
        if rows:
            tx.execute_many(sql, rows)
    tx.moves.clear()


def count_orders(tx: Transaction) -> list[tuple[str, str, str, int]]:
    """How many orders there are by shop, situation and state."""
    rows = tx.query(
        "SELECT shop, situation, state, sum(orders) FROM order_counts WHERE orders <> 0"
        " GROUP BY shop, situation, state ORDER BY shop, situation, state"
    )
    return [(row[0], row[1], row[2], int(row[3])) for row in rows]


def count_pending(tx: Transaction) -> tuple[int, dict[str, int]]:
    """How many targets are pending, and the submission time of the oldest one by shop."""
    rows = tx.query(
        "SELECT shop, pending, (SELECT min(submitted_at) FROM targets"
        " WHERE targets.shop = target_counts.shop AND finished_at IS NULL) FROM target_counts WHERE pending <> 0"
    )
    return sum(row[1] for row in rows), {row[0]: row[2] for row in rows if row[2] is not None}


def count_pending_of(tx: Transaction, shop: str) -> int:
    """How many targets of a shop have not ended."""
    rows = tx.query("SELECT pending FROM target_counts WHERE shop = ?", (shop,))
    return rows[0][0] if rows else 0


def wrong_counts(tx: Transaction, shop: str | None = None) -> Moves:
    """By how much the counts of a shop, or of all, are off: counts every row there is, from indexes alone."""
    of_shop, values = ("", ()) if shop is None else (" AND shop = ?", (shop,))
    off = Moves()
    for *key, number in tx.query(
        f"SELECT shop, 'idle', state, coalesce(milestone, ''), count(*)"  # noqa: S608
        f" FROM {tx.dialect.by_index('orders', 'orders_rest_of_shop')} WHERE situation = 'idle'{of_shop}"
        " GROUP BY shop, state, milestone UNION ALL"
        " SELECT shop, situation, state, coalesce(milestone, ''), count(*)"
        f" FROM {tx.dialect.by_index('orders', 'orders_busy')} WHERE situation <> 'idle'{of_shop}"
        " GROUP BY shop, situation, state, milestone UNION ALL"
        f" SELECT shop, situation, state, milestone, -orders FROM order_counts WHERE orders <> 0{of_shop}",
        (*values, *values, *values),
    ):
        off.order(key[0], None, (key[1], key[2], key[3]), number)
    for name, number in tx.query(
        f"SELECT shop, count(*) FROM targets WHERE finished_at IS NULL{of_shop} GROUP BY shop"  # noqa: S608
        f" UNION ALL SELECT shop, -pending FROM target_counts WHERE pending <> 0{of_shop}",
        (*values, *values),
    ):
        off.target(name, number)
    return off.without_zeros()


def correct_counts(tx: Transaction, shop: str) -> Moves:
    """Puts a shop's counts right; returns by how much they were off."""
    write_moves(tx)  # of what went before in this transaction: its rows are changed already
    off = wrong_counts(tx, shop)
    tx.moves.add(off)
    return off
