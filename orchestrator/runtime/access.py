"""One alarm for refused credentials: the shop pauses, however many calls were refused at once."""

from __future__ import annotations

from orchestrator.clock import Clock
from orchestrator.runtime.gate import Gate
from storage.events import append_event
from storage.shops import pause_shop
from storage.store import Store
from storage.transaction import Transaction


async def pause_for_access(store: Store, gate: Gate, clock: Clock, shop: str, detail: str) -> None:
    """Closes the gate at once and keeps the pause as a row; a shop that is paused already stays as it is."""

    def unit(tx: Transaction) -> None:
        now = clock.now_ms()
        if pause_shop(tx, shop, "access_denied", detail, now):
            append_event(tx, now, "shop.access_denied", shop=shop, data={"detail": detail})

    gate.set_paused(True)
    await store.write(unit)
