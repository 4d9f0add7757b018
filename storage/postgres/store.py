"""The store in a PostgreSQL database: one connection that writes in groups, a few that read, one that listens."""

from __future__ import annotations

import random
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import anyio
import psycopg
from anyio import to_thread

from storage.changes import Change
from storage.errors import StoreError, StoreLost
from storage.pending import Unit
from storage.postgres.failures import unavailable
from storage.postgres.footing import NOTE_REPLICATION, REPLICATION_CHANGED
from storage.postgres.notices import Notices
from storage.postgres.readers import Readers
from storage.postgres.schema import prepare
from storage.postgres.session import Session
from storage.postgres.writer import Writer
from storage.store import OnCommit, OnGroup

T = TypeVar("T")

_REPLICATION_SECONDS: Final = 1.0


class PostgresStore:
    """The store in one database. Made by `open_postgres`."""

    def __init__(self, url: str, state_directory: Path, writer: Writer, readers: Readers, notices: Notices) -> None:
        self._url, self._state_directory = url, state_directory
        self._writer, self._readers, self._notices = writer, readers, notices

    @property
    def url(self) -> str:
        """Where the data is, without user and secrets."""
        return self._url

    @property
    def is_exclusive(self) -> bool:
        """Any number of daemons share a database."""
        return False

    @property
    def state_directory(self) -> Path:
        """The user's own directory for what outlives a start."""
        return self._state_directory

    def gauges(self) -> Mapping[str, float]:
        """What stood in the way of groups; the server is measured by its own means."""
        return self._writer.gauges()

    async def write(self, unit: Unit[T]) -> T:
        """Runs `unit` in a transaction and returns its result once it is durable.

        An exception of the unit undoes the unit alone and is raised here; StoreUnavailable: the whole group failed.
        """
        return await self._writer.write(unit)

    async def write_bulk(self, unit: Unit[T]) -> T:
        """As `write`, but few of these share a commit, and fewer while anything else is to be written."""
        return await self._writer.write_bulk(unit)

    async def write_first(self, unit: Unit[T]) -> T:
        """As `write`, before all that waits and by itself."""
        return await self._writer.write_first(unit)

    async def change(self, change: Change) -> bool:
        """Writes a change, together with those of others. True once it is durable; False: it is stale."""
        return await self._writer.change(change)

    async def read(self, unit: Unit[T]) -> T:
        """Runs `unit` on a connection that reads, in one consistent snapshot."""
        return await self._readers.read(unit)

    async def notify(self, channel: str, text: str) -> None:
        """Notifies the listening tasks of this process at once, and those of others soon, whoever waits for that."""
        self._notices.notify_all(channel, text)

    def listen(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """The notices of a channel from now on."""
        return self._notices.listen(channel)

    async def watch(self, every_seconds: float) -> StoreLost:  # noqa: ARG002
        """Never returns: what is away comes back, and nobody can take the store over."""
        await anyio.sleep_forever()
        raise AssertionError


@asynccontextmanager
async def open_postgres(
    options: Mapping[str, str],
    url: str,
    state_directory: Path,
    now_ms: int,
    *,
    on_commit: OnCommit,
    on_group: OnGroup,
) -> AsyncIterator[PostgresStore]:
    """Opens the store, migrates it, and runs its writer for as long as the block lasts. `url` may be shown. At the end
    everything that was handed to `write` is committed. Raises NewerStore, NotAStore, StoreUnavailable."""
    name = secrets.token_hex(8)
    session, readers = Session(options, url, name, now_ms, random.SystemRandom().random), Readers(options, url)

    def prepared() -> None:
        try:
            prepare(options, now_ms)
        except psycopg.Error as error:
            raise unavailable("opening", url, error) from error
        session.open()

    try:
        await to_thread.run_sync(prepared)
        writer, notices = Writer(session, on_commit, on_group), Notices(options, url, name)
        async with anyio.create_task_group() as group:
            group.start_soon(notices.listen_for_others)
            group.start_soon(notices.send_to_others, readers.notify)
            group.start_soon(_note_replication, writer, readers)
            try:
                async with anyio.create_task_group() as writing:
                    writing.start_soon(_run_shielded, writer)
                    try:
                        yield PostgresStore(url, state_directory, writer, readers, notices)
                    finally:
                        writer.close()
            finally:
                group.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(session.close)
            await to_thread.run_sync(readers.close)


async def _note_replication(writer: Writer, readers: Readers) -> None:
    """Notes whether commits wait for a replica, as often as that changes: what a failover has lost depends on it."""
    while True:
        await anyio.sleep(_REPLICATION_SECONDS)
        with suppress(StoreError):
            if await readers.read(lambda tx: tx.query(REPLICATION_CHANGED)):
                await writer.write(lambda tx: tx.execute(NOTE_REPLICATION))


async def _run_shielded(writer: Writer) -> None:
    with anyio.CancelScope(shield=True):  # what was accepted is written, whatever is cancelled around it
        await writer.run()
