"""What a look at an order changes of what we know of it. Pure.

The platform is the truth about its state: another state than ours is drift, which is recorded and planned from.
"""

from __future__ import annotations

from orchestrator.decisions.changes import changes_of
from orchestrator.decisions.draft import Context, Draft
from orchestrator.platforms.client import OrderSnapshot
from statemachines.target import Json
from storage.records import Order

_WHERE_PAYMENT_STANDS = frozenset({"", "/payment", "/payment/status"})
_NOT_PAID = frozenset({"unpaid", "unknown"})


def reconcile(draft: Draft, ctx: Context, seen: OrderSnapshot, read_at: int) -> bool:
    """Takes over what the platform shows, in a look that began at `read_at`; answers whether anything that matters
    differed. What blocked the order is released where it no longer describes it."""
    before = draft.order
    pointers = _pointers(draft, ctx, seen)
    _take_over(draft, ctx, seen, read_at)
    is_news = _tell(draft, before, pointers)
    if draft.order.state != before.state:
        _tell_drift(draft, ctx, before)
        draft.release("drift")
        return True
    is_mended = (draft.order.facts, draft.order.payment) != (before.facts, before.payment)
    if is_mended and before.problem is not None and before.problem.step is None:
        draft.release("change")  # a guard refused, and what it looks at is another now
    return is_news or is_mended


def _pointers(draft: Draft, ctx: Context, seen: OrderSnapshot) -> list[str]:
    """Where the order differs from the look before, for the ERP. A payment that is taken back is named in any case."""
    order = draft.order
    is_cancelled = ctx.machine.milestone(order.state) == "cancelled"
    found = changes_of(order, draft.kept, seen, is_cancelled=is_cancelled)
    is_taken_back = seen.payment == "unpaid" and order.payment not in _NOT_PAID
    if is_taken_back and _WHERE_PAYMENT_STANDS.isdisjoint(found):
        return sorted([*found, "/payment/status"])
    return found


def _take_over(draft: Draft, ctx: Context, seen: OrderSnapshot, read_at: int) -> None:
    """The order as it is shown, and its payload where that shows anything that the one before did not."""
    order, known = draft.order, draft.standing()
    is_another = _shows_another(draft, seen)
    state = ctx.machine.observe(known, seen.standing())
    draft.change(
        reference=seen.reference,
        state=state,
        platform_state=seen.state,
        milestone=ctx.machine.milestone(state),
        payment=seen.payment,
        facts=ctx.machine.merged_facts(known, seen.standing()),
        content_hash=seen.content_hash,
        platform_updated_at=seen.platform_updated_at,
        observed_at=read_at,
        moved_at=ctx.passed(order.moved_at),
        gone_at=None,
        gone_detail=None,
        is_provisional=seen.is_provisional,
    )
    if is_another:
        draft.keep_look(seen.payload, seen.content, read_at)


def _shows_another(draft: Draft, seen: OrderSnapshot) -> bool:
    """Whether a look shows anything that the last one that was kept did not."""
    order, kept = draft.order, draft.kept
    known = (order.platform_state, order.payment, order.facts, order.content_hash, order.platform_updated_at)
    shown = (seen.state, seen.payment, seen.facts, seen.content_hash, seen.platform_updated_at)
    is_first_after_a_step = order.observed_at <= order.moved_at
    is_other_content = kept is not None and kept.content != seen.content
    return order.is_provisional or is_first_after_a_step or known != shown or is_other_content


def _tell(draft: Draft, before: Order, pointers: list[str]) -> bool:
    """Tells of payment, of what differs and of an order that is found again; answers whether there was any of it."""
    order = draft.order
    is_settled = before.payment == "unpaid" and order.payment not in _NOT_PAID
    if is_settled:
        draft.emit("order.payment_settled", payment=order.payment)
    is_back = before.gone_at is not None
    if pointers or is_back:
        told: dict[str, Json] = {"found_again": True} if is_back else {}
        told |= {"reference": order.reference, "payment": order.payment, "state": order.state, "changed": pointers}
        draft.emit("order.updated", **told)
    return is_settled or is_back or bool(pointers)


def _tell_drift(draft: Draft, ctx: Context, before: Order) -> None:
    state = draft.order.state
    draft.emit("order.drifted", **{"from": before.state}, to=state, milestone=ctx.machine.milestone(state))
