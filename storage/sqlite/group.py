"""One group in one transaction: what waited together commits together, and each fails alone.

Changes are data, so all of a group are written by the same few statements, before its units, which are functions. A
savepoint each would cost every one of them a third of its time, and they seldom fail: so first without. When a unit
fails, or a change is stale or cannot be written, everything is rolled back and run again one after another.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from storage.changes import save_changes
from storage.counts import write_moves
from storage.moves import Moves
from storage.pending import Pending
from storage.sqlite.connection import SqliteTransaction
from storage.transaction import Published


def run_group(connection: sqlite3.Connection, group: Sequence[Pending[Any]]) -> list[Published]:
    """Commits a group; answers what it published. Raises sqlite3.Error when the group failed as a whole."""
    try:
        return _in_transaction(connection, lambda: _run_together(connection, group))
    except _Apart:
        return _in_transaction(connection, lambda: _run_apart(connection, group))


def _in_transaction(connection: sqlite3.Connection, run: Callable[[], list[Published]]) -> list[Published]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        published = run()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return published


def _run_together(connection: sqlite3.Connection, group: Sequence[Pending[Any]]) -> list[Published]:
    moves = Moves()
    tx = SqliteTransaction(connection, moves)
    try:
        changes = [pending.change for pending in group if pending.change is not None]
        if changes and not save_changes(tx, changes):
            raise _Apart
        published = tx.published
        for pending in group:
            if pending.change is not None:
                pending.result = True
                continue
            tx = SqliteTransaction(connection, moves)
            pending.result = pending.unit(tx)
            published += tx.published
        write_moves(tx)
    except Exception as error:
        if _is_of_the_disk(error):
            raise
        raise _Apart from error
    return published


def _run_apart(connection: sqlite3.Connection, group: Sequence[Pending[Any]]) -> list[Published]:
    published: list[Published] = []
    for pending in group:
        tx = SqliteTransaction(connection)
        connection.execute("SAVEPOINT unit")
        try:
            pending.result = pending.unit(tx)
            write_moves(tx)
        except Exception as error:  # handed to the unit's caller
            if _is_of_the_disk(error):
                raise  # the group fails as one
            connection.execute("ROLLBACK TO unit")
            pending.error = error
        else:
            published += tx.published
        connection.execute("RELEASE unit")
    return published


class _Apart(Exception):
    """The group has to be run one after another."""


def _is_of_the_disk(error: Exception) -> bool:
    """Whether an error says that the database failed (full, unreadable, broken), not that the unit was wrong."""
    is_broken = type(error) is sqlite3.DatabaseError  # malformed, encrypted: the class itself, not its children
    if isinstance(error, sqlite3.OperationalError):
        # SQLITE_ERROR is a wrong statement, whatever Python calls it: the unit's own fault
        return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_FULL) != sqlite3.SQLITE_ERROR
    return is_broken or isinstance(error, sqlite3.InternalError)
