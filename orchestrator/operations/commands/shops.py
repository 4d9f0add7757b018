"""What a person does to a whole shop: whoever works for it stops, goes on and syncs."""

from __future__ import annotations

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
        holder = await self._services.holder(shop)

        def unit(tx: Transaction) -> None:
            now = self._services.clock.now_ms()
            if pause_shop(tx, shop, "person", reason or "", now):
                append_event(tx, now, "shop.paused", shop=shop, data={"by": "person", "reason": reason})

        await holder.pause(unit)

    async def resume(self, shop: str) -> None:
        """Ends a pause, whoever caused it, and closes the circuit. A shop whose name means another account
        stays paused for that, if the ended pause had another cause."""
        holder = await self._services.holder(shop)
        identity = self._services.supervisor.shops()[shop].identity

        def unit(tx: Transaction) -> bool:
            save_admission(tx, shop, "closed", None, None, None)
            return resume(tx, shop, identity, self._services.clock.now_ms())

        await holder.resume(unit)

    async def sync(self, shop: str, wait_seconds: float | None = None) -> SyncReport | None:
        """Syncs now; with `wait_seconds` returns what was found, or None when time ran out."""
        return await (await self._services.holder(shop)).sync(wait_seconds)
