"""One group of units in one transaction: the units that waited together commit together, and each fails alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import anyio

from storage.sqlite.connection import SqliteTransaction
from storage.transaction import Published, Transaction

T = TypeVar("T")
Unit = Callable[[Transaction], T]


class Pending(Generic[T]):
    """A unit that waits for its commit; then it has its result or its error."""

    __slots__ = ("done", "error", "result", "unit")

    def __init__(self, unit: Unit[T]) -> None:
        self.unit = unit
        self.done = anyio.Event()
        self.result: T | None = None
        self.error: Exception | None = None


def run_group(connection: sqlite3.Connection, group: list[Pending[Any]]) -> list[Published]:
    """All units in one transaction. A savepoint each would cost every unit a third of its time, and units seldom fail:
    so first without; when one does fail, everything is rolled back and run again with savepoints."""
    try:
        return _in_transaction(connection, lambda: _run_plainly(connection, group))
    except _UnitFailed:
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


def _run_plainly(connection: sqlite3.Connection, group: list[Pending[Any]]) -> list[Published]:
    published: list[Published] = []
    for pending in group:
        tx = SqliteTransaction(connection)
        try:
            pending.result = pending.unit(tx)
        except Exception as error:
            if _is_of_the_disk(error):
                raise
            raise _UnitFailed from error
        published += tx.published
    return published


def _run_apart(connection: sqlite3.Connection, group: list[Pending[Any]]) -> list[Published]:
    published: list[Published] = []
    for pending in group:
        tx = SqliteTransaction(connection)
        connection.execute("SAVEPOINT unit")
        try:
            pending.result = pending.unit(tx)
        except Exception as error:  # handed to the unit's caller
            if _is_of_the_disk(error):
                raise  # the group fails as one
            connection.execute("ROLLBACK TO unit")
            pending.error = error
        else:
            published += tx.published
        connection.execute("RELEASE unit")
    return published


class _UnitFailed(Exception):
    """A unit of the group raised: run them apart."""


def _is_of_the_disk(error: Exception) -> bool:
    """Whether an error says that the database failed (full, unreadable, broken), not that the unit was wrong."""
    is_broken = type(error) is sqlite3.DatabaseError  # malformed, encrypted: the class itself, not its children
    if isinstance(error, sqlite3.OperationalError):
        # SQLITE_ERROR is a wrong statement, whatever Python calls it: the unit's own fault
        return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_FULL) != sqlite3.SQLITE_ERROR
    return is_broken or isinstance(error, sqlite3.InternalError)
