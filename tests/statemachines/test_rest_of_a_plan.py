"""The steps left of a plan are the plan once the first is done: of every machine, from every state, under every option.

So a draft need not plan again after each step (`decisions.way`)."""

from __future__ import annotations

import pytest

from orchestrator.decisions.way import Way
from orchestrator.registry import PLATFORMS
from statemachines.machine import RECORD, OrderState, Plan, PlatformMachine
from statemachines.target import TargetRequest
from tests.statemachines.test_no_plan_goes_too_far import CASES, FACTS, OPTIONS, requests_of


def left_after_a_step(machine: PlatformMachine, state: OrderState, request: TargetRequest, plan: Plan) -> int:
    """How many steps a draft takes over from a plan once its first is done, having checked that they are the plan."""
    first = plan.steps[0]
    if first.step == RECORD or machine.awaited(first) is not None:
        return 0  # no call: what becomes of it, a read shows
    here = machine.moved(state, first.step, machine.own_request(state, request), None, {})
    left = Way(machine, "auto", request, state, plan.steps).left(machine, "auto", request, here)
    if left is None:
        return 0
    planned = machine.plan(here, request)
    assert isinstance(planned, Plan), (state, request, plan, planned)
    assert planned.steps == left, (state, request, plan, planned)
    return len(left)


@pytest.mark.parametrize(("platform", "n"), CASES)
def test_the_steps_left_are_the_plan_once_the_first_is_done(platform: str, n: int) -> None:
    machine = PLATFORMS[platform].machine(OPTIONS[platform][n])
    taken_over = 0
    for name in machine.states:
        for facts in FACTS[platform]:
            for request in requests_of(machine):
                for shown in (name, machine.initial):
                    state = OrderState(name, shown, "paid", facts)
                    plan = machine.plan(state, request)
                    if isinstance(plan, Plan) and plan.steps:
                        taken_over += left_after_a_step(machine, state, request, plan)
    has_longer_plans = (platform, n) not in (("xsale", 1), ("woocommerce", 0)) and platform != "shopify"
    assert (taken_over > 0) is has_longer_plans
