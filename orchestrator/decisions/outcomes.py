"""What an outcome does to an order. Pure: each function changes a draft; `advance` then decides what is next."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from orchestrator.backoff import full_jitter
from orchestrator.decisions.attention import end_attention
from orchestrator.decisions.bookings import By, cancellation_of, report_bookings
from orchestrator.decisions.draft import Context, Draft
from orchestrator.decisions.parcels import keep_parcels, take_parcels_back
from orchestrator.decisions.problems import problem_json, problem_of
from orchestrator.decisions.reconciliation import reconcile
from orchestrator.platforms.client import OrderSnapshot, StepAnswer
from orchestrator.platforms.failures import (
    AccessDenied,
    NotFound,
    NotSent,
    OutOfSequence,
    PlatformFailure,
    Rejected,
    Transient,
)
from statemachines.narrowing import NARROWING
from statemachines.target import Json, TargetRequest
from statemachines.terms import PlannedStep
from storage.records import Intent, Order, PlanEntry, Problem, TargetStatus, changed

_ENDED: dict[str, Json] = {"intent": None, "attempts": 0, "read_attempts": 0, "crashes": 0, "next_attempt_at": None}
"""Fields of an order after the call of a step ended."""


def apply_answer(
    draft: Draft,
    ctx: Context,
    answer: StepAnswer,
    how: str = "called",
    reason: str | None = None,
    seen: OrderSnapshot | None = None,
) -> None:
    """The step of the intent is done: the order moves, the target advances by one step. `reason`: a person's; `seen`:
    the read that shows it.

    Fields that the platform did not use are kept with the target (`StepAnswer.unused`); where the step carries no other
    field and leaves the state, the step was not taken and its event says so.
    """
    intent = draft.order.intent
    assert intent is not None
    before, by, request = draft.order, _maker(draft.order, how, seen), draft.request_of_intent(ctx.machine)
    if answer.unused:
        _apply_unused(draft, ctx, answer, how, intent, request)
    else:
        _apply_step(draft, ctx, answer, how, intent, request, reason)
    if draft.order.state != before.state:
        end_attention(draft, "target")
    cause = {"reason": reason or request.reason} if by is not None else cancellation_of(seen)
    report_bookings(draft, ctx, before, by=by, cause=cause)


def _maker(order: Order, how: str, seen: OrderSnapshot | None) -> By | None:
    """Whose doing a step is that is done. One that was found done is ours only if a call without an answer came before:
    the one that this read is about (`seen`), or an earlier attempt, when the client found it right before its call."""
    assert order.intent is not None
    if how == "by_hand":
        return "person"
    is_ours = order.intent.is_unanswered if seen is not None else order.attempts > 0
    return "erp" if how == "called" or is_ours else None


def _apply_step(
    draft: Draft,
    ctx: Context,
    answer: StepAnswer,
    how: str,
    intent: Intent,
    request: TargetRequest,
    reason: str | None,
) -> None:
    _move(draft, ctx, answer, intent, request)
    _count_step(draft, intent)
    data: dict[str, Json] = {"step": intent.step, "from": intent.source, "to": draft.order.state, "how": how}
    draft.emit("step.done", intent.target, **data, **({"reason": reason} if reason is not None else {}))


def _apply_unused(
    draft: Draft, ctx: Context, answer: StepAnswer, how: str, intent: Intent, request: TargetRequest
) -> None:
    planned = PlannedStep(intent.step, intent.source, intent.to)
    carried = ctx.machine.carried(planned, request)
    unused = tuple(name for name in request.named(answer.unused) if name in carried)
    if narrowing := sorted(NARROWING.intersection(unused)):
        detail = f"{intent.step} cannot take {', '.join(narrowing)}, by which the target is about a part of the order"
        apply_failure(draft, ctx, Rejected(f"{detail}; send a target without"), 0.0, counts=True)
        return
    is_taken = ctx.machine.row(planned).to is not None or not unused or unused != carried
    if unused:
        _keep_unused(draft, intent, unused, is_taken=is_taken)
    if is_taken:
        _move(draft, ctx, answer, intent, request.without(unused))
    else:
        draft.change(facts={**draft.order.facts, **answer.facts}, **_ENDED)
    if not unused:
        _count_step(draft, intent)
    data: dict[str, Json] = {"step": intent.step, "from": intent.source, "to": draft.order.state}
    data |= {"how": how if is_taken else "not_taken", **({"unused": list(unused)} if unused else {})}
    draft.emit("step.done", intent.target, **data, **({"reason": answer.reason} if answer.reason else {}))


def _keep_unused(draft: Draft, intent: Intent, unused: tuple[str, ...], *, is_taken: bool) -> None:
    """Writes the unused fields into the target's plan, at their step: they are not sent again."""
    target = draft.target(intent.target)
    if target is None:
        return
    done, left = target.plan[: target.steps_done], target.plan[target.steps_done :]
    if left and left[0].step == intent.step:
        left = left[1:]
    entry = PlanEntry(intent.step, intent.source, intent.to, unused, is_taken)
    named = tuple(dict.fromkeys([*target.unused, *unused]))
    draft.put(changed(target, plan=(*done, entry, *left), steps_done=len(done) + 1, unused=named))


