"""Whatever becomes of an order of the made-up platform, in whatever order it comes:

- what the platform does by itself is never called, and what we wait for has a reason that can be seen;
- no step is sent again after a call of ours had done it, and what was passed over is not asked for again;
- a target is told as reached only where the order is at, or was past, what it asks for;
- once everything works again and the platform does its part, every target comes to an end.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from orchestrator.decisions import interventions
from orchestrator.decisions.refusals import Refused
from orchestrator.platforms.failures import OutOfSequence
from storage.events import EventFilter, list_events
from storage.records import Event, Situation
from storage.shops import resume_shop
from storage.targets import list_targets
from tests.support.driven import CALL_OUTCOMES, CRASH_POINTS, ORDER, READ_OUTCOMES, SHOP, CutOff, Died, Driven
from tests.support.made_up import MACHINE, Bazaar, target

MOST_CALLS = 200  # of one drive: far more than any plan with its retries has, far less than a loop without end
targets = st.fixed_dictionaries(
    {"state": st.sampled_from(["new", "preparing", "shipped", "delivered", "completed", "cancelled", "attention"])},
    optional={
        "tracking": st.sampled_from([{"code": "A"}, {"code": "B", "carrier": "DPD"}]),
        "reason": st.just("late"),
        "replace": st.booleans(),
    },
)
outcomes = st.sampled_from(sorted({*CALL_OUTCOMES, *READ_OUTCOMES}))


class MadeUpOrder(RuleBasedStateMachine):
    """One order, everything that can happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.floor = Driven(Bazaar(), MACHINE, attempts=2)

    def teardown(self) -> None:
        try:
            self.everything_works_again()
        finally:
            self.floor.store.close()
            self.runner.close()

    def drive(self) -> None:
        self.floor.platform.most_calls = self.floor.platform.calls + MOST_CALLS
        try:
            self.runner.run(self.floor.work())
        except (CutOff, Died):
            self.floor.restart()

    # -- what happens ----------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.floor.draft().targets) < 3)
    @rule(request=targets)
    def submit(self, request: dict[str, Any]) -> None:
        with contextlib.suppress(Refused):
            self.floor.submit(target(**request))

    @rule(script=st.lists(outcomes, max_size=4), ms=st.sampled_from([0, 2_000, 6_000, 300_000]))
    def work(self, script: list[str], ms: int) -> None:
        self.floor.now_ms += ms
        self.floor.platform.script = list(script)
        self.drive()

    @rule(point=st.sampled_from(CRASH_POINTS), script=st.lists(outcomes, max_size=2))
    def die(self, point: str, script: list[str]) -> None:
        self.floor.platform.script, self.floor.checkpoints.armed = list(script), point
        self.drive()
        self.floor.checkpoints.armed = None

    @rule(step=st.sampled_from(["settle", "settle", "settle", "pack", "complete", "cancel", "refund"]))
    def something_happens_on_the_platform(self, step: str) -> None:
        with contextlib.suppress(OutOfSequence):
            self.floor.platform.do(step, target("x"))

    @rule(is_there=st.booleans())
    def a_plugin_comes_or_goes(self, is_there: bool) -> None:
        self.floor.platform.has_plugin = is_there

    @rule()
    def a_poll_shows_it(self) -> None:
        self.floor.now_ms += 1
        self.floor.adopt(self.floor.platform.snapshot(), self.floor.now_ms)

    @rule(action=st.sampled_from(["retry", "release", "cancel"]))
    def a_person_intervenes(self, action: str) -> None:
        with contextlib.suppress(Refused):
            self.floor.change(getattr(interventions, action))

    @rule()
    def a_person_holds_it(self) -> None:
        self.floor.change(lambda draft, ctx: interventions.hold(draft, ctx, None))

    # -- what must hold --------------------------------------------------------------------------------------------

    def events(self, *types: str) -> list[Event]:
        return self.floor.store.run(lambda tx: list_events(tx, 0, 10_000, EventFilter(types=types)))

    @invariant()
    def no_step_is_sent_again_after_it_took_effect(self) -> None:
        assert self.floor.platform.repeats == []

    @invariant()
    def what_was_passed_over_is_not_asked_for_again(self) -> None:
        over: set[tuple[str | None, str]] = set()
        for event in self.events("step.started", "step.done"):
            about = (event.target, event.data["step"])
            if event.type == "step.started":
                assert about not in over
            elif event.data["how"] == "not_taken":
                over.add(about)

    @invariant()
    def it_rests_for_a_reason_or_is_due(self) -> None:
        row = self.floor.row()
        is_resting = row.situation in (Situation.IDLE, Situation.HELD, Situation.BLOCKED)
        assert (row.due_at is None) is is_resting, row
        assert (row.wait is not None) is (row.situation is Situation.WAITING)
        if row.wait is not None:
            assert row.state == "on-hold"
            assert row.wait.detail.endswith("takes the order from on-hold to processing (settle)")

    @invariant()
    def what_is_reached_was_reached(self) -> None:
        for event in self.events("target.reached"):
            state = event.data["state"]
            if state != "attention":
                seen, asked = (MACHINE.rank(name) for name in (event.data["order_state"], state))
                assert event.data["order_state"] == state or (seen is not None and asked is not None and seen >= asked)

    @invariant()
    def each_target_ends_once(self) -> None:
        ended = self.events("target.reached", "target.failed", "target.cancelled")
        assert len({event.target for event in ended}) == len(ended)

    def everything_works_again(self) -> None:
        floor = self.floor
        floor.platform.script = []
        floor.store.run(lambda tx: resume_shop(tx, SHOP))
        with contextlib.suppress(Refused):
            floor.change(interventions.release)
        with contextlib.suppress(OutOfSequence):
            floor.platform.do("settle", target("x"))
        for _ in range(30):
            floor.now_ms += 300_000
            floor.services.admission.set_paused(False)
            floor.services.admission.reset()
            self.drive()
            if floor.row().situation is Situation.BLOCKED:
                floor.change(interventions.retry)
            if floor.row().due_at is None and not floor.draft().targets:
                break
        assert not floor.draft().targets, f"still pending: {floor.row()}"
        assert floor.row().situation is Situation.IDLE
        self.no_step_is_sent_again_after_it_took_effect()
        self.what_was_passed_over_is_not_asked_for_again()
        kept = floor.store.run(lambda tx: list_targets(tx, SHOP, ORDER))
        assert all(each.status.is_end for each in kept)


def test_whatever_happens_the_platforms_steps_are_its_own_and_each_target_ends() -> None:
    run_state_machine_as_test(
        MadeUpOrder,
        settings=settings(
            max_examples=100,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )
