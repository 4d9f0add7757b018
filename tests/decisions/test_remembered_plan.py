"""A draft that remembers the rest of its plan decides as one that plans at each step: on every platform, whatever the
calls come to."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.backoff import Growing
from orchestrator.decisions.decision import Call, Read, advance
from orchestrator.decisions.draft import Context, Draft, Policy
from orchestrator.decisions.outcomes import apply_answer, apply_failure
from orchestrator.platforms.client import StepAnswer
from orchestrator.platforms.failures import Rejected, Transient
from orchestrator.registry import PLATFORMS
from statemachines.machine import Milestone, PlatformMachine
from storage.records import Order, Target, TargetStatus
from tests.statemachines.test_no_plan_goes_too_far import BRINGS, CASES, FACTS, OPTIONS

NOW = 1_760_000_000_000
MACHINES = {case: PLATFORMS[case[0]].machine(OPTIONS[case[0]][case[1]]) for case in CASES}
outcomes = st.sampled_from(["as_planned"] * 6 + ["unsaid", "elsewhere", "facts", "found", "refused", "failed"])


def context(machine: PlatformMachine, chaining: str, may_begin: bool) -> Context:
    policy = Policy("acme", machine.platform, chaining, 300_000, 3, Growing(100, 1000), 5)  # type: ignore[arg-type]
    return Context(machine, policy, NOW, may_begin=may_begin)


def apply(draft: Draft, ctx: Context, outcome: str) -> None:
    intent = draft.order.intent
    assert intent is not None
    answers = {
        "as_planned": StepAnswer(intent.to),
        "unsaid": StepAnswer(None),
        "elsewhere": StepAnswer(ctx.machine.mainline[0]),
        "facts": StepAnswer(intent.to, {"told": "by the answer"}),
        "found": StepAnswer(intent.to),
    }
    if outcome in answers:
        apply_answer(draft, ctx, answers[outcome], "found_done" if outcome == "found" else "called")
    else:
        failure = Rejected("no") if outcome == "refused" else Transient("lost", is_ambiguous=True)
        apply_failure(draft, ctx, failure, 0.5, counts=True)


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
    order = Order.first_seen(
        shop="acme",
        platform=machine.platform,
        id="1",
        reference=None,
        state=state,
        platform_state=data.draw(st.sampled_from([state, machine.initial])),
        milestone=machine.milestone(state),
        payment="paid",
        facts=data.draw(st.sampled_from(FACTS[case[0]])),
        content_hash="h",
        platform_updated_at=None,
        observed_at=NOW,
        now=NOW,
    )
    targets = [
        Target(n, f"t-{n}", "acme", "1", "", None, TargetStatus.QUEUED, request, (), 0, (), NOW, None, None)
        for n, request in enumerate(requests)
    ]
    chaining = data.draw(st.sampled_from(["auto", "auto", "strict"]))
    draft = Draft(order, targets)
    outcome = None
    for following in [*script, None]:
        ctx = context(machine, chaining, may_begin=data.draw(st.sampled_from([True, True, False])))
        remembering, forgetting = draft.fork(), Draft(draft.order, draft.targets)
        for each in (remembering, forgetting):
            if outcome is not None:
                apply(each, ctx, outcome)
        move = advance(remembering, ctx)
        assert move == advance(forgetting, ctx)
        assert remembering.take_change(NOW, 1) == forgetting.take_change(NOW, 1)
        assert (remembering.order, remembering.targets) == (forgetting.order, forgetting.targets)
        if isinstance(move, Read):
            return
        draft, outcome = remembering, following if isinstance(move, Call) else None
        if outcome is None and remembering.order.next_attempt_at is not None:
            draft = Draft(replace(remembering.order, next_attempt_at=None), remembering.targets)
