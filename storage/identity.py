"""Which store this is: the feed's id, where a daemon last worked on it, whether it is a copy that nobody started."""

from __future__ import annotations

from dataclasses import dataclass

from storage.rows import Columns
from storage.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Identity:
    """`feed` is opaque. `host` and `place` are where a daemon last worked on the store, None where nobody knows.

    `copied_at` (Unix milliseconds): it is a copy that `backup` made then, and no daemon has started on it yet.
    `restored_at`: when a daemon started on it after it took another store's place, None if it never did.
    """

    feed: str
    host: str | None
    place: str | None
    copied_at: int | None
    restored_at: int | None = None


_IDENTITY = Columns(Identity)


def read_identity(tx: Transaction) -> Identity:
    """Which store this is."""
    return _IDENTITY.read(tx.query(f"SELECT {_IDENTITY.sql} FROM store_identity")[0])  # noqa: S608


def feed_id(tx: Transaction) -> str:
    """The feed's id: cursors of another feed mean nothing here."""
    found: str = tx.query("SELECT feed FROM store_identity")[0][0]
    return found


def settle_identity(tx: Transaction, feed: str, host: str | None, place: str) -> None:
    """From now on this is the store at `place` on `host`, no copy any more, and its feed is `feed`."""
    tx.execute("UPDATE store_identity SET feed = ?, host = ?, place = ?, copied_at = NULL", (feed, host, place))


def mark_restored(tx: Transaction, now_ms: int) -> None:
    """Another store's place was taken: of what was done to older orders this one may know nothing."""
    tx.execute("UPDATE store_identity SET restored_at = ?", (now_ms,))


def forgotten_of(tx: Transaction) -> int:
    """The newest cursor that retention has deleted."""
    found: int = tx.query("SELECT forgotten FROM store_identity")[0][0]
    return found


def take_identity(tx: Transaction, identity: Identity, place: str | None, forgotten: int) -> None:
    """This is the store of that identity from now on, at `place`. On which machine, its next start says."""
    tx.execute(
        "UPDATE store_identity SET feed = ?, host = NULL, place = ?, copied_at = ?, restored_at = ?, forgotten = ?",
        (identity.feed, place, identity.copied_at, identity.restored_at, forgotten),
    )


def mark_copy(tx: Transaction, now_ms: int) -> None:
    """Marks the store as a copy, for whoever starts a daemon on it."""
    tx.execute("UPDATE store_identity SET copied_at = ?", (now_ms,))


def keep_forgotten(tx: Transaction, cursor: int) -> None:
    """Keeps how far the feed had come, before its newest events are deleted."""
    tx.execute("UPDATE store_identity SET forgotten = ? WHERE forgotten < ?", (cursor, cursor))
