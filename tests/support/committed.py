"""A signal for tests: the store has committed something, so what a test waits for may be there now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


class Committed:
    """Handed to a store as its `on_group`, which is called once what was committed can be read."""

    def __init__(self) -> None:
        self._next = anyio.Event()

    def __call__(self, _units: int, _seconds: float) -> None:
        self._next.set()
        self._next = anyio.Event()

    async def until(self, read: Callable[[], Awaitable[T]], condition: Callable[[T], object]) -> T:
        """What `read` finds in the store, as soon as `condition` says that it is as wanted."""
        while True:
            following = self._next  # before the read: a commit that it just missed counts
            found = await read()
            if condition(found):
                return found
            await following.wait()
