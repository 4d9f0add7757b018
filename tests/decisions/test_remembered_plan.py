"""A draft that remembers the rest of its plan decides as one that plans at each step: on every platform, whatever the
calls come to. Nor does it matter whether the commonest decision is made at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.backoff import Growing
from orchestrator.decisions.continuing import go_on
from orchestrator.decisions.decision import Call, Read, advance
from orchestrator.decisions.draft import Context, Draft, Policy
from orchestrator.decisions.outcomes import apply_answer, apply_failure
from orchestrator.platforms.client import StepAnswer
from orchestrator.platforms.failures import Rejected, Transient
from orchestrator.registry import PLATFORMS
from statemachines.machine import Milestone, PlatformMachine
from storage.records import Order, Target, TargetStatus, changed
from tests.statemachines.test_no_plan_goes_too_far import BRINGS, CASES, FACTS, OPTIONS

NOW = 1_760_000_000_000
MACHINES = {case: PLATFORMS[case[0]].machine(OPTIONS[case[0]][case[1]]) for case in CASES}
outcomes = st.sampled_from(
    ["as_planned"] * 6 + ["unsaid", "elsewhere", "facts", "found", "unused", "refused", "failed"]
)


def context(machine: PlatformMachine, chaining: str, may_begin: bool) -> Context:
    policy = Policy("acme", machine.platform, chaining, 300_000, 3, Growing(100, 1000), 5)  # type: ignore[arg-type]
    return Context(machine, policy, NOW, may_begin=may_begin)


def apart(draft: Draft) -> Draft:
    """A copy whose records are its own."""
    copy = draft.fork()
    copy.order, copy.targets = changed(draft.order), [changed(target) for target in draft.targets]
    return copy


def answer_of(draft: Draft, ctx: Context, outcome: str) -> StepAnswer | None:
    intent = draft.order.intent
    assert intent is not None
    answers = {
        "as_planned": StepAnswer(intent.to),
        "unsaid": StepAnswer(None),
        "elsewhere": StepAnswer(ctx.machine.mainline[0]),
        "facts": StepAnswer(intent.to, {"told": "by the answer"}),
        "found": StepAnswer(intent.to, is_found=True),
        "unused": StepAnswer(intent.to, unused=("tracking", "delivery_info"), reason="no such plug-in"),
    }
    return answers.get(outcome)


def apply(draft: Draft, ctx: Context, outcome: str) -> None:
    if (answer := answer_of(draft, ctx, outcome)) is not None:
        apply_answer(draft, ctx, answer, "found_done" if answer.is_found else "called")
    else:
        failure = Rejected("no") if outcome == "refused" else Transient("lost", is_ambiguous=True)
        apply_failure(draft, ctx, failure, 0.5, counts=True)


def order_in(machine: PlatformMachine, state: str, facts: dict[str, Any], shown: str | None = None) -> Order:
    return Order.first_seen(
        shop="acme",
        platform=machine.platform,
        id="1",
        reference=None,
        state=state,
        platform_state=shown or state,
        milestone=machine.milestone(state),
        payment="paid",
        facts=facts,
        content_hash="h",
        platform_updated_at=None,
        observed_at=NOW,
        now=NOW,
    )


def targets_of(requests: Sequence[dict[str, Any]]) -> list[Target]:
    return [
        Target(n, f"t-{n}", "acme", "1", "", None, TargetStatus.QUEUED, request, (), 0, (), NOW, None, None)
        for n, request in enumerate(requests)
    ]


@settings(max_examples=400, deadline=None)
@given(data=st.data(), case=st.sampled_from(CASES), script=st.lists(outcomes, min_size=1, max_size=8))
def test_what_is_remembered_of_a_plan_changes_no_decision(
    data: st.DataObject, case: tuple[str, int], script: list[str]
) -> None:
    machine = MACHINES[case]
    state = data.draw(st.sampled_from([machine.initial, *machine.states]))
    wanted = st.builds(
        lambda name, brought: {"state": str(name), **brought},
        st.sampled_from([*machine.states, *Milestone]),
        st.sampled_from(BRINGS),
    )
    requests = data.draw(st.lists(wanted, min_size=1, max_size=2))
    shown = data.draw(st.sampled_from([state, machine.initial]))
    order = order_in(machine, state, data.draw(st.sampled_from(FACTS[case[0]])), shown)
    targets = targets_of(requests)
    chaining = data.draw(st.sampled_from(["auto", "auto", "strict"]))
    draft = Draft(order, targets)
    outcome = None
    for following in [*script, None]:
        ctx = context(machine, chaining, may_begin=data.draw(st.sampled_from([True, True, False])))
        remembering, forgetting, at_once = draft.fork(), Draft(draft.order, draft.targets), apart(draft)
        answer: StepAnswer | None = None if outcome is None else answer_of(draft, ctx, outcome)
        gone_on = None if answer is None else go_on(at_once, ctx, answer)
        for each in (remembering, forgetting):
            if outcome is not None:
                apply(each, ctx, outcome)
        move = advance(remembering, ctx)
        assert move == advance(forgetting, ctx)
        change = remembering.take_change(NOW, 1)
        assert change == forgetting.take_change(NOW, 1)
        assert (remembering.order, remembering.targets) == (forgetting.order, forgetting.targets)
        if gone_on is None:
            assert (at_once.order, at_once.targets) == (draft.order, draft.targets)
        else:
            assert (gone_on, at_once.take_change(NOW, 1)) == (move, change)
            assert (at_once.order, at_once.targets) == (remembering.order, remembering.targets)
            if data.draw(st.booleans()):
                remembering = at_once
        if isinstance(move, Read):
            return
        draft, outcome = remembering, following if isinstance(move, Call) else None
        if outcome is None and remembering.order.next_attempt_at is not None:
            draft = Draft(replace(remembering.order, next_attempt_at=None), remembering.targets)


def test_a_step_that_follows_another_begins_as_every_step_does() -> None:
    begun = Counter(case[0] for case in CASES for _ in range(_follow_plans(case)))
    assert begun["selldone"] > 100
    assert len(begun) > 2, "a platform whose answers to steps change facts has none"


def _follow_plans(case: tuple[str, int]) -> int:
    machine, begun = MACHINES[case], 0
    ctx = context(machine, "auto", may_begin=True)
    for facts, name, brought in product(FACTS[case[0]], Milestone, BRINGS):
        draft = Draft(order_in(machine, machine.initial, facts), targets_of([{"state": name.value, **brought}]))
        move = advance(draft, ctx)
        draft.take_change(NOW, 1)
        while isinstance(move, Call):
            intent = draft.order.intent
            assert intent is not None
            answer = StepAnswer(intent.to)
            at_once = apart(draft)
            gone_on = go_on(at_once, ctx, answer)
            apply_answer(draft, ctx, answer)
            move = advance(draft, ctx)
            change = draft.take_change(NOW, 1)
            if gone_on is not None:
                begun += 1
                assert (at_once.take_change(NOW, 1), gone_on) == (change, move)
                assert (at_once.order, at_once.targets) == (draft.order, draft.targets)
                draft = at_once
    return begun
