"""The store as everybody else sees it: units of work go in, results come out. Engines implement this."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from storage.transaction import Published, Transaction

T = TypeVar("T")


class Store(Protocol):
    """Runs units of work. Raises StoreUnavailable when the disk or the database is not there."""

    #: called in the event loop after each commit with the events that it published
    on_commit: Callable[[list[Published]], None]

    @property
    def url(self) -> str:
        """Where the data is, without secrets."""
        ...

    async def write(self, unit: Callable[[Transaction], T], /) -> T:
        """Runs `unit` in a transaction, answers its result once it is durable; its exception undoes it alone."""
        ...

    async def read(self, unit: Callable[[Transaction], T], /) -> T:
        """Runs `unit` in one consistent read-only snapshot."""
        ...
