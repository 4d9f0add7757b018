"""What only the node that works for a shop can do: call its platform, stop and go on.

Commands use a shop's `Holder`: this node's worker, or a request to the node that has it (requests.py), which carries it
out with its own worker and answers the same, refusals included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import anyio

from orchestrator.clock import Clock
from orchestrator.decisions.refusals import Refused
from orchestrator.decisions.rejected import set_aside
from orchestrator.operations.commands.platform_refusals import platform_refusals
from orchestrator.platforms.failures import Unreadable
from orchestrator.platforms.json_text import is_whole
from orchestrator.runtime.reports import SyncReport
from orchestrator.runtime.worker import ShopWorker
from statemachines.machine import OrderState
from storage.records import Order
from storage.shops import get_shop
from storage.store import Store
from storage.transaction import Transaction

RETRY_SECONDS = 1
"""When a shop that is being started, or passes to another node, may be asked again."""


class Holder(Protocol):
    """The worker of one shop, wherever it is. Every method raises Refused."""

    async def read(self, order: str) -> Order:
        """Reads an order from the platform and keeps what that shows."""
        ...

    async def show(self, order: str) -> OrderState:
        """Reads an order from the platform and keeps nothing of it."""
        ...

    async def sync(self, wait_seconds: float | None) -> SyncReport | None:
        """Syncs now; with `wait_seconds` returns what was found, or None when time ran out."""
        ...

    async def refresh_soon(self, order: str) -> None:
        """A person made a step at an order: it is read once calls can be spared."""
        ...

    async def pause(self, unit: Callable[[Transaction], None]) -> None:
        """Stops the shop's steps and syncs. `unit` writes that a person paused it."""
        ...

    async def resume(self, unit: Callable[[Transaction], bool]) -> None:
        """Goes on, and syncs. `unit` writes that a person resumed it, and answers whether it goes on."""
        ...


@dataclass(frozen=True, slots=True)
class LocalHolder:
    """This node's worker."""

    store: Store
    clock: Clock
    worker: ShopWorker

    async def read(self, order: str) -> Order:
        """As `Holder.read`."""
        async with platform_refusals(self.store, self.worker, order):
            try:
                return await self.worker.reads.refresh(order)
            except Unreadable as failure:
                await self._set_aside(order, failure)
                raise

    async def _set_aside(self, order: str, failure: Unreadable) -> None:
        """Keeps an unreadable payload of an order, unless the answer is not about an order."""
        if is_whole(failure.payload):
            now, shop = self.clock.now_ms(), self.worker.name
            await self.worker.store.write(
                lambda tx: set_aside(tx, shop, "read", order, failure.detail, failure.payload, now)
            )

    async def show(self, order: str) -> OrderState:
        """As `Holder.show`."""
        async with platform_refusals(self.store, self.worker, order):
            return (await self.worker.reads.read(order)).order_state()

    async def sync(self, wait_seconds: float | None) -> SyncReport | None:
        """As `Holder.sync`."""
        if wait_seconds is None:
            self.worker.sync_schedule.ask_soon()
            return None
        with anyio.move_on_after(wait_seconds):
            async with platform_refusals(self.store, self.worker, None):
                return await self.worker.sync_schedule.ask()
        return None

    async def refresh_soon(self, order: str) -> None:
        """As `Holder.refresh_soon`."""
        self.worker.refresh_soon(order)

    async def pause(self, unit: Callable[[Transaction], None]) -> None:
        """As `Holder.pause`."""
        self.worker.pause()
        await self.store.write(unit)

    async def resume(self, unit: Callable[[Transaction], bool]) -> None:
        """As `Holder.resume`."""
        if await self.store.write(unit):
            self._go_on()

    async def follow_pause(self) -> None:
        """Does as the shop's row says, which another node wrote; whoever writes it meanwhile has the last word."""
        while True:
            row = await self.store.read(lambda tx: get_shop(tx, self.worker.name))
            is_paused = row is not None and row.paused_at is not None
            if is_paused == self.worker.admission.is_paused:
                return
            if is_paused:
                self.worker.pause()
            else:
                self._go_on()

    async def go_on(self) -> None:
        """As `follow_pause`, for a shop that a person resumed, even if it was not paused: what its platform asked for
        and the circuit are forgotten."""
        row = await self.store.read(lambda tx: get_shop(tx, self.worker.name))
        if row is not None and row.paused_at is None:
            self._go_on()
        await self.follow_pause()

    def _go_on(self) -> None:
        self.worker.resume()
        self.worker.sync_schedule.ask_soon()  # a person says that it works again, and wants to know whether it does


def nobody(shop: str) -> Refused:
    """The refusal of what needs a worker where there is none now."""
    return Refused(
        "overloaded", f"shop {shop} is being started; try again in a moment", retry_after_seconds=RETRY_SECONDS
    )
