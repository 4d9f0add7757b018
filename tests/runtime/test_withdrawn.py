"""Orders that the buyer withdrew: nothing of them is sent, what was sent goes on, and an undone withdrawal too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from statemachines.withdrawal import withdrawal_of
from storage.records import Situation, TargetStatus
from tests.support.shopfloor import Shopfloor, shopfloor

TRACKED: Mapping[str, Any] = {"tracking": {"code": "C1"}}


def selldone() -> Sandbox:
    return Sandbox(SandboxSettings(orders=1))


async def withdrawn(floor: Shopfloor, order: str, **details: Any) -> None:
    """The buyer withdraws it, and a poll shows that."""
    floor.sandbox.selldone.panel.withdraw(order, **details)
    await floor.commands.sync("acme", 30)


async def test_a_withdrawal_is_kept_and_reported(tmp_path: Path) -> None:
    async with shopfloor(selldone(), tmp_path) as floor:
        (order,) = await floor.orders()
        assert withdrawal_of(order.facts) is None
        await withdrawn(floor, order.id)
        known = withdrawal_of((await floor.order(order.id)).facts)
        assert known is not None
        assert known.at is not None
        assert len(await floor.events("order.updated", order=order.id)) == 1


@pytest.mark.parametrize("details", [{"at": None}, {"at": "garbage"}, {"flag": {"by": "buyer"}, "at": [3]}])
async def test_a_time_that_is_invalid_loses_no_withdrawal(tmp_path: Path, details: dict[str, Any]) -> None:
    async with shopfloor(selldone(), tmp_path) as floor:
        (order,) = await floor.orders()
        await withdrawn(floor, order.id, **details)
        known = withdrawal_of((await floor.order(order.id)).facts)
        assert known is not None
        assert known.at is None
        assert await floor.events("import.rejected") == []


@pytest.mark.parametrize(
    ("state", "fields"), [("shipped", {}), ("delivered", {}), ("SentOrder", TRACKED), ("PreparingOrder", TRACKED)]
)
async def test_no_target_ships_a_withdrawn_order(tmp_path: Path, state: str, fields: dict[str, Any]) -> None:
    sandbox = selldone()
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await withdrawn(floor, order.id)
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, state, **fields)
        assert refused.value.slug == "not-allowed"
        assert "withdrew" in refused.value.extra["reason"]
        assert sandbox.ledger.effects(order.id) == []


async def test_a_withdrawn_order_may_be_taken_over_and_prepared(tmp_path: Path) -> None:
    sandbox = selldone()
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await withdrawn(floor, order.id)
        assert (await floor.reach(order.id, "preparing")).status is TargetStatus.REACHED
        with pytest.raises(Refused):
            await floor.submit(order.id, "shipped")
        assert sandbox.ledger.effects(order.id) == ["confirm", "prepare"]


async def test_what_runs_is_blocked_before_the_buyer_sees_it(tmp_path: Path) -> None:
    sandbox = selldone()
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        held_call = sandbox.faults.hold(step="prepare")
        target = await floor.submit(order.id, "delivered", **TRACKED)
        await held_call.arrived()
        await withdrawn(floor, order.id)  # the poll shows it while a step is out, and no answer will
        held_call.release()
        blocked = await floor.finished(target)
        assert blocked.status is TargetStatus.BLOCKED
        assert blocked.problem is not None
        assert blocked.problem.type == "not-allowed"
        assert "withdrew" in blocked.problem.detail
        assert sandbox.ledger.effects(order.id) == ["confirm", "prepare"]
        assert (await floor.order(order.id)).situation is Situation.BLOCKED


async def test_what_is_known_for_too_long_is_read_before_the_buyer_sees_anything(tmp_path: Path) -> None:
    sandbox = selldone()
    async with shopfloor(sandbox, tmp_path, {"fresh_seconds": 0}) as floor:
        (order,) = await floor.orders()
        held_call = sandbox.faults.hold(step="prepare", moment="after")
        target = await floor.submit(order.id, "shipped")
        await held_call.arrived()
        sandbox.selldone.panel.withdraw(order.id)  # no poll sees it
        held_call.release()
        assert (await floor.finished(target)).status is TargetStatus.BLOCKED
        assert sandbox.ledger.effects(order.id) == ["confirm", "prepare"]


async def test_a_retry_of_a_withdrawn_order_does_not_ship_it(tmp_path: Path) -> None:
    sandbox = selldone()
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.commands.hold("acme", order.id, "wait")
        target = await floor.submit(order.id, "shipped")
        await withdrawn(floor, order.id)
        await floor.commands.release("acme", order.id)
        assert (await floor.finished(target)).status is TargetStatus.BLOCKED
        reads = len(sandbox.ledger.calls(order.id, "read"))
        await floor.commands.retry("acme", order.id)
        await floor.event("order.blocked", order.id, count=2)
        assert len(sandbox.ledger.calls(order.id, "read")) == reads + 1, "a person may have undone it"
        assert sandbox.ledger.effects(order.id) == []


async def test_an_undone_withdrawal_lets_the_order_go_on(tmp_path: Path) -> None:
    sandbox = selldone()
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.commands.hold("acme", order.id, None)
        target = await floor.submit(order.id, "shipped")
        await withdrawn(floor, order.id)
        await floor.commands.release("acme", order.id)
        assert (await floor.finished(target)).status is TargetStatus.BLOCKED
        sandbox.selldone.panel.unwithdraw(order.id)
        await floor.commands.sync("acme", 30)
        assert [event.data["by"] for event in await floor.event("order.released", order.id, count=2)][-1] == "change"
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert sandbox.ledger.effects(order.id) == ["confirm", "prepare", "send"]
        assert withdrawal_of((await floor.order(order.id)).facts) is None


async def test_what_was_sent_before_it_was_withdrawn_goes_on(tmp_path: Path) -> None:
    sandbox = selldone()
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "shipped")
        await withdrawn(floor, order.id)
        assert (await floor.reach(order.id, "shipped", **TRACKED)).status is TargetStatus.REACHED
        assert (await floor.reach(order.id, "delivered")).status is TargetStatus.REACHED
        assert sandbox.ledger.effects(order.id) == ["confirm", "prepare", "send", "set_tracking", "deliver"]


async def test_what_came_back_and_is_withdrawn_is_not_sent_again(tmp_path: Path) -> None:
    sandbox = selldone()
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "shipped")
        await withdrawn(floor, order.id)
        assert (await floor.reach(order.id, "returned")).status is TargetStatus.REACHED
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "shipped")
        assert refused.value.slug == "not-allowed"
        assert sandbox.ledger.effects(order.id)[-1] == "return_delivery"


async def test_who_wants_to_ships_withdrawn_orders(tmp_path: Path) -> None:
    async with shopfloor(selldone(), tmp_path, {"ship_withdrawn": True}) as floor:
        (order,) = await floor.orders()
        await withdrawn(floor, order.id)
        assert (await floor.reach(order.id, "delivered")).status is TargetStatus.REACHED
        assert withdrawal_of((await floor.order(order.id)).facts) is not None, "it is still shown"
