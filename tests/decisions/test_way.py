"""When the rest of a plan is taken over, and when it is planned again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.decisions.way import Way
from statemachines.machine import OrderState, Plan
from statemachines.selldone import MACHINE, SelldoneMachine
from statemachines.target import TargetRequest

FACTS = {"status": "Payed"}
REQUEST = TargetRequest("delivered")
HERE = OrderState("CheckQueue", "CheckQueue", "paid", FACTS)
THERE = OrderState("OrderConfirm", "OrderConfirm", "paid", FACTS)
PARCEL: Any = {"number": "1"}


def way() -> Way:
    plan = MACHINE.plan(HERE, REQUEST)
    assert isinstance(plan, Plan)
    return Way(MACHINE, "auto", REQUEST, HERE, plan.steps)


def names(steps: Any) -> list[str] | None:
    return None if steps is None else [step.step for step in steps]


def test_the_rest_is_left_once_the_first_step_is_done() -> None:
    assert names(way().left(MACHINE, "auto", REQUEST, HERE)) == ["confirm", "prepare", "send", "deliver"]
    assert names(way().left(MACHINE, "auto", REQUEST, THERE)) == ["prepare", "send", "deliver"]


def test_nothing_is_left_of_a_plan_that_is_done() -> None:
    last = way()._replace(state=replace(HERE, state="SentOrder"), steps=way().steps[-1:])
    there = replace(THERE, state="ToCustomer", platform_state="ToCustomer")
    assert last.left(MACHINE, "auto", REQUEST, there) == ()


@pytest.mark.parametrize(
    "state",
    [
        replace(THERE, facts=dict(FACTS)),
        replace(THERE, payment="unpaid"),
        replace(THERE, parcels=(PARCEL,)),
        replace(THERE, platform_state="CheckQueue"),
        replace(THERE, state="PreparingOrder", platform_state="PreparingOrder"),
        replace(HERE, platform_state="OrderConfirm"),
    ],
    ids=["facts", "payment", "parcels", "shown", "elsewhere", "not_moved"],
)
def test_it_is_planned_again_where_more_than_the_planned_state_is_another(state: OrderState) -> None:
    assert way().left(MACHINE, "auto", REQUEST, state) is None


def test_it_is_planned_again_for_another_request_or_by_other_rules() -> None:
    assert way().left(MACHINE, "auto", TargetRequest("delivered"), THERE) is None
    assert way().left(SelldoneMachine(ships_withdrawn=True), "auto", REQUEST, THERE) is None
    assert way().left(MACHINE, "strict", REQUEST, THERE) is None


def test_it_is_planned_again_where_the_guard_refuses() -> None:
    refused = {"status": "Pending"}
    here, there = replace(HERE, facts=refused), replace(THERE, facts=refused)
    assert way()._replace(state=here).left(MACHINE, "auto", REQUEST, there) is None
