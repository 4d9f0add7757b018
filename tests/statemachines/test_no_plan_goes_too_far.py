"""No plan goes further than what is asked for: of no machine, from no state, to no target, under no option.

What is seen outside is a step that the buyer hears of, or that nobody can take back. An order that is not sent is not
sent in order to be returned, and a cancellation tells nobody that goods leave.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.registry import PLATFORMS
from statemachines.machine import Milestone, OrderState, Plan, PlannedStep, PlatformMachine, Refusal, State, Step
from statemachines.target import Json, TargetRequest

OWN_FLOW = ["Nowe", "Pakowane", "Wysłane", "Odebrane", "Zwrócone"]
OPTIONS: dict[str, list[dict[str, Json]]] = {
    "selldone": [{}, {"ship_withdrawn": True}],
    "cloudsuite": [{}, {"payment_check": "off"}, {"desadv_on_timeout": "ask"}, {"proxy_shop": None}],
    "xsale": [
        {},
        {"flow": ["Nowe", "Wysłane"]},
        {"flow": OWN_FLOW, "milestones": {"shipped": "Wysłane", "delivered": "Odebrane", "cancelled": "Anulowane"}},
        {"flow": OWN_FLOW, "milestones": {"attention": "Pomoc"}},
    ],
    "shopify": [{}, {"ship_withdrawn": True}],
    "woocommerce": [
        {},
        {"statuses": {"accepted": "received", "preparing": "packed", "shipped": "sent"}},
        {"statuses": {"accepted": "processing", "preparing": "packed", "shipped": "packed", "delivered": "done"}},
    ],
}
FACTS: dict[str, list[dict[str, Json]]] = {
    "selldone": [
        {"status": "Payed", "items": ["1", "2"]},
        {"status": "Reserved"},
        {"status": "COD", "tracking_code": "T1"},
        {"withdrawn": {"at": None, "reason": None}},
    ],
    "cloudsuite": [
        {"payment_status": status, "is_offline": is_offline, "lines": {"1": {"erp": 10, "part": "A", "quantity": "2"}}}
        for status in ("paid", "none")
        for is_offline in (False, True)
    ],
    "xsale": [{}],
    "woocommerce": [{}, {"lines": {"1": "2"}, "trackings": ["T1"]}],
    "shopify": [
        {},
        *(
            {
                "fulfillment_orders": [
                    {
                        "id": "9",
                        "status": "OPEN",
                        "location": "1",
                        "method": method,
                        "actions": ["CREATE_FULFILLMENT", "REPORT_PROGRESS"],
                        "hold": None,
                        "fulfill_at": None,
                        "lines": {"9-1": ["1", 2]},
                    }
                ],
                "fulfillments": [],
                "lines": {"1": 2},
            }
            for method in ("SHIPPING", "PICK_UP")
        ),
    ],
}
BRINGS: list[dict[str, Json]] = [
    {},
    {"tracking": {"code": "T1", "url": "https://t.example/1"}},
    {"tracking": {"code": "T2"}, "reason": "OTHER", "notify_customer": True},
    {"items": ["1"]},
    {"erp_order_number": "E", "erp_lines": [{"line": "1", "erp_line_number": 10}], "despatch": [{"number": "PS-1"}]},
    {"delivery_info": {"type": "Cargo"}},
]
CASES = [(platform, n) for platform, options in OPTIONS.items() for n, _ in enumerate(options)]


def test_every_machine_is_looked_at() -> None:
    assert set(OPTIONS) == set(FACTS) == set(PLATFORMS)


def too_far(machine: PlatformMachine, plan: Plan) -> list[PlannedStep]:
    """The steps of a plan that are seen outside and lead past what was asked for, or beside it."""
    rank = {name: n for n, name in enumerate(machine.mainline)}
    # a part of an order is shipped by the step that ships all of it
    wanted = "FULFILLED" if plan.state == "PARTIALLY_FULFILLED" else plan.state
    found = []
    for step in plan.steps:
        rows = [row for row in machine.rows if row.name == step.step]
        rows = [row for row in rows if row.to == step.to] or rows
        if not any(row.is_seen_outside for row in rows):
            continue
        if step.source == step.to:  # something is told of the order where it is, never on the way to a state beside
            is_meant = wanted in rank
        else:
            is_meant = step.to == wanted or (wanted in rank and rank.get(step.to, len(rank)) <= rank[wanted])
        found += [] if is_meant else [step]
    return found


def requests_of(machine: PlatformMachine) -> Iterator[TargetRequest]:
    for state in [*machine.states, *Milestone]:
        for brought in BRINGS:
            yield TargetRequest.from_json({"state": str(state), **brought})


@pytest.mark.parametrize(("platform", "n"), CASES)
def test_no_machine_shows_the_outside_more_than_was_asked_for(platform: str, n: int) -> None:
    machine = PLATFORMS[platform].machine(OPTIONS[platform][n])
    planned = 0
    for state in machine.states:
        for facts in FACTS[platform]:
            for request in requests_of(machine):
                for shown in (state, machine.initial):
                    plan = machine.plan(OrderState(state, shown, "paid", facts), request)
                    planned += isinstance(plan, Plan) and bool(plan.steps)
                    assert isinstance(plan, Refusal) or not too_far(machine, plan), (state, request, plan)
    assert planned > 20


@pytest.mark.parametrize(("platform", "n"), CASES)
def test_a_state_beside_the_way_is_one_step_away_or_out_of_reach(platform: str, n: int) -> None:
    machine = PLATFORMS[platform].machine(OPTIONS[platform][n])
    for wanted in set(machine.states) - set(machine.mainline):
        for state in machine.states:
            for facts in FACTS[platform]:
                for brought in BRINGS:
                    request = TargetRequest.from_json({"state": wanted, **brought})
                    plan = machine.plan(OrderState(state, state, "paid", facts), request)
                    moves = [] if isinstance(plan, Refusal) else [each for each in plan.steps if each.source != each.to]
                    assert len(moves) <= 1, (state, request, plan)


NAMES = [f"S{n}" for n in range(6)]
edges = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.booleans(), st.booleans())


@given(st.integers(1, 6), st.lists(edges, max_size=15, unique_by=lambda edge: edge[:2]), st.data())
def test_whatever_a_table_says_no_plan_goes_too_far(length: int, drawn: list[Any], data: st.DataObject) -> None:
    mainline = NAMES[:length]
    rows = [
        Step(f"{source}{to}", (source,), to, reaches_buyer=reaches, is_irrevocable=irrevocable)
        for source, to, reaches, irrevocable in drawn
    ]
    reached = {NAMES[0]}
    while grown := {row.to for row in rows if row.to and reached & set(row.sources)} - reached:
        reached |= grown
    states = [State(name, settable=name in reached) for name in NAMES]
    machine = PlatformMachine("any", states, rows, mainline, NAMES[0])
    here, wanted = data.draw(st.sampled_from(NAMES)), data.draw(st.sampled_from(sorted(reached)))
    plan = machine.plan(OrderState(here, here), TargetRequest(wanted))
    if isinstance(plan, Plan):
        assert too_far(machine, plan) == []
    elif not any(row.is_seen_outside for row in rows):
        assert here not in reached or wanted not in _ahead(rows, here), "what nobody sees is in nobody's way"


def _ahead(rows: list[Step], start: str) -> set[str]:
    found: set[str] = set()
    while grown := {row.to for row in rows if row.to and ({start} | found) & set(row.sources)} - found:
        found |= grown
    return found
