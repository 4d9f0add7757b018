"""The embedded engine: SQLite through aiosqlite, one writing connection with group commit, readers that cannot write.

Exactly one connection writes and checkpoints; SQLite before 3.51.3 can lose commits when one connection checkpoints
while another commits (pitfalls S0). So everything that writes goes through `write`, whose units wait in a list until
the writer task takes all of them into one transaction, a savepoint each, and commits once with synchronous=FULL. While
one group waits for the disk the next one gathers: the more is going on, the cheaper each unit becomes.

A unit is a function that runs in the connection's thread. A caller that is cancelled does not undo its unit: it is
committed or not as if the caller had waited, and the listeners hear of it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import aiosqlite
import anyio

from storage.errors import NotAStore, StoreError, StoreLost, StoreUnavailable
from storage.identity import mark_copy
from storage.migrations import migrate
from storage.sqlite.footing import Footing, refuse_another_log
from storage.transaction import Published, Row, Transaction, Value

T = TypeVar("T")
Unit = Callable[[Transaction], T]

DIALECT = {
    "identity": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "bytes": "BLOB",
    "random": "lower(hex(randomblob(8)))",
}

_GROUP_LIMIT = 256  # units in one commit: bounds how long a unit can wait behind others
_WAL_LIMIT_BYTES = 64 * 1024 * 1024
_CHECKPOINT_SECONDS = 300.0
_READERS = 4
_BUSY_MS = 5000
_APPLICATION_ID = int.from_bytes(b"fulf")  # in the file's header: tells our files from other programs


class SqliteTransaction:
    """A `Transaction` on one sqlite3 connection; used only inside its thread."""

    __slots__ = ("_connection", "published")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.published: list[Published] = []

    def execute(self, sql: str, parameters: Sequence[Value] = ()) -> int:
        """Runs a statement, answers how many rows it changed."""
        return self._run(sql, parameters).rowcount

    def insert(self, sql: str, parameters: Sequence[Value]) -> int:
        """Runs an INSERT, answers the new identity."""
        identity = self._run(sql, parameters).lastrowid
        assert identity is not None
        return identity

    def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """All rows of a SELECT."""
        return self._run(sql, parameters).fetchall()

    def _run(self, sql: str, parameters: Sequence[Value]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, parameters)
        except UnicodeEncodeError:  # half of a surrogate pair, as JSON may bring it: rare, so looked for only here
            return self._connection.execute(sql, [_storable(value) for value in parameters])


def _storable(value: Value) -> Value:
    """Text without lone surrogates, which no database takes: a platform's cut emoji must not stop its whole sweep."""
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in value)
    return value


class _Connection(aiosqlite.Connection):
    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Runs a function with the raw connection in this connection's thread, in one hop."""
        return await self._execute(function, self._conn)  # type: ignore[no-untyped-call, no-any-return]

    async def open(self) -> None:
        """Connects. A failure is raised once the thread has ended: one that outlives the loop ends with a traceback."""
        try:
            await self
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._thread.join)
            raise


class _Pending(Generic[T]):
    __slots__ = ("done", "error", "result", "unit")

    def __init__(self, unit: Unit[T]) -> None:
        self.unit = unit
        self.done = anyio.Event()
        self.result: T | None = None
        self.error: Exception | None = None


