"""Whether the files under an open store are still the ones that it was opened with.

SQLite goes on writing into a file that was removed or renamed: every commit succeeds, and all of it is gone when the
last descriptor is closed. So the writer looks, each time that it commits, whether the names still lead to what it has
open. A descriptor keeps its inode from being given to another file, so equal numbers mean the same file.

Two more things mean that somebody else works on the store. Its lock file was removed or replaced: then a second daemon
can have a lock of its own. Or the database file was written, though its one writer (pitfalls S0) did not: a backup was
copied over it. The four looks cost some microseconds beside an fsync.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from storage.errors import StoreLost


class _Identity(NamedTuple):
    device: int
    inode: int


class Footing:
    """The files of one open SQLite store, as they were when it was made. `also`: files beside SQLite's own, such as
    the lock. Raises OSError when one of them is not there."""

    def __init__(self, database: Path, also: Iterable[Path] = ()) -> None:
        self._database = Path(os.path.realpath(database))  # as SQLite does: its log lies beside the file itself
        own = [self._database.with_name(f"{self._database.name}{suffix}") for suffix in ("-wal", "-shm")]
        self._named = database
        kept = [path for path in own if path.exists()]  # a file system without WAL has neither
        self._known = {path: _identity(path.stat()) for path in (database, *kept, *also)}
        self._stamp = (0, 0)
        self.wrote()

    def check(self) -> None:
        """Raises StoreLost when a name leads elsewhere or nowhere, or somebody wrote into the database file."""
        for path, known in self._known.items():
            try:
                found = _identity(path.stat())
            except OSError as error:
                raise StoreLost(f"{path} is gone ({error.strerror or error}) while the daemon has it open") from error
            if found != known:
                raise StoreLost(f"{path} was replaced by another file while the daemon has it open")
        if self._written() != self._stamp:
            told = f"{self._named} was written by another program while the daemon has it open"
            raise StoreLost(told, is_overwritten=True)

    def wrote(self) -> None:
        """The store's own writer is done with the database file for now."""
        self._stamp = self._written()

    def _written(self) -> tuple[int, int]:
        try:
            found = self._database.stat()
        except OSError:
            return self._stamp  # that it is gone, `check` says
        return found.st_mtime_ns, found.st_size


def _identity(found: os.stat_result) -> _Identity:
    return _Identity(found.st_dev, found.st_ino)
