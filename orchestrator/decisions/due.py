"""What is due, ready to be decided on: a shop's due orders with their queues, in a few queries for all of them."""

from __future__ import annotations

from orchestrator.decisions.damage import readable_drafts
from orchestrator.decisions.draft import Draft
from storage.due_orders import due_ids, due_orders
from storage.rows import DamagedRow
from storage.targets import pending_targets_of
from storage.transaction import Transaction


def due_drafts(tx: Transaction, shop: str, now_ms: int, limit: int, longest_ms: int) -> tuple[list[Draft], list[str]]:
    """Drafts of the shop's orders that are due now, longest due first (`storage.due_orders`); and the ids of
    those among them that cannot be read."""
    try:
        orders = due_orders(tx, shop, now_ms, limit, longest_ms)
        queues = pending_targets_of(tx, shop, [order.id for order in orders]) if orders else {}
        return [Draft.with_queue(tx, order, queues.get(order.id, [])) for order in orders], []
    except DamagedRow:
        return readable_drafts(tx, shop, due_ids(tx, shop, now_ms, limit, longest_ms))
