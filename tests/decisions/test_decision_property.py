"""Whatever answers, failures, deaths, people and polls do to an order, in whatever order they come:

- no step is sent again after a call of ours had done it (Selldone's own repeats, after a return, are no repeats);
- the order never stands still with something to do: it rests for a reason that can be seen, or it is due;
- once everything works again, every target comes to an end.

The driver and all decisions are the real ones (tests/support/driven.py has the rest).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from orchestrator.decisions import interventions
from orchestrator.decisions.draft import Context, Draft
from orchestrator.decisions.refusals import Refused
from orchestrator.platforms.client import OrderSnapshot
from orchestrator.platforms.failures import OutOfSequence
from statemachines.selldone import MACHINE
from statemachines.target import TargetRequest
from storage.events import EventFilter, list_events
from storage.records import Order, Situation, Target, TargetStatus
from storage.shops import resume_shop
from storage.targets import list_targets
from tests.support.driven import (
    CALL_OUTCOMES,
    CRASH_POINTS,
    ORDER,
    READ_OUTCOMES,
    SHOP,
    CutOff,
    Died,
    DrivenOrder,
)

Change = Callable[[Draft, Context], None]

MOST_CALLS = 200  # of one drive: far more than any plan with its retries has, far less than a loop without end
targets = st.fixed_dictionaries(
    {"state": st.sampled_from(["accepted", "preparing", "shipped", "delivered", "returned", "attention"])},
    optional={
        "tracking": st.sampled_from([{"code": "A"}, {"code": "B", "url": "https://example.com/b"}]),
        "replace": st.booleans(),
    },
)
outcomes = st.sampled_from(sorted({*CALL_OUTCOMES, *READ_OUTCOMES, "ok"}))
actions = st.sampled_from(["retry", "retry", "release", "release", "hold", "cancel", "cancel_first", "resume"])
usuals = st.sampled_from(["ok", "unreadable", "lost_before", "lost_after", "refused"])


def _cannot_be_met(row: Order) -> bool:
    """Whether the order is blocked by a target that asks for another code than it left under: nothing but dropping it
    helps."""
    return row.problem is not None and "went out under" in row.problem.detail


def _is_next(target: Target, step: str) -> bool:
    """Whether a step is a target's own. An order can be blocked by that of a target which was cancelled with its call
    out: there is nothing to skip then."""
    return [entry.step for entry in target.plan[target.steps_done :]][:1] == [step]


def _cancel_the_first(draft: Draft, ctx: Context) -> None:
    if draft.targets:
        interventions.cancel_target(draft, ctx, draft.targets[0])


def is_busy(machine: OrderMachine) -> bool:
    return machine.floor.row().situation is not Situation.IDLE


class OrderMachine(RuleBasedStateMachine):
    """One order, everything that can happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.floor = DrivenOrder(attempts=2)
        self.old_look: tuple[OrderSnapshot, int] | None = None

    def teardown(self) -> None:
        try:
            self.everything_works_again()
        finally:
            self.floor.store.close()
            self.runner.close()

    # -- the daemon ------------------------------------------------------------------------------------------------

    def drive(self) -> None:
        """What the worker does: drives the order when it is due and calls are admitted."""
        self.floor.platform.most_calls = self.floor.platform.calls + MOST_CALLS
        try:
            self.runner.run(self.floor.work())
        except CutOff:
            self.floor.restart()
        except Died:
            self.floor.restart()

    @precondition(is_busy)
    @rule(ms=st.sampled_from([0, 2_000, 6_000]), times=st.integers(1, 4))
    def wait(self, ms: int, times: int) -> None:
        for _ in range(times):
            self.work([], ms)

    @precondition(is_busy)
    @rule(script=st.lists(outcomes, min_size=1, max_size=4), ms=st.sampled_from([0, 2_000, 6_000]))
    def run(self, script: list[str], ms: int) -> None:
        self.work(script, ms)

    def work(self, script: list[str], ms: int) -> None:
        self.floor.now_ms += ms
        self.floor.platform.script = list(script)
        self.drive()

    @rule(usual=usuals)
    def from_now_on(self, usual: str) -> None:
        self.floor.platform.usual = usual

    @precondition(is_busy)
    @rule(script=st.lists(outcomes, max_size=3), point=st.sampled_from(CRASH_POINTS))
    def die(self, script: list[str], point: str) -> None:
        self.floor.platform.script = list(script)
        self.floor.checkpoints.armed = point
        self.drive()
        self.floor.checkpoints.armed = None

    @rule(ms=st.sampled_from([1, 400_000]))
    def time_passes(self, ms: int) -> None:
        self.floor.now_ms += ms

    @precondition(lambda self: not is_busy(self))
    @rule()
    def look_at_another_order(self) -> None:
        """Most roads end at a delivered or deleted order, where nothing happens any more."""
        self.everything_works_again()
        self.floor.store.close()
        self.floor = DrivenOrder(attempts=2)
        self.old_look = None

    # -- the ERP and people ----------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.floor.draft().targets) < 3)
    @rule(request=targets)
    def submit(self, request: dict[str, Any]) -> None:
        with contextlib.suppress(Refused):
            self.floor.submit(TargetRequest.from_json(request))

    @precondition(is_busy)
    @rule(action=actions)
    def a_person_intervenes(self, action: str) -> None:
        match action:
            case "hold":
                self._change(lambda draft, ctx: interventions.hold(draft, ctx, None))
            case "cancel_first":
                self._change(_cancel_the_first)
            case "resume":
                self.resume()
            case _:
                self._change(getattr(interventions, action))

    @precondition(is_busy)
    @rule(outcome=outcomes, usual=usuals, action=actions)
    def it_goes_wrong_and_a_person_intervenes(self, outcome: str, usual: str, action: str) -> None:
        self.from_now_on(usual)
        self.work([outcome], 2_000)
        self.a_person_intervenes(action)

    @precondition(lambda self: self.floor.row().problem is not None)
    @rule()
    def skip(self) -> None:
        """A person does the step on the platform, unless it is done, and says so."""
        row, draft, platform = self.floor.row(), self.floor.draft(), self.floor.platform
        step = row.problem.step if row.problem is not None else None
        if step is None or not draft.targets or platform.is_gone or not _is_next(draft.targets[0], step):
            return
        request = draft.request(draft.targets[0])
        with contextlib.suppress(OutOfSequence):
            self.a_person_does(step, request)
            if step == "set_tracking":  # other tracking than ours stands there now: ours may be set again
                platform.done_by_us.pop(step, None)
        if MACHINE.is_done(step, draft.order_state(), platform.snapshot().order_state(), request):
            self._change(lambda draft, ctx: interventions.skip(draft, ctx, "by hand"))

    def resume(self) -> None:
        self.floor.store.run(lambda tx: resume_shop(tx, SHOP))
        self.floor.services.admission.set_paused(False)
        self.floor.services.admission.reset()

    # -- the platform ----------------------------------------------------------------------------------------------

    @rule(what=st.sampled_from(["confirm", "confirm", "prepare", "prepare", "send", "deliver", "cancel", "delete"]))
    def something_happens_on_the_platform(self, what: str) -> None:
        platform = self.floor.platform
        match what:
            case "cancel":
                platform.status = "Canceled"
                platform.changes += 1
            case "delete":
                platform.is_gone = True
            case _:
                with contextlib.suppress(OutOfSequence):
                    self.a_person_does(what, TargetRequest("x"))

    def a_person_does(self, step: str, request: TargetRequest) -> None:
        """A return is the one step that people undo: sent again, the order is as if it had never come back. One whose
        answer was lost and that no read showed until then can never be found out."""
        platform = self.floor.platform
        platform.do(step, request)
        if step == "send" and self.unrecorded()["return_delivery"]:
            platform.effects_of_us.remove("return_delivery")

    @rule()
    def a_list_is_made(self) -> None:
        self.old_look = None if self.floor.platform.is_gone else (self.floor.platform.snapshot(), self.floor.now_ms)
        self.floor.now_ms += 1

    @precondition(lambda self: self.old_look is not None)
    @rule()
    def the_list_arrives(self) -> None:
        assert self.old_look is not None
        self.floor.adopt(*self.old_look)

    def _change(self, change: Change) -> None:
        with contextlib.suppress(Refused):
            self.floor.change(change)

    # -- what must hold --------------------------------------------------------------------------------------------

    @invariant()
    def no_step_is_sent_again_after_it_took_effect(self) -> None:
        assert self.floor.platform.repeats == []

    @invariant()
    def it_rests_for_a_reason_or_is_due(self) -> None:
        row, draft = self.floor.row(), self.floor.draft()
        is_resting = row.situation in (Situation.IDLE, Situation.HELD, Situation.BLOCKED)
        assert (row.due_at is None) is is_resting, row
        assert row.situation is not Situation.RUNNING
        assert (row.wait is not None) is (row.situation is Situation.WAITING)
        match row.situation:
            case Situation.IDLE:
                assert not draft.targets
                assert row.intent is None
                assert row.problem is None
            case Situation.BLOCKED:
                assert row.problem is not None
            case Situation.HELD:
                assert row.held_at is not None
            case Situation.RETRYING:
                assert row.next_attempt_at == row.due_at

    @invariant()
    def targets_run_one_after_another(self) -> None:
        kept = self.floor.store.run(lambda tx: list_targets(tx, SHOP, ORDER))
        pending = [known for known in kept if not known.status.is_end]
        assert all(known.status is TargetStatus.QUEUED for known in pending[1:])
        assert all((known.finished_at is not None) is known.status.is_end for known in kept)

    @invariant()
    def each_target_ends_once(self) -> None:
        ends = ("target.reached", "target.failed", "target.cancelled")
        events = self.floor.store.run(lambda tx: list_events(tx, 0, 10_000, EventFilter(types=ends)))
        assert len({event.target for event in events}) == len(events)

    def everything_works_again(self) -> None:
        floor = self.floor
        floor.platform.script, floor.platform.usual = [], "ok"
        self.resume()
        self._change(interventions.release)
        for _ in range(60):
            floor.now_ms += 1000
            self.drive()
            row = floor.row()
            if row.situation is Situation.BLOCKED:
                self._change(_cancel_the_first if _cannot_be_met(row) else interventions.retry)
                row = floor.row()
            if row.due_at is None and not floor.draft().targets:
                break
        row = floor.row()
        assert not floor.draft().targets, f"still pending: {row}"
        assert row.situation is Situation.IDLE
        self.no_step_is_sent_again_after_it_took_effect()
        self.each_target_ends_once()
        self.the_feed_has_every_effect()

    def the_feed_has_every_effect(self) -> None:
        """What a deleted order had come to nobody can find out, and what a cancelled one had nobody asks."""
        platform = self.floor.platform
        if platform.is_gone or platform.status == "Canceled":
            return
        assert not self.unrecorded()

    def unrecorded(self) -> Counter[str]:
        """Effects of our calls that the feed does not have."""
        events = self.floor.store.run(lambda tx: list_events(tx, 0, 10_000, EventFilter(types=("step.done",))))
        return Counter(self.floor.platform.effects_of_us) - Counter(event.data["step"] for event in events)


@pytest.mark.hypothesis
def test_whatever_happens_to_an_order_each_step_takes_effect_once_and_each_target_ends() -> None:
    run_state_machine_as_test(
        OrderMachine,
        settings=settings(
            max_examples=300,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )


def test_a_return_that_a_person_undid_before_any_read_showed_it_is_made_again() -> None:
    """Selldone shows such an order as one that never came back (selldone.md §5.2): the target wants it back."""
    machine = OrderMachine()
    for step in ("confirm", "prepare", "send"):
        machine.something_happens_on_the_platform(step)
    machine.time_passes(1)
    machine.a_list_is_made()
    machine.the_list_arrives()
    machine.submit({"state": "returned"})
    machine.run(["lost_after", "lost_before"], 0)
    assert (machine.floor.row().situation, machine.floor.platform.state) == (Situation.RETRYING, "PreparingOrder")
    machine.something_happens_on_the_platform("send")
    machine.everything_works_again()
    events = machine.floor.store.run(lambda tx: list_events(tx, 0, 100, EventFilter(types=("step.done",))))
    assert [(event.data["step"], event.data["how"]) for event in events] == [("return_delivery", "called")]
    assert machine.floor.platform.state == "PreparingOrder"
    machine.teardown()
