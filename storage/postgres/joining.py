"""How a daemon comes to a database that several share: none is alone there, so nothing is locked.

Who works on the store stands in its table `nodes`; for whoever holds no lock nothing can be lost.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress

import anyio
import psycopg
from anyio import to_thread
from psycopg import errors

from storage.errors import Holder, StoreRefused, StoreUnreachable
from storage.nodes import live_names
from storage.postgres.connection import connect
from storage.postgres.failures import refuses, unavailable
from storage.postgres.readers import snapshot


class Joining:
    """An `Exclusion` of nobody. `where`: the URL that may be shown."""

    def __init__(self, options: Mapping[str, str], where: str) -> None:
        self._options, self._where = options, where

    def acquire(self) -> None:
        """Sees whether the server lets us in. Raises StoreRefused when it does not, StoreUnreachable when it is
        away."""
        self.nodes()

    async def wait_acquire(self, poll_seconds: float = 1.0) -> None:
        """Returns once no daemon works on the store; a server that is away may come back. May be cancelled at any
        time. Raises StoreRefused."""
        while True:
            with suppress(StoreUnreachable):
                if not await to_thread.run_sync(self.nodes):
                    return
            await anyio.sleep(poll_seconds)

    def release(self) -> None:
        """Nothing was taken."""

    def nodes(self) -> list[str]:
        """Who works on the store, by name. Raises as `acquire`."""
        try:
            with connect(self._options) as connection:
                return snapshot(connection, live_names)
        except errors.UndefinedTable:  # no store yet, or one of an older version
            return []
        except psycopg.Error as error:
            kind = StoreRefused if refuses(error) else StoreUnreachable
            raise kind(str(unavailable("opening", self._where, error))) from error

    def holder(self) -> Holder | None:
        """A daemon of this machine that works on the store."""
        host = socket.gethostname()
        with suppress(StoreRefused):
            for node in self.nodes():
                pid = node.removeprefix(f"{host}:").partition(":")[0]
                if pid.isdigit():
                    return Holder(int(pid), host)
        return None
