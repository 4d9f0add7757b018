"""The lock that makes a daemon the only one on its database: an advisory lock of a session that does nothing else.

The server drops it when the session ends, however that happens. A daemon whose session was cut off takes it again with
a new one; when another daemon was faster, the store is lost to it. Until it knows that it may go on writing: what it
writes of a shop is fenced by the shop's lease, which the other one has to wait for.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import anyio
import psycopg
from anyio import to_thread

from storage.errors import Holder, StoreLocked, StoreLost, StoreRefused, StoreUnreachable
from storage.postgres.connection import Connection, connect
from storage.postgres.failures import refuses, unavailable

_KEY: Final = "(1718971492, hashtext(coalesce(current_schema(), '')))"
_TAKE: Final = f"SELECT pg_try_advisory_lock{_KEY}"
_HOLDER: Final = (
    "SELECT application_name, backend_start, pid FROM pg_locks JOIN pg_stat_activity USING (pid)"  # noqa: S608
    " WHERE locktype = 'advisory' AND granted AND pg_locks.database ="
    " (SELECT oid FROM pg_database WHERE datname = current_database())"
    f" AND (classid::bigint, objid::bigint) = (SELECT k, o & 4294967295 FROM (VALUES {_KEY}) AS v(k, o))"
)


class DatabaseLock:
    """The lock of one database. `where`: the URL that may be shown."""

    def __init__(self, options: Mapping[str, str], where: str) -> None:
        self._options, self._where = options, where
        self._session: Connection | None = None
        self._backend: int | None = None  # the server's process that has the lock for us

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock, as far as it knows."""
        return self._session is not None

    def acquire(self) -> None:
        """Takes the lock at once. Raises StoreLocked when another daemon has it, StoreRefused when the server
        does not let us in, StoreUnreachable when it is away."""
        if self._session is not None:
            raise RuntimeError("the store lock is held already")
        try:
            self._session = self._taken()
        except psycopg.Error as error:
            kind = StoreRefused if refuses(error) else StoreUnreachable
            raise kind(str(unavailable("opening", self._where, error))) from error

    async def wait_acquire(self, poll_seconds: float = 1.0) -> None:
        """Takes the lock as soon as it is free, trying every `poll_seconds`; a server that is away may come back. May
        be cancelled at any time."""
        while True:
            with suppress(StoreLocked, StoreUnreachable):
                return await to_thread.run_sync(self.acquire)
            await anyio.sleep(poll_seconds)

    def release(self) -> None:
        """Gives the lock up; does nothing when it is not held."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def keep(self) -> None:
        """Takes the lock again where the session was cut off. Raises StoreLost when another daemon has it by now."""
        session = self._session
        if session is None:
            return
        with suppress(psycopg.Error):  # while the server is away nobody can take it
            try:
                session.execute("SELECT 1")
            except psycopg.OperationalError:
                session.close()
                try:
                    self._session = self._taken()
                except _StillOurs:
                    return
                except StoreLocked as locked:
                    raise StoreLost(
                        f"the connection to {self._where} was lost, and {locked.holder} took the store over",
                        "this daemon ends; start it again with --standby to have it take over in its turn",
                    ) from locked

    def holder(self) -> Holder | None:
        """Who holds the lock. Raises psycopg.Error."""
        with connect(self._options) as connection:
            found = _holder(connection)
        return None if found is None else found[0]

    def _taken(self) -> Connection:
        session = connect(self._options)
        try:
            ((is_ours,),) = session.execute(_TAKE).fetchall()
            if not is_ours:
                # nobody: it ended since, and the next look takes the lock
                holder, backend = _holder(session) or (Holder(), self._backend)
                if backend is not None and backend == self._backend:
                    raise _StillOurs
                raise StoreLocked(self._where, holder)
            self._backend = session.info.backend_pid
        except BaseException:
            session.close()
            raise
        return session


class _StillOurs(Exception):
    """The session that was cut off was not over yet for the server."""


def _holder(connection: Connection) -> tuple[Holder, int] | None:
    """Who holds the lock, and by which process of the server."""
    found = connection.execute(_HOLDER).fetchone()
    if found is None:
        return None
    name, since, backend = found
    _, _, process = (name or "").partition("fulfilld ")  # as `url.options_of` names each connection
    pid, _, host = process.partition(" ")
    started_at = None if since is None else since.isoformat(timespec="seconds")
    return Holder(int(pid) if pid.isdigit() else None, host or None, started_at), backend
