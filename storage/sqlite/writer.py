"""The one connection that writes: the writer task takes what has gathered (storage/gathering.py) into one transaction
and commits once with synchronous=FULL.

Exactly one connection writes and checkpoints; SQLite before 3.51.3 can lose commits when one connection checkpoints
while another commits (docs/pitfalls.md S0).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import anyio

from storage.changes import Change
from storage.errors import StoreLost, StoreUnavailable
from storage.gathering import Gathering, Group
from storage.pending import Pending, Unit
from storage.sqlite.connection import BUSY_MS, Connection
from storage.sqlite.footing import Footing
from storage.sqlite.group import run_group
from storage.store import OnCommit, OnGroup
from storage.transaction import Published

T = TypeVar("T")

_CHECKPOINT_SECONDS = 300.0


class Writer:
    """Owns the writing connection. `lost` says why the store is given up (its files were removed or replaced): it does
    not come back."""

    def __init__(
        self, path: Path, connection: Connection, footing: Footing, on_commit: OnCommit, on_group: OnGroup
    ) -> None:
        self.lost: StoreLost | None = None
        self._path = path
        self._connection = connection
        self._footing = footing
        self._on_commit, self._on_group = on_commit, on_group
        self._is_lost = anyio.Event()
        self._waiting = Gathering()

    async def write(self, unit: Unit[T]) -> T:
        """As `Store.write`."""
        return await self._committed(Pending(unit))

    async def write_bulk(self, unit: Unit[T]) -> T:
        """As `Store.write_bulk`."""
        return await self._committed(Pending(unit), is_bulk=True)

    async def write_first(self, unit: Unit[T]) -> T:
        """As `Store.write_first`."""
        if not self._waiting.is_closing:
            self.refuse_lost()
        return await self._waiting.committed_first(Pending(unit))

    def change(self, change: Change) -> Coroutine[Any, Any, bool]:
        """As `Store.change`."""
        return self._committed(Pending.of(change))

    def _committed(self, pending: Pending[T], *, is_bulk: bool = False) -> Coroutine[Any, Any, T]:
        if not self._waiting.is_closing:
            self.refuse_lost()
        return self._waiting.committed(pending, is_bulk=is_bulk)

    def close(self) -> None:
        """Lets `run` end once everything that waits is committed."""
        self._waiting.close()

    async def run(self) -> None:
        """The writer task: gathers, commits, wakes. Ends when the store is closing and nothing waits."""
        last_checkpoint = anyio.current_time()
        while True:
            if not self._waiting:
                if self._waiting.is_closing:
                    return
                await self._waiting.wait(_CHECKPOINT_SECONDS)
            if anyio.current_time() - last_checkpoint > _CHECKPOINT_SECONDS:
                with suppress(sqlite3.Error, StoreLost):  # tried again; commits say what is wrong with disk or files
                    await self._connection.run(self._checkpoint)
                last_checkpoint = anyio.current_time()
            if self._waiting:
                await self._commit(await self._waiting.take())

    # -- whether the store is still ours -----------------------------------------------------------------------------

    def refuse_lost(self) -> None:
        """Raises StoreLost once the store is lost."""
        if self.lost is not None:
            raise self.lost.again()

    async def watch(self, every_seconds: float) -> StoreLost:
        """Returns once the store is lost; checks for it also while nothing is written."""
        while self.lost is None:
            with anyio.move_on_after(every_seconds):
                await self._is_lost.wait()
            if self.lost is None:
                try:
                    await self._connection.run(lambda _: self._footing.check())
                except StoreLost as lost:
                    self._lose(lost)
        return self.lost

    async def is_overwritten(self) -> bool:
        """Whether another program wrote into the files, at the end too."""
        return await self._connection.run(lambda _: self._footing.overwritten()) is not None

    def _lose(self, lost: StoreLost) -> None:
        self.lost = self.lost or lost
        self._is_lost.set()

    # -- in the connection's thread, and around it -------------------------------------------------------------------

    async def _commit(self, groups: Sequence[Group]) -> None:
        published: list[Published] = []
        began, members = anyio.current_time(), [pending for group in groups for pending in group.members]
        try:
            published = await self._connection.run(lambda connection: self._run_on_footing(connection, members))
        except StoreLost as lost:
            self._lose(lost)
            for pending in members:
                pending.error = lost.again()
        except sqlite3.Error as error:
            for pending in members:  # one each: several tasks raise them
                pending.error = StoreUnavailable(
                    f"writing {self._path} failed: {error}; free disk space or repair the disk"
                )
                pending.error.__cause__ = error
        except BaseException:
            for pending in members:  # nobody may take silence for success
                pending.error = StoreUnavailable(f"the writer of {self._path} ended")
            raise
        finally:
            for group in groups:
                group.end()
        self._on_group(len(members), anyio.current_time() - began)
        if published:
            self._on_commit(published)

    def _run_on_footing(self, connection: sqlite3.Connection, group: list[Pending[Any]]) -> list[Published]:
        """Commits the group. It is believed only if the store's names still lead to what was written; a group that
        comes after that is not even begun. Raises StoreLost."""
        if self.lost is not None:
            raise self.lost
        self._footing.check()
        try:
            published = run_group(connection, group)
        finally:
            self._footing.wrote()
        self._footing.check()
        return published

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        self._footing.check()  # or what another program wrote would be taken for ours afterwards
        try:
            _truncate_wal(connection)
        finally:
            self._footing.wrote()


def _truncate_wal(connection: sqlite3.Connection) -> None:
    """Only if no reader is in the way: waiting for one (a backup) would keep every commit waiting."""
    connection.execute("PRAGMA busy_timeout=0")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
