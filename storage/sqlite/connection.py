"""Connections to one SQLite file, each with a thread of its own, and the transaction that units of work see."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import aiosqlite
import anyio

from storage.dialect import Dialect
from storage.moves import Moves
from storage.sqlite.at_once import AtOnce
from storage.transaction import Published, Row, Value

T = TypeVar("T")

# identities go on by themselves, but for those of a feed whose newest events were deleted
_FEED_IS_KNOWN = (
    "INSERT INTO sqlite_sequence (name, seq) SELECT 'events', 0"
    " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'events')"
)
_FEED_GOES_ON = (
    "UPDATE sqlite_sequence SET seq = max(seq, (SELECT forgotten FROM store_identity)) WHERE name = 'events'"
)

DIALECT = Dialect(
    types={
        "identity": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "bytes": "BLOB",
        "random": "lower(hex(randomblob(8)))",
        "by_key": "WITHOUT ROWID",
    },
    barrier="+",  # a unary plus: the column is an expression then, which no index is of
    index_hint=" INDEXED BY {}",
    now_ms="CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)",
    all_columns=(
        "SELECT m.name, c.name, c.pk FROM sqlite_master m JOIN pragma_table_info(m.name) c"
        " WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' ORDER BY m.name, c.cid"
    ),
    renumber=(_FEED_IS_KNOWN, _FEED_GOES_ON),
)
"""Neither rows nor the feed are locked: there is one writer, and it runs one transaction after the other."""

_AT_ONCE = AtOnce()
_NO_UTF_8 = "Could not decode to UTF-8"  # as sqlite3 says it

BUSY_MS = 5000
"""How long a statement waits for somebody else's lock."""


class SqliteTransaction:
    """A `Transaction` on one sqlite3 connection; used only inside its thread."""

    __slots__ = ("_connection", "moves", "published")

    dialect = DIALECT

    def __init__(self, connection: sqlite3.Connection, moves: Moves | None = None) -> None:
        self._connection = connection
        self.published: list[Published] = []
        self.moves = Moves() if moves is None else moves

    def execute(self, sql: str, parameters: Sequence[Value] = ()) -> int:
        """Runs a statement, returns how many rows it changed."""
        return self._run(sql, parameters).rowcount

    def execute_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> int:
        """Runs a statement for each row, returns how many rows were changed in all."""
        try:
            "".join([value for row in rows for value in row if isinstance(value, str)]).encode()
        except UnicodeEncodeError:  # as in _run, but before some of the rows are written
            rows = [[_storable(value) for value in row] for row in rows]
        return self._connection.executemany(sql, rows).rowcount

    def insert(self, sql: str, parameters: Sequence[Value]) -> int:
        """Runs an INSERT, returns the new identity."""
        identity = self._run(sql, parameters).lastrowid
        assert identity is not None
        return identity

    def insert_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> list[int]:
        """Runs an INSERT of one row for several, returns the new identities in their order.

        They follow each other: SQLite numbers the rows of a statement one by one, and nobody else writes meanwhile.
        """
        if not rows:
            return []
        more = f", ({', '.join('?' * len(rows[0]))})" * (len(rows) - 1)
        last = self.insert(sql + more, list(chain.from_iterable(rows)))
        return list(range(last - len(rows) + 1, last + 1))

    def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """All rows of a SELECT."""
        try:
            return _AT_ONCE.query(self._connection, sql, parameters)
        except sqlite3.OperationalError as error:
            if not str(error).startswith(_NO_UTF_8):
                raise
            return self._damaged(sql, parameters)
        except UnicodeEncodeError:  # as in _run
            return _AT_ONCE.query(self._connection, sql, [_storable(value) for value in parameters])

    def _damaged(self, sql: str, parameters: Sequence[Value]) -> list[Row]:
        """All rows of a SELECT that finds text that is damaged: one row must not hold up the others."""
        factory = self._connection.text_factory
        self._connection.text_factory = _decoded
        try:
            return self._run(sql, parameters).fetchall()
        finally:
            self._connection.text_factory = factory

    def _run(self, sql: str, parameters: Sequence[Value]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, parameters)
        except UnicodeEncodeError:  # half of a surrogate pair, as JSON may bring it: rare, so handled only here
            return self._connection.execute(sql, [_storable(value) for value in parameters])


def _decoded(text: bytes) -> str:
    """Text as it is kept. What is no UTF-8 gets a sign before it, by which no JSON column can be read any more
    (`rows.DamagedRow`): behind it might be a value that nobody wrote."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return "\ufffd" + text.decode("utf-8", "replace")


def _storable(value: Value) -> Value:
    """Text without lone surrogates, which no database takes: a platform's cut emoji must not stop the whole sync."""
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in value)
    return value


class Connection(aiosqlite.Connection):
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


def create_private(path: Path) -> None:
    """Makes an empty file that only its owner and group can read, whatever the umask: orders hold people's addresses.
    Raises OSError."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o640)
    try:
        os.fchmod(descriptor, 0o640)
    finally:
        os.close(descriptor)


async def connect(path: Path, *, read_only: bool) -> Connection:
    """Opens a connection of its own to the file, which is made where there is none. Raises sqlite3.Error."""
    uri = f"file:{quote(str(path))}?mode={'ro' if read_only else 'rwc'}"

    def connector() -> sqlite3.Connection:
        if not read_only:
            with suppress(OSError):  # what is wrong with the folder, SQLite says better
                create_private(path)
        return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_MS / 1000, cached_statements=256)

    connection = Connection(connector, 64)
    await connection.open()
    return connection


def take_part(connection: sqlite3.Connection) -> None:
    """A connection keeps its share of the file's lock from its first read on; `close_all` depends on that."""
    connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()


async def close_all(connections: list[Connection], *, is_overwritten: bool) -> None:
    """Closes connections, the writer first in the list."""
    # aiosqlite threads keep a process alive until they are closed (S3). The writer, opened first, goes last: the last
    # one to close brings the WAL into the file, which a reader cannot, and people copy the file alone. When either was
    # overwritten it goes first: a backup that was copied over the file must not get our WAL, nor the file what is left
    # of that.
    with anyio.CancelScope(shield=True):
        for connection in connections if is_overwritten else reversed(connections):
            await connection.close()
