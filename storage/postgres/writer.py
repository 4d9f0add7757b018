"""Gathers what is to be written into groups, as the writer of the embedded engine does: while one group is on its way
the next one gathers. Bulk units wait apart, and few of them come along.

A caller that is cancelled does not undo its unit: it is committed or not as if the caller had waited, and the
listeners are called.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import checkpoint

from storage.changes import Change
from storage.errors import StoreLost, StoreUnavailable
from storage.pending import Pending, Unit
from storage.postgres.session import Session
from storage.store import OnCommit, OnGroup
from storage.transaction import Published

T = TypeVar("T")

_GROUP_LIMIT: Final = 256  # units in one commit: bounds how long a unit can wait behind others
_BULK_LIMIT: Final = 4  # bulk units in one commit while nothing else is to be written
_GATHERING_TURNS: Final = 2  # of the event loop, before a group is taken: what is about to be written comes along


class _Group:
    """What commits together; `done` once it did, or failed."""

    __slots__ = ("done", "members")

    def __init__(self) -> None:
        self.members: list[Pending[Any]] = []
        self.done = anyio.Event()


class Writer:
    """Owns the session. `lost` says why the store is given up: it does not come back."""

    def __init__(self, session: Session, on_commit: OnCommit, on_group: OnGroup) -> None:
        self.lost: StoreLost | None = None
        self._session = session
        self._on_commit, self._on_group = on_commit, on_group
        self._thread = CapacityLimiter(1)
        self._groups: deque[_Group] = deque()
        self._bulk: deque[_Group] = deque()  # of one unit each
        self._wake = anyio.Event()
        self._closing = False

    async def write(self, unit: Unit[T]) -> T:
        """As `Store.write`."""
        return await self._committed(Pending(unit))

    async def write_bulk(self, unit: Unit[T]) -> T:
        """As `Store.write_bulk`."""
        return await self._committed(Pending(unit), is_bulk=True)

    async def change(self, change: Change) -> bool:
        """As `Store.change`."""
        return await self._committed(Pending.of(change))

    def refuse_lost(self) -> None:
        """Raises StoreLost once the store is lost."""
        if self.lost is not None:
            raise self.lost.again()

    def close(self) -> None:
        """Lets `run` end once everything that waits is committed."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """The writer task: gathers, commits, wakes. Ends when the store is closing and nothing waits."""
        while True:
            while not self._groups and not self._bulk:
                if self._closing:
                    return
                self._wake = anyio.Event()
                await self._wake.wait()
            for _ in range(_GATHERING_TURNS):
                await checkpoint()
            await self._commit(self._taken())

    async def _committed(self, pending: Pending[T], *, is_bulk: bool = False) -> T:
        if self._closing:
            raise StoreUnavailable("the store is closed")
        self.refuse_lost()
        waiting = self._bulk if is_bulk else self._groups
        if not waiting:
            self._wake.set()
        if is_bulk or not waiting or len(waiting[-1].members) >= _GROUP_LIMIT:
            waiting.append(_Group())
        group = waiting[-1]
        group.members.append(pending)
        await group.done.wait()
        if pending.error is not None:
            raise pending.error
        return pending.result  # type: ignore[return-value]

    def _taken(self) -> list[_Group]:
        groups = [self._groups.popleft()] if self._groups else []
        bulk = min(len(self._bulk), 1 if groups else _BULK_LIMIT)
        return [*groups, *(self._bulk.popleft() for _ in range(bulk))]

    async def _commit(self, groups: list[_Group]) -> None:
        published: list[Published] = []
        began, members = anyio.current_time(), [pending for group in groups for pending in group.members]
        try:
            self.refuse_lost()
            published = await to_thread.run_sync(self._session.run, members, limiter=self._thread)
        except StoreUnavailable as failure:
            for pending in members:  # one each: several tasks raise them
                pending.error = failure.again() if isinstance(failure, StoreLost) else StoreUnavailable(str(failure))
                pending.error.__cause__ = failure.__cause__
        except BaseException:
            for pending in members:  # nobody may take silence for success
                pending.error = StoreUnavailable(f"the writer of {self._session.where} ended")
            raise
        finally:
            for group in groups:
                group.done.set()
        self._on_group(len(members), anyio.current_time() - began)
        if published:
            self._on_commit(published)