def _move(draft: Draft, ctx: Context, answer: StepAnswer, intent: Intent, request: TargetRequest) -> None:
    """Moves the order to its state after the step."""
    facts = draft.order.facts
    before = draft.order_state()
    after = ctx.machine.moved(before, intent.step, request, answer.state, answer.facts)
    draft.change(
        state=after.state,
        platform_state=after.platform_state,
        milestone=ctx.machine.milestone(after.state),
        moved_at=ctx.now,
        **_ENDED,
    )
    if after.facts is not facts:
        draft.change(facts=dict(after.facts))
    if after.parcels != before.parcels:
        keep_parcels(draft, after.parcels, intent.target, ctx.now)
    take_parcels_back(draft, ctx.machine, before.state)


def _count_step(draft: Draft, intent: Intent) -> None:
    target = draft.target(intent.target)
    if target is None:
        return
    planned = target.plan[target.steps_done : target.steps_done + 1]
    if planned and planned[0].step == intent.step:
        draft.put(changed(target, steps_done=target.steps_done + 1), is_progress_only=True)


def apply_failure(draft: Draft, ctx: Context, failure: PlatformFailure, jitter: float, *, counts: bool) -> None:
    """The call of the intent failed. `counts` False: the failure concerns the whole shop (open circuit, throttled)
    and costs this order no attempt."""
    order = draft.order
    assert order.intent is not None
    draft.change(moved_at=ctx.now)
    step = order.intent.step
    match failure:
        case NotSent():
            intent = replace(order.intent, is_uncertain=True, is_unanswered=True) if failure.is_ambiguous else None
            draft.change(intent=intent, next_attempt_at=None)
        case Transient():
            # an order that the platform holds up is read again too: the read shows until when
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
    """Blocks the order for the intent's own target; when that target has ended meanwhile, nothing waits for its
    outcome."""
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


def apply_read(draft: Draft, ctx: Context, snapshot: OrderSnapshot, refused: str | None) -> None:
    """A fresh read: settles an uncertain intent, then takes over what the platform shows.

    `refused`: the message of an out-of-sequence refusal that led to this read.
    """
    intent = draft.order.intent
    problem = None if intent is None else settle_intent(draft, ctx, snapshot, refused)
    draft.change(read_attempts=0)
    reconcile(draft, ctx, snapshot, ctx.now)
    if intent is not None and problem is not None:
        _block_own(draft, intent, problem)


