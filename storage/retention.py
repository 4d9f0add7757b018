"""Forgetting what is old, in small batches so that no writer waits long behind it.

An order is forgotten when it rests at an end of its machine (or nothing happened to it) for longer than the retention,
with its targets and payload. Events are forgotten by age alone: a consumer that is further behind than the retention
has lost its place, and the feed's cursors keep growing whatever is deleted.
"""

from __future__ import annotations

from storage.transaction import Transaction

BATCH = 500


def forget_events(tx: Transaction, before_ms: int) -> int:
    """Deletes up to BATCH events older than `before_ms`; answers how many."""
    return tx.execute(
        "DELETE FROM events WHERE cursor IN (SELECT cursor FROM events WHERE at < ? ORDER BY cursor LIMIT ?)",
        (before_ms, BATCH),
    )


def forget_orders(tx: Transaction, before_ms: int) -> int:
    """Deletes up to BATCH resting orders untouched since `before_ms`, with targets and payloads; answers how many."""
    rows = tx.query(
        "SELECT seq, shop, id FROM orders WHERE situation = 'idle' AND updated_at < ? ORDER BY seq LIMIT ?",
        (before_ms, BATCH),
    )
    for seq, shop, order in rows:
        tx.execute("DELETE FROM targets WHERE shop = ? AND order_id = ?", (shop, order))
        tx.execute("DELETE FROM payloads WHERE shop = ? AND id = ?", (shop, order))
        tx.execute("DELETE FROM orders WHERE seq = ?", (seq,))
    return len(rows)


def forget_targets(tx: Transaction, before_ms: int) -> int:
    """Deletes up to BATCH targets that ended before `before_ms`; answers how many."""
    return tx.execute(
        "DELETE FROM targets WHERE seq IN (SELECT seq FROM targets WHERE finished_at < ? ORDER BY seq LIMIT ?)",
        (before_ms, BATCH),
    )


def forget_rejected(tx: Transaction, before_ms: int) -> int:
    """Deletes up to BATCH rejected payloads older than `before_ms`; answers how many."""
    return tx.execute(
        "DELETE FROM rejected WHERE id IN (SELECT id FROM rejected WHERE at < ? ORDER BY id LIMIT ?)",
        (before_ms, BATCH),
    )
