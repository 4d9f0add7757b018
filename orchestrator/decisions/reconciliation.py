"""What a snapshot of an order changes in our record of it. Pure.

The platform is authoritative for its state: another state than ours is drift, which is recorded and planned from.
"""

from __future__ import annotations

from orchestrator.decisions.attention import end_attention
from orchestrator.decisions.bookings import cancellation_of, report_bookings
from orchestrator.decisions.changes import bounded, changes_of, shown_changes
from orchestrator.decisions.content_parcels import as_shown
from orchestrator.decisions.draft import Context, Draft, recorded_parcels
from orchestrator.decisions.parcels import take_parcels_back
from orchestrator.platforms.client import OrderSnapshot
from statemachines.target import Json
from storage.records import Kept, Order, TargetStatus

_WHERE_PAYMENT_STANDS = frozenset({"", "/payment", "/payment/status"})
_NOT_PAID = frozenset({"unpaid", "unknown"})


def reconcile(draft: Draft, ctx: Context, snapshot: OrderSnapshot, read_at: int) -> bool:
    """Takes over what the platform shows in a read that began at `read_at`; returns whether anything relevant differed.
    A blocked order is released where the cause of its block is gone."""
    before = draft.order
    parcels = recorded_parcels(before)
    pointers = as_shown(_pointers(draft, ctx, snapshot), snapshot.content, parcels)
    shown = as_shown(bounded(shown_changes(draft.kept, snapshot)), snapshot.content, parcels)
    _take_over(draft, ctx, snapshot, read_at)
    has_changed = _emit_changes(draft, before, pointers)
    if draft.order.state != before.state:
        _emit_drift(draft, ctx, before)
        end_attention(draft, "drift")
    report_bookings(draft, ctx, before, by=None, cause=cancellation_of(snapshot))
    if draft.order.state != before.state:
        draft.release("drift")
        return True
    if _was_stale(before, draft.kept) and not has_changed and not _is_underway(draft):
        order = draft.order
        data = {"reference": order.reference, "payment": order.payment, "state": order.state}
        draft.emit("order.refreshed", **data, changed=shown)
    is_another_input = (draft.order.facts, draft.order.payment) != (before.facts, before.payment)
    if is_another_input and before.problem is not None and before.problem.step is None:
        draft.release("change")  # a guard refused, and its input is another now
    return has_changed or is_another_input


def _pointers(draft: Draft, ctx: Context, snapshot: OrderSnapshot) -> list[str]:
    """Where the order differs from the snapshot before, for the ERP. A withdrawn payment is named in any case."""
    order = draft.order
    is_cancelled = ctx.machine.milestone(order.state) == "cancelled"
    found = changes_of(order, draft.kept, snapshot, is_cancelled=is_cancelled)
    is_taken_back = snapshot.payment == "unpaid" and order.payment not in _NOT_PAID
    if is_taken_back and _WHERE_PAYMENT_STANDS.isdisjoint(found):
        return sorted([*found, "/payment/status"])
    return found


def _take_over(draft: Draft, ctx: Context, snapshot: OrderSnapshot, read_at: int) -> None:
    """Takes over the order of the snapshot, and its payload where that differs from the one before."""
    order, known = draft.order, draft.order_state()
    is_changed = _is_changed(draft, snapshot)
    state = ctx.machine.observe(known, snapshot.order_state())
    draft.change(
        reference=snapshot.reference,
        state=state,
        platform_state=snapshot.state,
        milestone=ctx.machine.milestone(state),
        payment=snapshot.payment,
        facts=ctx.machine.merged_facts(known, snapshot.order_state()),
        content_hash=snapshot.content_hash,
        platform_updated_at=snapshot.platform_updated_at,
        observed_at=read_at,
        moved_at=ctx.passed(order.moved_at),
        gone_at=None,
        gone_detail=None,
        is_provisional=snapshot.is_provisional,
        payment_status=snapshot.payment_status,
    )
    take_parcels_back(draft, ctx.machine, order.state)
    if is_changed:
        draft.keep_payload(snapshot.payload, snapshot.content, read_at)


def _is_first_after_a_step(order: Order) -> bool:
    """Whether no observation showed the order since a step of ours ended: what is kept of it is of before."""
    return order.observed_at <= order.moved_at


def _was_stale(order: Order, kept: Kept | None) -> bool:
    """Whether a step of ours ended since the order was last shown. One that is to be read anyway (`observed_at` 0) was
    shown when its payload was kept, which the first observation after a step is."""
    shown_at = order.observed_at or (kept.read_at if kept is not None else None) or 0
    return 0 < shown_at <= order.moved_at


def _is_underway(draft: Draft) -> bool:
    """Whether more steps of the same target follow."""
    return bool(draft.targets) and draft.targets[0].status is TargetStatus.RUNNING


def _is_changed(draft: Draft, snapshot: OrderSnapshot) -> bool:
    """Whether a snapshot differs from the last one that was kept."""
    order, kept = draft.order, draft.kept
    known = (order.platform_state, order.payment, order.facts, order.content_hash, order.platform_updated_at)
    shown = (snapshot.state, snapshot.payment, snapshot.facts, snapshot.content_hash, snapshot.platform_updated_at)
    is_other_content = kept is not None and (kept.content != snapshot.content or not kept.is_exact)
    return order.is_provisional or _is_first_after_a_step(order) or known != shown or is_other_content


def _emit_changes(draft: Draft, before: Order, pointers: list[str]) -> bool:
    """Emits events about payment, differences and an order that is found again; returns whether there were any."""
    order = draft.order
    is_settled = before.payment == "unpaid" and order.payment not in _NOT_PAID
    if is_settled:
        draft.emit("order.payment_settled", payment=order.payment)
    is_back = before.gone_at is not None
    if pointers or is_back:
        data: dict[str, Json] = {"found_again": True} if is_back else {}
        data |= {"reference": order.reference, "payment": order.payment, "state": order.state, "changed": pointers}
        draft.emit("order.updated", **data)
    return is_settled or is_back or bool(pointers)


def _emit_drift(draft: Draft, ctx: Context, before: Order) -> None:
    state = draft.order.state
    draft.emit("order.drifted", **{"from": before.state}, to=state, milestone=ctx.machine.milestone(state))