def settle_intent(draft: Draft, ctx: Context, snapshot: OrderSnapshot, refused: str | None) -> Problem | None:
    """Ends the draft's intent by what a read shows: its step is done, or it may be sent again.

    Returns the problem where it may not: after a refusal (`refused`: its message) when the read shows just the state
    that the step was meant for, so that the refusal was justified; and when the effect is unknown.
    """
    intent = draft.order.intent
    assert intent is not None
    effect = _effect(draft, ctx, snapshot)
    if effect is _Effect.DONE:
        apply_answer(draft, ctx, StepAnswer(snapshot.state), how="found_done", seen=snapshot)
        draft.change(moved_at=ctx.now - 1)  # before this read, which shows it: nothing is stale
        draft.release("found_done")
        return None
    current, request = draft.order_state(), draft.request_of_intent(ctx.machine)
    draft.change(intent=None, next_attempt_at=None)
    if intent.is_unanswered:
        draft.change(facts=dict(ctx.machine.after_lost_answer(current, intent.step, request)))
    if effect is _Effect.UNKNOWN:
        refused = f"unknown whether {intent.step} took effect: look at the platform, then retry it or skip it"
    is_explained = ctx.machine.observe(current, snapshot.order_state()) != current.state
    if refused is None or is_explained or ctx.machine.wait(snapshot.order_state(), request) is not None:
        return None
    return problem_of("rejected", refused, intent.step, ctx.now)


class _Effect(Enum):
    """What a read shows of a step whose call is uncertain."""

    DONE = "done"
    NONE = "none"
    UNKNOWN = "unknown"


def _effect(draft: Draft, ctx: Context, snapshot: OrderSnapshot) -> _Effect:
    intent, request = draft.order.intent, draft.request_of_intent(ctx.machine)
    assert intent is not None
    is_done = ctx.machine.is_done(intent.step, draft.order_state(), snapshot.order_state(), request)
    if is_done is None:
        return _Effect.UNKNOWN
    if is_done and (intent.is_unanswered or ctx.machine.is_evident(intent.step, request)):
        return _Effect.DONE
    return _Effect.NONE  # even where it looks done: the platform did not confirm the call, so somebody else did it


def apply_read_failure(draft: Draft, ctx: Context, failure: PlatformFailure, jitter: float, *, counts: bool) -> None:
    """A read before a step failed. Reads are harmless, so they have a count of their own.

    A provisional order may not be readable yet, so it is not gone before the last attempt.
    """
    order = draft.order
    match failure:
        case NotFound() if not order.is_provisional or order.read_attempts + 1 >= ctx.policy.attempts:
            draft.change(intent=None)
            apply_gone(draft, ctx, failure.detail)
        case AccessDenied() | NotSent():
            return
        case _:
            attempts = order.read_attempts + (1 if counts else 0)
            draft.change(read_attempts=attempts)
            if attempts >= ctx.policy.attempts:
                step = order.intent.step if order.intent is not None else None
                detail = f"the order could not be read: {failure.detail}"
                unread = problem_of("attempts-exhausted", detail, step, ctx.now)
                draft.block(replace(unread, title="No read of the order succeeded"))  # no step ran out of attempts
            elif counts:
                next_attempt_at = ctx.now + max(int(full_jitter(ctx.policy.backoff.after(attempts), jitter)), 1)
                draft.change(next_attempt_at=next_attempt_at)
                data = {"kind": failure.kind, "attempt": attempts, "detail": failure.detail}
                draft.emit("read.failed", None, **data, next_attempt_at=next_attempt_at)


def apply_gone(draft: Draft, ctx: Context, detail: str) -> None:
    """The platform has no such order any more: its pending targets fail, with one event about the order.

    The state stays what it was last; the order is not blocked, for nothing waits for a person.
    """
    for target in list(draft.targets):
        draft.finish(target, TargetStatus.FAILED, ctx.now, problem_of("order-not-found", detail, None, ctx.now))
    order = draft.order
    draft.change(problem=None, observed_at=ctx.now)
    end_attention(draft, "gone")
    if order.gone_at is None:
        draft.change(gone_at=ctx.now, gone_detail=detail)
        problem = problem_json(problem_of("order-not-found", detail, None, ctx.now))
        data = {"reference": order.reference, "payment": order.payment, "state": order.state}
        draft.emit("order.updated", **data, changed=[], problem=problem)


def _emit_failed(
    draft: Draft, order: Order, failure: PlatformFailure, attempt: int, next_attempt_at: int | None
) -> None:
    intent = order.intent
    assert intent is not None
    data: dict[str, Json] = {"step": intent.step, "from": intent.source, "to": intent.to}
    data |= {"kind": failure.kind, "attempt": attempt, "next_attempt_at": next_attempt_at, "detail": failure.detail}
    draft.emit("step.failed", intent.target, **data)
