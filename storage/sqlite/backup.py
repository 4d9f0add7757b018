"""A copy of a store in one consistent state, while a daemon may be working on it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from storage.errors import StoreError
from storage.identity import mark_copy
from storage.sqlite.connection import SqliteTransaction, create_private
from storage.sqlite.footing import refuse_another_log


def backup(source: Path, target: Path, now_ms: int) -> None:
    """Copies the store to a new file in one consistent state, while a daemon may be running (read-only on the source).

    The copy is marked as one: a daemon that is started on it must not go on as if nothing had happened since.
    Raises StoreError when the source is not a readable store or the target exists already.
    """
    if not source.is_file():
        raise StoreError(f"{source} does not exist; name the store's file")
    refuse_another_log(source)
    try:
        create_private(target)
    except FileExistsError:
        raise StoreError(f"{target} exists already; name a new file") from None
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror}") from error
    try:
        with closing(sqlite3.connect(f"file:{quote(str(source))}?mode=ro", uri=True)) as reading:
            reading.execute("SELECT count(*) FROM schema_migrations").fetchone()
            reading.execute("VACUUM INTO ?", (str(target),))
        with closing(sqlite3.connect(f"file:{quote(str(target))}?mode=rw", uri=True, isolation_level=None)) as copy:
            _mark(copy, now_ms)
    except BaseException as error:
        target.unlink(missing_ok=True)  # half a copy is worse than none
        if isinstance(error, sqlite3.Error):
            raise StoreError(f"{source} cannot be copied to {target}: {error}") from error
        raise


def _mark(copy: sqlite3.Connection, now_ms: int) -> None:
    """Marks a copy; one of a store that an older version wrote has no place for it, and may be for that version."""
    if copy.execute("SELECT 1 FROM sqlite_master WHERE name = 'store_identity'").fetchone():
        mark_copy(SqliteTransaction(copy), now_ms)
