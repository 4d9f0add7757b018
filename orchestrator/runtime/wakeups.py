"""What wakes the tasks of a shop's worker. Made before any of them, so that tasks need not know the worker.

The wake-up for due orders outlasts the worker: a signal during the start of a worker wakes that worker, which may have
read the store before the order was due.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import anyio

from orchestrator.clock import Clock
from storage.due_orders import shops_with_due_orders
from storage.errors import StoreError
from storage.store import Store

_DUE = "due"  # the channel of the names of shops

POLL_SECONDS: Final = 1.0
"""How often a node looks by itself for what others left due in its shops: a notice may be lost."""


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
    """`due` wakes the dispatcher, for something may be due; `admission` wakes the writer of the admission's row;
    `spare` wakes the reads that wait until a call can be spared."""

    def __init__(self, due: Wakeup) -> None:
        self.due, self.admission, self.spare = due, Wakeup(), Wakeup()

    def admission_changed(self) -> None:
        """Calls are admitted, refused or refused for another reason."""
        self.admission.ring()
        self.due.ring()
        self.spare.ring()


class DueWakeups:
    """Wakes the worker of a shop in which something may be due, on this node or another, now or once it is started."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._shops: dict[str, Wakeup] = {}

    def of(self, shop: str) -> Wakeup:
        """The wake-up of this node's worker of a shop."""
        known = self._shops.get(shop)
        if known is None:
            known = self._shops[shop] = Wakeup()
        return known

    def forget(self, shop: str) -> None:
        """The shop does not belong to this node any more."""
        self._shops.pop(shop, None)

    async def wake(self, shop: str, *, is_ours: bool) -> None:
        """Wakes the worker of a shop. `is_ours`: this node has it; otherwise the other nodes are notified, if any can
        be."""
        self.of(shop).ring()
        if not is_ours and not self._store.is_exclusive:
            await self._store.notify(_DUE, shop)

    async def listen(self) -> None:
        """Receives the wake-ups of other nodes, until cancelled, and looks by itself so often for what a lost one was
        about; returns at once where there can be none."""
        if self._store.is_exclusive:
            return
        async with anyio.create_task_group() as group:
            group.start_soon(self._receive)
            while True:
                await anyio.sleep(POLL_SECONDS)
                await self._look()

    async def _receive(self) -> None:
        async with self._store.listen(_DUE) as notices:
            async for shop in notices:
                if shop in self._shops:
                    self._shops[shop].ring()

    async def _look(self) -> None:
        shops, now = list(self._shops), self._clock.now_ms()
        with suppress(StoreError):  # the next look is soon
            for shop in await self._store.read(lambda tx: shops_with_due_orders(tx, shops, now)):
                self.of(shop).ring()
