"""Several rows in one statement: the statement for one row, made over to read its values from a JSON list.

One statement with all rows costs the server a tenth of what one statement a row costs, and us one value to encode.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from psycopg import pq

from storage.postgres.spelling import numbered, table_of
from storage.text import storable
from storage.transaction import Value

if TYPE_CHECKING:
    from storage.postgres.connection import Connection

_dump = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_TYPES: Final = {
    **{kind: kind for kind in ("bigint", "integer", "double precision")},
    "text": 'text COLLATE "C"',
}
_NAMES: Final = [f"p{number}" for number in range(64)]


class NotAskedFor(Exception):
    """The server has to be asked about a statement before: `Many.of`, then again."""

    def __init__(self, sql: str) -> None:
        super().__init__(sql)
        self.sql = sql


class Many:
    """A statement for any number of rows, which are its one value (`as_json`)."""

    _known: dict[str, Many] = {}  # noqa: RUF012 - of the process: what the server says of a statement does not change

    def __init__(self, sql: str, types: Sequence[str]) -> None:
        self.sql = _made_over(sql, types)
        self.table = table_of(sql)

    @classmethod
    def of(cls, connection: Connection, sql: str) -> Many:
        """What does to each of several rows as `sql`, an INSERT, UPDATE or DELETE, does to one. Asks the server once
        for the types of the places, which cannot be in the midst of a piece. Raises NotAskedFor, psycopg.Error."""
        found = cls._known.get(sql)
        if found is None:
            if connection.pgconn.pipeline_status != pq.PipelineStatus.OFF:
                raise NotAskedFor(sql)
            found = cls._known[sql] = cls(sql, _types(connection, sql))
        return found


def as_json(rows: Sequence[Sequence[Value]]) -> str:
    """Rows as the value of a `Many`. Lone surrogates and zero bytes, which no text may have, become the sign for what
    is not known."""
    text = _listed(rows)
    if "\\u0000" in text or _has_half(text):
        text = _listed([[storable(value) for value in row] for row in rows])
    return text


def _listed(rows: Sequence[Sequence[Value]]) -> str:
    return _dump([dict(zip(_NAMES, row, strict=False)) for row in rows])


def _has_half(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _made_over(sql: str, types: Sequence[str]) -> str:
    columns = ", ".join(f"p{number} {kind}" for number, kind in enumerate(types))
    rows = f"json_to_recordset($1::json) AS r({columns})"
    numbers = iter(range(len(types)))
    named = re.sub(r"\?", lambda _: f"r.p{next(numbers)}", sql)
    if named.startswith("INSERT"):
        return re.sub(r"VALUES \((.*?)\)", rf"SELECT \1 FROM {rows}", named, count=1)  # noqa: S608
    join = "USING" if named.startswith("DELETE") else "FROM"
    before, where, after = named.partition(" WHERE ")
    return f"{before} {join} {rows}{where}{after}"


def _types(connection: Connection, sql: str) -> list[str]:
    # Not by libpq's own calls for this: they hold up every thread of the process until the server answers. And in one
    # query, for a pooler gives the next one to another session; under a name of its own, for one that was cut off there
    # may have left its behind.
    name = f"fulfilld_{secrets.token_hex(4)}"
    ask = f"SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = '{name}'"  # noqa: S608
    cursor = connection.execute(f"PREPARE {name} AS {numbered(sql)}; {ask}; DEALLOCATE {name}".encode())
    cursor.nextset()
    ((types,),) = cursor.fetchall()
    return [_TYPES[kind] for kind in types]
