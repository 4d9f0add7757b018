"""Leases: which node works for a shop. One node at a time has a shop's lease; its epoch grows with each new holder, and
whatever a holder writes is fenced by it, so a node that was taken for dead and lives changes nothing any more.

Where only one node can have the store open (SQLite) a lease needs no end: whoever had it before is gone.
"""

from __future__ import annotations

from typing import NamedTuple

from storage.errors import StaleLease
from storage.records import Shop
from storage.shops import get_shop
from storage.transaction import Transaction


class Term(NamedTuple):
    """How long a lease is good: from `now_ms` until `until_ms`, both Unix milliseconds."""

    now_ms: int
    until_ms: int


def acquire(tx: Transaction, name: str, platform: str, holder: str, term: Term | None = None) -> Shop | None:
    """Makes `holder` the one that works for the shop; the grown epoch fences whoever held it before.

    None when another node has it and its term is not over. `term` None: no other node can live; it is taken whoever
    has it, and has no end.
    """
    now_ms, until_ms = term or (None, None)
    taken = tx.execute(
        "INSERT INTO shops (name, platform, lease_holder, lease_epoch, lease_expires_at) VALUES (?, ?, ?, 1, ?)"
        " ON CONFLICT (name) DO UPDATE SET platform = excluded.platform, lease_holder = excluded.lease_holder,"
        " lease_epoch = shops.lease_epoch + 1, lease_expires_at = excluded.lease_expires_at"
        " WHERE excluded.lease_expires_at IS NULL OR shops.lease_holder IS NULL"
        " OR shops.lease_holder = excluded.lease_holder OR shops.lease_expires_at IS NULL"
        " OR shops.lease_expires_at <= ? OR shops.lease_expires_at > ?",
        (name, platform, holder, until_ms, now_ms, until_ms),
    )
    return get_shop(tx, name) if taken else None


def holder_of(tx: Transaction, name: str) -> tuple[str | None, int | None]:
    """Who has the shop's lease, and when it ends (Unix milliseconds); None for nobody, and where it has no end."""
    found = tx.query("SELECT lease_holder, lease_expires_at FROM shops WHERE name = ?", (name,))
    return (found[0][0], found[0][1]) if found else (None, None)


def renew(tx: Transaction, name: str, epoch: int, until_ms: int) -> None:
    """Moves the end of a lease. Raises StaleLease when another node has the shop by now."""
    sql = "UPDATE shops SET lease_expires_at = ? WHERE name = ? AND lease_epoch = ?"
    if not tx.execute(sql, (until_ms, name, epoch)):
        raise StaleLease(name)


def release(tx: Transaction, name: str, epoch: int) -> None:
    """Gives the shop up; nothing happens when somebody else has it already."""
    tx.execute(
        "UPDATE shops SET lease_holder = NULL, lease_expires_at = NULL WHERE name = ? AND lease_epoch = ?",
        (name, epoch),
    )


def fence(tx: Transaction, name: str, epoch: int) -> None:
    """Raises StaleLease unless the shop's lease is of this epoch; it stays so until the transaction ends."""
    found = tx.query(f"SELECT lease_epoch FROM shops WHERE name = ?{tx.dialect.row_lock}", (name,))  # noqa: S608
    if not found or found[0][0] != epoch:
        raise StaleLease(name)
