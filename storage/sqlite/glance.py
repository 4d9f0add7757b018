"""Reads a store from outside the daemon: read-only, in one snapshot, whether a daemon works on it or not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from storage.errors import StoreError
from storage.sqlite.connection import SqliteTransaction
from storage.sqlite.footing import refuse_another_log
from storage.transaction import Transaction

T = TypeVar("T")


def glance(path: Path, unit: Callable[[Transaction], T]) -> T:
    """What a unit reads of the store's file. Raises StoreError when it is not a store of this version's schema."""
    refuse_another_log(path)
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            return unit(SqliteTransaction(connection))
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
