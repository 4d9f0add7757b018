"""What an outcome does to an order. Pure: each function changes a draft; `advance` then decides what is next."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.backoff import full_jitter
from orchestrator.decisions.changes import changes_of
from orchestrator.decisions.draft import Context, Draft, problem_json, problem_of
from orchestrator.platforms.client import Seen, StepAnswer
from orchestrator.platforms.failures import (
    AccessDenied,
    NotFound,
    OutOfSequence,
    PlatformFailure,
    Transient,
)
from statemachines.target import Json
from storage.records import Intent, Kept, Order, Problem, TargetStatus, changed


def apply_answer(
    draft: Draft, ctx: Context, answer: StepAnswer, how: str = "called", reason: str | None = None
) -> None:
    """The step of the intent is done: the order moves, the target comes one step further. `reason`: a person's."""
    intent = draft.order.intent
    assert intent is not None
    facts = draft.order.facts
    after = ctx.machine.after(draft.standing(), intent.step, draft.request_of_intent(), answer.state, answer.facts)
    draft.change(
        state=after.state,
        platform_state=after.platform_state,
        milestone=ctx.machine.milestone(after.state),
        moved_at=ctx.now,
        intent=None,
        attempts=0,
        read_attempts=0,
        crashes=0,
        next_attempt_at=None,
    )
    if after.facts is not facts:
        draft.change(facts=dict(after.facts))
    _count_step(draft, intent)
    data: dict[str, Json] = {"step": intent.step, "from": intent.source, "to": after.state, "how": how}
    draft.emit("step.done", intent.target, **data, **({"reason": reason} if reason is not None else {}))


def _count_step(draft: Draft, intent: Intent) -> None:
    target = draft.target(intent.target)
    if target is None:
        return
    planned = target.plan[target.steps_done : target.steps_done + 1]
    if planned and planned[0].step == intent.step:
        draft.put(changed(target, steps_done=target.steps_done + 1), is_progress_only=True)


def apply_failure(draft: Draft, ctx: Context, failure: PlatformFailure, jitter: float, *, counts: bool) -> None:
    """The call of the intent failed. `counts` False: the whole shop is in trouble (open circuit, throttled), which
    costs this order no attempt."""
    order = draft.order
    assert order.intent is not None
    draft.change(moved_at=ctx.now)
    step = order.intent.step
    match failure:
        case Transient():
            # what the platform holds up is read again too: the read tells until when
            is_uncertain = failure.is_ambiguous or failure.wait is not None
            intent = replace(order.intent, is_uncertain=True, is_unanswered=failure.is_ambiguous)
            draft.change(intent=intent if is_uncertain else None)
            _count_attempt(draft, ctx, order, failure, jitter, counts=counts)
        case OutOfSequence():
            # the read that follows decides: elsewhere (adopt), done after all, or truly refused
            draft.change(intent=replace(order.intent, is_uncertain=True))
            _count_attempt(draft, ctx, order, failure, 0.0, counts=True)
        case AccessDenied():
            draft.change(intent=None)
            _emit_failed(draft, order, failure, order.attempts + 1, None)
        case NotFound():
            draft.change(intent=None)
            _emit_failed(draft, order, failure, order.attempts + 1, None)
            apply_gone(draft, ctx, failure.detail)
        case _:
            draft.change(intent=None)
            _emit_failed(draft, order, failure, order.attempts + 1, None)
            _block_own(draft, order.intent, problem_of("rejected", failure.detail, step, ctx.now))


def _block_own(draft: Draft, intent: Intent, problem: Problem) -> None:
    """Blocks the order for the intent's own target; when that has ended meanwhile, nothing waits for its outcome."""
    if draft.targets and draft.targets[0].id == intent.target:
        draft.block(problem)
    else:
        draft.change(attempts=0, read_attempts=0, next_attempt_at=None)


