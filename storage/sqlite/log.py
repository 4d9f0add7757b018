"""Brings the write-ahead log into the file piece by piece, beside the commits.

SQLite would do it all at once in a commit, while everybody else waits: in a store of a million orders 8,000 pages lie
all over the file, and writing and syncing them takes 10 to 20 ms on a calm machine and 300 to 450 ms on a loaded one.
Here the writing connection brings a piece of the log at a time while another connection holds the state of a moment
ago. What came after that has to stay in the log, so SQLite writes the pages and need not sync the file yet. Then the
file is synced by a descriptor of our own, while others commit. Once the log is long enough, what is left of it is
brought as well, and SQLite's own sync finds little to do.

When a log may begin anew is SQLite's own business all the time: only after its own sync of all that is in it. And no
other connection than the writing one checkpoints (docs/pitfalls.md S0).
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio

from storage.errors import StoreLost
from storage.sqlite.connection import BUSY_MS, Connection, take_part
from storage.sqlite.footing import Footing
from storage.store import OnGroup

_PIECE_PAGES: Final = 1000  # nothing commits while they are written
_LONG_PAGES: Final = 8000
"""32 MB, then the log begins anew: a page that is rewritten all the time is brought once, at the end."""
_CUT_SECONDS: Final = 300.0
_PATIENCE_SECONDS: Final = 1.0  # for a commit, without which all of a log is brought: then nobody waits for it
_LENGTH: Final = struct.Struct("=I")
_LENGTH_AT: Final = 16  # of mxFrame in the log's index, https://sqlite.org/walformat.html

_sync_data: Final = getattr(os, "fdatasync", os.fsync)  # macOS has no other


class Log:
    """Of one open store. `writer`: the connection that writes; `holder`: one that only reads, for this alone."""

    def __init__(self, path: Path, writer: Connection, holder: Connection, footing: Footing, on_group: OnGroup) -> None:
        self._writer, self._holder, self._footing, self._on_group = writer, holder, footing, on_group
        self._brought = 0
        self._is_held = False
        self._committed = anyio.Event()
        # Closing a descriptor drops the locks that SQLite has on the file in this process: see `close`.
        place = os.path.realpath(path)
        self._file = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        self._index: int | None = None
        with suppress(FileNotFoundError):  # some file systems have no log
            self._index = os.open(f"{place}-shm", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """To be called once all connections to the store are closed, not before."""
        os.close(self._file)
        if self._index is not None:
            os.close(self._index)

    def grew(self, units: int, seconds: float) -> None:
        """A group was committed: as `OnGroup`."""
        self._on_group(units, seconds)
        if self._is_held or self._is_due():
            self._committed.set()

    async def run(self) -> None:
        """Brings what is committed, and cuts the log now and then, until cancelled."""
        cut_at = anyio.current_time() + _CUT_SECONDS
        while True:
            with anyio.move_on_after(cut_at - anyio.current_time()):
                await self._commit()
            if self._is_due():
                await self._bring_piece()
            if anyio.current_time() >= cut_at:
                await self._bring(_cut)
                cut_at = anyio.current_time() + _CUT_SECONDS

    async def _bring_piece(self) -> None:
        await self._holder.run(_hold)
        self._is_held = True
        with anyio.move_on_after(_PATIENCE_SECONDS):
            await self._commit()
        await self._bring(_checkpoint)
        self._is_held = False
        await self._holder.run(self._let_go_and_sync)
        if self._pages() >= _LONG_PAGES:
            await self._bring(_checkpoint)

    async def _commit(self) -> None:
        """Returns after the next commit by which enough is there for a piece, or any while a state is held."""
        self._committed = anyio.Event()
        await self._committed.wait()

    def _is_due(self) -> bool:
        pages = self._pages()
        self._brought = min(self._brought, pages)  # it began anew
        return pages - self._brought >= _PIECE_PAGES

    def _pages(self) -> int:
        """How long the log is."""
        length = b"" if self._index is None else os.pread(self._index, _LENGTH.size, _LENGTH_AT)
        return int(_LENGTH.unpack(length)[0]) if len(length) == _LENGTH.size else 0

    async def _bring(self, checkpoint: Callable[[sqlite3.Connection], None]) -> None:
        """Writes to the file what nobody needs in the log; all of it where nobody holds an older state."""

        def in_its_thread(connection: sqlite3.Connection) -> None:
            self._footing.check()  # a file that was put in our file's place must not get pages of ours
            try:
                checkpoint(connection)
            finally:
                self._footing.wrote()

        with suppress(sqlite3.Error, StoreLost):  # tried again; commits say what is wrong with disk or files
            await self._writer.run(in_its_thread)
        self._brought = self._pages()

    def _let_go_and_sync(self, connection: sqlite3.Connection) -> None:
        """An error is SQLite's to say: its own descriptor meets it as well."""
        if connection.in_transaction:
            connection.execute("COMMIT")
        with suppress(OSError):
            _sync_data(self._file)


def _hold(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):  # then all is brought at once
        connection.execute("BEGIN")
        take_part(connection)


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _cut(connection: sqlite3.Connection) -> None:
    """Only if no reader is in the way: waiting for one (a backup) would keep every commit waiting."""
    connection.execute("PRAGMA busy_timeout=0")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
