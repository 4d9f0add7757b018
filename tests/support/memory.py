"""Stores in memory for tests of decisions and SQL, without a writer's thread."""

from __future__ import annotations

import sqlite3

from storage.sqlite.connection import SqliteTransaction


class _SelfClosing(sqlite3.Connection):
    """Closed with its last reference: from Python 3.13 on one that is not closed is a ResourceWarning."""

    def __del__(self) -> None:
        self.close()


def memory_connection() -> sqlite3.Connection:
    """An empty database that nobody has to close; a statement is committed by itself."""
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, factory=_SelfClosing)


def memory_transaction() -> SqliteTransaction:
    """A transaction on an empty database in memory."""
    return SqliteTransaction(memory_connection())
