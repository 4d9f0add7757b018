"""What this engine has beside the tables that all have, and how a database becomes a store."""

from __future__ import annotations

from typing import Final

from storage.errors import NotAStore, StoreUnavailable
from storage.migrations import migrate
from storage.postgres.connection import Connection, PostgresTransaction

_OLDEST: Final = 140000
_LOCK: Final = "SELECT pg_advisory_xact_lock(1718971493, hashtext(current_schema()))"
_ONE_DAY_MS: Final = 86_400_000

# A row for each daemon that writes. A group's first statement moves `token`, and does nothing unless it is what
# the daemon knows: so who asks for it afterwards knows whether the group was committed, and that it is over.
_WRITERS: Final = (
    'CREATE TABLE IF NOT EXISTS writers (name TEXT COLLATE "C" PRIMARY KEY,'
    " token BIGINT NOT NULL, began_at BIGINT NOT NULL)"
)


def refuse_unfit(connection: Connection) -> None:
    """Raises NotAStore for another program's database, or one that cannot be a store, StoreUnavailable on a standby."""
    version = connection.info.server_version
    if version < _OLDEST:
        raise NotAStore(f"the server is PostgreSQL {version // 10000}; fulfilld needs 14 or newer")
    ((encoding, is_standby, schema),) = connection.execute(
        "SELECT current_setting('server_encoding'), pg_is_in_recovery(), current_schema()"
    ).fetchall()
    if encoding != "UTF8":
        raise NotAStore(f"the database's encoding is {encoding}; make one with ENCODING 'UTF8'")
    if is_standby:
        raise StoreUnavailable("the server is a read-only standby; name its primary in storage.url, or all of them")
    if schema is None:
        raise NotAStore("the search_path of the connection names no schema that is there; make it, or name another")
    tables = {
        name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    }
    if tables and not {"schema_migrations", "store_identity"} <= tables:
        raise NotAStore(
            f"schema {schema} of the database has another program's tables; name a database of its own in storage.url"
        )


def prepare(connection: Connection, now_ms: int) -> None:
    """Makes the tables where there are none, and brings those that are there to this version. Of several daemons that
    start at once one does it, and the others wait. Raises NewerStore, NotAStore, StoreUnavailable, psycopg.Error."""
    connection.execute("BEGIN")
    try:
        connection.execute(_LOCK)
        refuse_unfit(connection)
        migrate(PostgresTransaction(connection, {}), now_ms)
        connection.execute(_WRITERS)
        connection.execute("DELETE FROM writers WHERE began_at < %s", (now_ms - _ONE_DAY_MS,))
        connection.execute("COMMIT")
    except BaseException:
        if not connection.closed:
            connection.execute("ROLLBACK")
        raise
