"""What this engine has beside the tables that all have, and how a database becomes a store."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

import structlog
from psycopg import errors
from psycopg.sql import SQL, Identifier

from storage.errors import NotAStore, StoreUnavailable
from storage.migrations import Migrated, Migration, migrate, note, spelled
from storage.nodes import older_nodes
from storage.postgres.care import care_for
from storage.postgres.connection import DIALECT, Connection, PostgresTransaction, connect
from storage.postgres.footing import IS_SYNCHRONOUS, TABLE, timeline_of
from storage.postgres.tokens import TABLE as TOKENS

log = structlog.get_logger()

T = TypeVar("T")

_OLDEST: Final = 140000
_TAKE: Final = "SELECT pg_try_advisory_xact_lock(1718971493, hashtext(current_schema()))"
_LOOK_AGAIN_SECONDS: Final = 0.2

# A table is changed under a lock that every statement of the nodes that run waits behind, while it waits itself for
# one that takes long. So it gives up soon, lets them go on, and tries again.
_PATIENCE: Final = "SET LOCAL lock_timeout = '2s'"
_TRY_AGAIN_SECONDS: Final = 1.0
_ONE_DAY_MS: Final = 86_400_000

# A row for each daemon that writes. A group's first statement moves `token`, and does nothing unless it is what
# the daemon knows: so who asks for it afterwards knows whether the group was committed, and that it is over.
# `began_at`: when its last group began, by the database's clock; a row goes when nothing was written by it for a day.
_WRITERS: Final = (
    'CREATE TABLE IF NOT EXISTS writers (name TEXT COLLATE "C" PRIMARY KEY,'
    " token BIGINT NOT NULL, began_at BIGINT NOT NULL)"
)


_NOTE: Final = f"INSERT INTO server (timeline, is_synchronous) VALUES (%s, {IS_SYNCHRONOUS}) ON CONFLICT DO NOTHING"  # noqa: S608


def is_store(connection: Connection) -> bool:
    """Whether the database is a store; False: it can become one. Raises NotAStore for another program's database, or
    one that cannot be a store, StoreUnavailable on a standby."""
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
    return bool(tables)


def prepare(options: Mapping[str, str], now_ms: int) -> None:
    """Makes the tables where there are none, and brings those that are there to this version. Of several daemons that
    start at once one does it, and the others wait. Raises NewerStore, NotAStore, StoreUnavailable, psycopg.Error."""
    with connect(options) as connection:
        connection.longest_seconds = None
        done = _until_let(partial(_migrated, connection, now_ms))
        for migration in done.apart:
            _until_let(partial(_build, options, connection, migration, now_ms))
        care_for(connection)
    for each in done.left:
        log.warning(
            "store.contract_left",
            schema=each.migration.version,
            older=list(each.older),
            detail="nodes of an older version work on the store; restart one daemon once they are upgraded",
        )


def _until_let(act: Callable[[], T]) -> T:
    """Tries again for as long as others are in the way."""
    while True:
        try:
            return act()
        except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
            log.warning("store.migration_waits", detail=" ".join(str(error).split()))
            time.sleep(_TRY_AGAIN_SECONDS)


def _migrated(connection: Connection, now_ms: int) -> Migrated:
    with _alone(connection):
        connection.execute(_PATIENCE)
        is_store(connection)  # or can become one
        done = migrate(PostgresTransaction(connection, {}), now_ms, older=older_nodes, is_shared=True)
        connection.execute(_WRITERS)
        connection.execute(TABLE)
        _note_server(connection)
        connection.execute(TOKENS)
        connection.execute(f"DELETE FROM writers WHERE began_at < {DIALECT.now_ms} - %s", (_ONE_DAY_MS,))  # noqa: S608
        return done


def _note_server(connection: Connection) -> None:
    """Notes the server of a new store; that of one that is there is noted by whoever writes to it."""
    if not connection.execute("SELECT 1 FROM server").fetchall():
        connection.execute(_NOTE, (timeline_of(connection),))


def _build(options: Mapping[str, str], connection: Connection, migration: Migration, now_ms: int) -> None:
    """Builds indexes without a lock that anybody waits for, which takes long and cannot be done in a transaction. What
    a build that was cut off has left behind is no index, and goes first."""
    with connect(options) as guard, _alone(guard):
        if connection.execute("SELECT 1 FROM schema_migrations WHERE version = %s", (migration.version,)).fetchall():
            return  # another daemon has built them
        for statement in migration.statements():
            name = re.match(r"CREATE INDEX (\w+) ON ", statement)
            assert name is not None, statement
            broken = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid"
            if connection.execute(broken, (name[1],)).fetchall():
                connection.execute(SQL("DROP INDEX CONCURRENTLY {}").format(Identifier(name[1])))
            apart = f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {statement.removeprefix('CREATE INDEX ')}"
            connection.execute(spelled(apart, DIALECT).encode())
        note(PostgresTransaction(guard, {}), migration, now_ms)


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """A transaction in which nobody else migrates. It is asked for again and again: a statement that waited for it
    would hold up the building of indexes, which ends after all statements that began before it."""
    while True:
        connection.execute("BEGIN")
        try:
            ((is_taken,),) = connection.execute(_TAKE).fetchall()
            if is_taken:
                # it may stand still for as long as an index is built beside it
                connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                yield
                connection.execute("COMMIT")
                return
            connection.execute("ROLLBACK")
        except BaseException:
            if not connection.closed:
                connection.execute("ROLLBACK")
            raise
        time.sleep(_LOOK_AGAIN_SECONDS)
