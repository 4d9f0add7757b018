"""What is next for an order: the one pure function that every way into driving ends in.

It is asked after each outcome, each read, each submission and each wake-up, always with the rows as the transaction
sees them, so a hold, a cancel or a newer target that came in meanwhile counts at once. It settles what needs no call
(targets that are reached or cannot be reached any more, records), and returns the one call that is due, or
rest; the draft's `due_at` then says when to decide again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from orchestrator.decisions.attention import reach
from orchestrator.decisions.draft import LONGEST_RECHECK_MS, Context, Draft
from orchestrator.decisions.parcels import keep_parcels
from orchestrator.decisions.problems import problem_of
from statemachines.machine import RECORD, PlannedStep, PlatformWait, Refusal
from statemachines.target import TargetRequest
from storage.records import Intent, Order, PlanEntry, Situation, Target, TargetStatus, Wait, changed


class Rest(Enum):
    """Nothing to call now."""

    REST = "rest"
    NEEDS_PERMIT = "needs_permit"  # a step is due, but no permit for a call is at hand


@dataclass(frozen=True, slots=True)
class Read:
    """The order has to be read before anything else."""

    is_resolving: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A step's intent is in the draft: once committed, its call goes out."""

    step: str
    request: TargetRequest


Move = Rest | Read | Call


def advance(draft: Draft, ctx: Context) -> Move:
    """Decides the next move and leaves the draft as it has to be saved before that move."""
    while True:
        order = draft.order
        if order.intent is not None:
            return _resolve(draft, ctx)
        if order.held_at is not None:
            _fail_if_ended(draft, ctx)
            return _rest(draft, Situation.HELD, None)
        if not draft.targets:
            return _settle(draft, ctx)
        target = draft.targets[0]
        if target.status is TargetStatus.BLOCKED:
            return _rest(draft, Situation.BLOCKED, None)
        if not ctx.machine.knows(order.state):
            detail = f"the platform shows {order.state!r}, a state that the {order.platform} machine does not know"
            draft.block(problem_of("unknown-state", detail, None, ctx.now))
            return Rest.REST
        if ctx.is_ahead(order.next_attempt_at):
            return _rest(draft, Situation.RETRYING, order.next_attempt_at)
        if (wait := ctx.machine.wait(draft.order_state(), draft.own_request(ctx.machine, target))) is not None:
            return _wait(draft, ctx, wait)
        is_to_be_read = target.status is TargetStatus.QUEUED or not order.observed_at
        if is_to_be_read and not _is_fresh(ctx, _known_at(ctx, order)):
            return _want_read(draft, ctx, is_resolving=False)
        if (step := _next_step(draft, ctx, target)) is not None:
            return _take(draft, ctx, draft.targets[0], step)


def _known_at(ctx: Context, order: Order) -> int:
    """When the platform last showed the order's state: in a read, or in its answer to a step; 0: read first."""
    return max(ctx.passed(order.observed_at), ctx.passed(order.moved_at)) if order.observed_at else 0


def _is_fresh(ctx: Context, at: int) -> bool:
    return ctx.has_just_read or ctx.now - at <= ctx.policy.fresh_ms


def _fail_if_ended(draft: Draft, ctx: Context) -> None:
    """Fails targets of a held order that has ended (it was cancelled): a hold keeps back steps, not their failure."""
    state = ctx.machine.states.get(draft.order.state)
    if state is None or not state.is_end:
        return
    for target in list(draft.targets):
        plan = ctx.machine.plan(draft.order_state(), draft.request(target), ctx.policy.chaining)
        if isinstance(plan, Refusal):
            problem = problem_of(_slug(plan), plan.detail, None, ctx.now)
            draft.finish(target, TargetStatus.FAILED, ctx.now, problem)


def _next_step(draft: Draft, ctx: Context, target: Target) -> PlannedStep | None:
    """The step to begin; None when the target ended without a call, so that the next target is decided on."""
    plan = draft.next_steps(ctx, target)
    if isinstance(plan, Refusal):
        problem = problem_of(_slug(plan), plan.detail, None, ctx.now)
        if plan.slug == "not-allowed":  # a person can fix what the guard misses
            draft.block(problem_of(plan.blocks_as, plan.detail, None, ctx.now))
        else:
            draft.finish(target, TargetStatus.FAILED, ctx.now, problem)
        return None
    if not plan:
        reach(draft, target, ctx.now)
        return None
    _keep_plan(draft, target, plan)
    step = plan[0]
    if step.step == RECORD:
        _record(draft, ctx, draft.targets[0], step, is_all=len(plan) == 1)
        return None
    return step


def _record(draft: Draft, ctx: Context, target: Target, step: PlannedStep, *, is_all: bool) -> None:
    """The step without a call: it is done as soon as it is written. Behind the record of a parcel the order may be due
    to be sent."""
    request = draft.request(target)
    data = {"step": RECORD, "from": step.source, "to": step.to, "how": "found_done", "state": target.state}
    draft.emit("step.done", target.id, **data, **({"reason": request.reason} if request.reason else {}))
    keep_parcels(draft, ctx.machine.recorded(draft.order_state(), request), target.id, ctx.now)
    done = changed(target, steps_done=target.steps_done + 1)
    if is_all:
        reach(draft, done, ctx.now)
    else:
        draft.put(done)


