"""Which idempotency keys announced an order, so that a key announces nothing twice."""

from __future__ import annotations

from storage.transaction import Transaction


def announced_by(tx: Transaction, key: str) -> tuple[str, str] | None:
    """The shop and the order that a key announced; None for a key that was not used."""
    rows = tx.query("SELECT shop, order_id FROM announcements WHERE key = ?", (key,))
    return (rows[0][0], rows[0][1]) if rows else None


def keep_announcement(tx: Transaction, key: str, shop: str, order: str, now_ms: int) -> None:
    """Notes that a key, which was not used before, announced an order."""
    tx.execute("INSERT INTO announcements (key, shop, order_id, at) VALUES (?, ?, ?, ?)", (key, shop, order, now_ms))
