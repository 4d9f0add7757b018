"""What a person does to a whole shop: this node's worker stops, goes on and syncs."""

from __future__ import annotations

import anyio

from orchestrator.operations.commands.platform_refusals import platform_refusals
from orchestrator.operations.commands.services import CommandGroup
from orchestrator.runtime.accounts import resume
from orchestrator.runtime.reports import SyncReport
from storage.events import append_event
from storage.shops import pause_shop, save_admission
from storage.transaction import Transaction


class ShopCommands(CommandGroup):
    """What is done with shops."""

    async def pause(self, shop: str, reason: str | None) -> None:
        """Stops a shop's steps and syncs until it is resumed; running calls finish."""
        worker = await self._services.worker(shop)

        def unit(tx: Transaction) -> None:
            now = self._services.clock.now_ms()
            if pause_shop(tx, shop, "person", reason or "", now):
                append_event(tx, now, "shop.paused", shop=shop, data={"by": "person", "reason": reason})

        worker.pause()
        await self._services.store.write(unit)

    async def resume(self, shop: str) -> None:
        """Ends a pause, whoever caused it, and closes the circuit. A shop whose name means another account
        stays paused for that, if the ended pause had another cause."""
        worker = await self._services.worker(shop)
        identity = self._services.supervisor.shops()[shop].identity

        def unit(tx: Transaction) -> bool:
            save_admission(tx, shop, "closed", None, None, None)
            return resume(tx, shop, identity, self._services.clock.now_ms())

        if not await self._services.store.write(unit):
            return
        worker.resume()
        worker.sync_schedule.ask_soon()  # a person says that it works again, and wants to know whether it does

    async def sync(self, shop: str, wait_seconds: float | None = None) -> SyncReport | None:
        """Syncs now; with `wait_seconds` returns what was found, or None when time ran out."""
        worker = await self._services.worker(shop)
        if wait_seconds is None:
            worker.sync_schedule.ask_soon()
            return None
        with anyio.move_on_after(wait_seconds):
            async with platform_refusals(self._services.store, worker, None):
                return await worker.sync_schedule.ask()
        return None
