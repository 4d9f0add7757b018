"""What a person does to one order: retry, skip, hold, release, cancel. Pure changes of a draft; each raises Refused."""

from __future__ import annotations

from orchestrator.decisions.attention import end_attention
from orchestrator.decisions.draft import Context, Draft
from orchestrator.decisions.outcomes import apply_answer
from orchestrator.decisions.refusals import Refused
from orchestrator.decisions.submission import settle
from orchestrator.platforms.client import StepAnswer
from storage.records import Intent, PlanEntry, Situation, Target, TargetStatus, changed


def retry(draft: Draft, ctx: Context) -> None:
    """Tries a blocked or waiting step now."""
    order = draft.order
    if not can_retry(order.situation, has_problem=order.problem is not None):
        raise Refused("not-blocked", f"order {order.id} is {order.situation.value}, there is nothing to retry")
    is_without_step = order.problem is not None and order.problem.step is None
    _unblock(draft, "retry")
    if order.situation is Situation.WAITING or is_without_step:
        draft.change(observed_at=0)  # the known state made it wait or be refused: read first
        _begin_anew(draft)
    settle(draft, ctx)


def can_retry(situation: Situation, *, has_problem: bool) -> bool:
    """Whether there is something to try again of an order."""
    can_go = situation in (Situation.BLOCKED, Situation.RETRYING, Situation.WAITING, Situation.QUEUED)
    return can_go or (situation is Situation.HELD and has_problem)


def skip(draft: Draft, ctx: Context, reason: str | None) -> None:
    """The blocked step was done by hand: it counts as done, with the person's reason in the feed."""
    order = draft.order
    if not reason or not reason.strip():
        raise Refused("reason-required", "skip needs a reason: say how the step was done by hand")
    head = draft.targets[0] if draft.targets else None
    if head is None or order.problem is None or head.status is not TargetStatus.BLOCKED:
        raise Refused("not-blocked", f"order {order.id} is {order.situation.value}, no step of it is blocked")
    entry = _blocked_entry(head, order.problem.step)
    if entry is None:
        raise Refused("not-allowed", f"{order.problem.type} is not about a step, so there is none to skip")
    draft.change(intent=Intent(head.id, entry.step, entry.source, entry.to, ctx.now))
    apply_answer(draft, ctx, StepAnswer(None), how="by_hand", reason=reason)
    _unblock(draft, "skip")
    settle(draft, ctx)


def _blocked_entry(head: Target, step: str | None) -> PlanEntry | None:
    left = head.plan[head.steps_done :]
    return left[0] if left and left[0].step == step else None


def hold(draft: Draft, ctx: Context, reason: str | None) -> None:
    """Stops before the next step; a running call finishes. Holding twice keeps the first hold."""
    if draft.order.held_at is None:
        draft.change(held_at=ctx.now, held_reason=reason)
        draft.emit("order.held", **({"reason": reason} if reason else {}))
    settle(draft, ctx)


def release(draft: Draft, ctx: Context) -> None:
    """Ends a hold, and the ERP's wish that a person looks at the order."""
    order = draft.order
    if order.held_at is None and order.attention_at is None:
        detail = f"order {order.id} is {order.situation.value}, neither held nor in need of attention"
        raise Refused("not-held", detail)
    if order.held_at is not None:
        draft.change(held_at=None, held_reason=None)
    end_attention(draft, "release")
    draft.emit("order.released", by="release")
    settle(draft, ctx)


def announce(draft: Draft) -> None:
    """Emits once more where the order stands, for readers who are past what was said of it. Changes nothing."""
    order = draft.order
    data = {"state": order.state, "milestone": order.milestone, "reference": order.reference, "payment": order.payment}
    draft.emit("order.announced", **data)


def cancel(draft: Draft, ctx: Context) -> None:
    """Drops all targets. A call that is out is still recorded when it ends."""
    for target in list(draft.targets):
        draft.finish(target, TargetStatus.CANCELLED, ctx.now)
    draft.change(attempts=0, read_attempts=0, crashes=0)
    settle(draft, ctx)


def cancel_target(draft: Draft, ctx: Context, target: Target) -> None:
    """Drops one target; the next in the queue goes on."""
    if target.status.is_end:
        raise Refused("already-finished", f"target {target.id} is {target.status.value} already")
    is_head = bool(draft.targets) and draft.targets[0].id == target.id
    draft.finish(target, TargetStatus.CANCELLED, ctx.now)
    if is_head:
        draft.change(attempts=0, read_attempts=0, crashes=0)
    settle(draft, ctx)


def drop(draft: Draft, now: int, targets: list[Target]) -> None:
    """Drops targets of an order whose shop is not in the config, so that nothing drives it: the next move is decided
    when the shop is back."""
    head = draft.targets[0] if draft.targets else None
    for target in targets:
        if target.status.is_end:
            raise Refused("already-finished", f"target {target.id} is {target.status.value} already")
        draft.finish(target, TargetStatus.CANCELLED, now)
    if draft.targets and head is not None and draft.targets[0].id == head.id:
        return
    draft.change(attempts=0, read_attempts=0, crashes=0, next_attempt_at=None, wait=None)
    if draft.order.held_at is not None:
        return
    if draft.targets:
        draft.change(situation=Situation.QUEUED, due_at=now)
    else:
        draft.change(situation=Situation.IDLE, due_at=None)


def _begin_anew(draft: Draft) -> None:
    """Queues the head again, so that it is preceded by a read when the known state is old."""
    if draft.targets:
        draft.put(changed(draft.targets[0], status=TargetStatus.QUEUED))


def _unblock(draft: Draft, by: str) -> None:
    head = draft.targets[0] if draft.targets else None
    was_blocked = draft.order.problem is not None
    if head is not None and head.status is TargetStatus.BLOCKED:
        draft.put(changed(head, status=TargetStatus.RUNNING, problem=None))
    draft.change(problem=None, attempts=0, read_attempts=0, crashes=0, next_attempt_at=None)
    if was_blocked:
        draft.emit("order.released", head.id if head is not None else None, by=by)
