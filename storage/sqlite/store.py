"""The embedded engine: SQLite through aiosqlite, one writing connection with group commit, readers that cannot write.

A unit is a function that runs in a connection's thread; what writes goes through the `Writer`, what reads takes one of
a few read-only connections.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio

from storage.changes import Change
from storage.errors import NotAStore, StoreLost, StoreUnavailable
from storage.migrations import migrate
from storage.notices import LocalNotices
from storage.pending import Unit
from storage.sqlite.connection import Connection, SqliteTransaction, close_all, connect, take_part
from storage.sqlite.footing import Footing, refuse_another_log
from storage.sqlite.writer import Writer
from storage.store import OnCommit, OnGroup, no_listener

T = TypeVar("T")

_WAL_LIMIT_BYTES = 64 * 1024 * 1024
_CHECKPOINT_PAGES = 8000
"""32 MB: a page that many steps rewrote is brought into the file once. Nothing commits meanwhile: 50 ms on a good disk,
95 ms with four times as many pages."""
_WRITER_CACHE_KIB = 4096
"""What the longest units change at once stays in memory: of less, pages are written and read again within a unit."""
_READERS = 4
_APPLICATION_ID = int.from_bytes(b"fulf")  # in the file's header: distinguishes our files from other programs


class SqliteStore:
    """The store on one SQLite file. Made by `open_sqlite`."""

    def __init__(self, path: Path, writer: Writer, readers: list[Connection]) -> None:
        self.path = path
        self._writer = writer
        self._readers = readers
        self._free = anyio.Semaphore(len(readers))
        self._notices = LocalNotices()

    @property
    def url(self) -> str:
        """The storage URL of this file."""
        return f"sqlite:///{self.path}"

    @property
    def is_exclusive(self) -> bool:
        """One daemon has the file's lock."""
        return True

    @property
    def state_directory(self) -> Path:
        """The directory of the file: what else the daemon keeps lies beside it."""
        return self.path.parent

    def gauges(self) -> Mapping[str, float]:
        """`wal_bytes`: how large the write-ahead log is; 0 where there is none, whatever became of it."""
        try:
            size = self.path.with_name(f"{self.path.name}-wal").stat().st_size
        except OSError:
            size = 0
        return {"wal_bytes": size}

    async def write(self, unit: Unit[T]) -> T:
        """Runs `unit` in a transaction and returns its result once it is durable.

        An exception of the unit undoes the unit alone and is raised here; StoreUnavailable: the whole group failed.
        """
        return await self._writer.write(unit)

    async def write_bulk(self, unit: Unit[T]) -> T:
        """As `write`, but few of these share a commit, and fewer while anything else is to be written."""
        return await self._writer.write_bulk(unit)

    async def write_first(self, unit: Unit[T]) -> T:
        """As `write`, before all that waits and by itself."""
        return await self._writer.write_first(unit)

    def change(self, change: Change) -> Coroutine[Any, Any, bool]:
        """Writes a change, together with those of others. True once it is durable; False: it is stale."""
        return self._writer.change(change)

    async def read(self, unit: Unit[T]) -> T:
        """Runs `unit` on a read-only connection, in one consistent snapshot."""

        def snapshot(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN")
            try:
                return unit(SqliteTransaction(connection))
            finally:
                connection.execute("COMMIT")

        self._writer.refuse_lost()
        async with self._free:
            reader = self._readers.pop()
            try:
                return await reader.run(snapshot)
            except sqlite3.Error as error:
                raise StoreUnavailable(f"reading {self.path} failed: {error}") from error
            finally:
                self._readers.append(reader)

    async def notify(self, channel: str, text: str) -> None:
        """Notifies the listening tasks of this process: no other process has the file open."""
        self._notices.notify(channel, text)

    def listen(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """The notices of a channel from now on."""
        return self._notices.listen(channel)

    @property
    def lost(self) -> StoreLost | None:
        """Why the store is given up: its files were removed or replaced. It does not come back."""
        return self._writer.lost

    async def watch(self, every_seconds: float) -> StoreLost:
        """Returns once the store is lost; checks for it also while nothing is written."""
        return await self._writer.watch(every_seconds)


def _prepare_writer(connection: sqlite3.Connection, path: Path, now_ms: int) -> None:
    refuse_foreign(connection, path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")  # an intent must survive power loss, not only SIGKILL (S5)
    connection.execute(f"PRAGMA journal_size_limit={_WAL_LIMIT_BYTES}")
    connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA cache_size=-{_WRITER_CACHE_KIB}")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        migrate(SqliteTransaction(connection), now_ms)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def refuse_foreign(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is empty. Raises NotAStore for another program's database, before anything is written to it."""
    is_empty: bool = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    found = connection.execute("PRAGMA application_id").fetchone()[0]
    if not is_empty and found != _APPLICATION_ID:
        raise NotAStore(f"{path} is another program's database; name another file in storage.url")
    return is_empty


async def _open_connections(path: Path, now_ms: int, opened: list[Connection]) -> None:
    """Opens the writing connection, migrates, opens the readers; `opened` gets each at once, to be closed whatever
    happens. Raises StoreUnavailable, NewerStore, NotAStore."""
    try:
        opened.append(await connect(path, read_only=False))
        await opened[0].run(lambda connection: _prepare_writer(connection, path, now_ms))
        for _ in range(_READERS):
            opened += [await connect(path, read_only=True)]
            await opened[-1].run(take_part)
    except sqlite3.OperationalError as error:
        raise StoreUnavailable(
            f"{path} cannot be opened: {error}; check that the folder exists and is writable"
        ) from error
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise StoreUnavailable(f"{path} is damaged: {error}; restore a backup") from error
        raise NotAStore(f"{path} is not a fulfilld store: {error}; name another file in storage.url") from error


@asynccontextmanager
async def open_sqlite(
    path: Path,
    now_ms: int,
    *,
    guarded: Sequence[Path] = (),
    on_commit: OnCommit = no_listener,
    on_group: OnGroup = no_listener,
) -> AsyncIterator[SqliteStore]:
    """Opens or creates the store at `path`, migrates it, and runs its writer for as long as the block lasts.

    The caller holds the store's lock (lock.StoreLock). `guarded`: files beside the store's own without which it is
    lost, such as that lock. At the end everything that was handed to `write` is committed.
    Raises NewerStore, NotAStore, AnotherLog, StoreUnavailable.
    """
    refuse_another_log(path)
    opened: list[Connection] = []
    writer: Writer | None = None
    try:
        await _open_connections(path, now_ms, opened)
        try:
            footing = await opened[0].run(lambda _: Footing(path, guarded))
        except OSError as error:
            raise StoreLost(f"{error.filename} is gone ({error.strerror})") from error
        writer = Writer(path, opened[0], footing, on_commit, on_group)
        async with anyio.create_task_group() as group:
            group.start_soon(_run_shielded, writer)
            try:
                yield SqliteStore(path, writer, opened[1:])
            finally:
                writer.close()
    finally:
        with anyio.CancelScope(shield=True):
            is_overwritten = writer is not None and await writer.is_overwritten()
        await close_all(opened, is_overwritten=is_overwritten)


async def _run_shielded(writer: Writer) -> None:
    with anyio.CancelScope(shield=True):  # what was accepted is written, whatever is cancelled around it
        await writer.run()
