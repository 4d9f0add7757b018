"""Looks at a store from outside the daemon: read-only, in one snapshot, whether a daemon works on it or not."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from storage.errors import NotAStore, StoreError
from storage.sqlite.connection import SqliteTransaction
from storage.sqlite.footing import refuse_another_log
from storage.sqlite.store import refuse_foreign
from storage.transaction import Transaction

T = TypeVar("T")


def glance(path: Path, unit: Callable[[Transaction], T]) -> T:
    """What a unit reads of the store's file. Raises StoreError when it is not a store of this version's schema."""
    refuse_another_log(path)
    with _opened(path) as connection:
        connection.execute("BEGIN")
        return unit(SqliteTransaction(connection))


def is_store(path: Path) -> bool:
    """Whether there is a store at a path; False for nothing and for an empty file, which opening makes one of. Raises
    NotAStore for anything else."""
    try:
        if not path.is_file():
            if path.exists():
                raise NotAStore(f"{path} is not a file; name another file in storage.url")
            return False
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    with _opened(path) as connection:
        return not refuse_foreign(connection, path)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing. Raises StoreError."""
    place = os.path.realpath(path)
    # What no daemon works on, and none has left in the midst, has neither. SQLite would make a log and its index to
    # read it, and leave them.
    is_at_rest = not any(os.path.lexists(f"{place}{suffix}") for suffix in ("-wal", "-journal"))
    uri = f"file:{quote(str(path))}?mode=ro{'&immutable=1' if is_at_rest else ''}"
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