def _count_attempt(
    draft: Draft, ctx: Context, order: Order, failure: PlatformFailure, jitter: float, *, counts: bool
) -> None:
    """Schedules the next attempt or, when there are none left, blocks. `order` is the row as it was before."""
    assert order.intent is not None
    attempts = order.attempts + (1 if counts else 0)
    draft.change(attempts=attempts)
    if attempts >= ctx.policy.attempts:
        _emit_failed(draft, order, failure, attempts, None)
        _block_own(draft, order.intent, problem_of("attempts-exhausted", failure.detail, order.intent.step, ctx.now))
        return
    wait = int(full_jitter(ctx.policy.backoff.after(attempts), jitter)) if counts else 0
    draft.change(next_attempt_at=ctx.now + wait if wait else None)
    shop_wait = getattr(failure, "retry_after_seconds", None) or 0
    _emit_failed(draft, order, failure, order.attempts + 1, ctx.now + max(wait, int(shop_wait * 1000)))


def apply_read(draft: Draft, ctx: Context, seen: Seen, refused: str | None) -> None:
    """A fresh read: settles an uncertain intent, adopts what the platform shows, tells of drift.

    `refused`: the words of an out-of-sequence refusal that led to this read. When the read shows just the state that
    the step was meant for, the refusal was no misunderstanding: the order is blocked with those words.
    """
    intent = draft.order.intent
    if intent is not None:
        standing = draft.standing()
        shown = seen.standing()
        request = draft.request_of_intent()
        is_done = ctx.machine.is_done(intent.step, standing, shown, request)
        if is_done and not intent.is_unanswered and not ctx.machine.is_evident(intent.step, request):
            is_done = False  # the platform answered, and it was no yes: somebody else did the like of it
        if is_done is None:
            refused = f"nobody can tell whether {intent.step} took effect: look, then retry it or skip it"
        if is_done:
            before = draft.order
            apply_answer(draft, ctx, StepAnswer(seen.state), how="found_done")
            _release(draft, before, "found_done")
        else:
            draft.change(intent=None, next_attempt_at=None)
            if intent.is_unanswered:
                facts = ctx.machine.after_lost_answer(standing, intent.step, request)
                if facts is not standing.facts:
                    draft.change(facts=dict(facts))
            is_there = ctx.machine.observe(standing, shown) == standing.state
            if refused is not None and is_there and ctx.machine.wait(shown, request) is None:
                adopt_seen(draft, ctx, seen, ctx.now)
                _block_own(draft, intent, problem_of("rejected", refused, intent.step, ctx.now))
                return
    draft.change(read_attempts=0)
    adopt_seen(draft, ctx, seen, ctx.now)


def adopt_seen(draft: Draft, ctx: Context, seen: Seen, read_at: int) -> bool:
    """Takes over what the platform shows; answers whether anything that matters differed.

    The platform is the truth about its state: another state than ours is drift, which is recorded and planned from.
    """
    order, kept = draft.order, draft.kept
    state = ctx.machine.observe(draft.standing(), seen.standing())
    news = changes_of(order, kept, seen, is_cancelled=ctx.machine.milestone(order.state) == "cancelled")
    is_back = order.gone_at is not None
    is_settled = order.payment == "unpaid" and seen.payment not in ("unpaid", "unknown")
    is_unsettled = seen.payment == "unpaid" and order.payment not in ("unpaid", "unknown")
    draft.change(
        reference=seen.reference,
        state=state,
        platform_state=seen.state,
        milestone=ctx.machine.milestone(state),
        payment=seen.payment,
        facts=ctx.machine.merged_facts(draft.standing(), seen.standing()),
        content_hash=seen.content_hash,
        platform_updated_at=seen.platform_updated_at,
        observed_at=read_at,
        moved_at=ctx.passed(order.moved_at),
        gone_at=None,
        gone_detail=None,
    )
    if _differs(order, kept, seen):
        draft.keep_look(seen.payload, seen.content, read_at)
    if is_settled:
        draft.emit("order.payment_settled", payment=seen.payment)
    if is_unsettled and not any(each in ("", "/payment", "/payment/status") for each in news):
        news = sorted([*news, "/payment/status"])
    if news or is_back:
        told: dict[str, Json] = {"found_again": True} if is_back else {}
        told |= {"reference": seen.reference, "payment": seen.payment, "state": state, "changed": news}
        draft.emit("order.updated", **told)
    if state == order.state:
        is_mended = draft.order.facts != order.facts or draft.order.payment != order.payment
        if is_mended and order.problem is not None and order.problem.step is None:
            _release(draft, order, "change")  # a guard refused, and what it looks at is another now
        return bool(news) or is_back or is_settled or is_mended
    draft.emit("order.drifted", **{"from": order.state}, to=state, milestone=ctx.machine.milestone(state))
    _release(draft, order, "drift")
    return True


