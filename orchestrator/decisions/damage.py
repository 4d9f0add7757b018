"""Orders whose rows cannot be read: each is left out and blocked by itself, and the others go on."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.decisions.draft import Draft
from orchestrator.decisions.problems import problem_json
from storage.damage import damage_problem
from storage.events import append_event
from storage.orders import block_damaged
from storage.rows import DamagedRow
from storage.transaction import Transaction


def readable_drafts(tx: Transaction, shop: str, orders: Iterable[str]) -> tuple[list[Draft], list[str]]:
    """Drafts of those orders that can be read, each by itself; and the ids of the others."""
    drafts, damaged = [], []
    for order in orders:
        try:
            draft = Draft.load(tx, shop, order)
        except DamagedRow:
            damaged.append(order)
        else:
            drafts += [] if draft is None else [draft]
    return drafts, damaged


def block_if_damaged(tx: Transaction, shop: str, order: str, now: int) -> None:
    """Blocks an order that cannot be read, with an event. One that can be read by now, and one that is blocked, are
    left alone."""
    try:
        Draft.load(tx, shop, order)
    except DamagedRow as damage:
        problem = damage_problem([damage], now)
        if (blocked := block_damaged(tx, shop, order, problem)) is not None:
            state, target = blocked
            data = {"problem": problem_json(problem), "state": state}
            append_event(tx, now, "order.blocked", shop=shop, order=order, target=target, data=data)
