"""Rows of a SELECT as one: many rows cost a reader no more waiting than one.

sqlite3 gives the interpreter lock away and takes it back with each row. Beside a busy event loop it waits for the lock
each time, and a page of 500 rows took seven times as long as it should (measured: 9.7 ms in place of 1.4 ms). So a
statement that brought many rows has SQLite write all of them into one JSON text the next time.

JSON carries integers, text and null as they are. Bytes it does not take; numbers with a fraction lose digits; text that
is not UTF-8 is for the caller to read row by row. Such statements stay as they are.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, Final, NoReturn

Row = tuple[Any, ...]

MANY: Final = 12
"""From so many rows on it pays: one row costs about 20 µs more this way."""
_MOST_COLUMNS: Final = 100  # SQLite's functions take 127
_MOST_KEPT: Final = 512  # statements; those with lists of values come in many lengths


class _Inexact(ValueError):
    """A number with a fraction."""


def _refuse(_text: str) -> NoReturn:
    raise _Inexact


_DECODER = json.JSONDecoder(parse_float=_refuse, strict=False)


class AtOnce:
    """What is known of statements: how to have all rows of them at once, or that it cannot be.

    Shared by the threads of connections: what one of them finds out holds for all, and is found out again if lost.
    """

    def __init__(self) -> None:
        self._known: dict[str, str | None] = {}

    def query(self, connection: sqlite3.Connection, sql: str, parameters: Sequence[Any]) -> list[Row]:
        """All rows of a SELECT. Raises sqlite3.Error, as the plain statement does."""
        together = self._known.get(sql)
        if together is not None:
            try:
                text = connection.execute(together, parameters).fetchone()[0]
                return list(map(tuple, _DECODER.decode(text)))
            except (_Inexact, sqlite3.OperationalError, sqlite3.DataError):
                # bytes, a fraction, damaged text, more than one text may hold; or the disk, which says it again below
                self._known[sql] = None
        rows = connection.execute(sql, parameters).fetchall()
        if len(rows) >= MANY and sql not in self._known:
            self._learn(sql, rows)
        return rows

    def _learn(self, sql: str, rows: list[Row]) -> None:
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        columns = len(rows[0])
        fits = sql.startswith("SELECT ") and columns <= _MOST_COLUMNS
        fits = fits and not any(isinstance(value, bytes | float) for row in rows for value in row)
        self._known[sql] = _together(sql, columns) if fits else None


def _together(sql: str, columns: int) -> str:
    names = ", ".join(f"c{number}" for number in range(columns))
    return f"WITH q({names}) AS ({sql}) SELECT json_group_array(json_array({names})) FROM q"  # noqa: S608
