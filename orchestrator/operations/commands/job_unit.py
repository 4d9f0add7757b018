"""One unit of work of a job: a few orders of one shop, each operated or refused, in one transaction with what the job
knows of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from orchestrator.decisions import bulk, interventions
from orchestrator.decisions.bulk import ENDS_BLOCKS, Action
from orchestrator.decisions.draft import Draft
from orchestrator.decisions.refusals import Refused
from orchestrator.operations.order_filter import Configured, Wanted, column_has_cause, order_filter
from orchestrator.runtime.rules import Rules
from storage.jobs import Job, keep_operated, note_progress, take_orders
from storage.order_search import OrderFilter, fitting_orders
from storage.records import Json, Situation
from storage.rows import DamagedRow
from storage.transaction import Transaction

log = structlog.get_logger()

MISTAKE: Final = "the daemon made a mistake; its log has more"
_UNKNOWN_STATE = "unknown-state"

Read = Mapping[str, Refused | None]
"""Orders that were read from their platform, by id; why not, where that failed."""


@dataclass(slots=True)
class Outcome:
    """What became of some orders. `next_at`: when the shop's next one may become due; `operated`: those that were
    operated; `refusals`: as a job has them."""

    next_at: float
    operated: list[str] = field(default_factory=list)
    refusals: dict[str, dict[str, Json]] = field(default_factory=dict)

    def refuse(self, type_: str, detail: str, shop: str, order: str) -> None:
        """Counts an order that is left as it is."""
        known = self.refusals.setdefault(type_, {"count": 0, "detail": detail, "shop": shop, "order": order})
        known["count"] += 1


@dataclass(frozen=True, slots=True)
class Unit:
    """What is decided by. `rules`: None for a shop that is not configured; `read`: orders that need nothing else;
    `next_at`: when the first order may become due, `spacing_ms`: from one to the next."""

    job: Job
    rules: Rules | None
    configured: Configured
    shop: str
    read: Read
    now: int
    next_at: float
    spacing_ms: float

    def run(self, tx: Transaction, piece: int, most: int) -> Outcome:
        """Takes so many orders from a piece and operates them."""
        outcome, orders = Outcome(self.next_at), take_orders(tx, piece, most)
        try:
            fits = _fitting(tx, self.configured, self.job, self.shop, orders) | self.read.keys()
        except Refused as refusal:  # the config knows a name in the filter no more
            for order in orders:
                outcome.refuse(refusal.slug, refusal.detail, self.shop, order)
            fits, orders_left = set(), []
        else:
            orders_left = orders
        for order in orders_left:
            if order in fits:
                self._operate(tx, order, outcome)
            else:
                detail = f"order {order} is not as it was when it was selected: the filter does not find it any more"
                outcome.refuse("changed", detail, self.shop, order)
        if self.job.action in ENDS_BLOCKS:
            keep_operated(tx, self.job.id, self.shop, outcome.operated)
        if orders:
            note_progress(tx, self.job.id, len(outcome.operated), outcome.refusals, self.now)
        return outcome

    def _operate(self, tx: Transaction, order: str, outcome: Outcome) -> None:
        try:
            draft = Draft.load(tx, self.shop, order)
        except DamagedRow as damage:
            outcome.refuse("internal-error", str(damage), self.shop, order)
            return
        if draft is None:
            outcome.refuse("order-not-found", f"order {order} is not known any more", self.shop, order)
            return
        try:
            goes_on = self._decide(draft, order, outcome.next_at)
        except Refused as refusal:
            outcome.refuse(refusal.slug, refusal.detail, self.shop, order)
            return
        except Exception:  # supervised: a bug in one order's decision is not the others'
            log.exception("order.crashed", shop=self.shop, order=order)
            outcome.refuse("internal-error", MISTAKE, self.shop, order)
            return
        bulk.note(draft, self.job.action, self.job.id, self.job.asked_by, self.job.reason)
        if order in self.read:
            draft.save_events(tx, self.now)
        else:
            draft.save(tx, self.now)
        outcome.operated.append(order)
        outcome.next_at += self.spacing_ms if goes_on else 0

    def _decide(self, draft: Draft, order: str, due_at: float) -> bool:
        """Decides on an order; returns whether it goes on by that. Raises Refused."""
        if order in self.read:
            if (refusal := self.read[order]) is not None:
                raise refusal
            return False
        action = Action(self.job.action)
        if self.rules is not None:
            ctx = self.rules.context(self.now)
            return bulk.operate(draft, ctx, action, self.job.reason, int(due_at))
        if action is not Action.CANCEL:
            detail = f"shop {self.shop} is not in the config any more: of its orders only targets can be cancelled"
            raise Refused("shop-not-found", detail)
        interventions.drop(draft, self.now, list(draft.targets))
        return False


def unknown_states(tx: Transaction, configured: Configured, job: Job, shop: str, orders: Sequence[str]) -> list[str]:
    """Those of a job's orders that wait in a state that is not known, in their sequence: only another read of them can
    show one that is."""
    found = {row[0] for row in fitting_orders(tx, shop, orders, OrderFilter(problem=_UNKNOWN_STATE))}
    if not found:
        return []
    try:
        fits = _fitting(tx, configured, job, shop, orders)
    except Refused:
        return []
    return [order for order in orders if order in found and order in fits]


def _fitting(tx: Transaction, configured: Configured, job: Job, shop: str, orders: Sequence[str]) -> set[str]:
    """Those of a job's orders that its filter still finds. One that waits because its shop does is found by what it
    would do else, too: that comes and goes with every pause of the platform. Raises Refused."""
    wanted = Wanted(**job.wanted)
    waiting = [shop] if wanted.situation == Situation.WAITING else ()
    fits = order_filter(tx, configured, wanted, waiting)
    if fits is None or not orders:
        return set()
    return {row[0] for row in fitting_orders(tx, shop, orders, fits) if column_has_cause(row[1], wanted.cause)}
