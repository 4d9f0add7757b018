"""An order that the ERP asks a person to look at: begun by a target `attention`, on every platform alike.

It moves nothing and holds nothing back; it is shown until somebody releases the order or the order moves on: another
target of it is reached, its state changes, or the platform has it no more.
"""

from __future__ import annotations

from typing import Literal

from orchestrator.decisions.draft import Draft
from statemachines.terms import Milestone
from storage.records import Target, TargetStatus

Ending = Literal["release", "target", "drift", "gone"]
"""Why nobody has to look at an order any more."""


def reach(draft: Draft, target: Target, now: int) -> None:
    """Ends a target that is reached: a person is asked for now, or the order moved on."""
    draft.finish(target, TargetStatus.REACHED, now)
    if target.milestone != Milestone.ATTENTION:
        end_attention(draft, "target")
        return
    reason, order = draft.request(target).reason, draft.order
    if order.attention_at is not None and order.attention_reason == reason:
        return
    draft.change(attention_at=now, attention_reason=reason)
    draft.emit("order.attention", target.id, reason=reason, state=order.state, milestone=order.milestone)


def end_attention(draft: Draft, by: Ending) -> None:
    """Nobody has to look at the order any more, if somebody had to."""
    if draft.order.attention_at is None:
        return
    reason = draft.order.attention_reason
    draft.change(attention_at=None, attention_reason=None)
    draft.emit("order.attention_ended", by=by, reason=reason)
