"""Whether the files under an open store are still the ones that it was opened with.

SQLite goes on writing into a file that was removed or renamed: every commit succeeds, and all of it is gone when the
last descriptor is closed. So the writer checks at each commit whether the names still lead to what it has
open. A descriptor keeps its inode from being given to another file, so equal numbers mean the same file.

Two more things mean that somebody else works on the store. Its lock file was removed or replaced: then a second daemon
can have a lock of its own. Or the database or its log was written, though their one writer (docs/pitfalls.md S0) did
not: a backup was copied over the one, the other was cut off to free space. What is committed behind that is gone at the
next start. Each file is asked for once a check, without a Path in between: there are two checks with every commit.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

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


_Identity: TypeAlias = tuple[int, int]  # device and inode
_Stamp: TypeAlias = tuple[int, int]  # last change in nanoseconds, size in bytes


class Footing:
    """The files of one open SQLite store, as they were when it was made. `also`: files beside SQLite's own, such as
    the lock. Raises OSError when one of them is not there."""

    def __init__(self, database: Path, also: Iterable[Path] = ()) -> None:
        place = Path(os.path.realpath(database))  # as SQLite does: its log lies beside the file itself
        self._log = place.with_name(f"{place.name}-wal")
        own = [path for path in (self._log, place.with_name(f"{place.name}-shm")) if path.exists()]
        self._known = {str(path): _identity(os.lstat(path)) for path in (place, *own, *also)}
        self._named, self._place = str(database), str(place)
        written = (self._place, str(self._log))
        self._written = [path for path in written if path in self._known]  # some file systems have no log
        self._stamps: dict[str, _Stamp] = {}
        self.wrote()

    def check(self) -> None:
        """Raises StoreLost when a name leads elsewhere or nowhere, or somebody wrote into the database or its log."""
        found: dict[str, os.stat_result] = {}
        for path, known in self._known.items():
            try:
                # the name itself: a link in a file's place may lead to the file, but its log is expected beside that
                found[path] = os.lstat(path)
                leads_here = path != self._place or _identity(os.stat(self._named)) == known
            except OSError as error:
                raise StoreLost(f"{path} is gone ({error.strerror or error}) while the daemon has it open") from error
            if _identity(found[path]) != known or not leads_here:
                named = path if leads_here else self._named
                raise StoreLost(f"{named} was replaced by another file while the daemon has it open")
        for path in self._written:
            if _stamp(found[path]) != self._stamps[path]:
                raise StoreLost(f"{path} was written by another program while the daemon has it open")

    def overwritten(self) -> Path | None:
        """The database or its log, when another program wrote into it; None when none did."""
        for path in self._written:
            with suppress(OSError):  # that it is gone, `check` says
                found = os.lstat(path)
                if _identity(found) == self._known[path] and _stamp(found) != self._stamps[path]:
                    return Path(path)
        return None

    def wrote(self) -> None:
        """The store's own writer is done with its files for now."""
        for path in self._written:
            try:
                self._stamps[path] = _stamp(os.lstat(path))
            except OSError:  # that it is gone, `check` says
                self._stamps.setdefault(path, (0, 0))


def _identity(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino


def _stamp(found: os.stat_result) -> _Stamp:
    return found.st_mtime_ns, found.st_size