def _differs(order: Order, kept: Kept | None, seen: Seen) -> bool:
    """Whether a look shows anything that the last one that was kept did not."""
    known = (order.platform_state, order.payment, order.facts, order.content_hash, order.platform_updated_at)
    shown = (seen.state, seen.payment, seen.facts, seen.content_hash, seen.platform_updated_at)
    is_first_after_a_step = order.observed_at <= order.moved_at
    return (
        order.is_told or is_first_after_a_step or known != shown or (kept is not None and kept.content != seen.content)
    )


def _release(draft: Draft, before: Order, by: str) -> None:
    """The world moved on: what blocked the order no longer describes it, so it is planned again from what is now."""
    if before.problem is None:
        return
    head = draft.targets[0] if draft.targets else None
    if head is not None and head.status is TargetStatus.BLOCKED:
        draft.put(changed(head, status=TargetStatus.RUNNING, problem=None))
    draft.change(problem=None, attempts=0, read_attempts=0, next_attempt_at=None)
    draft.emit("order.released", head.id if head is not None else None, by=by)


def apply_read_failure(draft: Draft, ctx: Context, failure: PlatformFailure, jitter: float, *, counts: bool) -> None:
    """A read before a step failed. Reads are harmless, so they have a count of their own.

    An order that webhooks alone tell of may not show yet, so it is not gone before the last attempt.
    """
    order = draft.order
    match failure:
        case NotFound() if not order.is_told or order.read_attempts + 1 >= ctx.policy.attempts:
            draft.change(intent=None)
            apply_gone(draft, ctx, failure.detail)
        case AccessDenied():
            return
        case _:
            attempts = order.read_attempts + (1 if counts else 0)
            draft.change(read_attempts=attempts)
            if attempts >= ctx.policy.attempts:
                step = order.intent.step if order.intent is not None else None
                detail = f"the order could not be read: {failure.detail}"
                unread = problem_of("attempts-exhausted", detail, step, ctx.now)
                draft.block(replace(unread, title="No read of the order succeeded"))  # no step ran out of anything
            elif counts:
                next_attempt_at = ctx.now + max(int(full_jitter(ctx.policy.backoff.after(attempts), jitter)), 1)
                draft.change(next_attempt_at=next_attempt_at)
                told = {"kind": failure.kind, "attempt": attempts, "detail": failure.detail}
                draft.emit("read.failed", None, **told, next_attempt_at=next_attempt_at)


def apply_gone(draft: Draft, ctx: Context, detail: str) -> None:
    """The platform has no such order any more: nothing that is wanted of it can be reached, and people are told once.

    The state stays what it was last; the order is not blocked, for nothing waits for a person.
    """
    for target in list(draft.targets):
        draft.finish(target, TargetStatus.FAILED, ctx.now, problem_of("order-not-found", detail, None, ctx.now))
    order = draft.order
    draft.change(problem=None, observed_at=ctx.now)
    if order.gone_at is None:
        draft.change(gone_at=ctx.now, gone_detail=detail)
        problem = problem_json(problem_of("order-not-found", detail, None, ctx.now))
        told = {"reference": order.reference, "payment": order.payment, "state": order.state}
        draft.emit("order.updated", **told, changed=[], problem=problem)


def _emit_failed(
    draft: Draft, order: Order, failure: PlatformFailure, attempt: int, next_attempt_at: int | None
) -> None:
    intent = order.intent
    assert intent is not None
    data: dict[str, Json] = {"step": intent.step, "from": intent.source, "to": intent.to}
    data |= {"kind": failure.kind, "attempt": attempt, "next_attempt_at": next_attempt_at, "detail": failure.detail}
    draft.emit("step.failed", intent.target, **data)
