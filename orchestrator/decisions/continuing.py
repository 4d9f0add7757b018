"""The commonest of all decisions, at once: a call did the step as planned, and the next step of the same plan begins.

`apply_answer` and `advance` decide on whatever may happen, one change after another. Where nothing has happened but
what was planned, all that they would do is known beforehand, and it is done here in one go: the same machine is asked,
the same row, target and events come out, as a test tries on every machine, from every state. Whatever else there is to
an answer or an order is theirs.
"""

from __future__ import annotations

from functools import lru_cache

from orchestrator.decisions.decision import Call, is_plan_of, waits_first
from orchestrator.decisions.draft import Context, Draft
from orchestrator.decisions.way import Way
from orchestrator.platforms.client import StepAnswer
from statemachines.machine import Milestone, OrderState
from statemachines.terms import RECORD, PlannedStep
from storage.events import event_text
from storage.records import Intent, Situation, TargetStatus

_BOOKED = frozenset({Milestone.CANCELLED.value, Milestone.RETURNED.value})
"""Milestones that an ERP books by: coming there, or leaving, is more than a step (`bookings`)."""


def go_on(draft: Draft, ctx: Context, answer: StepAnswer) -> Call | None:
    """Changes an order as the answer to the call of its intent does, to the intent of the step that follows. None where
    that is not all there is to decide: then nothing was changed.

    Nobody else may have the draft's records: they are changed in place, of which a copy would be the larger part.
    """
    before, way = draft.order, draft.way
    if way is None or not ctx.may_begin or not draft.targets or answer.is_found or answer.unused:
        return None
    if before.attention_at is not None or before.parcels or before.held_at is not None or before.problem is not None:
        return None
    intent, target, request, done = before.intent, draft.targets[0], way.request, way.steps[:1]
    if (
        intent is None
        or target.id != intent.target
        or target.status is not TargetStatus.RUNNING
        or not done
        or done[0].step != intent.step
        or done[0].source != intent.source
        or request.parcel is not None
        or request is not draft.request(target)
        or way.state is not draft.order_state()
    ):
        return None
    machine = ctx.machine
    after = machine.moved(way.state, intent.step, request, answer.state, answer.facts)
    milestone = machine.milestone(after.state)
    if milestone in _BOOKED or before.milestone in _BOOKED or not machine.knows(after.state):
        return None
    left = way.left(machine, ctx.policy.chaining, request, after)
    if not left or left[0].step == RECORD or not is_plan_of(target, way.steps):
        return None
    if machine.wait(after, request) is not None or waits_first(ctx, before, left[0]):
        return None
    _begin(draft, ctx, after, milestone, way._replace(state=after, steps=left))
    return Call(left[0].step, request)


def _begin(draft: Draft, ctx: Context, after: OrderState, milestone: str | None, way: Way) -> None:
    """The intent's step is done, and the next one of `way` has begun."""
    order, target, step, now = draft.order, draft.targets[0], way.steps[0], ctx.now
    intent = order.intent
    assert intent is not None
    target.steps_done += 1
    order.state, order.platform_state, order.milestone = after.state, after.platform_state, milestone
    order.attempts = order.read_attempts = order.crashes = 0
    order.next_attempt_at = order.due_at = order.wait = None
    order.moved_at, order.situation = now, Situation.RUNNING
    order.intent = Intent(target.id, step.step, step.source, step.to, now)
    done, started = _texts(intent.step, intent.source, after.state, step)
    draft.follow(way, [("step.done", target.id, done), ("step.started", target.id, started)])


@lru_cache(maxsize=4096)
def _texts(step: str, source: str, to: str, following: PlannedStep) -> tuple[str, str]:
    """The data of the events of a step that is done, and of the following one, which begins: there are few of them."""
    done = {"step": step, "from": source, "to": to, "how": "called"}
    started = {"step": following.step, "from": following.source, "to": following.to, "attempt": 1}
    return event_text(done), event_text(started)
