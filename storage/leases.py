"""Leases: which node works for a shop. One node at a time has a shop's lease; its epoch grows with each new holder, and
whatever a holder writes is fenced by it, so a node that was taken for dead and lives changes nothing any more.

A lease ends by the clock of the database, which all nodes share. Where only one node can have the store open (SQLite)
it needs no end: whoever had it before is gone.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from storage.errors import StaleLease
from storage.records import Shop
from storage.shops import get_shop
from storage.transaction import Transaction

LONGEST_TERM_MS: Final = 300_000
"""No lease is given for longer: one that ends later was given by a clock that has been set back since."""


class Lease(NamedTuple):
    """Who has a shop (None: nobody), in which epoch, and how many milliseconds that lasts unless it is renewed: less
    than 0 when it is over, None where it has no end."""

    shop: str
    holder: str | None
    epoch: int
    left_ms: int | None

    @property
    def is_over(self) -> bool:
        """Whether another node may take the shop."""
        return self.holder is None or self.left_ms is None or not 0 < self.left_ms <= LONGEST_TERM_MS


def acquire(tx: Transaction, name: str, platform: str, holder: str, term_ms: int | None = None) -> Shop | None:
    """Makes `holder` the one that works for the shop, for `term_ms`; the grown epoch fences whoever held it before.

    None when another node has it and its term is not over, or when a transaction of another node that is not over
    either has the shop's row. `term_ms` None: no other node can live; it is taken whoever has it, and has no end.
    """
    if term_ms is None:
        tx.execute(
            "INSERT INTO shops (name, platform, lease_holder, lease_epoch, lease_expires_at) VALUES (?, ?, ?, 1, NULL)"
            " ON CONFLICT (name) DO UPDATE SET platform = excluded.platform, lease_holder = excluded.lease_holder,"
            " lease_epoch = shops.lease_epoch + 1, lease_expires_at = NULL",
            (name, platform, holder),
        )
        return get_shop(tx, name)
    now = tx.dialect.now_ms
    taken = tx.execute(
        f"UPDATE shops SET platform = ?, lease_holder = ?, lease_epoch = lease_epoch + 1, lease_expires_at = {now} + ?"  # noqa: S608
        " WHERE name IN (SELECT name FROM shops WHERE name = ? AND (lease_holder IS NULL OR lease_holder = ?"
        f" OR lease_expires_at IS NULL OR lease_expires_at <= {now} OR lease_expires_at > {now} + ?)"
        f"{tx.dialect.row_take})",
        (platform, holder, term_ms, name, holder, LONGEST_TERM_MS),
    ) or tx.execute(
        "INSERT INTO shops (name, platform, lease_holder, lease_epoch, lease_expires_at)"  # noqa: S608
        f" VALUES (?, ?, ?, 1, {now} + ?) ON CONFLICT (name) DO NOTHING",
        (name, platform, holder, term_ms),
    )
    return get_shop(tx, name) if taken else None


def list_leases(tx: Transaction) -> list[Lease]:
    """The lease of every shop that the store has ever had, by name."""
    rows = tx.query(
        f"SELECT name, lease_holder, lease_epoch, lease_expires_at - {tx.dialect.now_ms} FROM shops ORDER BY name"  # noqa: S608
    )
    return [Lease(*row) for row in rows]


def lease_of(tx: Transaction, name: str) -> Lease | None:
    """A shop's lease; None for a shop that the store does not have yet."""
    rows = tx.query(
        f"SELECT name, lease_holder, lease_epoch, lease_expires_at - {tx.dialect.now_ms} FROM shops WHERE name = ?",  # noqa: S608
        (name,),
    )
    return Lease(*rows[0]) if rows else None


def renew_all(tx: Transaction, holder: str, term_ms: int) -> dict[str, int]:
    """Moves the end of every lease of a node to `term_ms` from now; answers them with their epochs. Left out is a shop
    whose row another node's transaction has right now."""
    rows = tx.query(
        f"UPDATE shops SET lease_expires_at = {tx.dialect.now_ms} + ? WHERE name IN"  # noqa: S608
        f" (SELECT name FROM shops WHERE lease_holder = ? ORDER BY name{tx.dialect.row_take})"
        " RETURNING name, lease_epoch",
        (term_ms, holder),
    )
    return dict(rows)


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
