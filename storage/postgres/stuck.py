"""Ends the session of a daemon that stands still, or is cut off, in the midst of a group.

`idle_in_transaction_session_timeout` does not count there: PostgreSQL starts that clock once it has said that it is
ready for a query, and in pipeline mode it says so at the end alone. A daemon whose machine dies between two statements
of a group would keep the feed until TCP notices, hours later, and one that is stopped there for as long as it is. So
whoever waits for locks looks for such a session, and ends it.
"""

from __future__ import annotations

from typing import Final

import psycopg
import structlog

from storage.postgres.connection import MOST_IDLE_SECONDS, Connection

log = structlog.get_logger()

_END: Final = (
    "SELECT pid, application_name, silence, pg_terminate_backend(pid) FROM (SELECT pid, application_name,"
    " extract(epoch FROM clock_timestamp() - query_start)::float8 AS silence FROM pg_stat_activity"
    # in the midst of a transaction that a writer began, and the server has done all that it was sent of it
    " WHERE datname = current_database() AND state = 'active' AND wait_event = 'ClientRead' AND pid IN (SELECT pid"
    " FROM pg_locks WHERE relation = 'writers'::regclass AND mode = 'RowExclusiveLock' AND granted)) AS writing"
    " WHERE silence > %s AND pid <> pg_backend_pid()"
)


def end_stuck(connection: Connection, where: str, longest_seconds: float = MOST_IDLE_SECONDS) -> int:
    """Ends sessions that are in the midst of a group and have sent nothing for so long; how many they were. `where`:
    the URL that may be shown. What the server has against it is logged alone: whoever waits tries again anyway."""
    try:
        found = connection.execute(_END, (longest_seconds,), prepare=False).fetchall()
    except psycopg.Error as error:
        detail, remedy = " ".join(str(error).split()), "let the daemons' role look at its own sessions and end them"
        log.warning("store.session_not_ended", store=where, detail=detail, remedy=remedy)
        return 0
    for pid, name, silence, _ in found:
        log.warning("store.session_ended", store=where, pid=pid, application=name, silent_seconds=round(silence, 1))
    return len(found)