class SqliteStore:
    """The store on one SQLite file. Made by `open_sqlite`; `on_commit` is called in the event loop after each commit
    with the events that it published, `on_group` with how many units were in it and the seconds it took."""

    def __init__(self, path: Path, writer: _Connection, readers: list[_Connection], footing: Footing) -> None:
        self.path = path
        self.on_commit: Callable[[list[Published]], None] = lambda _: None
        self.on_group: Callable[[int, float], None] = lambda _units, _seconds: None
        self._writer = writer
        self._readers = readers
        self._footing = footing
        self._lost: StoreLost | None = None
        self._is_lost = anyio.Event()
        self._free = anyio.Semaphore(len(readers))
        self._queue: list[_Pending[Any]] = []
        self._wake = anyio.Event()
        self._closing = False

    def wal_bytes(self) -> int:
        """How large the write-ahead log is; 0 where there is none, whatever became of it."""
        try:
            return self.path.with_name(f"{self.path.name}-wal").stat().st_size
        except OSError:
            return 0

    @property
    def url(self) -> str:
        """The storage URL of this file."""
        return f"sqlite:///{self.path}"

    async def write(self, unit: Unit[T]) -> T:
        """Runs `unit` in a transaction and answers its result once it is durable.

        An exception of the unit undoes the unit alone and is raised here; StoreUnavailable: the whole group failed.
        """
        if self._closing:
            raise StoreUnavailable("the store is closed")
        self._refuse_lost()
        pending = _Pending(unit)
        self._queue.append(pending)
        self._wake.set()
        await pending.done.wait()
        if pending.error is not None:
            raise pending.error
        return pending.result  # type: ignore[return-value]

    async def read(self, unit: Unit[T]) -> T:
        """Runs `unit` on a read-only connection, in one consistent snapshot."""

        def snapshot(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN")
            try:
                return unit(SqliteTransaction(connection))
            finally:
                connection.execute("COMMIT")

        self._refuse_lost()
        async with self._free:
            reader = self._readers.pop()
            try:
                return await reader.run(snapshot)
            except sqlite3.Error as error:
                raise StoreUnavailable(f"reading {self.path} failed: {error}") from error
            finally:
                self._readers.append(reader)

    @property
    def lost(self) -> StoreLost | None:
        """Why the store is given up: its files were removed or replaced. It does not come back."""
        return self._lost

    async def watch(self, every_seconds: float) -> None:
        """Returns once the store is lost; looks for it also while nothing is written."""
        while not self._is_lost.is_set():
            with anyio.move_on_after(every_seconds):
                await self._is_lost.wait()
            if not self._is_lost.is_set():
                try:
                    await self._writer.run(lambda _: self._footing.check())
                except StoreLost as lost:
                    self._lose(lost)

    async def is_overwritten(self) -> bool:
        """Whether another program wrote into the files, at the end too."""
        return await self._writer.run(lambda _: self._footing.overwritten()) is not None

    def _refuse_lost(self) -> None:
        if self._lost is not None:
            raise self._lost.again()

    def _lose(self, lost: StoreLost) -> None:
        self._lost = self._lost or lost
        self._is_lost.set()

    async def run_writer(self) -> None:
        """The writer task: gathers, commits, wakes. Ends when the store is closing and nothing waits."""
        last_checkpoint = anyio.current_time()
        while True:
            if not self._queue:
                if self._closing:
                    return
                self._wake = anyio.Event()
                with anyio.move_on_after(_CHECKPOINT_SECONDS):
                    await self._wake.wait()
            if anyio.current_time() - last_checkpoint > _CHECKPOINT_SECONDS:
                with suppress(sqlite3.Error):  # tried again next time; commits tell what is wrong with the disk
                    await self._writer.run(self._checkpoint)
                last_checkpoint = anyio.current_time()
            group, self._queue = self._queue[:_GROUP_LIMIT], self._queue[_GROUP_LIMIT:]
            if group:
                await self._commit(group)

    async def _commit(self, group: list[_Pending[Any]]) -> None:
        published: list[Published] = []
        began = anyio.current_time()
        try:
            published = await self._writer.run(lambda connection: self._run_on_footing(connection, group))
        except StoreLost as lost:
            self._lose(lost)
            for pending in group:
                pending.error = lost.again()
        except sqlite3.Error as error:
            for pending in group:  # one each: several tasks raise them
                pending.error = StoreUnavailable(
                    f"writing {self.path} failed: {error}; free disk space or mend the disk"
                )
                pending.error.__cause__ = error
        except BaseException:
            for pending in group:  # nobody may take silence for success
                pending.error = StoreUnavailable(f"the writer of {self.path} ended")
            raise
        finally:
            for pending in group:
                pending.done.set()
        self.on_group(len(group), anyio.current_time() - began)
        if published:
            self.on_commit(published)

    def _run_on_footing(self, connection: sqlite3.Connection, group: list[_Pending[Any]]) -> list[Published]:
        """Commits the group. It is believed only if the store's names still lead to what was written; a group that
        comes after that is not even begun. Raises StoreLost."""
        if self._lost is not None:
            raise self._lost
        self._footing.check()
        try:
            published = _run_group(connection, group)
        finally:
            self._footing.wrote()
        self._footing.check()
        return published

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        try:
            _truncate_wal(connection)
        finally:
            self._footing.wrote()

    def close(self) -> None:
        """Lets the writer end once everything that waits is committed."""
        self._closing = True
        self._wake.set()


def _run_group(connection: sqlite3.Connection, group: list[_Pending[Any]]) -> list[Published]:
    """All units in one transaction. A savepoint each would cost every unit a third of its time, and units seldom fail:
    so first without; when one does fail, everything is rolled back and run again with savepoints."""
    try:
        return _in_transaction(connection, lambda: _run_plainly(connection, group))
    except _UnitFailed:
        return _in_transaction(connection, lambda: _run_apart(connection, group))


def _in_transaction(connection: sqlite3.Connection, run: Callable[[], list[Published]]) -> list[Published]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        published = run()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return published


def _run_plainly(connection: sqlite3.Connection, group: list[_Pending[Any]]) -> list[Published]:
    published: list[Published] = []
    for pending in group:
        tx = SqliteTransaction(connection)
        try:
            pending.result = pending.unit(tx)
        except Exception as error:
            if _is_of_the_disk(error):
                raise
            raise _UnitFailed from error
        published += tx.published
    return published


def _run_apart(connection: sqlite3.Connection, group: list[_Pending[Any]]) -> list[Published]:
    published: list[Published] = []
    for pending in group:
        tx = SqliteTransaction(connection)
        connection.execute("SAVEPOINT unit")
        try:
            pending.result = pending.unit(tx)
        except Exception as error:  # handed to the unit's caller
            if _is_of_the_disk(error):
                raise  # the group fails as one
            connection.execute("ROLLBACK TO unit")
            pending.error = error
        else:
            published += tx.published
        connection.execute("RELEASE unit")
    return published


class _UnitFailed(Exception):
    """A unit of the group raised: run them apart."""


def _is_of_the_disk(error: Exception) -> bool:
    """Whether an error says that the database failed (full, unreadable, broken), not that the unit was wrong."""
    is_broken = type(error) is sqlite3.DatabaseError  # malformed, encrypted: the class itself, not its children
    if isinstance(error, sqlite3.OperationalError):
        # SQLITE_ERROR is a wrong statement, whatever Python calls it: the unit's own fault
        return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_FULL) != sqlite3.SQLITE_ERROR
    return is_broken or isinstance(error, sqlite3.InternalError)


