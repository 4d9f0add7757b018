"""One alarm for refused credentials: the shop pauses, however many calls were refused at once."""

from __future__ import annotations

from orchestrator.clock import Clock
from orchestrator.runtime.gate import Gate
from storage.events import append_event
from storage.shops import get_shop, pause_shop
from storage.store import Store
from storage.transaction import Transaction


async def pause_for_access(store: Store, gate: Gate, clock: Clock, shop: str, detail: str) -> None:
    """Closes the gate at once and keeps the pause as a row; a shop that is paused already stays as it is."""

    def unit(tx: Transaction) -> bool:
        now = clock.now_ms()
        if pause_shop(tx, shop, "access_denied", detail, now):
            append_event(tx, now, "shop.access_denied", shop=shop, data={"detail": detail})
        row = get_shop(tx, shop)
        return row is not None and row.paused_at is not None

    gate.set_paused(True)
    gate.set_paused(await store.write(unit))  # a person may have resumed the shop meanwhile: the row decides
