"""What follows when another server took over: once for the store, in one transaction, before anything else is written.

Calls may have gone out of which nothing is known any more. So each order is read before anything is sent, as in a store
that was restored; and where commits may be lost the feed gets an id of its own, for its cursors mean other events now.
Whatever the nodes had decided on rows that are gone is refused: every lease has another epoch, far above those that may
have been given and lost. A node that works for a shop with a lease of which nothing is known gives it up before its
term is over, so nobody takes a shop before a term has passed.
"""

from __future__ import annotations

import secrets
from typing import Final

import structlog

from storage.events import append_event
from storage.orders import forget_observations_since
from storage.postgres.footing import IS_SYNCHRONOUS, Found, Loss
from storage.transaction import Transaction

log = structlog.get_logger()

_FAR: Final = 1_000_000
_ONE_DAY_MS: Final = 86_400_000

_FENCE: Final = (
    "UPDATE {table} SET lease_epoch = lease_epoch + ?{then}"
    " WHERE name IN (SELECT name FROM {table} ORDER BY name FOR UPDATE)"
)
_WAIT: Final = (
    ", lease_holder = 'failover', lease_expires_at = {now} + coalesce((SELECT max(expires_at - seen_at) FROM nodes), 0)"
)
"""For as long as a lease lasts, which each node says of itself: there was nobody where none is known."""

_DETAIL: Final = {
    Loss.NONE: "another server took over, and nothing is lost; orders are read before anything is sent",
    Loss.POSSIBLE: "another server took over, and whether it has all that was confirmed nobody knows; the feed has "
    "another id, and orders are read before anything is sent",
    Loss.CERTAIN: "the database lacks what it had confirmed; the feed has another id, and orders are read before "
    "anything is sent",
}
_REMEDY: Final = (
    "submit anew what the feed does not show of the newest targets; with synchronous replication nothing is lost"
)


def go_on(tx: Transaction, found: Found, loss: Loss, now_ms: int) -> str:
    """Makes the store one that can be worked on; answers the id of its feed. The row of its identity is locked."""
    feed = found.feed
    if loss is not Loss.NONE:
        feed = secrets.token_hex(8)
        tx.execute("UPDATE store_identity SET feed = ?, restored_at = ?", (feed, now_ms))
    then = "" if loss is Loss.NONE else _WAIT.format(now=tx.dialect.now_ms)
    for table in ("shops", "duties"):
        tx.execute(_FENCE.format(table=table, then=then), (_FAR,))
    forget_observations_since(tx, now_ms - _ONE_DAY_MS)
    append_event(tx, now_ms, "store.failed_over", data={"loss": str(loss), "feed": feed})
    note(tx, found.timeline)
    return feed


def note(tx: Transaction, timeline: str | None) -> None:
    """Notes on which timeline the store was looked at, and whether commits wait for a replica."""
    tx.execute(f"UPDATE server SET timeline = ?, is_synchronous = {IS_SYNCHRONOUS}", (timeline,))  # noqa: S608


def warn(where: str, loss: Loss, found: Found) -> None:
    """Says in the log what has happened."""
    if loss is Loss.NONE:
        log.warning("store.failed_over", store=where, loss=str(loss), timeline=found.timeline, detail=_DETAIL[loss])
    else:
        log.error(
            "store.failed_over",
            store=where,
            loss=str(loss),
            timeline=found.timeline,
            detail=_DETAIL[loss],
            remedy=_REMEDY,
        )
