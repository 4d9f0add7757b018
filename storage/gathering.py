"""What waits for an engine's one writer: while one group is on its way to the disk the next one gathers, so the more is
going on, the cheaper each unit becomes. Bulk units (imports, long lists, retention) are long and wait apart: one of
them comes along with each group, so that a step or a target waits for one at most. A heartbeat goes before all, alone:
who is late with it loses its shops.

A caller that is cancelled does not undo its unit: it is committed or not as if the caller had waited.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import anyio
from anyio.lowlevel import checkpoint

from storage.errors import StoreUnavailable
from storage.pending import Pending

T = TypeVar("T")

_GROUP_LIMIT: Final = 256  # units in one commit: bounds how long a unit can wait behind others
_BULK_LIMIT: Final = 4  # bulk units in one commit while nothing else is to be written
_TURNS: Final = 2  # of the event loop, before a group is taken: what is about to be written comes along


class Group:
    """What commits together. `is_first`: a heartbeat, which goes before all and alone.

    Each step waits for one of these, and an event, which wakes those that wait by a future each, costs as much as all
    the rest of waiting. So here they are by themselves, of asyncio as the engines' connections are.
    """

    __slots__ = ("_waiters", "is_first", "members")

    def __init__(self, *, is_first: bool = False) -> None:
        self.is_first = is_first
        self.members: list[Pending[Any]] = []
        self._waiters: list[asyncio.Future[None]] = []

    def done(self) -> asyncio.Future[None]:
        """To be awaited by one task: that it committed, or failed."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        return waiter

    def end(self) -> None:
        """It committed, or failed."""
        for waiter in self._waiters:
            if not waiter.done():  # the task that waited was cancelled
                waiter.set_result(None)


class Gathering:
    """The groups that wait. One task takes them; `is_closing`: it ends when nothing waits."""

    def __init__(self) -> None:
        self.is_closing = False
        self._groups: deque[Group] = deque()
        self._bulk: deque[Group] = deque()  # of one unit each
        self._first: deque[Group] = deque()  # so are these
        self._again: deque[Sequence[Group]] = deque()
        self._wake = anyio.Event()

    def __bool__(self) -> bool:
        return bool(self._groups or self._bulk or self._first or self._again)

    def close(self) -> None:
        """Takes nothing more, and wakes the writer, which ends once everything that waits is committed."""
        self.is_closing = True
        self._wake.set()

    async def committed(self, pending: Pending[T], *, is_bulk: bool = False) -> T:
        """The result of a unit, once its group has ended. Raises its error, and StoreUnavailable after `close`."""
        if self.is_closing:
            raise StoreUnavailable("the store is closed")
        waiting = self._bulk if is_bulk else self._groups
        if not waiting:
            self._wake.set()
        if is_bulk or not waiting or len(waiting[-1].members) >= _GROUP_LIMIT:
            waiting.append(Group())
        group = waiting[-1]
        group.members.append(pending)
        await group.done()
        if pending.error is not None:
            raise pending.error
        return pending.result  # type: ignore[return-value]

    async def committed_first(self, pending: Pending[T]) -> T:
        """As `committed`, next of all and by itself."""
        if self.is_closing:
            raise StoreUnavailable("the store is closed")
        group = Group(is_first=True)
        group.members.append(pending)
        self._first.append(group)
        self._wake.set()
        await group.done()
        if pending.error is not None:
            raise pending.error
        return pending.result  # type: ignore[return-value]

    def put_back(self, groups: Sequence[Group]) -> None:
        """Has `take` answer these once more, as soon as no heartbeat waits."""
        self._again.appendleft(groups)

    async def wait(self, seconds: float | None = None) -> None:
        """Returns when there is something to write, at `close`, and after so many seconds."""
        self._wake = anyio.Event()
        with anyio.move_on_after(seconds):
            await self._wake.wait()

    async def take(self) -> Sequence[Group]:
        """What commits next, together."""
        for _ in range(_TURNS):
            await checkpoint()
        if self._first:
            return [self._first.popleft()]
        if self._again:
            return self._again.popleft()
        groups = [self._groups.popleft()] if self._groups else []
        bulk = min(len(self._bulk), 1 if groups else _BULK_LIMIT)
        return [*groups, *(self._bulk.popleft() for _ in range(bulk))]
