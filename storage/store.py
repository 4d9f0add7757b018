"""The store as everybody else sees it: units of work go in, results come out. Engines implement this."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from storage.changes import Change
from storage.errors import StoreLost
from storage.transaction import Published, Transaction

T = TypeVar("T")

OnCommit: TypeAlias = Callable[[list[Published]], object]
"""Called in the event loop after each commit with the events that it published."""

OnGroup: TypeAlias = Callable[[int, float], object]
"""Called after each commit of several units with how many there were and the seconds it took."""


def no_listener(*_: object) -> None:
    """The listener where there is none."""


class Commits:
    """Whoever has to know of commits. Made before the store, for listeners that need the store to be made join later;
    until then they have missed nothing, for they have not read anything either."""

    def __init__(self) -> None:
        self._listeners: list[OnCommit] = []

    def follow(self, listener: OnCommit) -> None:
        """Calls `listener` as `OnCommit` from now on."""
        self._listeners.append(listener)

    def __call__(self, published: list[Published]) -> None:
        for listener in self._listeners:
            listener(published)


class Store(Protocol):
    """Runs units of work. Raises StoreUnavailable when the disk or the database is not there."""

    @property
    def url(self) -> str:
        """Where the data is, without secrets."""
        ...

    @property
    def is_exclusive(self) -> bool:
        """Whether no other process can have the store open to write."""
        ...

    @property
    def state_directory(self) -> Path:
        """Where on this machine the daemon may keep files that belong to the store, such as access tokens."""
        ...

    async def write(self, unit: Callable[[Transaction], T], /) -> T:
        """Runs `unit` in a transaction, returns its result once it is durable; its exception undoes it alone."""
        ...

    async def write_bulk(self, unit: Callable[[Transaction], T], /) -> T:
        """As `write`, for one of many units that nobody waits for, such as those of an import: others go first."""
        ...

    async def write_first(self, unit: Callable[[Transaction], T], /) -> T:
        """As `write`, before all that waits and by itself."""
        ...

    async def change(self, change: Change, /) -> bool:
        """Writes a change, together with those of others. True once it is durable; False: it is stale, and nothing of
        it was written. It has an epoch. As with `write`, it is written whatever becomes of the caller."""
        ...

    async def read(self, unit: Callable[[Transaction], T], /) -> T:
        """Runs `unit` in one consistent read-only snapshot."""
        ...

    async def notify(self, channel: str, text: str) -> None:
        """Notifies the listeners of a channel, in every process that has the store open: this one's at once, others'
        beside whatever is written. A hint: it may come late, twice or not at all."""
        ...

    def listen(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """The notices of a channel from now on, without an end. Equal ones that wait may come as one."""
        ...

    async def watch(self, every_seconds: float) -> StoreLost:
        """Returns once the store is lost for good, checking every so often; never where that cannot be."""
        ...

    def gauges(self) -> Mapping[str, float]:
        """What the engine measures of itself right now, by the name of the metric."""
        ...
