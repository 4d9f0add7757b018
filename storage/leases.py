"""Leases: which node works for a shop. One node at a time has a shop's lease; its epoch grows with each new holder, and
whatever a holder writes is fenced by it, so a node that was taken for dead and lives changes nothing any more.

A lease ends by the clock of the database, which all nodes share. Where only one node can have the store open (SQLite)
it needs no end: whoever had it before is gone. There, what is to be done once among all nodes (`duties`) needs no lease
at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from storage.errors import StaleLease
from storage.records import Shop
from storage.shops import get_shop
from storage.transaction import Transaction

LONGEST_TERM_MS: Final = 300_000
"""No lease is given for longer. One that ends later was given by a clock that has been set back since: its holder,
which measures by its own, may well live. So it is nobody's to take, and the next heartbeat of any node lets it end in a
term."""


Table: TypeAlias = Literal["shops", "duties"]
"""What leases are of. The names of duties: runtime/duties.py."""


class Lease(NamedTuple):
    """Who has a shop or duty (None: nobody), in which epoch, and how many milliseconds that lasts unless it is renewed:
    less than 0 when it is over, None where it has no end."""

    name: str
    holder: str | None
    epoch: int
    left_ms: int | None

    @property
    def is_over(self) -> bool:
        """Whether another node may take the shop."""
        return self.holder is None or self.left_ms is None or self.left_ms <= 0


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
    if not _take(tx, "shops", name, holder, term_ms, platform=platform):
        return None
    return get_shop(tx, name)


def acquire_duty(tx: Transaction, name: str, holder: str, term_ms: int) -> int | None:
    """As `acquire`, of a duty; answers the epoch."""
    if not _take(tx, "duties", name, holder, term_ms):
        return None
    epoch: int = tx.query("SELECT lease_epoch FROM duties WHERE name = ?", (name,))[0][0]
    return epoch


def _take(tx: Transaction, table: Table, name: str, holder: str, term_ms: int, **further: str) -> bool:
    """`further`: columns that are set, too."""
    now, row = tx.dialect.now_ms, {**further, "lease_holder": holder}
    taken = tx.execute(
        f"UPDATE {table} SET {''.join(f'{column} = ?, ' for column in row)} lease_epoch = lease_epoch + 1,"  # noqa: S608
        f" lease_expires_at = {now} + ?"
        f" WHERE name IN (SELECT name FROM {table} WHERE name = ? AND (lease_holder IS NULL OR lease_holder = ?"
        f" OR lease_expires_at IS NULL OR lease_expires_at <= {now})"
        f"{tx.dialect.row_take})",
        (*row.values(), term_ms, name, holder),
    ) or tx.execute(
        f"INSERT INTO {table} (name, {', '.join(row)}, lease_epoch, lease_expires_at)"  # noqa: S608
        f" VALUES (?, {', '.join('?' * len(row))}, 1, {now} + ?) ON CONFLICT (name) DO NOTHING",
        (name, *row.values(), term_ms),
    )
    return taken > 0


def list_leases(tx: Transaction, table: Table = "shops") -> list[Lease]:
    """The lease of every shop, or duty, that the store has ever had, by name."""
    left = f"lease_expires_at - {tx.dialect.now_ms}"
    rows = tx.query(f"SELECT name, lease_holder, lease_epoch, {left} FROM {table} ORDER BY name")  # noqa: S608
    return [Lease(*row) for row in rows]


def lease_of(tx: Transaction, name: str, table: Table = "shops") -> Lease | None:
    """The lease of a shop or duty; None for one that the store does not have yet."""
    left = f"lease_expires_at - {tx.dialect.now_ms}"
    rows = tx.query(f"SELECT name, lease_holder, lease_epoch, {left} FROM {table} WHERE name = ?", (name,))  # noqa: S608
    return Lease(*rows[0]) if rows else None


def renew_all(tx: Transaction, holder: str, term_ms: int, table: Table = "shops") -> dict[str, int]:
    """Moves the end of every lease of a node to `term_ms` from now; answers them with their epochs. Left out is one
    whose row another node's transaction has right now. Those of others that end later than any may, end then, too."""
    now = tx.dialect.now_ms
    rows = tx.query(
        f"UPDATE {table} SET lease_expires_at = {now} + ? WHERE name IN"  # noqa: S608
        f" (SELECT name FROM {table} WHERE lease_holder = ? OR lease_expires_at > {now} + ?"
        f" ORDER BY name{tx.dialect.row_take})"
        " RETURNING name, lease_epoch, lease_holder",
        (term_ms, holder, LONGEST_TERM_MS),
    )
    return {name: epoch for name, epoch, of in rows if of == holder}


def release(tx: Transaction, name: str, epoch: int, table: Table = "shops") -> None:
    """Gives a shop or duty up; nothing happens when somebody else has it already."""
    given = tx.execute(
        f"UPDATE {table} SET lease_holder = NULL, lease_expires_at = NULL WHERE name = ? AND lease_epoch = ?",  # noqa: S608
        (name, epoch),
    )
    if given and table == "shops":
        _note_released(tx, name, epoch)


def give_back(tx: Transaction, epochs: Mapping[str, int], table: Table = "shops") -> None:
    """As `release`, of several. It waits for nobody: left out is one whose row another transaction has right now."""
    for name, epoch in sorted(epochs.items()):
        given = tx.execute(
            f"UPDATE {table} SET lease_holder = NULL, lease_expires_at = NULL WHERE name IN"  # noqa: S608
            f" (SELECT name FROM {table} WHERE name = ? AND lease_epoch = ?{tx.dialect.row_take})",
            (name, epoch),
        )
        if given and table == "shops":
            _note_released(tx, name, epoch)


def give_up_shops(tx: Transaction, holder: str) -> None:
    """Releases every shop of a node that works for none any more; it waits for nobody, as `give_back`."""
    given = tx.query(
        "UPDATE shops SET lease_holder = NULL, lease_expires_at = NULL WHERE name IN"  # noqa: S608
        f" (SELECT name FROM shops WHERE lease_holder = ? ORDER BY name{tx.dialect.row_take})"
        " RETURNING name, lease_epoch",
        (holder,),
    )
    for name, epoch in sorted(given):
        _note_released(tx, name, epoch)


def _note_released(tx: Transaction, shop: str, epoch: int) -> None:
    """Keeps when a shop was released that was taken under this epoch, for people (takeovers.py)."""
    sql = f"UPDATE takeovers SET released_at = {tx.dialect.now_ms} WHERE shop = ? AND epoch = ?"  # noqa: S608
    tx.execute(sql, (shop, epoch))


def depose(tx: Transaction, name: str, table: Table) -> None:
    """Takes a shop or duty from whoever has it: what that node writes from now on is rejected."""
    tx.execute(
        f"UPDATE {table} SET lease_holder = NULL, lease_expires_at = NULL, lease_epoch = lease_epoch + 1"  # noqa: S608
        " WHERE name = ?",
        (name,),
    )


def fence(tx: Transaction, name: str, epoch: int, table: Table = "shops") -> None:
    """Raises StaleLease unless the lease is of this epoch; it stays so until the transaction ends."""
    found = tx.query(f"SELECT lease_epoch FROM {table} WHERE name = ?{tx.dialect.row_lock}", (name,))  # noqa: S608
    if not found or found[0][0] != epoch:
        raise StaleLease(name)
