"""Accepting targets: a refused target changes nothing, an accepted one is on disk before the answer."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from orchestrator.decisions.attention import reach
from orchestrator.decisions.decision import advance
from orchestrator.decisions.draft import Context, Draft
from orchestrator.decisions.problems import Help, problem_of
from orchestrator.decisions.refusals import Refused
from statemachines.machine import Milestone, OrderState, Plan, PlatformMachine, Refusal
from statemachines.target import Json, TargetRequest
from storage.changes import write_changes
from storage.records import PlanEntry, Situation, Target, TargetStatus
from storage.targets import NewTarget, insert_targets
from storage.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Submission:
    """A target as received, with the id that it will have."""

    target_id: str
    shop: str
    order: str
    request: TargetRequest
    key: str | None
    asked_as: str | None = None  # the order's name in the request, where it is not its id

    def of(self, order: str) -> Submission:
        """The same submission on the order's own id."""
        return replace(self, order=order, asked_as=self.order)

    def digest(self) -> str:
        """Equal for equal submissions: of shop, order as it was named, and body without the key."""
        request = self.request if self.request.key is None else replace(self.request, key=None)
        text = json.dumps(
            [self.shop, self.asked_as or self.order, request.to_json()], sort_keys=True, ensure_ascii=False
        )
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class Requested(NamedTuple):
    """A target as it was asked for, one of several."""

    shop: str
    order: str
    request: TargetRequest
    key: str | None


class Accepted(NamedTuple):
    """A target that is on disk. `situation`: its order's, where the target is being worked on, else None."""

    target: Target
    situation: Situation | None


def plan_or_refuse(ctx: Context, current: OrderState, request: TargetRequest) -> Plan:
    """The plan from the state that the order will have. Raises Refused with the API's slugs."""
    plan = ctx.machine.plan(current, request, ctx.policy.chaining)
    if isinstance(plan, Refusal):
        is_guard = plan.slug == "not-allowed"  # its reason says why; an empty list would read as "nothing is allowed"
        extra: Help = {} if is_guard and not plan.allowed else {"allowed": list(plan.allowed)}
        if plan.reason is not None:
            extra["reason"] = plan.reason
        raise Refused(plan.slug, plan.detail, extra=extra)
    return plan


def expected_state(draft: Draft, machine: PlatformMachine) -> OrderState:
    """The state of the order once all pending targets are reached."""
    current = draft.order_state()
    for target in draft.targets:
        request = draft.request(target)
        plan = machine.plan(current, request)
        if isinstance(plan, Refusal):
            continue
        current = machine.expected(current, plan, request)
    return current


def is_replacing(machine: PlatformMachine, current: OrderState, request: TargetRequest) -> bool:
    """Whether the target replaces the queued targets (default: only a cancellation does)."""
    if request.replace is not None:
        return request.replace
    wanted = machine.wanted(current, request)
    return wanted is not None and Milestone.CANCELLED in wanted.milestones


def preview(draft: Draft, ctx: Context, request: TargetRequest, by: str = "this target") -> Plan:
    """The plan of a target behind the pending ones, once the targets that it replaces have left the queue of the draft.

    Raises Refused; a draft that is not saved then changes nothing.
    """
    if is_replacing(ctx.machine, draft.order_state(), request):
        _replace(draft, ctx, by)
    try:
        return plan_or_refuse(ctx, expected_state(draft, ctx.machine), request)
    except Refused as refusal:
        if not draft.targets or isinstance(
            ctx.machine.plan(draft.order_state(), request, ctx.policy.chaining), Refusal
        ):
            raise
        raise _behind(draft, ctx, refusal) from None


def _replace(draft: Draft, ctx: Context, by: str) -> None:
    """Ends what is not begun: what is queued, and a blocked target of which nothing is done and no call may have been.

    What a person has to decide about that one is decided by who wants something else. One that has begun waits for the
    person all the same: what is done of it, or may be, somebody has to know of.
    """
    for old in list(draft.targets):
        is_blocked = old.status is TargetStatus.BLOCKED
        if old.status is not TargetStatus.QUEUED and not (is_blocked and not old.steps_done and not draft.order.intent):
            continue
        detail = f"target {by} replaced it before it was begun"
        draft.finish(old, TargetStatus.CANCELLED, ctx.now, problem_of("superseded", detail, None, ctx.now))
        if is_blocked:
            draft.change(attempts=0, read_attempts=0, crashes=0)


