"""Orders that were left out because they are a shop's history: each is known by its id, and counted once."""

from __future__ import annotations

from collections.abc import Sequence

from storage.transaction import Transaction


def is_skipped(tx: Transaction, shop: str, order: str) -> bool:
    """Whether the order was left out before."""
    return bool(tx.query("SELECT 1 FROM skipped_orders WHERE shop = ? AND id = ?", (shop, order)))


def skipped_among(tx: Transaction, shop: str, orders: Sequence[str]) -> set[str]:
    """Those of several orders that were left out before."""
    marks = ", ".join("?" * len(orders))
    rows = tx.query(f"SELECT id FROM skipped_orders WHERE shop = ? AND id IN ({marks})", (shop, *orders))  # noqa: S608
    return {order for (order,) in rows}


def note_skipped(tx: Transaction, shop: str, order: str) -> bool:
    """Notes that an order is left out; False when that was noted before."""
    if is_skipped(tx, shop, order):
        return False
    tx.execute("INSERT INTO skipped_orders (shop, id) VALUES (?, ?)", (shop, order))
    tx.execute("UPDATE shops SET skipped = skipped + 1 WHERE name = ?", (shop,))
    return True


def forget_skipped(tx: Transaction, shop: str, order: str) -> None:
    """The order is imported after all, and is left out no more."""
    if tx.execute("DELETE FROM skipped_orders WHERE shop = ? AND id = ?", (shop, order)):
        tx.execute("UPDATE shops SET skipped = skipped - 1 WHERE name = ?", (shop,))
