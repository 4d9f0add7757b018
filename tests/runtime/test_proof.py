"""What another hand did while a step of ours was on its way is drift; what our own lost call did is found done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import Order, TargetStatus
from tests.runtime.cloudsuite import floor as cloudsuite_floor
from tests.runtime.xsale.floor import set_to, xsale
from tests.support.shopfloor import Shopfloor, shopfloor

CS = cloudsuite_floor.CS


async def steps_of(floor: Shopfloor, order: Order) -> list[tuple[str, str]]:
    """Steps that were done, by how, and drift, in sequence."""
    events = await floor.events("step.done", "order.drifted", order=order.id)
    return [(each.data.get("step", "drift"), each.data.get("how") or each.data["to"]) for each in events]


@pytest.mark.parametrize(
    ("items", "how"),
    [
        (None, [("confirm", "found_done")]),  # all of them: the state is all that the step is about
        ("first", [("drift", "OrderConfirm")]),  # which ones a colleague confirmed, no read shows
    ],
)
async def test_a_confirmation_by_a_colleague_is_ours_only_if_its_state_is_all_that_was_wanted(
    tmp_path: Path, items: str | None, how: list[Any]
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        held_call = sandbox.faults.hold(step="confirm", moment="before")
        fields = {"items": order.facts["items"][:1]} if items else {}
        target = await floor.submit(order.id, "accepted", **fields)
        await held_call.arrived()
        sandbox.selldone.panel.move(order.id, "OrderConfirm")
        held_call.release()
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert await steps_of(floor, order) == how
        assert sandbox.ledger.effects(order.id) == []


@pytest.mark.parametrize("fault", ["drop_after", "error_after"])
async def test_a_confirmation_of_ours_whose_answer_was_lost_is_found_done(tmp_path: Path, fault: str) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script(fault, step="confirm")
        target = await floor.reach(order.id, "accepted", items=order.facts["items"][:1])
        assert target.status is TargetStatus.REACHED
        assert await steps_of(floor, order) == [("confirm", "found_done")]
        assert sandbox.ledger.effects(order.id) == ["confirm"]
        assert (await floor.order(order.id)).facts["confirmed"] == order.facts["items"][:1]


async def test_a_cloudsuite_order_that_somebody_finished_was_not_sent_by_us(tmp_path: Path) -> None:
    sandbox = cloudsuite_floor.cloudsuite()
    async with cloudsuite_floor.floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "accepted", CS)
        held_call = sandbox.faults.hold(step="read", moment="before")
        target = await floor.submit(order.id, "shipped", CS)
        await held_call.arrived()
        sandbox.cloudsuite.panel.move(order.id, "done")
        held_call.release()
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert await steps_of(floor, order) == [("process", "called"), ("drift", "done")]
        assert cloudsuite_floor.effects(sandbox, order.id) == ["process"]


@pytest.mark.parametrize(
    ("status", "how"),
    [
        ("Zaimportowano do ERP", ("change_status", "found_done")),
        ("W trakcie realizacji", ("drift", "W trakcie realizacji")),
    ],
)
async def test_an_xsale_status_that_somebody_set_is_set_by_nobody_else(
    tmp_path: Path, status: str, how: tuple[str, str]
) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        held_call = sandbox.faults.hold(step="read", moment="before")
        target = await floor.submit(order.id, "accepted", order.shop)
        await held_call.arrived()
        sandbox.xsale.panel.move(order.id, status)
        held_call.release()
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert await steps_of(floor, order) == [how]
        assert set_to(sandbox) == []