def _behind(draft: Draft, ctx: Context, refusal: Refused) -> Refused:
    """A refusal of what the order could do as it stands: what is in the way, and what helps."""
    order, head, last = draft.order, draft.targets[0], draft.targets[-1]
    place = shlex.join((order.shop, order.id))
    words = [
        f"{refusal.detail}, where it will be by target {last.id} before this one ({last.state}); it is in {order.state}"
    ]
    if head.status is TargetStatus.BLOCKED:
        words.append(
            f"target {head.id} ({head.state}) has begun and is blocked: `fulfilld retry {place}` or `fulfilld skip"
            f" {place} --reason …` goes on with it"
        )
    if any(each.status is TargetStatus.QUEUED for each in draft.targets):
        words.append('`"replace": true` takes the place of what is not begun')
    words.append(f"`fulfilld cancel {place}` drops all that is before this one, then submit it again")
    extra: Help = {**refusal.extra}
    if "allowed" in extra:
        extra["allowed"] = list(ctx.machine.allowed(draft.order_state()))
    return Refused(refusal.slug, "; ".join(words), extra=extra)


def accept(tx: Transaction, draft: Draft, ctx: Context, submission: Submission) -> Target:
    """Puts the target into the order's queue and returns it; a target that is reached already ends at once.

    Raises Refused; nothing was written then.
    """
    return write_accepted(tx, [(draft, submission, take_in(draft, ctx, submission))], ctx.now)[0]


def take_in(draft: Draft, ctx: Context, submission: Submission) -> Target:
    """Puts the target into the draft's queue and returns it, to be written by `write_accepted`. Raises Refused; the
    draft is of no use then."""
    plan = preview(draft, ctx, submission.request, submission.target_id)
    is_idle = not draft.targets and draft.order.intent is None
    target = _target(submission, plan, ctx.now)
    draft.add(target)
    steps = [step.step for step in plan.steps]
    data = {"state": plan.state, "milestone": plan.milestone, "steps": steps, **_request_data(submission.request)}
    draft.emit("target.submitted", target.id, **data)
    if is_idle and not plan.steps:
        reach(draft, target, ctx.now)
    elif is_idle:
        draft.remember_plan(ctx, target, submission.request, plan)
    settle(draft, ctx)
    return target


def write_accepted(tx: Transaction, accepted: Sequence[tuple[Draft, Submission, Target]], now: int) -> list[Target]:
    """Writes targets that drafts of different orders took in, all in a few statements; returns them as their drafts
    left them. Their orders were read in this transaction."""
    new = [
        NewTarget(draft.latest(target), submission.key, None if submission.key is None else submission.digest())
        for draft, submission, target in accepted
    ]
    targets = insert_targets(tx, new)
    write_changes(tx, [draft.take_change(now) for draft, _, _ in accepted])
    return targets


def _request_data(request: TargetRequest) -> dict[str, Json]:
    """Data of the request for the event: tracking codes, the items where not all are meant, the parcel."""
    data: dict[str, Json] = {}
    if codes := [each.code for each in request.trackings if each.code]:
        data["tracking"] = codes[0] if len(codes) == 1 else codes
    if request.items is not None:
        data["items"] = list(request.items)
    if request.parcel is not None:
        data["parcel"] = request.parcel.to_json()
    return data


def settle(draft: Draft, ctx: Context) -> None:
    """After a change from outside: an order whose call is out is left to its driver, any other is decided on again."""
    intent = draft.order.intent
    if intent is not None and not intent.is_uncertain:
        return
    draft.change(next_attempt_at=None)
    advance(draft, ctx)


def _target(submission: Submission, plan: Plan, now: int) -> Target:
    return Target(
        seq=0,
        id=submission.target_id,
        shop=submission.shop,
        order=submission.order,
        state=plan.state,
        milestone=plan.milestone,
        status=TargetStatus.QUEUED,
        request=submission.request.to_json(),
        plan=tuple(PlanEntry(step.step, step.source, step.to) for step in plan.steps),
        steps_done=0,
        unused=plan.unused,
        submitted_at=now,
        finished_at=None,
        problem=None,
    )
