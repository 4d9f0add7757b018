"""The writer task: takes what has gathered (storage/gathering.py) and has the session commit it in its thread.

A group that waits for what another program, or another node's transaction, has locked stands aside now and then and is
run again: heartbeats go in between, so that nobody loses all shops because of one lock.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from psycopg.errors import LockNotAvailable

from storage.changes import Change
from storage.errors import StoreUnavailable
from storage.gathering import Gathering, Group
from storage.orders import LostUpdate
from storage.pending import Pending, Unit
from storage.postgres.session import Session
from storage.store import OnCommit, OnGroup
from storage.transaction import Published

T = TypeVar("T")

_TRIES: Final = 5

_LOCKED_SECONDS: Final = 10.0
"""After that, who waits for what is locked is answered, before it gives up by itself."""


class Writer:
    """Owns the session."""

    def __init__(self, session: Session, on_commit: OnCommit, on_group: OnGroup) -> None:
        self._session = session
        self._on_commit, self._on_group = on_commit, on_group
        self._thread = CapacityLimiter(1)
        self._waiting = Gathering()
        self._waiting_since: dict[Group, float] = {}  # groups that stood aside, and since when

    async def write(self, unit: Unit[T]) -> T:
        """As `Store.write`."""
        return await self._written(unit)

    async def write_bulk(self, unit: Unit[T]) -> T:
        """As `Store.write_bulk`."""
        return await self._written(unit, is_bulk=True)

    async def write_first(self, unit: Unit[T]) -> T:
        """As `Store.write_first`."""
        return await self._waiting.committed_first(Pending(unit))

    def change(self, change: Change) -> Coroutine[Any, Any, bool]:
        """As `Store.change`."""
        return self._committed(Pending.of(change))

    def gauges(self) -> Mapping[str, float]:
        """As `Store.gauges`."""
        counts = self._session.conflicts.counts
        return {"store_deadlocks": counts["deadlock"], "store_lock_waits": counts["lock_wait"]}

    def close(self) -> None:
        """Lets `run` end once everything that waits is committed."""
        self._waiting.close()

    async def run(self) -> None:
        """Gathers, commits, wakes. Ends when the store is closing and nothing waits."""
        while True:
            while not self._waiting:
                if self._waiting.is_closing:
                    return
                await self._waiting.wait()
            await self._commit(await self._waiting.take())

    async def _written(self, unit: Unit[T], *, is_bulk: bool = False) -> T:
        """What a unit has read another node may change before the unit writes it: then it is run again."""
        for _ in range(_TRIES - 1):
            with suppress(LostUpdate):
                return await self._committed(Pending(unit), is_bulk=is_bulk)
        return await self._committed(Pending(unit), is_bulk=is_bulk)

    def _committed(self, pending: Pending[T], *, is_bulk: bool = False) -> Coroutine[Any, Any, T]:
        return self._waiting.committed(pending, is_bulk=is_bulk)

    async def _commit(self, groups: Sequence[Group]) -> None:
        published: list[Published] = []
        began, members = anyio.current_time(), [pending for group in groups for pending in group.members]
        try:
            run = partial(self._session.run, members, is_heartbeat=groups[0].is_first)
            published = await to_thread.run_sync(run, limiter=self._thread)
        except StoreUnavailable as failure:
            if isinstance(failure.__cause__, LockNotAvailable) and self._may_wait(groups[0], began):
                self._session.conflicts.note("lock_wait", failure.__cause__)
                self._waiting.put_back(groups)
                return
            for pending in members:  # one each: several tasks raise them
                pending.error = StoreUnavailable(str(failure))
                pending.error.__cause__ = failure.__cause__
        except BaseException:
            for pending in members:  # nobody may take silence for success
                pending.error = StoreUnavailable(f"the writer of {self._session.where} ended")
            self._end(groups)
            raise
        self._end(groups)
        self._on_group(len(members), anyio.current_time() - began)
        if published:
            self._on_commit(published)

    def _may_wait(self, group: Group, began: float) -> bool:
        return anyio.current_time() - self._waiting_since.setdefault(group, began) < _LOCKED_SECONDS

    def _end(self, groups: Sequence[Group]) -> None:
        self._waiting_since.pop(groups[0], None)
        for group in groups:
            group.end()
