"""SQLite as an engine: what a `sqlite:///` URL names, and everything that can be done with it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final, TypeVar

from storage.engines import Check
from storage.errors import Holder
from storage.sqlite.backup import backup
from storage.sqlite.checks import check_file, check_version
from storage.sqlite.glance import glance, is_store
from storage.sqlite.lock import StoreLock, living_holder
from storage.sqlite.store import SqliteStore, open_sqlite
from storage.store import OnCommit, OnGroup
from storage.transaction import Transaction

T = TypeVar("T")

PREFIX: Final = "sqlite:///"


class SqliteEngine:
    """The store in one file. Raises ValueError for a URL that names none."""

    def __init__(self, url: str) -> None:
        self.path = Path(_name(url))
        self._lock: StoreLock | None = None

    @staticmethod
    def located(url: str, directory: Path) -> str:
        """The URL with an absolute path. Raises ValueError with what to write."""
        name = _name(url)
        if Path(name) == Path() or name == ":memory:" or name.endswith("/"):
            raise ValueError("must name a file - nothing else outlives the daemon")
        if any(character in name for character in "?#\0"):
            raise ValueError("must name a file, without ? or # behind it")
        return f"{PREFIX}{directory / name}"

    @property
    def url(self) -> str:
        """The storage URL of the file."""
        return f"{PREFIX}{self.path}"

    @property
    def secrets(self) -> Sequence[str]:
        """A path is no secret."""
        return []

    @property
    def place(self) -> str:
        """The file's path, links followed."""
        return str(self.path.resolve())

    @property
    def is_local(self) -> bool:
        """A file lies on this machine."""
        return True

    @property
    def state_directory(self) -> Path:
        """The directory of the file."""
        return self.path.parent

    @property
    def token_rows(self) -> None:
        """Files beside the store do."""
        return None

    @property
    def files(self) -> Sequence[Path]:
        """The file, its log with the index of that, and its lock. SQLite puts them beside the file itself, not beside a
        link to it."""
        place = os.path.realpath(self.path)
        return [Path(place + suffix) for suffix in ("", "-wal", "-shm", ".lock")]

    def is_there(self) -> bool:
        """Whether the file is there, and a store."""
        return is_store(self.path)

    def exclusive(self, now_ms: Callable[[], int]) -> StoreLock:
        """The lock of the file; a store that is opened while it is held is lost with it."""
        self._lock = StoreLock(self.path, now_ms)
        return self._lock

    def open(self, now_ms: int, *, on_commit: OnCommit, on_group: OnGroup) -> AbstractAsyncContextManager[SqliteStore]:
        """As `open_sqlite`."""
        guarded = [self._lock.path] if self._lock is not None and self._lock.is_held else []
        return open_sqlite(self.path, now_ms, guarded=guarded, on_commit=on_commit, on_group=on_group)

    def glance(self, unit: Callable[[Transaction], T]) -> T:
        """What a unit reads of the file, read-only. Raises StoreError."""
        return glance(self.path, unit)

    def backup(self, target: Path, now_ms: int) -> None:
        """Copies the store to a new file. Raises StoreError."""
        backup(self.path, target, now_ms)

    def holder(self) -> Holder | None:
        """Who holds the lock."""
        return living_holder(self.path)

    def checks(self) -> Sequence[Check]:
        """The library's version, and whether the file can be written."""
        return [check_version(sqlite3.sqlite_version_info), check_file(self.path)]


def _name(url: str) -> str:
    if not url.startswith(PREFIX):
        raise ValueError("must be sqlite:///FILE (relative to the config file) or sqlite:////ABSOLUTE/FILE")
    return url.removeprefix(PREFIX)
