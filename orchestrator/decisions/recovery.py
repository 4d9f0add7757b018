"""Recovers orders whose driving was cut off: by the end of the last run, or by a bug.

Recovery does not execute anything: it marks such calls as uncertain and puts their orders back in the queue, where the
driver reads them before anything is sent again. There is one way into execution.
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator.decisions.damage import block_if_damaged, readable_drafts
from orchestrator.decisions.draft import Context, Draft
from orchestrator.decisions.problems import problem_of
from storage.due_orders import ids_with_intent, orders_with_intent
from storage.records import Situation
from storage.rows import DamagedRow
from storage.transaction import Transaction

_PAUSE_MS = 60_000  # of an order whose driving raised


def recover(tx: Transaction, ctx: Context, *, is_process_start: bool) -> int:
    """Queues every order of the shop again whose call was out; returns how many.

    `is_process_start`: the process is new, so an intent not marked uncertain means that the last process died during
    that call (a worker that is restarted in a living daemon, after a full disk say, does not mean that). After
    `recovery_limit` deaths in the same step the order is quarantined for a person: the call itself may be what kills
    the daemon.
    """
    drafts = _with_intent(tx, ctx)
    for draft in drafts:
        order = draft.order
        assert order.intent is not None
        crashes = order.crashes + (1 if is_process_start and not order.intent.is_uncertain else 0)
        draft.change(intent=order.intent.cut_off(), crashes=crashes, moved_at=ctx.now)
        if crashes >= ctx.policy.recovery_limit and order.situation is not Situation.BLOCKED:
            detail = f"the daemon died {crashes} times in step {order.intent.step}"
            draft.block(problem_of("quarantined", detail, order.intent.step, ctx.now))
        elif order.situation is not Situation.BLOCKED:
            draft.change(situation=Situation.QUEUED, due_at=order.next_attempt_at or ctx.now)
        draft.save(tx, ctx.now)
    return len(drafts)


def _with_intent(tx: Transaction, ctx: Context) -> list[Draft]:
    """The orders whose call was out; those that cannot be read are blocked."""
    shop = ctx.policy.shop
    try:
        return [Draft.of(tx, order) for order in orders_with_intent(tx, shop)]
    except DamagedRow:
        drafts, damaged = readable_drafts(tx, shop, ids_with_intent(tx, shop))
        for order_id in damaged:
            block_if_damaged(tx, shop, order_id, ctx.now)
        return drafts


def postpone_crashed(draft: Draft, ctx: Context, raised: str) -> None:
    """Puts an order off whose driving raised an exception (`raised`: which and where), and blocks it after
    `policy.attempts` times."""
    order = draft.order
    step = order.intent.step if order.intent is not None else None
    if order.intent is not None:
        draft.change(intent=order.intent.cut_off())
    draft.change(read_attempts=order.read_attempts + 1)
    if draft.order.read_attempts >= ctx.policy.attempts:
        detail = f"driving this order raised {raised}, each time: that is a bug, the daemon's log has it"
        problem = problem_of("attempts-exhausted", detail, step, ctx.now)
        draft.block(replace(problem, title="The daemon cannot drive the order"))
    else:
        due_at = ctx.now + _PAUSE_MS
        draft.change(situation=Situation.RETRYING, due_at=due_at, next_attempt_at=due_at)
