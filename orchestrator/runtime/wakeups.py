"""What wakes the tasks of a shop's worker. Made before any of them, so that tasks need not know the worker.

What is due outlasts the worker: rung while one is being started it is heard by that one, which may have looked at the
store too early to see what it was rung for.
"""

from __future__ import annotations

from contextlib import suppress

import anyio

from storage.errors import StoreError
from storage.store import Store

_DUE = "due"  # the channel of the names of shops
_LISTEN_AGAIN_SECONDS = 5.0


class Wakeup:
    """A signal for one task. Rung several times it wakes once; rung while nobody waits, the next wait returns at
    once."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def ring(self) -> None:
        """Wakes the task."""
        self._event.set()

    async def wait(self) -> None:
        """Returns once it was rung since the last time."""
        await self._event.wait()
        self._event = anyio.Event()


class Wakeups:
    """`due` wakes the dispatcher, for something may be due; `gate` wakes the writer of the admission's row."""

    def __init__(self, due: Wakeup) -> None:
        self.due, self.gate = due, Wakeup()

    def gate_changed(self) -> None:
        """Calls are admitted, refused or refused for another reason."""
        self.gate.ring()
        self.due.ring()


class DueWakeups:
    """Something may be due in a shop: heard by whoever works for it, on this node or another, or will."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._shops: dict[str, Wakeup] = {}

    def of(self, shop: str) -> Wakeup:
        """What wakes this node's worker of a shop."""
        return self._shops.setdefault(shop, Wakeup())

    def forget(self, shop: str) -> None:
        """The shop is none of this node's any more."""
        self._shops.pop(shop, None)

    async def tell(self, shop: str, *, is_ours: bool) -> None:
        """Wakes who works for a shop. `is_ours`: that is this node; otherwise others are told, if there can be any."""
        self.of(shop).ring()
        if not is_ours and not self._store.is_exclusive:
            with suppress(StoreError):  # what is due is on disk, and its holder looks now and then without being told
                await self._store.notify(_DUE, shop)

    async def listen(self) -> None:
        """Hears what other nodes tell, until cancelled; returns at once where there can be none."""
        while not self._store.is_exclusive:
            with suppress(StoreError):
                async with self._store.listen(_DUE) as notices:
                    async for shop in notices:
                        if shop in self._shops:
                            self._shops[shop].ring()
            await anyio.sleep(_LISTEN_AGAIN_SECONDS)
