"""What a start does about calls that were out when the last run ended.

Recovery does not execute anything: it marks such calls as uncertain and puts their orders back in the queue, where the
driver reads them before anything is sent again. There is one road into execution.
"""

from __future__ import annotations

from orchestrator.decisions.draft import Context, Draft, problem_of
from storage.orders import orders_with_intent
from storage.records import Situation
from storage.transaction import Transaction


def recover(tx: Transaction, ctx: Context, *, is_after_death: bool) -> int:
    """Re-enqueues every order of the shop whose call was out; answers how many.

    `is_after_death`: the process is new, so an intent not marked uncertain means that it died during that
    call (a worker that is restarted in a living daemon, after a full disk say, proves nothing). After `recovery_limit`
    deaths in the same step the order is quarantined for a person: the call itself may be what kills the daemon.
    """
    orders = orders_with_intent(tx, ctx.policy.shop)
    for order in orders:
        assert order.intent is not None
        draft = Draft.of(tx, order)
        crashes = order.crashes + (1 if is_after_death and not order.intent.is_uncertain else 0)
        draft.change(intent=order.intent.cut_off(), crashes=crashes, moved_at=ctx.now)
        if crashes >= ctx.policy.recovery_limit and order.situation is not Situation.BLOCKED:
            detail = f"the daemon died {crashes} times in step {order.intent.step}"
            draft.block(problem_of("quarantined", detail, order.intent.step, ctx.now))
        elif order.situation is not Situation.BLOCKED:
            draft.change(situation=Situation.QUEUED, due_at=order.next_attempt_at or ctx.now)
        draft.save(tx, ctx.now)
    return len(orders)
