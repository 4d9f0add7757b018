"""Changes: what one decision changes of one order, as plain rows that any engine can write.

A unit of work is a function that an engine runs; a change is data, so an engine may write many of them with the same
few statements, in one round trip. It is decided outside of any transaction, on rows that were read before, and
therefore carries what makes that safe: the version of the order's row and the epoch of its shop's lease. It is written
where both still hold, all of it, and otherwise nothing of it is: then it is stale, and whoever decided it decides again
on rows as they are by then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from storage.events import EventRow, append_rows
from storage.moves import Place
from storage.orders import SAVE_FENCED, SAVE_SELDOM, SAVE_STEP, LostUpdate
from storage.targets import SAVE_PROGRESS, write_pending_targets, write_target
from storage.transaction import Row, Transaction


class Change(NamedTuple):
    """What one decision changes of one order.

    `epoch`: of the lease that it was decided under; None where the transaction that writes it has fenced the shop.
    `step`: the order's row (`orders.step_row`), with the version that was decided on. `seldom`: what a step mostly
    leaves alone (`orders.seldom_row`), None when it did. `progress`: targets of which only how far they are changed;
    `targets`: those of which more did. `events` are in the sequence of the feed. `moved`: how the order was
    counted, and how it is now.
    """

    shop: str
    order: str
    epoch: int | None
    step: Row
    seldom: Row | None = None
    progress: tuple[Row, ...] = ()
    targets: tuple[Row, ...] = ()
    events: tuple[EventRow, ...] = ()
    moved: tuple[Place | None, Place | None] = (None, None)


def save_change(tx: Transaction, change: Change) -> bool:
    """Writes one change. False: it is stale, and nothing of it was written."""
    if change.epoch is None:
        saved = tx.execute(SAVE_STEP, change.step)
    else:
        saved = tx.execute(SAVE_FENCED, (*change.step, change.epoch))
    if not saved:
        return False
    if change.seldom is not None:
        tx.execute(SAVE_SELDOM, change.seldom)
    for row in change.progress:
        tx.execute(SAVE_PROGRESS, row)
    for row in change.targets:
        write_target(tx, change.shop, row)
    append_rows(tx, change.events)
    tx.moves.order(change.shop, *change.moved)
    return True


def save_changes(tx: Transaction, changes: Sequence[Change]) -> bool:
    """Writes several changes, each with its epoch, in a few statements. False: one at least is stale, or writes a
    target that had ended, and what was written of the others has to be undone. Raises what the database has against a
    row, which then has to be undone too."""
    steps = [(*change.step, change.epoch) for change in changes]
    if tx.execute_many(SAVE_FENCED, steps) != len(steps):
        return False
    for sql, rows in _further_rows(changes):
        tx.execute_many(sql, rows)
    targets = [(change.shop, row) for change in changes for row in change.targets]
    if targets and not write_pending_targets(tx, targets):
        return False
    append_rows(tx, [row for change in changes for row in change.events])
    for change in changes:
        tx.moves.order(change.shop, *change.moved)
    return True


def write_changes(tx: Transaction, changes: Sequence[Change]) -> None:
    """Writes changes without an epoch, of orders that this transaction read, in a few statements. Raises LostUpdate
    where one is stale all the same."""
    if tx.execute_many(SAVE_STEP, [change.step for change in changes]) != len(changes):
        raise LostUpdate("an order was changed meanwhile")
    for sql, rows in _further_rows(changes):
        tx.execute_many(sql, rows)
    for change in changes:
        for row in change.targets:
            write_target(tx, change.shop, row)
        tx.moves.order(change.shop, *change.moved)
    append_rows(tx, [row for change in changes for row in change.events])


def _further_rows(changes: Sequence[Change]) -> Iterator[tuple[str, list[Row]]]:
    """What a step mostly leaves alone, and how far targets are, each with its statement."""
    if seldom := [change.seldom for change in changes if change.seldom is not None]:
        yield SAVE_SELDOM, seldom
    if progress := [row for change in changes for row in change.progress]:
        yield SAVE_PROGRESS, progress
