"""xSale's orders on the whole shop floor: import and the way of an order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.payloads import get_payload
from storage.records import TargetStatus
from tests.runtime.xsale.floor import FLOW, assert_nothing_twice_or_out_of_turn, set_to, xsale
from tests.support.shopfloor import shopfloor

# -- import ------------------------------------------------------------------------------------------------------------


async def test_orders_in_the_first_status_are_imported_once(tmp_path: Path) -> None:
    async with xsale(tmp_path, orders=23) as (floor, sandbox):
        await floor.commands.sync("xs", 30)
        orders = await floor.orders()
        assert {order.id for order in orders} == set(sandbox.xsale.order_ids())
        assert {(order.state, order.milestone) for order in orders} == {("Nowe", "new")}
        assert {order.payment for order in orders} <= {"paid", "unpaid"}
        assert all(order.reference == f"ALG-{order.id}" for order in orders)
        assert len(await floor.events("order.imported")) == 23
        assert await floor.events("order.updated", "order.drifted") == []


async def test_the_order_is_kept_as_it_came_with_positions_and_articles_apart(tmp_path: Path) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        payload = await floor.store.read(lambda tx: get_payload(tx, "xs", order.id))
        assert payload is not None
        assert payload == sandbox.xsale.shop.encode(sandbox.xsale.shop.orders[int(order.id)]).encode()
        items = json.loads(payload)["Items"]
        assert all("PriceGross" in item and "Code" in item["OrderItemArticles"][0] for item in items)


async def test_orders_that_were_under_way_before_are_not_imported_by_polls(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=3))
    first, second, third = sandbox.xsale.order_ids()
    sandbox.xsale.panel.move(first, "W trakcie realizacji")
    sandbox.xsale.panel.move(second, "Zrealizowane")
    async with shopfloor(sandbox, tmp_path, platform="xsale") as floor:
        assert [order.id for order in await floor.orders()] == [third]
        target = await floor.reach(first, "shipped", "xs")
        assert target.status is TargetStatus.REACHED, "one that the ERP names is read"


async def test_what_people_do_in_the_panel_is_found_by_the_next_poll(tmp_path: Path) -> None:
    async with xsale(tmp_path, orders=4) as (floor, sandbox):
        moved, cancelled, edited, paid = sandbox.xsale.order_ids()
        sandbox.xsale.shop.orders[int(paid)].fields["PaymentStatus"] = "Nieopłacone"
        await floor.commands.sync("xs", 30)
        for order in (moved, edited):
            await floor.reach(order, "accepted", "xs")
        sandbox.xsale.panel.move(moved, "Wysłane")
        sandbox.xsale.panel.cancel(cancelled)
        sandbox.xsale.panel.edit(edited, "Somebody Else")
        sandbox.xsale.panel.pay(paid)
        await floor.commands.sync("xs", 30)
        drifts = {event.order: event.data["to"] for event in await floor.events("order.drifted")}
        assert drifts == {moved: "Wysłane", cancelled: "Anulowane"}
        assert edited in [event.order for event in await floor.events("order.updated")]
        assert [event.order for event in await floor.events("order.payment_settled")] == [paid]


async def test_open_orders_are_read_by_one_list_and_only_the_others_one_by_one(tmp_path: Path) -> None:
    async with xsale(tmp_path, orders=30) as (floor, sandbox):
        ids = sandbox.xsale.order_ids()
        for order in ids[:10]:
            await floor.reach(order, "accepted", "xs")
        sandbox.xsale.panel.move(ids[0], "Zrealizowane")
        before = len(sandbox.ledger.calls())
        await floor.commands.sync("xs", 30)
        steps = [call.step for call in sandbox.ledger.calls()[before:]]
        assert steps == ["list", "list", "read"]
        assert (await floor.order(ids[0], "xs")).state == "Zrealizowane"


async def test_without_that_list_known_open_orders_are_read_one_by_one(tmp_path: Path) -> None:
    async with xsale(tmp_path, {"list_open": False}, orders=3) as (floor, sandbox):
        first = sandbox.xsale.order_ids()[0]
        await floor.reach(first, "accepted", "xs")
        sandbox.xsale.panel.move(first, "Wysłane")
        before = len(sandbox.ledger.calls())
        await floor.commands.sync("xs", 30)
        assert [call.step for call in sandbox.ledger.calls()[before:]] == ["list", "read"]
        assert (await floor.order(first, "xs")).state == "Wysłane"


async def test_a_payload_that_nobody_can_read_is_set_aside_and_stops_nothing(tmp_path: Path) -> None:
    async with xsale(tmp_path, orders=2) as (floor, sandbox):
        bad = sandbox.xsale.panel.add_garbage()
        good = sandbox.xsale.panel.add()
        report = await floor.commands.sync("xs", 30)
        assert report is not None
        assert (report.imported, report.rejected) == (1, 1)
        assert (await floor.order(good, "xs")).state == "Nowe"
        (rejected,) = await floor.events("import.rejected")
        assert rejected.order == bad


# -- the way -----------------------------------------------------------------------------------------------------------


async def test_many_orders_walk_the_whole_flow_status_by_status(tmp_path: Path) -> None:
    async with xsale(tmp_path, orders=40) as (floor, sandbox):
        targets = [await floor.submit(order, "delivered", "xs") for order in sandbox.xsale.order_ids()]
        for target in targets:
            done = await floor.finished(target)
            assert done.status is TargetStatus.REACHED
            assert [(entry.step, entry.to) for entry in done.plan] == [("change_status", name) for name in FLOW[1:]]
        for order in sandbox.xsale.order_ids():
            ids = [call.sent["StatusId"] for call in sandbox.ledger.calls(order, "change_status")]
            assert [sandbox.xsale.shop.statuses[status_id] for status_id in ids] == FLOW[1:]
        assert_nothing_twice_or_out_of_turn(sandbox)
        assert len(sandbox.ledger.calls(step="login")) == 1


async def test_our_own_steps_are_no_drift_and_no_update(tmp_path: Path) -> None:
    async with xsale(tmp_path, orders=3) as (floor, sandbox):
        for order in sandbox.xsale.order_ids():
            await floor.reach(order, "shipped", "xs")
        await floor.commands.sync("xs", 30)
        assert await floor.events("order.drifted", "order.updated") == []


async def test_a_failed_import_goes_to_a_person_and_comes_back_where_the_target_asks(tmp_path: Path) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        target = await floor.reach(order.id, "attention", "xs", reason="no article KUB-CZ")
        assert (target.status, target.unused) == (TargetStatus.REACHED, ())
        assert (await floor.order(order.id, "xs")).milestone == "attention"
        target = await floor.reach(order.id, "preparing", "xs")
        assert [entry.to for entry in target.plan] == ["Przygotowywane do wysyłki"]
        assert set_to(sandbox) == ["Do obsługi ręcznej", "Przygotowywane do wysyłki"]
        assert_nothing_twice_or_out_of_turn(sandbox)


async def test_an_order_that_a_person_put_back_to_new_is_no_second_import(tmp_path: Path) -> None:
    async with xsale(tmp_path) as (floor, _):
        (order,) = await floor.orders()
        await floor.reach(order.id, "attention", "xs")
        await floor.reach(order.id, "new", "xs")
        await floor.commands.sync("xs", 30)
        assert len(await floor.orders()) == 1
        assert len(await floor.events("order.imported")) == 1


@pytest.mark.parametrize("state", [*FLOW[:-1], "Do obsługi ręcznej"])
async def test_an_order_is_cancelled_from_everywhere_but_the_end(tmp_path: Path, state: str) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        await floor.reach(order.id, state, "xs")
        assert (await floor.reach(order.id, "cancelled", "xs")).status is TargetStatus.REACHED
        assert sandbox.xsale.shop.statuses[sandbox.xsale.shop.orders[int(order.id)].status] == "Anulowane"
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "shipped", "xs")
        assert (refused.value.slug, refused.value.extra["allowed"]) == ("unreachable", [])
        assert_nothing_twice_or_out_of_turn(sandbox)


@pytest.mark.parametrize("state", ["cancelled", "attention", "Anulowane"])
async def test_from_the_end_nothing_leads_on(tmp_path: Path, state: str) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        await floor.reach(order.id, "delivered", "xs")
        before = len(sandbox.ledger.calls())
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, state, "xs")
        assert refused.value.slug == "unreachable"
        assert len(sandbox.ledger.calls()) == before


async def test_a_target_may_name_a_status_by_its_id(tmp_path: Path) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        target = await floor.reach(order.id, str(sandbox.xsale.shop.status_id("W trakcie realizacji")), "xs")
        assert (target.status, target.state) == (TargetStatus.REACHED, "W trakcie realizacji")
        held_call = sandbox.faults.hold(step="change_status")
        first = await floor.submit(order.id, "wysłane", "xs")
        await held_call.arrived()
        second = await floor.submit(order.id, "delivered", "xs")
        last = await floor.submit(order.id, str(sandbox.xsale.shop.status_id("Anulowane")), "xs")
        held_call.release()
        assert (await floor.finished(last)).state == "Anulowane"
        assert (await floor.target(first.id)).status is TargetStatus.REACHED
        assert (await floor.target(second.id)).status is TargetStatus.CANCELLED, "a cancellation replaces what waits"


@pytest.mark.parametrize(
    ("state", "slug"), [("returned", "unreachable"), ("Wyslane", "unknown-state"), ("1", "unknown-state")]
)
async def test_a_name_that_is_none_is_refused_with_those_that_are(tmp_path: Path, state: str, slug: str) -> None:
    async with xsale(tmp_path) as (floor, _):
        (order,) = await floor.orders()
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, state, "xs")
        assert refused.value.slug == slug
        assert {"Wysłane", "shipped"} <= set(refused.value.extra["allowed"])


async def test_a_reached_target_is_answered_without_a_call(tmp_path: Path) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        await floor.reach(order.id, "shipped", "xs")
        before = len(sandbox.ledger.calls())
        for state in ("shipped", "Wysłane", "accepted", "nowe"):
            assert (await floor.submit(order.id, state, "xs")).status is TargetStatus.REACHED
        assert len(sandbox.ledger.calls()) == before


async def test_strict_chaining_takes_one_status_at_a_time(tmp_path: Path) -> None:
    async with xsale(tmp_path, {"chaining": "strict"}) as (floor, _):
        (order,) = await floor.orders()
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "shipped", "xs")
        assert refused.value.slug == "not-adjacent"
        assert (await floor.reach(order.id, "accepted", "xs")).status is TargetStatus.REACHED


async def test_a_merchants_own_flow_is_walked(tmp_path: Path) -> None:
    flow = ["Nowe", "Czeka na dostawcę", "Wysłane"]
    own = {"flow": flow, "milestones": {"new": "Nowe", "preparing": "Czeka na dostawcę", "delivered": "Wysłane"}}
    async with xsale(tmp_path, own, chain=tuple(flow)) as (floor, sandbox):
        (order,) = await floor.orders()
        assert (await floor.reach(order.id, "delivered", "xs")).status is TargetStatus.REACHED
        assert set_to(sandbox) == flow[1:]
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "cancelled", "xs")
        assert refused.value.slug == "unreachable"
        assert (await floor.reach(order.id, "attention", "xs")).status is TargetStatus.REACHED
        assert set_to(sandbox) == flow[1:], "attention without a status is our record only"
        assert_nothing_twice_or_out_of_turn(sandbox)


@pytest.mark.parametrize("body", ["StatusId", "statusId", "Id", "bare"])
@pytest.mark.parametrize("reply", ["nothing", "true", "order"])
async def test_every_body_and_every_answer_of_a_change_will_do(tmp_path: Path, body: str, reply: str) -> None:
    async with xsale(tmp_path, {"status_body": body}, status_body=body, reply=reply) as (floor, sandbox):
        (order,) = await floor.orders()
        assert (await floor.reach(order.id, "preparing", "xs")).status is TargetStatus.REACHED
        assert set_to(sandbox) == FLOW[1:4]
        assert_nothing_twice_or_out_of_turn(sandbox)


async def test_a_good_answer_that_changed_nothing_goes_to_a_person_and_is_not_repeated(tmp_path: Path) -> None:
    async with xsale(tmp_path, reply="lie") as (floor, sandbox):
        (order,) = await floor.orders()
        target = await floor.reach(order.id, "accepted", "xs")
        assert target.status is TargetStatus.BLOCKED
        assert target.problem is not None
        assert target.problem.type == "rejected"
        assert "HTTP 200 was answered to Zaimportowano do ERP, but the order is in Nowe" in target.problem.detail
        assert len(sandbox.ledger.calls(order.id, "change_status")) == 1
