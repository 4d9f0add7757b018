"""Notices from process to process, by LISTEN on a connection of its own. What is lost while it is away is lost: a
notice is a hint, and whoever waits for one looks now and then by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import anyio
import psycopg
import structlog
from anyio import to_thread

from storage.notices import LocalNotices
from storage.postgres.connection import Connection, connect

log = structlog.get_logger()

CHANNEL: Final = "fulfilld"
_AGAIN_SECONDS: Final = 2.0


class Notices(LocalNotices):
    """The channels of one store in this process, and in those of others. `origin`: the same in no other process."""

    def __init__(self, options: Mapping[str, str], where: str, origin: str) -> None:
        super().__init__()
        self._options, self._where, self._origin = options, where, origin
        self._connection: Connection | None = None

    def encoded(self, channel: str, text: str) -> str:
        """A notice as it is sent to other processes."""
        return json.dumps([self._origin, channel, text])

    async def listen_for_others(self) -> None:
        """Receives the notices of other processes, until cancelled."""
        while True:
            try:
                await to_thread.run_sync(self._connect)
                await self._receive()
            except psycopg.Error as error:
                log.debug("store.listens_again", store=self._where, detail=" ".join(str(error).split()))
            finally:
                if self._connection is not None:
                    self._connection.close()
            await anyio.sleep(_AGAIN_SECONDS)

    def _connect(self) -> None:
        self._connection = connect(self._options)
        self._connection.execute(f"LISTEN {CHANNEL}")

    async def _receive(self) -> None:
        """Raises psycopg.Error once the connection is gone."""
        assert self._connection is not None
        server = self._connection.pgconn
        while True:
            await anyio.wait_readable(server.socket)
            server.consume_input()
            while (found := server.notifies()) is not None:  # all that came: what is left would wait for the next one
                with suppress(ValueError):
                    origin, channel, text = json.loads(found.extra)
                    if origin != self._origin:
                        self.notify(channel, text)
