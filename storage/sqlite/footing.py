"""Whether the files under an open store are still the ones that it was opened with.

SQLite goes on writing into a file that was removed or renamed: every commit succeeds, and all of it is gone when the
last descriptor is closed. So the writer checks at each commit whether the names still lead to what it has
open. A descriptor keeps its inode from being given to another file, so equal numbers mean the same file.

Two more things mean that somebody else works on the store. Its lock file was removed or replaced: then a second daemon
can have a lock of its own. Or the database or its log was written, though their one writer (pitfalls S0) did not: a
backup was copied over the one, the other was cut off to free space. What is committed behind that is gone at the next
start. The six checks cost some microseconds beside an fsync.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from storage.errors import AnotherLog, StoreLost

_HEADER_BYTES = 20
_MAGIC = b"SQLite format 3\0"
_NEVER_HAD_A_LOG = 1  # the header's byte 18, as VACUUM INTO writes it; the first start turns it into 2


def refuse_another_log(database: Path) -> None:
    """Raises AnotherLog where a copy was put into the place of a store whose log is still there. SQLite takes a log for
    that of the file beside it, whatever that is, and would bring back pages of the old store among those of the copy.
    """
    log = Path(os.path.realpath(database) + "-wal")
    try:
        with database.open("rb") as file:
            header = file.read(_HEADER_BYTES)
        has_log = log.stat().st_size > 0
    except OSError:
        return
    if has_log and header.startswith(_MAGIC) and header[18:19] == bytes([_NEVER_HAD_A_LOG]):
        raise AnotherLog(database, log)


class _Identity(NamedTuple):
    device: int
    inode: int


class Footing:
    """The files of one open SQLite store, as they were when it was made. `also`: files beside SQLite's own, such as
    the lock. Raises OSError when one of them is not there."""

    def __init__(self, database: Path, also: Iterable[Path] = ()) -> None:
        place = Path(os.path.realpath(database))  # as SQLite does: its log lies beside the file itself
        self._log = place.with_name(f"{place.name}-wal")
        own = [path for path in (self._log, place.with_name(f"{place.name}-shm")) if path.exists()]
        self._known = {path: _identity(path) for path in (place, *own, *also)}
        self._named, self._place = database, place
        self._written = [path for path in (place, self._log) if path in self._known]  # some file systems have no log
        self._stamps: dict[Path, tuple[int, int]] = {}
        self.wrote()

    def check(self) -> None:
        """Raises StoreLost when a name leads elsewhere or nowhere, or somebody wrote into the database or its log."""
        for path, known in self._known.items():
            try:
                found = _identity(path)
                leads_here = path != self._place or _identity(self._named, follows=True) == known
            except OSError as error:
                raise StoreLost(f"{path} is gone ({error.strerror or error}) while the daemon has it open") from error
            if found != known or not leads_here:
                named = path if leads_here else self._named
                raise StoreLost(f"{named} was replaced by another file while the daemon has it open")
        if (written := self.overwritten()) is not None:
            raise StoreLost(f"{written} was written by another program while the daemon has it open")

    def overwritten(self) -> Path | None:
        """The database or its log, when another program wrote into it; None when none did."""
        changed = (path for path in self._written if self._is_same(path) and self._stamp(path) != self._stamps[path])
        return next(changed, None)

    def wrote(self) -> None:
        """The store's own writer is done with its files for now."""
        self._stamps = {path: self._stamp(path) for path in self._written}

    def _is_same(self, path: Path) -> bool:
        try:
            return _identity(path) == self._known[path]
        except OSError:
            return False

    def _stamp(self, path: Path) -> tuple[int, int]:
        try:
            found = path.stat()
        except OSError:
            return self._stamps.get(path, (0, 0))  # that it is gone, `check` says
        return found.st_mtime_ns, found.st_size


def _identity(path: Path, *, follows: bool = False) -> _Identity:
    """Of the name itself: a link in a file's place may lead to the file, but its log is expected beside that."""
    found = path.stat(follow_symlinks=follows)
    return _Identity(found.st_dev, found.st_ino)
