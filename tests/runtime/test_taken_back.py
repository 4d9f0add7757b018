"""Orders that are cancelled, or whose goods are taken back, while a target is on its way: on every platform nothing is
sent that the buyer does not want any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.shopify.returns import Return, ReturnedLine
from storage.records import TargetStatus
from tests.runtime.cloudsuite.floor import cloudsuite, erp, floor_of
from tests.runtime.shopify.floor import floor_of as shopify_floor_of
from tests.runtime.shopify.floor import shopify
from tests.runtime.xsale.floor import FLOW, set_to, xsale
from tests.support.shopfloor import shopfloor


@pytest.mark.parametrize("step", ["process", "set_erp_lines", "send_despatch", "finish"])
async def test_a_cloudsuite_order_that_is_cancelled_before_a_step_gets_none_more(tmp_path: Path, step: str) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        held_call = sandbox.faults.hold(step="read")
        target = await floor.submit(order.id, "delivered", "cs", **erp(order, "A"))
        while True:  # each of these steps reads the order first
            await held_call.arrived()
            known = await floor.order(order.id, "cs")
            if known.intent is not None and known.intent.step == step:
                break
            following = sandbox.faults.hold(step="read")
            held_call.release()
            held_call = following
        before = list(sandbox.ledger.effects(order.id))
        sandbox.cloudsuite.panel.cancel(order.id)
        held_call.release()
        assert (await floor.finished(target)).status is TargetStatus.FAILED
        assert sandbox.ledger.effects(order.id) == before
        assert sandbox.cloudsuite.panel.order(order.id).state == "cancel"


@pytest.mark.parametrize("place", range(FLOW.index("Wysłane")))
async def test_an_xsale_order_that_is_cancelled_on_its_way_is_not_sent(tmp_path: Path, place: int) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        await floor.reach(order.id, FLOW[place], "xs")  # a moment ago it was there
        sandbox.xsale.panel.cancel(order.id)
        target = await floor.reach(order.id, "delivered", "xs")
        assert target.status is TargetStatus.FAILED
        assert set_to(sandbox) == FLOW[1 : place + 1], "the cancellation stands"


async def test_an_xsale_order_that_is_cancelled_while_it_is_packed_is_not_sent(tmp_path: Path) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        held_call = sandbox.faults.hold(step="change_status", moment="after")
        target = await floor.submit(order.id, "shipped", "xs")
        for _ in range(FLOW.index("Wysłane") - 2):  # until it is packed
            await held_call.arrived()
            following = sandbox.faults.hold(step="change_status", moment="after")
            held_call.release()
            held_call = following
        await held_call.arrived()
        sandbox.xsale.panel.cancel(order.id)
        held_call.release()
        assert (await floor.finished(target)).status is TargetStatus.FAILED
        assert "Wysłane" not in set_to(sandbox)
        assert (await floor.order(order.id, "xs")).state == "Anulowane"


async def test_a_shopify_order_that_is_cancelled_between_read_and_call_is_not_shipped(tmp_path: Path) -> None:
    sandbox = shopify(1)
    async with shopify_floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.shopify.panel.cancel(order.id)  # no poll sees it
        target = await floor.reach(order.id, "shipped", "shopy")
        assert target.status is TargetStatus.FAILED
        assert sandbox.ledger.effects(order.id) == []


def ask_back(sandbox: Sandbox, order: str) -> Return:
    """A return over what was not sent: Shopify makes none, but what shows one is to be believed."""
    found = sandbox.shopify.panel.order(order)
    made = Return(17, "#1-R1", [ReturnedLine(18, found.lines[0].id, 1)])
    found.returns.append(made)
    sandbox.shopify.shop.touch(found)
    return made


async def test_a_return_before_shipping_is_refused_blocks_what_runs_and_lets_it_go_on(tmp_path: Path) -> None:
    sandbox = shopify(1)
    async with shopify_floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        made = ask_back(sandbox, order.id)  # no sync sees it: the read right before the call does
        target = await floor.reach(order.id, "shipped", "shopy")
        assert target.status is TargetStatus.BLOCKED
        assert target.problem is not None
        assert target.problem.type == "not-allowed"
        assert sandbox.ledger.effects(order.id) == []
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "delivered", "shopy")
        assert refused.value.slug == "not-allowed"
        made.status = "DECLINED"
        sandbox.shopify.shop.touch(sandbox.shopify.panel.order(order.id))
        await floor.commands.sync("shopy", 30)
        assert (await floor.finished(target)).status is TargetStatus.REACHED


@pytest.mark.parametrize("is_named", [True, False])
async def test_goods_whose_cancellation_a_service_was_asked_for_are_not_shipped(tmp_path: Path, is_named: bool) -> None:
    sandbox = shopify(1)
    async with shopify_floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        named = {"items": list(order.facts["lines"])} if is_named else {}
        ask = {"action": "ask_service", "order": order.id}
        sandbox.shopify.operate({**ask, "request": "CANCELLATION_REQUESTED"})
        await floor.commands.sync("shopy", 30)
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "shipped", "shopy", **named)
        assert (refused.value.slug, "CANCELLATION_REQUESTED" in refused.value.detail) == ("not-allowed", True)
        assert sandbox.ledger.effects(order.id) == []
        sandbox.shopify.operate({**ask, "request": "CANCELLATION_ACCEPTED"})
        await floor.commands.sync("shopy", 30)
        assert (await floor.reach(order.id, "shipped", "shopy", **named)).status is TargetStatus.REACHED


async def test_who_wants_to_ships_a_shopify_order_that_is_asked_back(tmp_path: Path) -> None:
    sandbox = shopify(1)
    async with shopify_floor_of(sandbox, tmp_path, ship_withdrawn=True) as floor:
        (order,) = await floor.orders()
        ask_back(sandbox, order.id)
        assert (await floor.reach(order.id, "shipped", "shopy")).status is TargetStatus.REACHED


async def test_a_selldone_return_that_is_asked_for_before_shipping_holds_the_order_back(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        request = sandbox.selldone.panel.request_return(order.id)
        await floor.commands.sync("acme", 30)
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "shipped")
        assert request in refused.value.extra["reason"]
        sandbox.selldone.panel.answer_return(order.id, request, "Rejected")
        await floor.commands.sync("acme", 30)
        assert (await floor.reach(order.id, "shipped")).status is TargetStatus.REACHED


async def test_a_selldone_return_of_what_was_sent_stops_nothing(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "shipped")
        sandbox.selldone.panel.request_return(order.id)
        await floor.commands.sync("acme", 30)
        assert (await floor.reach(order.id, "returned")).status is TargetStatus.REACHED
        assert (await floor.reach(order.id, "delivered")).status is TargetStatus.REACHED


WITHDRAWALS: list[dict[str, Any]] = [{}, {"flag": {"reason": "Too late"}, "at": None}]


@pytest.mark.parametrize("fields", WITHDRAWALS)
async def test_a_withdrawal_is_reported_as_a_change_of_cancelled(tmp_path: Path, fields: dict[str, Any]) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.selldone.panel.withdraw(order.id, **fields)
        await floor.commands.sync("acme", 30)
        sandbox.selldone.panel.unwithdraw(order.id)
        await floor.commands.sync("acme", 30)
        updates = await floor.events("order.updated", order=order.id)
        assert [event.data["changed"] for event in updates] == [["/cancelled"], ["/cancelled"]]
