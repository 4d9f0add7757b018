"""Notices from process to process: LISTEN on a connection of its own, NOTIFY beside the transactions that write. What
is lost on the way is lost: a notice is a hint, and whoever waits for one looks now and then by itself.

A NOTIFY inside a transaction that writes would make its commit wait for all others of the database that have one. So
notices go out in transactions of their own, and what gathers while one is on its way goes with the next: however many
there are, a store sends at most one statement in `_SPACING_SECONDS`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import anyio
import psycopg
import structlog
from anyio import to_thread

from storage.errors import StoreError
from storage.notices import LocalNotices
from storage.postgres.connection import Connection, connect, is_pooled
from storage.postgres.url import direct

log = structlog.get_logger()

CHANNEL: Final = "fulfilld"
_AGAIN_SECONDS: Final = 2.0
_SPACING_SECONDS: Final = 0.01
_MOST_WAITING: Final = 1000
_LONGEST_BYTES: Final = 7000  # the server takes 7999
_LAST_SECONDS: Final = 2.0

Send = Callable[[str, Sequence[str]], Awaitable[object]]
"""Sends texts to a channel of the database. Raises StoreError."""


class Notices(LocalNotices):
    """The channels of one store in this process, and in those of others. `origin`: the same in no other process."""

    def __init__(self, options: Mapping[str, str], where: str, origin: str) -> None:
        super().__init__()
        self._options, self._where, self._origin = options, where, origin
        self._connection: Connection | None = None
        self._waiting: dict[str, None] = {}  # in the order of arrival, each once
        self._came = anyio.Event()

    def notify_all(self, channel: str, text: str) -> None:
        """Notifies the listening tasks of this process at once, and those of others soon. What is too long for the
        server, or beyond what may wait, is not sent."""
        self.notify(channel, text)
        notice = json.dumps([self._origin, channel, text])
        if len(notice) <= _LONGEST_BYTES and len(self._waiting) < _MOST_WAITING:
            self._waiting[notice] = None
            self._came.set()

    async def send_to_others(self, send: Send) -> None:
        """Sends what is to be sent, until cancelled, and then what still waits."""
        try:
            while True:
                while not self._waiting:
                    self._came = anyio.Event()
                    await self._came.wait()
                await self._send(send)
                await anyio.sleep(_SPACING_SECONDS)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_SECONDS):
                await self._send(send)

    async def _send(self, send: Send) -> None:
        notices, self._waiting = list(self._waiting), {}
        try:
            if notices:
                await send(CHANNEL, notices)
        except StoreError as error:
            log.debug("store.not_notified", store=self._where, notices=len(notices), detail=str(error))
        except anyio.get_cancelled_exc_class():  # maybe before it was sent, and twice does no harm
            self._waiting = dict.fromkeys([*notices, *self._waiting])
            raise

    async def listen_for_others(self) -> None:
        """Receives the notices of other processes, until cancelled or known to be of no use."""
        while True:
            try:
                await to_thread.run_sync(self._connect)
                await self._receive()
            except _Deaf:
                log.warning(
                    "store.cannot_listen",
                    store=self._where,
                    detail="a pooler is before the server: what other nodes ask for is found by looking now and then",
                    remedy="name the server itself in storage.url: listen=HOST:PORT",
                )
                return
            except psycopg.Error as error:
                log.debug("store.listens_again", store=self._where, detail=" ".join(str(error).split()))
            finally:
                if self._connection is not None:
                    self._connection.close()
            await anyio.sleep(_AGAIN_SECONDS)

    def _connect(self) -> None:
        self._connection = connect(direct(self._options))
        if is_pooled(self._connection):  # another one's session would listen, and for good
            raise _Deaf
        self._connection.execute(f"LISTEN {CHANNEL}")

    async def _receive(self) -> None:
        """Raises psycopg.Error once the connection is gone."""
        assert self._connection is not None
        server = self._connection.pgconn
        while True:
            await anyio.wait_readable(server.socket)
            server.consume_input()
            while (found := server.notifies()) is not None:  # all that came: what is left would wait for the next one
                with suppress(ValueError, TypeError):  # another program may use the channel, too
                    origin, channel, text = json.loads(found.extra)
                    if origin != self._origin:
                        self.notify(channel, text)


class _Deaf(Exception):
    """Nothing can be listened for: a pooler is at the other end."""