def _truncate_wal(connection: sqlite3.Connection) -> None:
    """Only if no reader is in the way: waiting for one (a backup) would keep every commit waiting."""
    connection.execute("PRAGMA busy_timeout=0")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")


def _prepare_writer(connection: sqlite3.Connection, path: Path, now_ms: int) -> None:
    _refuse_foreign(connection, path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")  # an intent must survive power loss, not only SIGKILL (S5)
    connection.execute(f"PRAGMA journal_size_limit={_WAL_LIMIT_BYTES}")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        migrate(SqliteTransaction(connection), DIALECT, now_ms)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    """Raises NotAStore for another program's database, before anything is written into it."""
    is_empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    found = connection.execute("PRAGMA application_id").fetchone()[0]
    if not is_empty and found != _APPLICATION_ID:
        raise NotAStore(f"{path} is another program's database; name another file in storage.url")


def _create_private(path: Path) -> None:
    """Makes an empty file that only its owner and group can read, whatever the umask: orders hold people's addresses.
    Raises OSError."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o640)
    try:
        os.fchmod(descriptor, 0o640)
    finally:
        os.close(descriptor)


async def _connect(path: Path, *, read_only: bool) -> _Connection:
    uri = f"file:{quote(str(path))}?mode={'ro' if read_only else 'rwc'}"

    def connector() -> sqlite3.Connection:
        if not read_only:
            with suppress(OSError):  # what is wrong with the folder, SQLite says better
                _create_private(path)
        return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0, cached_statements=256)

    connection = _Connection(connector, 64)
    await connection.open()
    return connection


def _take_part(connection: sqlite3.Connection) -> None:
    """A connection keeps its share of the file's lock from its first read on; `_closed` depends on that."""
    connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()


async def _closed(connections: list[_Connection], *, is_overwritten: bool) -> None:
    # aiosqlite threads keep a process alive until they are closed (S3). The writer, opened first, goes last: the last
    # one to close brings the WAL into the file, which a reader cannot, and people copy the file alone. When either was
    # overwritten it goes first: a backup that was copied over the file must not get our WAL, nor the file what is left
    # of that.
    with anyio.CancelScope(shield=True):
        for connection in connections if is_overwritten else reversed(connections):
            await connection.close()


@asynccontextmanager
async def open_sqlite(path: Path, now_ms: int, *, guarded: Sequence[Path] = ()) -> AsyncIterator[SqliteStore]:
    """Opens or creates the store at `path`, migrates it, and runs its writer for as long as the block lasts.

    The caller holds the store's lock (locks.StoreLock). `guarded`: files beside the store's own without which it is
    lost, such as that lock. At the end everything that was handed to `write` is committed.
    Raises NewerStore, NotAStore, AnotherLog, StoreUnavailable.
    """
    refuse_another_log(path)
    opened: list[_Connection] = []
    store: SqliteStore | None = None
    try:
        try:
            opened.append(await _connect(path, read_only=False))
            await opened[0].run(lambda connection: _prepare_writer(connection, path, now_ms))
            for _ in range(_READERS):
                opened += [await _connect(path, read_only=True)]
                await opened[-1].run(_take_part)
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(
                f"{path} cannot be opened: {error}; check that the folder exists and is writable"
            ) from error
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                raise StoreUnavailable(f"{path} is damaged: {error}; restore a backup") from error
            raise NotAStore(f"{path} is no fulfilld store: {error}; name another file in storage.url") from error
        try:
            footing = await opened[0].run(lambda _: Footing(path, guarded))
        except OSError as error:
            raise StoreLost(f"{error.filename} is gone ({error.strerror})") from error
        store = SqliteStore(path, opened[0], opened[1:], footing)
        async with anyio.create_task_group() as group:

            async def writer() -> None:
                with anyio.CancelScope(shield=True):  # what was accepted is written, whatever is cancelled around it
                    await store.run_writer()

            group.start_soon(writer)
            try:
                yield store
            finally:
                store.close()
    finally:
        with anyio.CancelScope(shield=True):
            is_overwritten = store is not None and await store.is_overwritten()
        await _closed(opened, is_overwritten=is_overwritten)


def backup(source: Path, target: Path, now_ms: int) -> None:
    """Copies the store to a new file in one consistent state, while a daemon may be running (read-only on the source).

    The copy is marked as one: a daemon that is started on it must not go on as if nothing had happened since.
    Raises StoreError when the source is no readable store or the target exists already.
    """
    if not source.is_file():
        raise StoreError(f"{source} does not exist; name the store's file")
    refuse_another_log(source)
    try:
        _create_private(target)
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
