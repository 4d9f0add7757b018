"""Takeovers: who had a shop before its holder, and why that one could take it (0034_takeovers.sql). Instants are the
database's.

Nobody decides by this: it is for people. A node of a version that keeps no such rows takes shops, too; then it is not
known who had a shop before the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from storage.leases import Lease
from storage.transaction import Transaction

Why: TypeAlias = Literal["handed_over", "lease_ended", "free"]
"""Why a shop could be taken: whoever had it released it, or fell silent; or nobody is known to have had it."""

AFTER_FAILOVER: Final = "failover"
"""Who has every shop for a while after another server took over: no node (storage/postgres/failover.py)."""


@dataclass(frozen=True, slots=True)
class Takeover:
    """`before`: who had the shop, `idle_since`: since when nobody worked for it; None for both: not known."""

    shop: str
    holder: str
    epoch: int
    taken_at: int
    why: Why
    before: str | None
    idle_since: int | None


_COLUMNS: Final = "shop, holder, epoch, taken_at, why, holder_before, idle_since"


def note_takeover(tx: Transaction, shop: str, was: Lease | None, holder: str, epoch: int) -> Takeover | None:
    """Keeps that a node took a shop under this epoch, whose lease `was` so before; None where it had it before, too."""
    rows = tx.query("SELECT holder, epoch, released_at FROM takeovers WHERE shop = ?", (shop,))
    last, last_epoch, released_at = rows[0] if rows and was is not None else (None, None, None)
    if was is not None and last_epoch != was.epoch:
        last = released_at = None
    had = was.holder if was is not None and was.holder is not None else last
    if had == holder:
        tx.execute("UPDATE takeovers SET epoch = ?, released_at = NULL WHERE shop = ?", (epoch, shop))
        return None
    if was is not None and was.holder not in (None, AFTER_FAILOVER):
        why, before, idle = "lease_ended", was.holder, f"{tx.dialect.now_ms} + {was.left_ms or 0:d}"
    elif last is not None and released_at is not None:
        why, before, idle = "handed_over", last, f"{released_at:d}"
    else:
        why, before, idle = "free", None, "NULL"
    rows = tx.query(
        "INSERT INTO takeovers (shop, holder, epoch, taken_at, why, holder_before, idle_since, released_at)"  # noqa: S608
        f" VALUES (?, ?, ?, {tx.dialect.now_ms}, ?, ?, {idle}, NULL) ON CONFLICT (shop) DO UPDATE SET"
        " holder = excluded.holder, epoch = excluded.epoch, taken_at = excluded.taken_at, why = excluded.why,"
        " holder_before = excluded.holder_before, idle_since = excluded.idle_since, released_at = NULL"
        f" RETURNING {_COLUMNS}",
        (shop, holder, epoch, why, before),
    )
    return Takeover(*rows[0])


def list_takeovers(tx: Transaction) -> dict[str, Takeover]:
    """The last change of each shop's holder, by shop."""
    found = (Takeover(*row) for row in tx.query(f"SELECT {_COLUMNS} FROM takeovers"))  # noqa: S608
    return {each.shop: each for each in found}
