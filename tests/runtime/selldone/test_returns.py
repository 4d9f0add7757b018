"""Sending a returned Selldone order again, wherever the platform put it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.sandbox.selldone.shop import SelldoneOptions
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import TargetStatus
from tests.support.shopfloor import shopfloor

WALK = ["confirm", "prepare", "send", "return_delivery"]
TRACKED: dict[str, Any] = {"tracking": {"code": "SECOND"}}
WAYS = [
    ("CheckQueue", ["confirm", "prepare", "set_tracking", "send"]),
    ("OrderConfirm", ["prepare", "set_tracking", "send"]),
    ("PreparingOrder", ["set_tracking", "send"]),
]


def selldone(returned_state: str) -> Sandbox:
    return Sandbox(SandboxSettings(orders=1, options={"selldone": SelldoneOptions(returned_state=returned_state)}))


@pytest.mark.parametrize(("shown", "way"), WAYS)
async def test_a_returned_order_is_sent_again_from_where_the_platform_put_it(
    tmp_path: Path, shown: str, way: list[str]
) -> None:
    sandbox = selldone(shown)
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "shipped")
        assert (await floor.reach(order.id, "returned")).status is TargetStatus.REACHED
        await floor.commands.refresh("acme", order.id)
        returned = await floor.order(order.id)
        assert (returned.state, returned.platform_state) == ("Returned", shown), "what it shows is no drift"
        target = await floor.reach(order.id, "delivered", **TRACKED)
        assert target.status is TargetStatus.REACHED
        assert [entry.step for entry in target.plan] == [*way, "deliver"]
        assert target.plan[0].source == "Returned"
        assert sandbox.ledger.effects(order.id) == [*WALK, *way, "deliver"]
        assert sandbox.ledger.out_of_sequence() == []
        assert await floor.events("order.drifted", "step.failed") == []


@pytest.mark.parametrize("fault", ["drop_after", "drop_before", "garbage"])
@pytest.mark.parametrize(("shown", "step"), [("CheckQueue", "confirm"), ("OrderConfirm", "prepare")])
async def test_a_lost_answer_on_the_way_back_has_its_effect_once(
    tmp_path: Path, shown: str, step: str, fault: str
) -> None:
    sandbox = selldone(shown)
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "shipped")
        await floor.reach(order.id, "returned")
        sandbox.faults.script(fault, step=step)
        assert (await floor.reach(order.id, "shipped")).status is TargetStatus.REACHED
        assert sandbox.ledger.effects(order.id)[-1] == "send"
        assert sandbox.ledger.effects(order.id).count(step) == 2, "once on each way"


async def test_items_that_a_buyer_wants_to_send_back_are_reported_and_move_nothing(tmp_path: Path) -> None:
    sandbox = selldone("PreparingOrder")
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "shipped")
        await floor.commands.sync("acme", 30)
        panel = sandbox.selldone.operate
        asked = panel({"action": "request_return", "order": order.id})["return"]
        for state in ("Pending", "Accepted", "Rejected"):
            if state != "Pending":
                panel({"action": "answer_return", "order": order.id, "return": asked, "state": state})
            before = len(await floor.events("order.updated", order=order.id))
            await floor.commands.sync("acme", 30)
            found = await floor.order(order.id)
            line = {"id": order.facts["items"][0], "quantity": 1}
            assert found.facts["returns"] == [{"id": asked, "state": state, "lines": [line]}]
            assert found.state == "SentOrder"
            *_, event = await floor.events("order.updated", order=order.id)
            assert len(await floor.events("order.updated", order=order.id)) == before + 1
            assert [each for each in event.data["changed"] if not each.startswith("/returns")] == []
        assert (await floor.reach(order.id, "delivered")).status is TargetStatus.REACHED


@pytest.mark.parametrize("state", ["CheckQueue", "OrderConfirm", "PreparingOrder"])
async def test_an_order_that_was_not_sent_is_not_sent_to_be_returned(tmp_path: Path, state: str) -> None:
    sandbox = selldone("PreparingOrder")
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, state)
        before = sandbox.ledger.effects(order.id)
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "returned")
        assert refused.value.slug == "unreachable"
        assert refused.value.extra["allowed"]
        assert "only from SentOrder" in refused.value.detail
        assert sandbox.ledger.effects(order.id) == before


async def test_a_return_behind_a_pending_shipment_is_taken_and_follows_it(tmp_path: Path) -> None:
    sandbox = selldone("PreparingOrder")
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.commands.hold("acme", order.id, "a call")
        shipped = await floor.submit(order.id, "shipped")
        returned = await floor.submit(order.id, "returned")
        assert [entry.step for entry in returned.plan] == ["return_delivery"]
        await floor.commands.release("acme", order.id)
        assert (await floor.finished(shipped)).status is TargetStatus.REACHED
        assert (await floor.finished(returned)).status is TargetStatus.REACHED
        assert sandbox.ledger.effects(order.id) == WALK


async def test_a_return_whose_shipment_was_cancelled_fails_and_sends_nothing(tmp_path: Path) -> None:
    sandbox = selldone("PreparingOrder")
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.commands.hold("acme", order.id, "a call")
        shipped = await floor.submit(order.id, "shipped")
        returned = await floor.submit(order.id, "returned")
        await floor.commands.cancel_target(shipped.id)
        await floor.commands.release("acme", order.id)
        ended = await floor.finished(returned)
        assert ended.status is TargetStatus.FAILED
        assert ended.problem is not None
        assert (ended.problem.type, "only from SentOrder" in ended.problem.detail) == ("unreachable", True)
        assert sandbox.ledger.effects(order.id) == []


@pytest.mark.parametrize("shown", ["CheckQueue", "OrderConfirm", "PreparingOrder", "Returned"])
async def test_an_order_that_was_returned_in_the_panel_is_found_returned(tmp_path: Path, shown: str) -> None:
    sandbox = selldone("PreparingOrder")
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "shipped")
        sandbox.selldone.panel.move(order.id, shown)
        await floor.commands.sync("acme", 30)
        assert (await floor.order(order.id)).milestone == "returned"
        target = await floor.submit(order.id, "returned")
        assert (target.status, target.plan) == (TargetStatus.REACHED, ())
        assert sandbox.ledger.effects(order.id) == WALK[:-1]


async def test_a_pending_return_of_an_order_that_came_back_meanwhile_is_reached(tmp_path: Path) -> None:
    sandbox = selldone("PreparingOrder")
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "shipped")
        await floor.commands.hold("acme", order.id, "a call")
        returned = await floor.submit(order.id, "returned")
        sandbox.selldone.panel.move(order.id, "PreparingOrder")
        await floor.commands.refresh("acme", order.id)
        await floor.commands.release("acme", order.id)
        assert (await floor.finished(returned)).status is TargetStatus.REACHED
        assert sandbox.ledger.effects(order.id) == WALK[:-1]