def _slug(refusal: Refusal) -> str:
    return "unreachable" if refusal.slug == "unknown-state" else refusal.slug


def _keep_plan(draft: Draft, target: Target, steps: tuple[PlannedStep, ...]) -> None:
    """Writes the plan only when it is not the one that is stored: mostly it is."""
    if not is_plan_of(target, steps):
        left = tuple(PlanEntry(s.step, s.source, s.to) for s in steps)
        draft.put(changed(target, plan=(*target.plan[: target.steps_done], *left)))


def is_plan_of(target: Target, steps: tuple[PlannedStep, ...]) -> bool:
    """Whether these are the steps that are left of a target's stored plan."""
    stored = target.plan[target.steps_done :]
    return len(stored) == len(steps) and all(map(_is_entry_of, stored, steps))


def _is_entry_of(entry: PlanEntry, step: PlannedStep) -> bool:
    return (
        entry.step == step.step
        and entry.source == step.source
        and entry.to == step.to
        and not entry.unused
        and entry.is_taken
    )


def _take(draft: Draft, ctx: Context, target: Target, step: PlannedStep) -> Move:
    """Begins a step of ours, after a read where the step itself makes none; waits for a step of the platform's own."""
    if (wait := ctx.machine.awaited(step)) is not None:
        return _wait(draft, ctx, wait)
    if _is_blind(ctx, draft.order, step):
        return _want_read(draft, ctx, is_resolving=False)
    return _begin(draft, ctx, target, step)


def _is_blind(ctx: Context, order: Order, step: PlannedStep) -> bool:
    return ctx.machine.is_blind(step) and not _is_fresh(ctx, ctx.passed(order.observed_at))


def waits_first(ctx: Context, order: Order, step: PlannedStep) -> bool:
    """Whether something comes before a step that is due: the platform's own step, or a read."""
    return ctx.machine.awaited(step) is not None or _is_blind(ctx, order, step)


def _begin(draft: Draft, ctx: Context, target: Target, step: PlannedStep) -> Move:
    if not ctx.may_begin:
        _rest(draft, Situation.QUEUED, ctx.now)
        return Rest.NEEDS_PERMIT
    if target.status is not TargetStatus.RUNNING:
        draft.put(changed(target, status=TargetStatus.RUNNING), is_progress_only=True)
    intent = Intent(target.id, step.step, step.source, step.to, ctx.now)
    # due_at is empty while a call is out: after a crash the intent itself brings the order back
    draft.change(intent=intent, situation=Situation.RUNNING, due_at=None, next_attempt_at=None, wait=None, problem=None)
    attempt = draft.order.attempts + 1
    draft.emit("step.started", target.id, step=step.step, **{"from": step.source}, to=step.to, attempt=attempt)
    return Call(step.step, draft.own_request(ctx.machine, target))


def _resolve(draft: Draft, ctx: Context) -> Move:
    """A call was out and its effect is unknown: read before anything else, unless it is not time yet."""
    order = draft.order
    is_blocked = draft.targets[0].status is TargetStatus.BLOCKED if draft.targets else order.problem is not None
    if is_blocked:
        return _rest(draft, Situation.BLOCKED, None)
    if ctx.is_ahead(order.next_attempt_at):
        return _rest(draft, Situation.RETRYING, order.next_attempt_at)
    return _want_read(draft, ctx, is_resolving=True)


def _want_read(draft: Draft, ctx: Context, *, is_resolving: bool) -> Move:
    _rest(draft, Situation.QUEUED, ctx.now)
    return Read(is_resolving)


def _settle(draft: Draft, ctx: Context) -> Move:
    order = draft.order
    if ctx.machine.knows(order.state) or order.gone_at is not None:
        done = {"problem": None, "attempts": 0, "read_attempts": 0, "next_attempt_at": None}
        draft.change(situation=Situation.IDLE, due_at=None, wait=None, **done)
        return Rest.REST
    if order.problem is None or order.problem.type != "unknown-state":
        detail = f"the platform shows {order.state!r}, a state that the {order.platform} machine does not know"
        draft.block(problem_of("unknown-state", detail, None, ctx.now))
    return _rest(draft, Situation.BLOCKED, None)


def _wait(draft: Draft, ctx: Context, wait: PlatformWait) -> Move:
    order = draft.order
    recheck_at = ctx.passed(order.observed_at) + min(wait.recheck_seconds * 1000, LONGEST_RECHECK_MS)
    if recheck_at <= ctx.now:
        return _want_read(draft, ctx, is_resolving=False)
    due_at = recheck_at if wait.until_ms is None or wait.until_ms <= ctx.now else min(wait.until_ms, recheck_at)
    _rest(draft, Situation.WAITING, due_at)
    draft.change(wait=Wait(wait.reason, wait.until_ms, wait.detail))
    return Rest.REST


def _rest(draft: Draft, situation: Situation, due_at: int | None) -> Move:
    if situation is Situation.QUEUED and due_at is not None and draft.order.due_at is not None:
        due_at = min(due_at, draft.order.due_at)  # deciding again does not move the order to the end of the queue
    draft.change(situation=situation, due_at=due_at, wait=None)
    return Rest.REST
