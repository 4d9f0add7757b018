"""Changes sent as one piece: none of their statements waits for the answer to the one before.

`save_changes` asks how many rows a statement changed, to stop when they were too few. Here the server gets what is
expected and ends the transaction itself when it is not so (`NotAsExpected`), so the answer can be given at once.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping, Sequence
from typing import Final, NoReturn, TypeAlias

import psycopg
from psycopg import errors

from storage.moves import Moves
from storage.postgres.connection import DIALECT, FEED_LOCK, FEED_PLACE, SETTINGS, Connection, is_pooled
from storage.postgres.footing import IS_HERE
from storage.postgres.rows import Many, as_json
from storage.transaction import Published, Row, Value

NotAsExpected: TypeAlias = errors.DivisionByZero
"""A statement changed fewer rows than were expected: nothing of the transaction is kept."""

_EXPECTING: Final = "WITH done AS ({} RETURNING 1) SELECT 1 / (count(*) = $2)::int FROM done"
_FENCE: Final = (
    "SELECT 1 / (count(*) = $2)::int FROM (SELECT 1 FROM shops"
    ' JOIN json_to_recordset($1::json) AS r(p0 text COLLATE "C", p1 bigint) ON name = p0 AND lease_epoch = p1'
    " ORDER BY name FOR SHARE OF shops) AS held"
)


_MOVE_ON: Final = (
    "WITH done AS (UPDATE writers SET token = token + 1, began_at = {} WHERE name = $1 AND token = $2{} RETURNING 1)"  # noqa: S608
    f" SELECT 1 / (count(*) = $3)::int, {SETTINGS} FROM done"
)


def _is_unhandled(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("error ignored terminating")


# What psycopg warns of when a piece is left that was refused: the error has been raised before, and is handled.
logging.getLogger("psycopg").addFilter(_is_unhandled)


class Unprepared(Exception):
    """A statement was not prepared before the piece was begun. `idle`: values with which it does nothing."""

    def __init__(self, sql: str, idle: Sequence[Value]) -> None:
        super().__init__(sql)
        self.sql, self.idle = sql, idle


class Piece:
    """A `Transaction` for `save_changes` and `write_moves`, in pipeline mode. Statements change as many rows as they
    are given, or nothing is kept. Cursors of events are known after `settle`. `prepared`: statements that are, as all
    have to be unless a pooler is at the other end."""

    dialect = DIALECT

    def __init__(
        self, connection: Connection, identities: Mapping[str, str], moves: Moves, prepared: Container[str]
    ) -> None:
        self._connection, self._identities, self._prepared = connection, identities, prepared
        self._inserts: list[psycopg.RawCursor[Row]] = []
        self._promised = 0
        self.published: list[Published] = []
        self.moves = moves

    def begin(self, writer: str, token: int, *, is_checked: bool) -> None:
        """Begins the transaction, and moves the writer's token. `is_checked`: only at the server that was looked at."""
        self._send("BEGIN")
        self._send_prepared(
            _MOVE_ON.format(DIALECT.now_ms, f" AND {IS_HERE}" if is_checked else ""),
            (writer, token, 1),
            idle=("", 0, 0),
        )

    def claim_feed(self) -> None:
        """No other transaction that claims it does anything before this one ends; cursors follow the newest one."""
        self._send(FEED_LOCK)
        self._send(FEED_PLACE)

    def fence(self, epochs: set[tuple[str, int | None]]) -> None:
        """No lease of these shops passes to another node before the transaction ends, and each has its epoch."""
        self._send_prepared(_FENCE, (as_json(list(epochs)), len(epochs)), idle=("[]", 0))

    def commit(self) -> None:
        """Commits the transaction."""
        self._send("COMMIT")

    def execute(self, sql: str, parameters: Sequence[Value] = ()) -> NoReturn:
        """Nobody sends a single row in a piece."""
        raise NotImplementedError(sql)

    def execute_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> int:
        """Sends a statement for several rows, all of which have to be changed."""
        checked = _EXPECTING.format(Many.of(self._connection, sql).sql)
        self._send_prepared(checked, (as_json(rows), len(rows)), idle=("[]", 0))
        return len(rows)

    def insert(self, sql: str, parameters: Sequence[Value]) -> NoReturn:
        """As `execute`."""
        raise NotImplementedError(sql)

    def insert_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> list[int]:
        """Sends an INSERT of several rows. The identities are promises, which `settle` keeps."""
        many = Many.of(self._connection, sql)
        returning = f"{many.sql} RETURNING {self._identities[many.table]}"
        self._inserts.append(self._send_prepared(returning, (as_json(rows),), idle=("[]",)))
        first, self._promised = self._promised, self._promised + len(rows)
        return list(range(first, self._promised))

    def query(self, sql: str, parameters: Sequence[Value] = ()) -> NoReturn:
        """Nobody asks for anything in a piece."""
        raise NotImplementedError(sql)

    def settle(self) -> list[Published]:
        """What was published, once the piece was answered."""
        cursors = [cursor for insert in self._inserts for cursor in sorted(row[0] for row in insert.fetchall())]
        return [each._replace(cursor=cursors[each.cursor]) for each in self.published]

    def _send_prepared(self, sql: str, parameters: Sequence[Value], *, idle: Sequence[Value]) -> psycopg.RawCursor[Row]:
        if sql not in self._prepared and not is_pooled(self._connection):
            raise Unprepared(sql, idle)
        return self._send(sql, parameters)

    def _send(self, sql: str, parameters: Sequence[Value] = ()) -> psycopg.RawCursor[Row]:
        return psycopg.RawCursor(self._connection).execute(sql, parameters or None)
