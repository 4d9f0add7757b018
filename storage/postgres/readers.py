"""Connections that read: each read is one snapshot that cannot write, in a thread that a cancelled caller leaves alone.

A connection that broke while nobody used it is replaced, and the read is done again: a restart of the server costs
nobody an answer. While the server is away each read tries to connect, so it fails at once and works again at once,
where a pool would wait for its own next try.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

import psycopg
from anyio import CapacityLimiter, to_thread

from storage.postgres.connection import SNAPSHOT, Connection, PostgresTransaction, connect
from storage.postgres.failures import unavailable
from storage.transaction import Transaction

T = TypeVar("T")

_MOST: Final = 4


class Readers:
    """A few connections, each made when it is first needed. `where`: the URL that may be shown."""

    def __init__(self, options: Mapping[str, str], where: str) -> None:
        self._options, self._where = options, where
        self._limiter, self._notifier = CapacityLimiter(_MOST), CapacityLimiter(1)
        self._free: deque[Connection] = deque()
        self._is_closed = False

    async def read(self, unit: Callable[[Transaction], T]) -> T:
        """What a unit reads. Raises StoreUnavailable."""
        return await self._with(lambda connection: snapshot(connection, unit), self._limiter)

    async def notify(self, channel: str, texts: Sequence[str]) -> None:
        """Notifies whoever listens on a channel of the database, waiting for no read. Raises StoreUnavailable."""
        sql, values = "SELECT pg_notify(%s, text) FROM unnest(%s::text[]) AS text", (channel, list(texts))
        await self._with(lambda connection: connection.execute(sql, values), self._notifier)

    def close(self) -> None:
        """Closes them; one that is still in use closes when it is not any more."""
        self._is_closed = True
        while self._free:
            self._free.pop().close()

    async def _with(self, use: Callable[[Connection], T], limiter: CapacityLimiter) -> T:
        return await to_thread.run_sync(self._used, use, abandon_on_cancel=True, limiter=limiter)

    def _used(self, use: Callable[[Connection], T]) -> T:
        try:
            while True:
                is_new = not self._free
                with self._one() as connection:
                    try:
                        return use(connection)
                    except psycopg.OperationalError:
                        if is_new or not connection.broken:
                            raise
        except psycopg.Error as error:
            raise unavailable("reading", self._where, error) from error

    @contextmanager
    def _one(self) -> Iterator[Connection]:
        try:
            connection = self._free.pop()
        except IndexError:
            connection = connect(self._options)
        try:
            yield connection
        finally:
            if self._is_closed or len(self._free) >= _MOST or connection.closed or connection.broken:
                connection.close()
            else:
                self._free.append(connection)


def snapshot(connection: Connection, unit: Callable[[Transaction], T]) -> T:
    """What a unit reads, in one snapshot. Raises psycopg.Error."""
    connection.execute(SNAPSHOT)
    try:
        return unit(PostgresTransaction(connection, {}))
    finally:
        if not connection.broken:
            connection.execute("COMMIT")  # psycopg forgets with a ROLLBACK what is prepared
