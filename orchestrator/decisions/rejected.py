"""Payloads that could not be read are set aside, and the feed says so, once for each."""

from __future__ import annotations

from orchestrator.platforms.json_text import storable
from storage.events import append_event
from storage.rejected import add_rejected
from storage.transaction import Transaction


def set_aside(
    tx: Transaction, shop: str, source: str, order: str | None, error: str, payload: bytes, now_ms: int
) -> bool:
    """Keeps a payload and tells of it; False when the same bytes of this shop are kept already, which is no news.

    `source`: where it came from (`poll`, `read`, `webhook`).
    """
    error, order = storable(error), None if order is None else storable(order)
    kept = add_rejected(tx, shop, source, order, error, payload, now_ms)
    if kept is None:
        return False
    data = {"id": kept, "source": source, "error": error}
    append_event(tx, now_ms, "import.rejected", shop=shop, order=order, data=data)
    return True
