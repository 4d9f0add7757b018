"""Payloads as versions before 0.3 kept them: plain, each column by itself."""

from __future__ import annotations

from storage.packing import unpack
from storage.transaction import Transaction


def keep_plainly(tx: Transaction) -> None:
    """Rewrites all payloads so."""
    rows = tx.query(
        "SELECT payloads.shop, payloads.id, packed, words FROM payloads"
        " LEFT JOIN dictionaries ON dictionaries.id = payloads.dictionary WHERE packed IS NOT NULL"
    )
    for shop, order, packed, words in rows:
        payload, content = unpack(packed, words)
        tx.execute(
            "UPDATE payloads SET payload = ?, content = ?, packed = NULL, dictionary = NULL WHERE shop = ? AND id = ?",
            (payload, content, shop, order),
        )
