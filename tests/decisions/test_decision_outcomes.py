"""What the outcomes of calls and reads do to an order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.backoff import Growing
from orchestrator.decisions.draft import Context, Draft, Policy
from orchestrator.decisions.outcomes import (
    apply_answer,
    apply_failure,
    apply_read,
    apply_read_failure,
    settle_intent,
)
from orchestrator.decisions.problems import problem_of
from orchestrator.decisions.reconciliation import reconcile
from orchestrator.platforms.client import OrderSnapshot, StepAnswer
from orchestrator.platforms.failures import (
    AccessDenied,
    NotFound,
    OutOfSequence,
    PlatformFailure,
    Rejected,
    Transient,
    Unreadable,
)
from orchestrator.testing.engine_suite.samples import order, target
from orchestrator.testing.engine_suite.scratch import NOW
from statemachines.machine import PlatformWait
from statemachines.selldone import MACHINE
from storage.records import Intent, Kept, PlanEntry, Situation, TargetStatus

POLICY = Policy("acme", "selldone", "auto", 300_000, 3, Growing(1000, 300_000), 5)
CTX = Context(MACHINE, POLICY, NOW)
CONFIRM = Intent("t-1", "confirm", "CheckQueue", "OrderConfirm", NOW - 5)


def calling(**fields: Any) -> Draft:
    """An order whose confirm is out."""
    known = order(**{"intent": CONFIRM, "situation": Situation.RUNNING, **fields})
    plan = (PlanEntry("confirm", "CheckQueue", "OrderConfirm"), PlanEntry("prepare", "OrderConfirm", "PreparingOrder"))
    head = target(request={"state": "preparing"}, plan=plan, status=TargetStatus.RUNNING)
    return Draft(known, [head, target("t-2")])


def seen(state: str = "CheckQueue", **fields: Any) -> OrderSnapshot:
    plain = OrderSnapshot("1", None, state, "paid", {"status": "Payed"}, b"{}", "h", None)
    return replace(plain, **fields)


def events(draft: Draft) -> list[tuple[str, dict[str, Any]]]:
    return [(type_, data or {}) for type_, _, data in draft._events]


# -- answers -----------------------------------------------------------------------------------------------------------


def test_a_done_step_moves_the_order_and_its_target_one_further() -> None:
    draft = calling(attempts=2, read_attempts=1, crashes=1, next_attempt_at=NOW)
    apply_answer(draft, CTX, StepAnswer("OrderConfirm"))
    left = draft.order
    assert (left.state, left.platform_state, left.milestone) == ("OrderConfirm", "OrderConfirm", "accepted")
    assert (left.intent, left.attempts, left.read_attempts, left.crashes, left.next_attempt_at) == (None, 0, 0, 0, None)
    assert left.moved_at == NOW
    assert draft.targets[0].steps_done == 1
    step = {"step": "confirm", "from": "CheckQueue", "to": "OrderConfirm", "how": "called"}
    assert events(draft) == [("step.done", step)]


def test_a_done_step_whose_target_was_cancelled_moves_the_order_alone() -> None:
    draft = calling()
    draft.targets = draft.targets[1:]
    apply_answer(draft, CTX, StepAnswer(None))
    assert draft.order.state == "OrderConfirm"
    assert [each.steps_done for each in draft.targets] == [0]


# -- failures of calls -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_ambiguous", [True, False])
def test_only_an_ambiguous_failure_leaves_the_call_uncertain(is_ambiguous: bool) -> None:
    draft = calling()
    apply_failure(draft, CTX, Transient("lost", is_ambiguous=is_ambiguous), 0.5, counts=True)
    left = draft.order
    assert left.intent == (replace(CONFIRM, is_uncertain=True, is_unanswered=True) if is_ambiguous else None)
    assert (left.attempts, left.next_attempt_at, left.moved_at) == (1, NOW + 500, NOW)
    ((type_, data),) = events(draft)
    assert type_ == "step.failed"
    assert (data["kind"], data["attempt"], data["next_attempt_at"]) == ("transient", 1, NOW + 500)


def test_what_the_platform_holds_up_is_read_again() -> None:
    draft = calling()
    wait = PlatformWait("platform", NOW + 9, "rejecting")
    apply_failure(draft, CTX, Transient("rejecting", wait=wait), 0.5, counts=True)
    assert draft.order.intent is not None
    assert draft.order.intent.is_uncertain


def test_trouble_of_the_whole_shop_costs_no_attempt() -> None:
    draft = calling(attempts=2)
    apply_failure(draft, CTX, Transient("429", retry_after_seconds=7.5), 0.5, counts=False)
    assert (draft.order.attempts, draft.order.next_attempt_at, draft.order.intent) == (2, None, None)
    assert events(draft)[0][1]["next_attempt_at"] == NOW + 7500


@pytest.mark.parametrize("failure", [Transient("lost", is_ambiguous=True), OutOfSequence("not now")])
def test_the_last_attempt_blocks_with_the_platforms_words(failure: PlatformFailure) -> None:
    draft = calling(attempts=POLICY.attempts - 1)
    apply_failure(draft, CTX, failure, 0.5, counts=True)
    assert draft.order.problem == problem_of("attempts-exhausted", failure.detail, "confirm", NOW)
    assert draft.targets[0].status is TargetStatus.BLOCKED
    assert draft.order.intent is not None, "what it did is still unknown"
    assert [type_ for type_, _ in events(draft)] == ["step.failed", "order.blocked"]


def test_out_of_sequence_is_read_at_once() -> None:
    draft = calling()
    apply_failure(draft, CTX, OutOfSequence("not now"), 0.9, counts=True)
    assert draft.order.intent == replace(CONFIRM, is_uncertain=True)
    assert (draft.order.attempts, draft.order.next_attempt_at) == (1, None)


def test_refused_credentials_cost_the_order_nothing() -> None:
    draft = calling(attempts=2)
    apply_failure(draft, CTX, AccessDenied("401"), 0.5, counts=False)
    assert (draft.order.intent, draft.order.attempts, draft.order.problem) == (None, 2, None)
    assert draft.targets[0].status is TargetStatus.RUNNING


def test_a_rejected_step_blocks() -> None:
    draft = calling()
    apply_failure(draft, CTX, Rejected("no stock"), 0.5, counts=True)
    assert draft.order.problem == problem_of("rejected", "no stock", "confirm", NOW)
    assert draft.order.intent is None


def test_an_order_that_is_gone_fails_all_its_targets() -> None:
    draft = calling()
    apply_failure(draft, CTX, NotFound("no such order"), 0.5, counts=True)
    assert draft.targets == []
    assert {each.status for each in draft._ended.values()} == {TargetStatus.FAILED}
    assert {each.problem and each.problem.type for each in draft._ended.values()} == {"order-not-found"}


# -- reads -------------------------------------------------------------------------------------------------------------


def test_a_read_finds_the_step_done_and_what_lies_beyond_it() -> None:
    draft = calling()
    apply_read(draft, CTX, seen("PreparingOrder"), None)
    assert (draft.order.state, draft.order.intent) == ("PreparingOrder", None)
    assert draft.targets[0].steps_done == 1
    done, drifted = events(draft)
    assert (done[0], done[1]["how"]) == ("step.done", "found_done")
    assert (drifted[0], drifted[1]["from"], drifted[1]["to"]) == ("order.drifted", "OrderConfirm", "PreparingOrder")


def test_a_read_that_shows_no_effect_lets_the_step_be_sent_again() -> None:
    draft = calling(read_attempts=2, next_attempt_at=NOW)
    apply_read(draft, CTX, seen(), None)
    assert (draft.order.state, draft.order.intent, draft.order.problem) == ("CheckQueue", None, None)
    assert (draft.order.read_attempts, draft.order.next_attempt_at) == (0, None)
    assert events(draft) == []


def test_a_refusal_that_the_read_does_not_explain_blocks_with_its_words() -> None:
    draft = calling()
    apply_read(draft, CTX, seen(), "cannot be applied")
    assert draft.order.problem == problem_of("rejected", "cannot be applied", "confirm", NOW)


def test_a_refusal_that_drift_explains_does_not_block() -> None:
    draft = calling()
    apply_read(draft, CTX, seen(facts={"status": "Canceled"}), "cannot be applied")
    assert (draft.order.state, draft.order.problem) == ("Canceled", None)


@pytest.mark.parametrize("failure", [Transient("lost"), Unreadable("half a page", b"<")])
def test_failed_reads_have_a_count_of_their_own_and_block_in_the_end(failure: PlatformFailure) -> None:
    draft = calling(attempts=1, read_attempts=1)
    apply_read_failure(draft, CTX, failure, 0.0, counts=True)
    left = draft.order
    assert (left.attempts, left.read_attempts, left.intent) == (1, 2, CONFIRM)
    assert left.next_attempt_at is not None
    assert left.next_attempt_at > NOW, "never at once: the same read would fail again"
    apply_read_failure(draft, CTX, failure, 0.0, counts=True)
    assert draft.order.problem is not None
    assert (draft.order.problem.type, draft.order.problem.step) == ("attempts-exhausted", "confirm")
    assert failure.detail in draft.order.problem.detail


@pytest.mark.parametrize("failure", [Transient("429", retry_after_seconds=3), AccessDenied("401")])
def test_a_read_that_the_whole_shop_is_refused_costs_nothing(failure: PlatformFailure) -> None:
    draft = calling()
    before = draft.order
    apply_read_failure(draft, CTX, failure, 0.5, counts=False)
    assert draft.order == before


def test_a_read_of_an_order_that_is_gone_fails_its_targets() -> None:
    draft = calling()
    apply_read_failure(draft, CTX, NotFound("no such order"), 0.5, counts=True)
    assert (draft.targets, draft.order.intent) == ([], None)


# -- adopting ----------------------------------------------------------------------------------------------------------


def test_a_read_that_fails_is_reported_with_when_it_is_made_again() -> None:
    draft = calling()
    apply_read_failure(draft, CTX, Transient("HTTP 500"), 0.5, counts=True)
    ((type_, data),) = events(draft)
    assert (type_, data["kind"], data["attempt"], data["detail"]) == ("read.failed", "transient", 1, "HTTP 500")
    assert data["next_attempt_at"] == draft.order.next_attempt_at


def test_what_shows_nothing_new_changes_only_when_it_was_seen() -> None:
    draft = Draft(order(facts={"status": "Payed"}, observed_at=NOW - 9), ())
    assert reconcile(draft, CTX, seen(), NOW) is False
    assert draft.order == order(facts={"status": "Payed"}, observed_at=NOW)
    assert events(draft) == []
    assert draft._payload is None


def test_an_edit_is_reported_and_its_payload_kept() -> None:
    draft = Draft(order(), (), kept=Kept({"note": None}, NOW - 9, NOW - 9))
    look = seen(content_hash="new", payload=b"new", reference="R", content={"note": "ring"})
    assert reconcile(draft, CTX, look, NOW) is True
    expected = {"reference": "R", "payment": "paid", "state": "CheckQueue", "changed": ["/note"]}
    assert events(draft) == [("order.updated", expected)]
    assert (draft.order.reference, draft._payload) == ("R", (b"new", {"note": "ring"}, NOW))


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ("unpaid", "paid", ["order.payment_settled"]),
        ("unpaid", "invoice", ["order.payment_settled"]),
        ("unpaid", "unknown", []),
        ("unknown", "unpaid", []),
        ("paid", "invoice", []),
        ("paid", "unpaid", ["order.updated"]),
    ],
)
def test_a_payment_that_is_settled_or_is_so_no_more_is_reported(before: str, now: str, expected: list[str]) -> None:
    draft = Draft(order(payment=before), ())
    reconcile(draft, CTX, seen(payment=now), NOW)
    assert [type_ for type_, _ in events(draft)] == expected


def test_drift_releases_what_was_blocked() -> None:
    draft = calling(intent=None)
    draft.block(problem_of("rejected", "no", "confirm", NOW))
    reconcile(draft, CTX, seen("OrderConfirm"), NOW)
    assert draft.order.problem is None
    assert draft.targets[0].status is TargetStatus.RUNNING
    assert [type_ for type_, _ in events(draft)] == ["order.blocked", "order.drifted", "order.released"]


def test_what_is_seen_again_where_it_was_stays_blocked() -> None:
    draft = calling(intent=None)
    draft.block(problem_of("rejected", "no", "confirm", NOW))
    reconcile(draft, CTX, seen(), NOW)
    assert draft.order.problem is not None
    assert draft.targets[0].status is TargetStatus.BLOCKED


def test_the_first_read_confirms_what_was_provisional() -> None:
    draft = Draft(order(is_provisional=True, facts={"status": "Payed"}, observed_at=0), ())
    left = []
    for look in (seen(is_provisional=True), seen(payload=b"whole")):
        reconcile(draft, CTX, look, NOW)
        left.append(draft.order.is_provisional)
    assert left == [True, False], "another webhook confirms nothing"
    assert draft._payload == (b"whole", {}, NOW)


def test_an_intent_ends_with_a_read_whatever_it_shows() -> None:
    for shown in (seen(), seen("OrderConfirm"), seen("PreparingOrder")):
        draft = calling()
        assert settle_intent(draft, CTX, shown, None) is None
        assert draft.order.intent is None


def test_a_refusal_is_no_problem_while_the_platform_holds_the_order_up(monkeypatch: pytest.MonkeyPatch) -> None:
    draft = calling()
    monkeypatch.setattr(type(MACHINE), "wait", lambda *_: PlatformWait("platform", None, "rejecting"))
    assert settle_intent(draft, CTX, seen(), "cannot be applied") is None
