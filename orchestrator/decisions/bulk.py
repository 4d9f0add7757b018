"""What is done to orders in bulk: what a person does to one of them, gently, and with a line in its history.

Orders that go on all at once would hold everything up that comes after them. So each of them becomes due a little after
the one before, at the pace of its shop: whatever is due by then goes first, a new target among it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, assert_never

from orchestrator.decisions import interventions
from orchestrator.decisions.draft import Context, Draft
from storage.records import Problem, Situation


class Action(StrEnum):
    """What can be done in bulk."""

    RETRY = "retry"
    SKIP = "skip"
    HOLD = "hold"
    RELEASE = "release"
    CANCEL = "cancel"


ENDS_BLOCKS: Final = frozenset({Action.RETRY, Action.SKIP})
"""What has blocked orders go on, which may be blocked again by what they meet."""


def operate(draft: Draft, ctx: Context, action: Action, reason: str | None, due_at: int) -> bool:
    """Does to an order what a person asked for; an order that goes on by that becomes due at `due_at` at the earliest.
    Returns whether it does. Raises Refused."""
    was_due_at = draft.order.due_at
    match action:
        case Action.RETRY:
            interventions.retry(draft, ctx)
        case Action.SKIP:
            interventions.skip(draft, ctx, reason)
        case Action.HOLD:
            interventions.hold(draft, ctx, reason)
        case Action.RELEASE:
            interventions.release(draft, ctx)
        case Action.CANCEL:
            interventions.cancel(draft, ctx)
        case _:
            assert_never(action)
    order = draft.order
    goes_on = order.situation is Situation.QUEUED and (was_due_at is None or was_due_at > ctx.now)
    if goes_on and order.due_at is not None and order.due_at < due_at:
        draft.change(due_at=due_at)
    return goes_on


def can_operate(action: Action, situation: Situation, problem: Problem | None, *, is_stopped: bool) -> bool:
    """Whether `operate` would take an order, by what is kept of it without its targets. `is_stopped`: it is held, or
    the ERP asks for a person."""
    match action:
        case Action.RETRY:
            return interventions.can_retry(situation, has_problem=problem is not None)
        case Action.SKIP:
            return problem is not None and problem.step is not None
        case Action.RELEASE:
            return is_stopped
        case Action.HOLD | Action.CANCEL:
            return True
        case _:
            assert_never(action)


def note(draft: Draft, action: str, job: str, by: str, reason: str | None) -> None:
    """Says in the order's history who asked for it, and why."""
    draft.emit("order.operated", action=action, job=job, by=by, reason=reason)


class Pace:
    """When the next order of a shop becomes due. Times in Unix milliseconds.

    `horizon_ms`: so far ahead orders are given their time; those beyond it wait with their job.
    """

    def __init__(self, calls_per_order: float = 2.0, horizon_ms: int = 120_000) -> None:
        self._calls_per_order, self._horizon_ms = calls_per_order, horizon_ms
        self._next: dict[str, float] = {}

    def spacing_ms(self, calls_per_second: float | None) -> float:
        """From one order to the next: it is read, and a step is made. None: nobody counts the shop's calls."""
        if calls_per_second is None:
            return 1.0
        return min(1000 * self._calls_per_order / calls_per_second, self._horizon_ms)

    def next_at(self, shop: str, now: int) -> float:
        """When the shop's next order becomes due. What is further ahead than that can be was set by a clock that was
        ahead then."""
        at = self._next.get(shop, 0.0)
        return at if now < at <= now + 2 * self._horizon_ms else float(now)

    def room(self, shop: str, now: int, spacing_ms: float) -> int:
        """How many orders of the shop can be given their time now."""
        left = now + self._horizon_ms - self.next_at(shop, now)
        return 0 if left <= 0 else 1 + int(left / spacing_ms)

    def seconds_to_room(self, shop: str, now: int) -> float:
        """How long until one can."""
        return max(0.0, (self.next_at(shop, now) - now - self._horizon_ms) / 1000)

    def reached(self, shop: str, at: float) -> None:
        """The shop's orders have their times up to here."""
        self._next[shop] = at
