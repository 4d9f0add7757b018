"""What an ERP books by: that an order was cancelled, and what of it came back. Each is reported once.

A cancellation is the order's way into a state that means cancelled, not that a read shows it again. What came back is
counted by line (`PlatformMachine.came_back`); what was reported of it is kept with the order, and the difference is an
event. So a return that grows is reported piece by piece, and one that a read does not show for a while is not reported
again. An order that leaves a state that means returned was sent again: what comes back then is new.

An order that is imported says where it stands (`order.imported`); what happened to it before is not reported as if it
happened now.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from orchestrator.decisions.draft import Context, Draft
from orchestrator.platforms.client import OrderSnapshot
from statemachines.numbers import decimal_of, plain
from statemachines.target import Json
from statemachines.terms import Milestone, OrderState
from storage.records import Order

By = Literal["erp", "person"]
"""Whose doing of ours a change was: a target's, or a person's who marked its step as done by hand."""


def report_bookings(draft: Draft, ctx: Context, before: Order, *, by: By | None, cause: Mapping[str, Json]) -> None:
    """Emits what changed for the books since `before`. `by` None: it happened on the platform; `cause`: who cancelled
    the order and why, as far as that is known (`by`, `reason`)."""
    _report_cancelled(draft, before, by, cause)
    _report_returned(draft, ctx, before)


def cancellation_of(snapshot: OrderSnapshot | None) -> Mapping[str, Json]:
    """What a snapshot says of the order's cancellation, for `report_bookings`."""
    return (None if snapshot is None else snapshot.content.get("cancelled")) or {}


def _report_cancelled(draft: Draft, before: Order, by: By | None, cause: Mapping[str, Json]) -> None:
    order = draft.order
    if order.milestone != Milestone.CANCELLED or before.milestone == Milestone.CANCELLED:
        return
    target = before.intent.target if by is not None and before.intent is not None else None
    whose = by or cause.get("by") or "platform"
    draft.emit("order.cancelled", target, by=whose, reason=cause.get("reason"), state=order.state)


def _report_returned(draft: Draft, ctx: Context, before: Order) -> None:
    order = draft.order
    if before.is_provisional:
        return  # the first read: as an import
    is_back, was_back = order.milestone == Milestone.RETURNED, before.milestone == Milestone.RETURNED
    if order.facts is before.facts and is_back == was_back:
        return  # most steps
    reported = ctx.machine.came_back(_state_of(before)) if before.returned is None else before.returned
    now = ctx.machine.came_back(_state_of(order))
    if was_back and not is_back:
        _keep(draft, now)  # sent again
        return
    grown = {line: more for line, count in now.items() if (more := _more(count, reported.get(line, 0))) != 0}
    _keep(draft, {**reported, **{line: now[line] for line in grown}})
    if grown or (is_back and not was_back and not now):
        lines = [{"id": line, "quantity": more} for line, more in grown.items()]
        draft.emit("order.returned", lines=lines, state=order.state)


def _keep(draft: Draft, counts: Mapping[str, Json]) -> None:
    if dict(counts) != (draft.order.returned or {}):
        draft.change(returned=dict(counts))


def _more(count: Json, reported: Json) -> Json:
    """How much more that is, a whole number or a decimal as text; None where nobody says how many there are."""
    now, before = decimal_of(count), decimal_of(reported)
    if before is None:
        return 0
    if now is None:
        return None
    more = max(now - before, Decimal(0))
    return int(more) if more == more.to_integral_value() else plain(more)


def _state_of(order: Order) -> OrderState:
    return OrderState(order.state, order.platform_state, order.payment, order.facts)
