"""What is next for an order: every branch of the one function that decides it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.backoff import Growing
from orchestrator.decisions.decision import Call, Move, Read, Rest, advance
from orchestrator.decisions.draft import Context, Draft, Policy
from orchestrator.decisions.problems import problem_of
from orchestrator.testing.engine_suite.samples import order, target
from orchestrator.testing.engine_suite.scratch import NOW
from statemachines.selldone import MACHINE
from statemachines.target import TargetRequest
from storage.records import Intent, Order, PlanEntry, Situation, Target, TargetStatus, Wait

POLICY = Policy("acme", "selldone", "auto", 300_000, 8, Growing(1000, 300_000), 5)
CTX = Context(MACHINE, POLICY, NOW, may_begin=True)
WITHOUT_TURN = CTX._replace(may_begin=False)
REJECTING = {"status": "Payed", "reject_at": "2025-10-09 08:00:00", "reject": "no stock"}
CONFIRM = Intent("t-1", "confirm", "CheckQueue", "OrderConfirm", NOW - 5, is_uncertain=True)


def decide(known: Order, *targets: Target, ctx: Context = CTX) -> tuple[Draft, Move]:
    draft = Draft(known, targets)
    return draft, advance(draft, ctx)


def event_types(draft: Draft) -> list[str]:
    return [type_ for type_, _, _ in draft._events]


def rests(draft: Draft, move: Move, situation: Situation, due_at: int | None) -> None:
    assert move is Rest.REST
    assert (draft.order.situation, draft.order.due_at) == (situation, due_at)


def wants(state: str, target_id: str = "t-1", **fields: Any) -> Target:
    return target(target_id, request={"state": state}, plan=(), state=state, **fields)


# -- nothing to do -----------------------------------------------------------------------------------------------------


def test_an_order_without_targets_idles_and_forgets_its_troubles() -> None:
    known = order(problem=problem_of("rejected", "?", None, NOW), attempts=3, read_attempts=1, next_attempt_at=NOW + 9)
    draft, move = decide(known)
    rests(draft, move, Situation.IDLE, None)
    left = draft.order
    assert (left.problem, left.attempts, left.read_attempts, left.next_attempt_at) == (None, 0, 0, None)
    assert event_types(draft) == []


def test_an_order_in_an_unknown_state_blocks_and_says_so_once() -> None:
    draft, move = decide(order(state="Teleported"))
    rests(draft, move, Situation.BLOCKED, None)
    assert draft.order.problem is not None
    assert draft.order.problem.type == "unknown-state"
    assert "Teleported" in draft.order.problem.detail
    again, _ = decide(draft.order)
    assert (event_types(draft), event_types(again)) == (["order.blocked"], [])


def test_an_unknown_state_blocks_the_head_of_the_queue() -> None:
    draft, move = decide(order(state="Teleported"), wants("shipped"), wants("delivered", "t-2"))
    rests(draft, move, Situation.BLOCKED, None)
    assert [each.status for each in draft.targets] == [TargetStatus.BLOCKED, TargetStatus.QUEUED]


@pytest.mark.parametrize("status", [TargetStatus.QUEUED, TargetStatus.RUNNING, TargetStatus.BLOCKED])
def test_a_held_order_rests_whatever_its_head_is(status: TargetStatus) -> None:
    draft, move = decide(order(held_at=NOW, due_at=NOW), wants("shipped", status=status))
    rests(draft, move, Situation.HELD, None)


def test_a_blocked_head_keeps_those_behind_it_waiting() -> None:
    problem = problem_of("rejected", "no", "confirm", NOW)
    known = order(problem=problem)
    draft, move = decide(known, wants("accepted", status=TargetStatus.BLOCKED), wants("attention", "t-2"))
    rests(draft, move, Situation.BLOCKED, None)
    assert draft.order.problem == problem


# -- waiting -----------------------------------------------------------------------------------------------------------


def test_an_order_in_backoff_waits_until_its_next_attempt() -> None:
    running = wants("accepted", status=TargetStatus.RUNNING)
    draft, move = decide(order(next_attempt_at=NOW + 1), running)
    rests(draft, move, Situation.RETRYING, NOW + 1)
    _, move = decide(order(next_attempt_at=NOW), running)
    assert isinstance(move, Call)


def test_what_the_platform_holds_up_waits_and_is_looked_at_again() -> None:
    draft, move = decide(order(facts=REJECTING, observed_at=NOW - 100), wants("accepted"))
    assert move is Rest.REST
    assert draft.order.situation is Situation.WAITING
    assert draft.order.wait is not None
    assert draft.order.wait.reason == "platform"
    assert "no stock" in draft.order.wait.detail
    assert draft.order.due_at is not None
    assert NOW < draft.order.due_at <= NOW + 300_000
    late, move = decide(order(facts=REJECTING, observed_at=NOW - 300_000), wants("accepted"))
    assert move == Read(is_resolving=False)
    assert late.order.wait is None


def test_a_wait_ends_with_what_made_it() -> None:
    waited = order(situation=Situation.WAITING, wait=Wait("platform", None, "?"), due_at=NOW)
    draft, move = decide(waited, wants("accepted"))
    assert isinstance(move, Call)
    assert draft.order.wait is None


def test_a_target_that_begins_on_an_old_look_reads_first_and_a_running_one_does_not() -> None:
    known = order(observed_at=NOW - POLICY.fresh_ms - 1)
    draft, move = decide(known, wants("accepted"))
    assert move == Read(is_resolving=False)
    assert (draft.order.situation, draft.order.due_at) == (Situation.QUEUED, NOW)
    _, move = decide(known, wants("accepted", status=TargetStatus.RUNNING))
    assert isinstance(move, Call)
    _, move = decide(replace(known, observed_at=NOW - POLICY.fresh_ms), wants("accepted"))
    assert isinstance(move, Call)


@pytest.mark.parametrize("status", [TargetStatus.QUEUED, TargetStatus.RUNNING])
def test_an_order_that_is_to_be_read_first_is_read_in_the_midst_of_a_target_too(status: TargetStatus) -> None:
    """A store that went back in time knows of no call that went out since."""
    known = order(situation=Situation.RETRYING, observed_at=0, moved_at=NOW, next_attempt_at=NOW)
    _, move = decide(known, wants("accepted", status=status))
    assert move == Read(is_resolving=False)


# -- a call was out ----------------------------------------------------------------------------------------------------


def test_an_uncertain_call_is_read_before_anything_else() -> None:
    draft, move = decide(order(intent=CONFIRM, held_at=NOW), wants("accepted", status=TargetStatus.RUNNING))
    assert move == Read(is_resolving=True)
    assert (draft.order.situation, draft.order.due_at) == (Situation.QUEUED, NOW)
    assert draft.order.intent == CONFIRM


def test_an_uncertain_call_waits_out_its_backoff() -> None:
    known = order(intent=CONFIRM, next_attempt_at=NOW + 7)
    draft, move = decide(known, wants("accepted", status=TargetStatus.RUNNING))
    rests(draft, move, Situation.RETRYING, NOW + 7)


def test_a_blocked_order_with_an_uncertain_call_waits_for_a_person() -> None:
    known = order(intent=CONFIRM, problem=problem_of("attempts-exhausted", "?", "confirm", NOW))
    draft, move = decide(known, wants("accepted", status=TargetStatus.BLOCKED))
    rests(draft, move, Situation.BLOCKED, None)


def test_an_uncertain_call_whose_targets_are_gone_is_read_until_that_is_hopeless() -> None:
    """Its target was cancelled; reads that fail for good must not be tried round and round."""
    draft, move = decide(order(intent=CONFIRM))
    assert move == Read(is_resolving=True)
    hopeless = order(intent=CONFIRM, problem=problem_of("attempts-exhausted", "?", "confirm", NOW))
    draft, move = decide(hopeless)
    rests(draft, move, Situation.BLOCKED, None)
    _, move = decide(hopeless, wants("accepted"))
    assert move == Read(is_resolving=True), "a new target is worth another look"


# -- planning ----------------------------------------------------------------------------------------------------------


def test_a_step_begins_with_its_intent_and_no_due_time() -> None:
    known = order(due_at=NOW, attempts=2, situation=Situation.RETRYING, next_attempt_at=NOW - 1)
    draft, move = decide(known, wants("preparing"))
    assert move == Call("confirm", TargetRequest("preparing"))
    left = draft.order
    assert left.intent == Intent("t-1", "confirm", "CheckQueue", "OrderConfirm", NOW)
    assert (left.situation, left.due_at, left.next_attempt_at) == (Situation.RUNNING, None, None)
    head = draft.targets[0]
    assert head.status is TargetStatus.RUNNING
    assert head.plan == (
        PlanEntry("confirm", "CheckQueue", "OrderConfirm"),
        PlanEntry("prepare", "OrderConfirm", "PreparingOrder"),
    )
    assert draft._events == [
        (
            "step.started",
            "t-1",
            {"step": "confirm", "from": "CheckQueue", "to": "OrderConfirm", "attempt": 3},
        )
    ]


def test_without_a_permit_nothing_begins_and_the_order_stays_due() -> None:
    draft, move = decide(order(), wants("accepted"), ctx=WITHOUT_TURN)
    assert move is Rest.NEEDS_PERMIT
    assert (draft.order.situation, draft.order.due_at, draft.order.intent) == (Situation.QUEUED, NOW, None)
    assert draft.targets[0].status is TargetStatus.QUEUED
    assert event_types(draft) == []


def test_targets_that_are_reached_end_until_one_needs_a_call() -> None:
    known = order(state="PreparingOrder", platform_state="PreparingOrder")
    draft, move = decide(known, wants("accepted"), wants("attention", "t-2"), wants("shipped", "t-3"))
    assert move == Call("send", TargetRequest("shipped"))
    assert [each.id for each in draft.targets] == ["t-3"]
    assert event_types(draft) == ["target.reached", "step.done", "target.reached", "step.started"]
    assert [data.get("how") for type_, _, data in draft._events if data and type_ == "step.done"] == ["found_done"]
    recorded = draft._ended["t-2"]
    assert (recorded.status, recorded.steps_done, recorded.finished_at) == (TargetStatus.REACHED, 1, NOW)


def test_a_target_that_cannot_be_reached_fails_and_the_next_goes_on() -> None:
    known = order(state="OrderConfirm", platform_state="OrderConfirm")
    draft, move = decide(known, wants("returned"), wants("preparing", "t-2"))
    (failed,) = draft._ended.values()
    assert failed.problem is not None
    assert (failed.status, failed.problem.type, failed.finished_at) == (TargetStatus.FAILED, "unreachable", NOW)
    assert move == Call("prepare", TargetRequest("preparing"))
    assert draft.order.problem is None


def test_a_name_that_the_machine_lost_makes_its_target_unreachable() -> None:
    draft, move = decide(order(), wants("Teleported"))
    rests(draft, move, Situation.IDLE, None)
    (ended,) = draft._ended.values()
    assert ended.problem is not None
    assert (ended.status, ended.problem.type) == (TargetStatus.FAILED, "unreachable")


def test_what_a_guard_refuses_blocks_for_a_person() -> None:
    known = order(facts={"status": "Pending"})
    draft, move = decide(known, wants("accepted"))
    rests(draft, move, Situation.BLOCKED, None)
    assert draft.order.problem is not None
    assert (draft.order.problem.type, draft.order.problem.step) == ("rejected", None)
    assert "Pending" in draft.order.problem.detail
    assert draft.targets[0].problem == draft.order.problem


def test_a_plan_is_written_only_when_it_is_another() -> None:
    planned = (PlanEntry("confirm", "CheckQueue", "OrderConfirm"),)
    same = target(request={"state": "accepted"}, plan=planned, status=TargetStatus.RUNNING)
    draft, _ = decide(order(), same)
    assert draft._rewritten == {}
    walked = replace(same, request={"state": "preparing"}, steps_done=1)
    draft, _ = decide(order(state="OrderConfirm", platform_state="OrderConfirm"), walked)
    assert draft._rewritten["t-1"].plan == (*planned, PlanEntry("prepare", "OrderConfirm", "PreparingOrder"))


# -- ending targets ----------------------------------------------------------------------------------------------------


def test_ending_a_target_behind_a_blocked_one_leaves_the_problem() -> None:
    problem = problem_of("rejected", "no", "confirm", NOW)
    head = wants("accepted", status=TargetStatus.BLOCKED, problem=problem)
    draft = Draft(order(situation=Situation.BLOCKED, problem=problem), [head, wants("shipped", "t-2")])
    draft.finish(draft.targets[1], TargetStatus.CANCELLED, NOW)
    assert (draft.order.problem, draft.targets) == (problem, [head])
    draft.finish(head, TargetStatus.CANCELLED, NOW)
    assert (draft.order.problem, draft.targets) == (None, [])
