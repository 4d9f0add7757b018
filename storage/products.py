"""Products as webhooks showed them, the latest version of each; and the latest known version of each shipment."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from storage.rows import Columns
from storage.transaction import Transaction


class Version(StrEnum):
    """What a version is beside the one that was kept before."""

    FIRST = "first"
    NEWER = "newer"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class StoredProduct:
    """A product of a shop. `updated_at` is the platform's own change time, the last one that it gave, None where
    it gave none; `seq` orders products by their first webhook."""

    seq: int
    shop: str
    id: str
    title: str | None
    updated_at: int | None
    payload: bytes


_PRODUCT = Columns(StoredProduct)


def save_product(
    tx: Transaction, shop: str, product: str, title: str | None, updated_at: int | None, payload: bytes, now_ms: int
) -> Version:
    """Keeps a product's version unless a newer one is kept, or this very one; returns which it was."""
    rows = tx.query("SELECT updated_at, payload FROM products WHERE shop = ? AND id = ?", (shop, product))
    if not rows:
        tx.execute(
            "INSERT INTO products (shop, id, title, updated_at, seen_at, payload) VALUES (?, ?, ?, ?, ?, ?)",
            (shop, product, title, updated_at, now_ms, payload),
        )
        return Version.FIRST
    known_at, known = rows[0]
    if _is_older(updated_at, known_at) or bytes(known) == payload:
        return Version.STALE
    tx.execute(
        "UPDATE products SET title = ?, updated_at = ?, seen_at = ?, payload = ? WHERE shop = ? AND id = ?",
        (title, known_at if updated_at is None else updated_at, now_ms, payload, shop, product),
    )
    return Version.NEWER


def list_products(tx: Transaction, after: int, limit: int, shop: str | None = None) -> list[StoredProduct]:
    """Products with a `seq` above `after`, in the order of their first webhooks."""
    where, values = (" AND shop = ?", [after, shop]) if shop is not None else ("", [after])
    sql = f"SELECT {_PRODUCT.sql} FROM products WHERE seq > ?{where} ORDER BY seq LIMIT ?"  # noqa: S608
    return [_PRODUCT.read(row) for row in tx.query(sql, [*values, limit])]


def note_shipment(
    tx: Transaction,
    shop: str,
    shipment: str,
    updated_at: int | None,
    payload: bytes,
    now_ms: int,
    *,
    was_looked_at: bool = False,
) -> Version:
    """Keeps a shipment's change time; returns whether this version is new. The same second may bring two versions, the
    same bytes are the same version.

    `was_looked_at`: its webhook was processed before, so a known change time is a duplicate, even where an older daemon
    kept no digest of it.
    """
    digest = hashlib.blake2b(payload, digest_size=16).hexdigest()
    rows = tx.query("SELECT updated_at, digest FROM fulfillments WHERE shop = ? AND id = ?", (shop, shipment))
    if rows and (
        _is_older(updated_at, rows[0][0]) or rows[0][1] == digest or (was_looked_at and rows[0][0] == updated_at)
    ):
        return Version.STALE
    tx.execute(
        "INSERT INTO fulfillments (shop, id, updated_at, seen_at, digest) VALUES (?, ?, ?, ?, ?) ON CONFLICT (shop, id)"
        " DO UPDATE SET updated_at = coalesce(excluded.updated_at, fulfillments.updated_at),"
        " seen_at = excluded.seen_at, digest = excluded.digest",
        (shop, shipment, updated_at, now_ms, digest),
    )
    return Version.NEWER if rows else Version.FIRST


def _is_older(received: int | None, known: int | None) -> bool:
    """Change times have whole seconds: an equal one may be another version. A version without a time counts as new, and
    the known time stays for the next ones."""
    return received is not None and known is not None and received < known
