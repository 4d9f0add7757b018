"""What keeps a daemon from working on a database, or advises against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg

from storage.engines import Check
from storage.errors import StoreError
from storage.postgres.connection import connect, is_pooled
from storage.postgres.failures import unavailable
from storage.postgres.schema import is_store


def check_server(options: Mapping[str, str], where: str) -> Sequence[Check]:
    """Whether the server answers, whether its database can be a store, and whether it keeps what it confirms."""
    try:
        with connect(options) as connection:
            version = connection.info.parameter_status("server_version") or ""
            is_there = is_store(connection)
            is_behind_pooler = is_pooled(connection)
            ((may_create, fsync),) = connection.execute(
                "SELECT has_schema_privilege(current_schema(), 'CREATE'), current_setting('fsync')"
            ).fetchall()
    except psycopg.Error as error:
        return [Check("store", "failed", str(unavailable("reading", where, error)))]
    except StoreError as error:
        return [Check("store", "failed", f"{where}: {error}")]
    found = [Check("postgresql", "ok", f"PostgreSQL {version.split()[0]}")]
    if fsync != "on":
        found.append(
            Check("postgresql", "warning", "fsync is off: what was confirmed may be gone after a power failure")
        )
    if is_behind_pooler:
        found.append(_pooler(options))
    if not may_create:
        found.append(Check("store", "failed", f"{where}: this user may not make tables; GRANT CREATE ON SCHEMA to it"))
    else:
        found.append(
            Check("store", "ok", f"{where} can be written" if is_there else f"a store will be made in {where}")
        )
    return found


def _pooler(options: Mapping[str, str]) -> Check:
    if options.get("listen"):
        return Check("pooler", "ok", f"a pooler stands before the server; notices come from {options['listen']}")
    return Check(
        "pooler",
        "warning",
        "a pooler stands before the server; name the server for notices in storage.url: listen=HOST",
    )
