"""Payloads that could not be read: set aside byte for byte, each once, until somebody reads them again."""

from __future__ import annotations

import hashlib

from storage.records import Rejected
from storage.transaction import Transaction

_COLUMNS = "id, shop, source, at, error, payload"


def add_rejected(
    tx: Transaction, shop: str, source: str, order: str | None, error: str, payload: bytes, now_ms: int
) -> int | None:
    """Keeps a payload; answers its id, or None when the same bytes of this shop are kept already."""
    digest = hashlib.blake2b(payload, digest_size=16).hexdigest()
    if tx.query("SELECT 1 FROM rejected WHERE shop = ? AND digest = ?", (shop, digest)):
        return None
    return tx.insert(
        "INSERT INTO rejected (shop, source, order_id, at, error, digest, payload) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (shop, source, order, now_ms, error, digest, payload),
    )


def list_rejected(tx: Transaction, after: int, limit: int, shop: str | None = None) -> list[Rejected]:
    """Rejected payloads with an id above `after`, oldest first."""
    where, values = (" AND shop = ?", [after, shop]) if shop is not None else ("", [after])
    sql = f"SELECT {_COLUMNS} FROM rejected WHERE id > ?{where} ORDER BY id LIMIT ?"  # noqa: S608
    return [Rejected(*row) for row in tx.query(sql, [*values, limit])]


def get_rejected(tx: Transaction, rejected_id: int) -> tuple[Rejected, str | None] | None:
    """One payload with the order id it was about, where that is known."""
    rows = tx.query(f"SELECT {_COLUMNS}, order_id FROM rejected WHERE id = ?", (rejected_id,))  # noqa: S608
    return (Rejected(*rows[0][:-1]), rows[0][-1]) if rows else None


def remove_rejected(tx: Transaction, rejected_id: int) -> None:
    """Forgets a payload that was read after all."""
    tx.execute("DELETE FROM rejected WHERE id = ?", (rejected_id,))


def remove_rejected_of(tx: Transaction, shop: str, order: str) -> None:
    """Forgets the payloads of an order that has been read since."""
    tx.execute("DELETE FROM rejected WHERE shop = ? AND order_id = ?", (shop, order))
