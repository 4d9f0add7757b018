"""Whether a database is still the one that was written to.

A server that dies is replaced by a replica (a failover), and one that follows asynchronously may lack the newest
commits. Then the store has gone back in time: steps that were done are still to do in it, and its feed would give
cursors a second time. Only the data shows it to a client, so every connection that is going to write looks
first, before it writes:

- Each time that a replica takes over PostgreSQL begins another *timeline*. The store has the name of the one on which
  it was looked at last, so whoever connects knows that another server took over since, also where no daemon ran.
- This process knows how far it has come: its token (session.py), and the newest event that it committed. Where the
  database is not so far, commits are lost for certain, on whatever timeline.
- Nothing is lost where commits waited for a replica (`is_synchronous`, noted while it was so), nor where nobody else
  wrote who might miss something: a process that ends deletes its row of `writers` with its last commit.

Of the rest nobody knows, and it counts as lost.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from psycopg import errors

from storage.errors import StoreUnavailable
from storage.postgres.connection import Connection
from storage.transaction import Published

TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS server (only_one INTEGER PRIMARY KEY DEFAULT 1 CHECK (only_one = 1),"
    ' timeline TEXT COLLATE "C", is_synchronous BOOLEAN NOT NULL)'
)
"""One row: on which timeline the store was looked at last, and whether commits waited for a replica then."""

_NUMBER: Final = "left(pg_walfile_name(pg_current_wal_lsn()), 8)"
_TIMELINE: Final = f"SELECT system_identifier || '/' || {_NUMBER} FROM pg_control_system()"  # noqa: S608
IS_HERE: Final = f"EXISTS (SELECT 1 FROM server WHERE right(timeline, 8) = {_NUMBER})"  # noqa: S608
"""Whether the server is still on the timeline that is noted: a pooler may have connected to another one meanwhile."""
IS_SYNCHRONOUS: Final = (
    "(current_setting('synchronous_standby_names') <> ''"
    " AND current_setting('synchronous_commit') IN ('on', 'off', 'remote_apply'))"
)
"""Whether commits wait for a replica: with `off`, for a transaction that writes turns it on."""

REPLICATION_CHANGED: Final = f"SELECT 1 FROM server WHERE is_synchronous <> {IS_SYNCHRONOUS}"  # noqa: S608
NOTE_REPLICATION: Final = f"UPDATE server SET is_synchronous = {IS_SYNCHRONOUS}"  # noqa: S608

_FOUND: Final = (
    "SELECT i.feed, s.timeline, coalesce(s.is_synchronous, false),"
    " (SELECT count(*) FROM writers WHERE name <> %(name)s),"
    " %(cursor)s = 0 OR i.forgotten >= %(cursor)s"
    " OR EXISTS (SELECT 1 FROM events WHERE (cursor, type) = (%(cursor)s, %(type)s)"
    " AND (shop, order_id, target) IS NOT DISTINCT FROM (%(shop)s, %(order)s, %(target)s))"
    " FROM store_identity AS i LEFT JOIN server AS s ON true"
)


class Loss(StrEnum):
    """What became of commits when another server took over."""

    NONE = "none"
    POSSIBLE = "possible"
    CERTAIN = "certain"


class Known(NamedTuple):
    """What this process knows of a store: the feed that it committed to (None: it has not connected yet), and the
    newest event that it committed there."""

    feed: str | None = None
    newest: Published | None = None


class Found(NamedTuple):
    """What a connection finds: the store's feed, the timeline that it notes and the server's own (None: the server does
    not say), whether commits waited for a replica, how many others write, and whether our newest event is there."""

    feed: str
    noted: str | None
    timeline: str | None
    is_synchronous: bool
    others: int
    has_newest: bool


def timeline_of(connection: Connection) -> str | None:
    """The server's timeline, with the number that its replicas have alike; None where it does not say. Raises
    psycopg.Error."""
    try:
        with connection.transaction():  # a savepoint within another one
            ((timeline,),) = connection.execute(_TIMELINE.encode()).fetchall()
    except (errors.InsufficientPrivilege, errors.FeatureNotSupported, errors.UndefinedFunction):
        return None
    found: str = timeline
    return found


def found_by(connection: Connection, name: str, known: Known, timeline: str | None) -> Found:
    """What is there. `name`: of this writer. Raises psycopg.Error, StoreUnavailable."""
    newest = known.newest or Published(0, None, None, None)
    rows = connection.execute(_FOUND, {"name": name, **newest._asdict()}).fetchall()
    if not rows:
        raise StoreUnavailable("the database has lost the store's identity; restore a backup of it")
    ((feed, noted, is_synchronous, others, has_newest),) = rows
    return Found(feed, noted, timeline, is_synchronous, others, has_newest)


def judge(found: Found, known: Known, *, is_behind: bool, is_vouched: bool) -> Loss | None:
    """What has happened since this process, or any other, looked last; None: nothing. Pure.

    `is_behind`: the token that was found is older than the one that is known. `is_vouched`: this process has lost
    nothing, as far as it has written at all.
    """
    if known.feed == found.feed and (is_behind or not found.has_newest):
        return Loss.CERTAIN
    if found.timeline is None or found.noted is None or found.timeline == found.noted:
        return None
    if found.timeline.partition("/")[0] != found.noted.partition("/")[0]:
        return None  # a dump that was restored: whoever starts on it notices that by itself
    return Loss.NONE if found.is_synchronous or (is_vouched and not found.others) else Loss.POSSIBLE
