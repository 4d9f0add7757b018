"""Payloads that could not be read: one row for each order, and for each payload that names none.

A row holds the newest payload byte for byte, and when it is read again. It goes when the order could be read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from storage.records import Rejected
from storage.rows import Columns
from storage.transaction import Transaction

_REJECTED = Columns(Rejected)


@dataclass(frozen=True, slots=True)
class Aside:
    """What is kept of a subject beside its payload. `reported`: digests of the errors that the feed has reported;
    `attempts`: how often it was read again; `next_at`: when it is read next, Unix milliseconds; `webhook`: the id of
    the webhook that is processed again where there is no `order` to read."""

    id: int
    order: str | None
    webhook: int | None
    reported: tuple[str, ...]
    attempts: int
    next_at: int


def _load_reported(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ASIDE = Columns(Aside, named={"order": "order_id", "reported": "told"}, readers={"reported": _load_reported})


@dataclass(frozen=True, slots=True)
class Fresh:
    """What is kept of a new subject beside its payload; see `Aside`."""

    subject: str
    webhook: int | None = None
    reported: str = ""
    next_at: int = 0


def get_aside(tx: Transaction, shop: str, subject: str) -> Aside | None:
    """What is kept of a subject."""
    sql = f"SELECT {_ASIDE.sql} FROM rejected WHERE shop = ? AND subject = ?"  # noqa: S608
    rows = tx.query(sql, (shop, subject))
    return _ASIDE.read(rows[0]) if rows else None


def add_rejected(
    tx: Transaction,
    shop: str,
    source: str,
    order: str | None,
    error: str,
    payload: bytes,
    now_ms: int,
    aside: Fresh | None = None,
) -> int | None:
    """Keeps a payload; returns its id, or None when something is kept of its subject already."""
    aside = aside or Fresh(subject_of(order, payload))
    if get_aside(tx, shop, aside.subject) is not None:
        return None
    return tx.insert(
        "INSERT INTO rejected (shop, subject, source, order_id, webhook, at, error, payload, told, attempts, next_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
        (shop, aside.subject, source, order, aside.webhook, now_ms, error, payload, aside.reported, aside.next_at),
    )


def subject_of(order: str | None, likeness: bytes) -> str:
    """What a payload is about: its order, or, where it names none, its digest."""
    if order is not None:
        return f"order {order}"
    return f"payload {hashlib.blake2b(likeness, digest_size=16).hexdigest()}"


def renew_rejected(tx: Transaction, aside: Aside, source: str, error: str, payload: bytes, now_ms: int) -> None:
    """Keeps the newest payload of what is set aside already, and the rest as `aside` has it."""
    tx.execute(
        "UPDATE rejected SET source = ?, webhook = ?, at = ?, error = ?, payload = ?, told = ?, attempts = ?,"
        " next_at = ? WHERE id = ?",
        (
            source,
            aside.webhook,
            now_ms,
            error,
            payload,
            " ".join(aside.reported),
            aside.attempts,
            aside.next_at,
            aside.id,
        ),
    )


def postpone_rejected(tx: Transaction, aside: Aside) -> None:
    """Keeps when it is read again."""
    sql = "UPDATE rejected SET attempts = ?, next_at = ? WHERE id = ?"
    tx.execute(sql, (aside.attempts, aside.next_at, aside.id))


def due_rejected(tx: Transaction, shop: str, due_at: int | None, ahead_at: int, limit: int) -> list[Aside]:
    """What can be read again and is due at `due_at` (None: all of it), longest due first. What is put off beyond
    `ahead_at` was put off by a clock that was ahead, and is due."""
    where, values = "", []
    if due_at is not None:
        where, values = " AND (next_at <= ? OR next_at > ?)", [due_at, ahead_at]
    sql = (
        f"SELECT {_ASIDE.sql} FROM rejected"  # noqa: S608
        f" WHERE shop = ? AND (order_id IS NOT NULL OR webhook IS NOT NULL){where} ORDER BY next_at, id LIMIT ?"
    )
    return [_ASIDE.read(row) for row in tx.query(sql, [shop, *values, limit])]


def next_reread_at(tx: Transaction, shop: str) -> int | None:
    """When the first of a shop's payloads is read again, None where there is none."""
    sql = "SELECT min(next_at) FROM rejected WHERE shop = ? AND (order_id IS NOT NULL OR webhook IS NOT NULL)"
    found: int | None = tx.query(sql, (shop,))[0][0]
    return found


def hasten_rejected(tx: Transaction, shop: str) -> None:
    """All that is set aside of a shop is due: what reads it now may be another version."""
    tx.execute("UPDATE rejected SET next_at = 0, attempts = 0 WHERE shop = ?", (shop,))


def is_set_aside(tx: Transaction, shop: str, order: str) -> bool:
    """Whether an order could not be read lately."""
    return bool(tx.query("SELECT 1 FROM rejected WHERE shop = ? AND subject = ?", (shop, subject_of(order, b""))))


def set_aside_among(tx: Transaction, shop: str, orders: Sequence[str]) -> set[str]:
    """Those of several orders that could not be read lately."""
    subjects = [subject_of(order, b"") for order in orders]
    marks = ", ".join("?" * len(orders))
    rows = tx.query(f"SELECT order_id FROM rejected WHERE shop = ? AND subject IN ({marks})", (shop, *subjects))  # noqa: S608
    return {order for (order,) in rows}


def list_rejected(tx: Transaction, after: int, limit: int, shop: str | None = None) -> list[Rejected]:
    """Rejected payloads with an id above `after`, oldest first."""
    where, values = (" AND shop = ?", [after, shop]) if shop is not None else ("", [after])
    sql = f"SELECT {_REJECTED.sql} FROM rejected WHERE id > ?{where} ORDER BY id LIMIT ?"  # noqa: S608
    return [_REJECTED.read(row) for row in tx.query(sql, [*values, limit])]


def get_rejected(tx: Transaction, rejected_id: int) -> tuple[Rejected, str | None] | None:
    """One payload with the order id it was about, where that is known."""
    rows = tx.query(f"SELECT {_REJECTED.sql}, order_id FROM rejected WHERE id = ?", (rejected_id,))  # noqa: S608
    return (_REJECTED.read(rows[0][:-1]), rows[0][-1]) if rows else None


def remove_rejected(tx: Transaction, rejected_id: int) -> None:
    """Forgets a payload that was read after all."""
    tx.execute("DELETE FROM rejected WHERE id = ?", (rejected_id,))


def remove_rejected_of(tx: Transaction, shop: str, order: str) -> None:
    """Forgets the payload of an order that has been read since."""
    tx.execute("DELETE FROM rejected WHERE shop = ? AND subject = ?", (shop, subject_of(order, b"")))


def remove_rejected_by(tx: Transaction, webhook: int) -> None:
    """Forgets the payload of a webhook that has been read since."""
    tx.execute("DELETE FROM rejected WHERE webhook = ?", (webhook,))
