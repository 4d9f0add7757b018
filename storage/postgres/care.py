"""How the server looks after the tables that change most: room in their pages, and how soon it clears them up.

An order and a target are updated a few times a step, and what an update leaves behind stands in the way of reading
until the server clears it away. With room in its page an update of a target stays there and touches no index; the
server's own share of a fifth that has to be dead before it looks is much for a table that grows with all that was ever
imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from psycopg import errors
from psycopg.sql import SQL, Identifier, Literal

from storage.postgres.connection import Connection

_EARLY: Final = {
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_vacuum_insert_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.05",
}
CARE: Final[Mapping[str, Mapping[str, str]]] = {
    "orders": {"fillfactor": "70", **_EARLY},
    "targets": {"fillfactor": "70", **_EARLY},
    "payloads": _EARLY,
    "events": _EARLY,
}
"""Options of tables. One that somebody has set already stays as it is."""

_PATIENCE: Final = "SET LOCAL lock_timeout = '200ms'"


def care_for(connection: Connection) -> None:
    """Sets the options that are not set. That takes a lock which no statement of a daemon waits for, but a VACUUM has
    as well: then, or where somebody else owns the tables, the server looks after them as it does by itself."""
    with suppress(errors.LockNotAvailable, errors.InsufficientPrivilege), connection.transaction():
        connection.execute(_PATIENCE)
        _set_missing(connection)


def _set_missing(connection: Connection) -> None:
    found = connection.execute(
        "SELECT relname, coalesce(reloptions, '{}') FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = current_schema()::regnamespace AND relname = ANY(%s)",
        (list(CARE),),
    ).fetchall()
    for table, options in found:
        is_set = {option.partition("=")[0] for option in options}
        if missing := {name: value for name, value in CARE[table].items() if name not in is_set}:
            wanted = SQL(", ").join(SQL("{} = {}").format(SQL(name), Literal(value)) for name, value in missing.items())
            connection.execute(SQL("ALTER TABLE {} SET ({})").format(Identifier(table), wanted))
