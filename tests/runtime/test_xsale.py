"""xSale on the shop floor: import by status, one call for every move, and a platform that refuses nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.operations.refusals import Refused
from orchestrator.sandbox.faults import Moment
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.xsale_shop import XsaleOptions
from storage.orders import get_payload
from storage.records import Situation, TargetStatus
from storage.shops import get_shop
from tests.support.shopfloor import Shopfloor, config_of, shopfloor, working_on

FLOW = [
    "Nowe",
    "Zaimportowano do ERP",
    "W trakcie realizacji",
    "Przygotowywane do wysyłki",
    "Wysłane",
    "Zrealizowane",
]
FAULTS = ("error_before", "error_after", "drop_before", "drop_after", "garbage")


@asynccontextmanager
async def xsale(
    folder: Path, changes: dict[str, Any] | None = None, *, orders: int = 1, **options: Any
) -> AsyncIterator[tuple[Shopfloor, Sandbox]]:
    """A shop floor with one xSale shop; `options` are the platform's, `changes` the shop's config."""
    sandbox = Sandbox(SandboxSettings(orders=orders, xsale=XsaleOptions(**options)))
    async with shopfloor(sandbox, folder, changes, platform="xsale") as floor:
        yield floor, sandbox


def set_to(sandbox: Sandbox) -> list[str]:
    """The statuses that were set, in sequence, as the platform's automations saw them."""
    return [automation.status for automation in sandbox.xsale.shop.automations]


def assert_nothing_twice_or_out_of_turn(sandbox: Sandbox) -> None:
    assert not any(automation.is_repeat for automation in sandbox.xsale.shop.automations)
    assert sandbox.ledger.repeats_after_effect() == []
    assert sandbox.ledger.out_of_sequence() == []
    assert sandbox.ledger.overlapping() == []


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


async def test_open_orders_are_looked_at_by_one_list_and_only_the_others_one_by_one(tmp_path: Path) -> None:
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


# -- every way that lists may be -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status_filter", ["statusidin", "statusnamein"])
@pytest.mark.parametrize("style", ["repeat", "comma", "brackets", "indexed", "json"])
async def test_orders_come_in_by_every_coding_of_filters(tmp_path: Path, style: str, status_filter: str) -> None:
    changes = {"array_style": style, "status_filter": status_filter}
    async with xsale(tmp_path, changes, orders=3, array_style=style) as (floor, sandbox):
        first = sandbox.xsale.order_ids()[0]
        assert (await floor.reach(first, "accepted", "xs")).status is TargetStatus.REACHED
        sandbox.xsale.panel.move(first, "Wysłane")
        await floor.commands.sync("xs", 30)
        assert (await floor.order(first, "xs")).state == "Wysłane", "the list of several statuses is understood too"
        assert len(await floor.orders()) == 3


async def test_a_coding_that_the_platform_does_not_understand_is_told(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with (
        sandbox.running(),
        working_on(
            sandbox, config_of(sandbox, tmp_path, {"array_style": "indexed"}, platform="xsale"), tmp_path
        ) as floor,
    ):
        with pytest.raises(Refused) as refused:
            await floor.commands.sync("xs", 30)
        assert "statusidin" in refused.value.detail


@pytest.mark.parametrize("envelope", ["bare", "Items", "items", "data", "results", "Rows"])
async def test_orders_come_in_from_every_envelope(tmp_path: Path, envelope: str) -> None:
    changes = {"envelope": envelope if envelope == "Rows" else "auto"}
    async with xsale(tmp_path, changes, orders=3, envelope=envelope) as (floor, _):
        assert len(await floor.orders()) == 3


@pytest.mark.parametrize("paging", ["limit_offset", "page"])
@pytest.mark.parametrize(("orders", "cap"), [(0, 5), (5, 5), (12, 5), (12, 3)])
async def test_every_page_is_asked_for_also_when_they_are_shorter_than_asked(
    tmp_path: Path, paging: str, orders: int, cap: int
) -> None:
    changes = {"paging": paging, "poll": {"interval_seconds": 3600, "page_size": 5}}
    if paging == "page":
        changes["poll"] = {"interval_seconds": 3600, "page_size": cap}
    async with xsale(tmp_path, changes, orders=orders, paging=paging, page_cap=cap) as (floor, _):
        assert len(await floor.orders()) == orders


async def test_a_platform_that_overlooks_paging_ends_the_sweep_all_the_same(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=4, xsale=XsaleOptions(paging="limit_offset")))
    shop = sandbox.xsale.shop
    async with sandbox.running():
        body = f"[{','.join(shop.encode(order) for order in shop.orders.values())}]".encode()
        sandbox.faults.script_answer(200, body, step="list", times=20)
        config = config_of(sandbox, tmp_path, {"paging": "limit_offset", "list_open": False}, platform="xsale")
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync("xs", 30)
            assert len(await floor.orders()) == 4
            before = len(sandbox.ledger.calls(step="list"))
            await floor.commands.sync("xs", 30)
            assert len(sandbox.ledger.calls(step="list")) == before + 2, "the second page brings nothing new"


@pytest.mark.parametrize("shape", ["flat", "object"])
async def test_a_status_comes_in_either_shape(tmp_path: Path, shape: str) -> None:
    async with xsale(tmp_path, status_shape=shape) as (floor, _):
        (order,) = await floor.orders()
        assert (await floor.reach(order.id, "shipped", "xs")).status is TargetStatus.REACHED


async def test_without_a_single_read_orders_are_found_in_lists_whatever_their_status(tmp_path: Path) -> None:
    async with xsale(tmp_path, {"single_get": False}, orders=5, has_single_get=False) as (floor, sandbox):
        first, second, third, fourth, _ = sandbox.xsale.order_ids()
        assert (await floor.reach(first, "delivered", "xs")).status is TargetStatus.REACHED
        sandbox.xsale.panel.cancel(second)
        sandbox.xsale.panel.move(third, "Czeka na dostawcę")
        sandbox.xsale.panel.delete(fourth)
        for order, state in ((first, "Zrealizowane"), (second, "Anulowane"), (third, "Czeka na dostawcę")):
            assert (await floor.commands.refresh("xs", order)).state == state
        with pytest.raises(Refused) as refused:
            await floor.commands.refresh("xs", fourth)
        assert refused.value.slug == "order-not-found"
        assert sandbox.ledger.calls(step="read") == []
        assert_nothing_twice_or_out_of_turn(sandbox)


async def test_without_a_single_read_an_order_in_a_status_made_since_is_not_gone(tmp_path: Path) -> None:
    async with xsale(tmp_path, {"single_get": False}, orders=2, has_single_get=False) as (floor, sandbox):
        first, second = sandbox.xsale.order_ids()
        sandbox.xsale.panel.add_status("Reklamacja")
        sandbox.xsale.panel.move(first, "Reklamacja")
        target = await floor.submit(first, "accepted", "xs")
        await floor.event("order.blocked", first)
        assert (await floor.order(first, "xs")).state == "Reklamacja"
        sandbox.xsale.panel.move(first, "Nowe")
        await floor.commands.refresh("xs", first)
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        sandbox.xsale.panel.remake_status("Anulowane")
        sandbox.xsale.panel.cancel(second)
        assert (await floor.commands.refresh("xs", second)).state == "Anulowane"


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
        assert (target.status, target.unused) == (TargetStatus.REACHED, ("reason",))
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
        gate = sandbox.faults.hold(step="change_status")
        first = await floor.submit(order.id, "wysłane", "xs")
        await gate.arrived()
        second = await floor.submit(order.id, "delivered", "xs")
        last = await floor.submit(order.id, str(sandbox.xsale.shop.status_id("Anulowane")), "xs")
        gate.release()
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


# -- statuses ----------------------------------------------------------------------------------------------------------


async def test_a_configured_status_that_is_missing_stops_the_shop_with_one_alarm(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    changes = {"flow": ["Nowe", "Wyslane"], "milestones": {"new": "Nowe", "shipped": "Wyslane"}}
    async with (
        sandbox.running(),
        working_on(sandbox, config_of(sandbox, tmp_path, changes, platform="xsale"), tmp_path) as floor,
    ):
        (alarm,) = await floor.event("shop.access_denied")
        detail = alarm.data["detail"]
        assert 'a status "Wyslane" that there is not, did you mean "Wysłane"?' in detail
        assert '"Zaimportowano do ERP"' in detail
        shop = await floor.store.read(lambda tx: get_shop(tx, "xs"))
        assert shop is not None
        assert shop.paused_by == "access_denied"
        sandbox.xsale.panel.add_status("Wyslane")
        await floor.commands.resume("xs")
        await floor.commands.sync("xs", 30)
        assert len(await floor.orders()) == 1
        assert len(await floor.events("shop.access_denied")) == 1


async def test_a_status_that_was_made_anew_is_found_by_its_name(tmp_path: Path) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        sandbox.xsale.panel.remake_status("Zaimportowano do ERP")
        assert (await floor.reach(order.id, "accepted", "xs")).status is TargetStatus.REACHED
        assert set_to(sandbox) == ["Zaimportowano do ERP"]
        sandbox.xsale.panel.remake_status("Zaimportowano do ERP")
        await floor.commands.sync("xs", 30)
        assert await floor.events("order.drifted") == []


async def test_a_status_that_we_do_not_know_is_kept_and_blocks_until_it_is_left(tmp_path: Path) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        sandbox.xsale.panel.add_status("Zaginęło")
        sandbox.xsale.panel.move(order.id, "Zaginęło")
        await floor.commands.sync("xs", 30)
        blocked = await floor.order(order.id, "xs")
        assert (blocked.state, blocked.situation) == ("Zaginęło", Situation.BLOCKED)
        assert len(sandbox.ledger.calls(step="statuses")) == 2, "the table is asked for again"
        with pytest.raises(Refused):
            await floor.submit(order.id, "shipped", "xs")
        sandbox.xsale.panel.move(order.id, "Wysłane")
        await floor.commands.sync("xs", 30)
        assert (await floor.order(order.id, "xs")).situation is Situation.IDLE


async def test_a_status_that_is_renamed_under_way_stops_the_shop_when_it_shows(tmp_path: Path) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        sandbox.xsale.panel.rename_status("Nowe", "Nowiutkie")
        with pytest.raises(Refused) as refused:
            await floor.commands.sync("xs", 30)
        assert 'a status "Nowe" that there is not, did you mean "Nowiutkie"?' in refused.value.detail


# -- what goes wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["error_after", "drop_after", "garbage", "error_before", "drop_before"])
async def test_a_lost_answer_is_resolved_by_reading_the_order(tmp_path: Path, fault: str) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        await floor.reach(order.id, "accepted", "xs")
        before = len(sandbox.ledger.calls(order.id))
        sandbox.faults.script(fault, step="change_status")
        assert (await floor.reach(order.id, "W trakcie realizacji", "xs")).status is TargetStatus.REACHED
        calls = [call.step for call in sandbox.ledger.calls(order.id)][before:]
        assert calls[calls.index("change_status") + 1] == "read"
        how = [event.data["how"] for event in await floor.events("step.done")]
        assert how == ["called", "called" if fault.endswith("before") else "found_done"]
        assert await floor.events("order.drifted") == []
        assert set_to(sandbox) == FLOW[1:3]
        assert_nothing_twice_or_out_of_turn(sandbox)


@pytest.mark.parametrize("fault", ["error_before", "drop_before", "garbage", "throttle"])
async def test_a_change_whose_check_fails_is_not_made_again(tmp_path: Path, fault: str) -> None:
    async with xsale(tmp_path, {"look_first": False}) as (floor, sandbox):
        (order,) = await floor.orders()
        sandbox.faults.script(fault, step="read")
        assert (await floor.reach(order.id, "accepted", "xs")).status is TargetStatus.REACHED
        assert set_to(sandbox) == ["Zaimportowano do ERP"]


async def test_with_a_quarter_of_all_calls_going_wrong_every_order_arrives_and_no_automation_fires_twice(
    tmp_path: Path,
) -> None:
    more = {"retry": {"attempts": 40, "base_seconds": 0.01, "max_seconds": 0.05}}
    async with xsale(tmp_path, more, orders=30, logins_a_minute=10_000) as (floor, sandbox):
        sandbox.faults.set_rates(dict.fromkeys(FAULTS, 0.05))
        targets = [await floor.submit(order, "delivered", "xs") for order in sandbox.xsale.order_ids()]
        for target in targets:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        for order in sandbox.xsale.order_ids():
            assert sandbox.ledger.effects(order) == ["change_status"] * 5
        assert_nothing_twice_or_out_of_turn(sandbox)


async def test_a_persons_change_is_not_overwritten_however_fresh_our_knowledge(tmp_path: Path) -> None:
    async with xsale(tmp_path, orders=2) as (floor, sandbox):
        cancelled, moved = sandbox.xsale.order_ids()
        sandbox.xsale.panel.cancel(cancelled)
        target = await floor.reach(cancelled, "accepted", "xs")
        assert target.status is TargetStatus.FAILED
        assert sandbox.ledger.calls(cancelled, "change_status") == []
        sandbox.xsale.panel.move(moved, "W trakcie realizacji")
        assert (await floor.reach(moved, "preparing", "xs")).status is TargetStatus.REACHED
        assert set_to(sandbox) == ["Przygotowywane do wysyłki"]
        assert_nothing_twice_or_out_of_turn(sandbox)


async def test_a_status_that_a_person_set_already_is_not_set_again(tmp_path: Path) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        sandbox.xsale.panel.move(order.id, "Zaimportowano do ERP")
        assert (await floor.reach(order.id, "accepted", "xs")).status is TargetStatus.REACHED
        assert set_to(sandbox) == []


async def test_a_refused_change_blocks_with_the_platforms_own_words(tmp_path: Path) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        body = b'{"title": "One or more validation errors occurred.", "errors": {"StatusId": ["Not today."]}}'
        sandbox.faults.script_answer(400, body, step="change_status")
        target = await floor.reach(order.id, "accepted", "xs")
        assert target.problem is not None
        assert target.problem.type == "rejected"
        assert "Not today." in target.problem.detail
        await floor.commands.retry("xs", order.id)
        await floor.until(order.id, lambda found: found.state == "Zaimportowano do ERP", "xs")


async def test_throttling_pauses_the_shop_and_loses_nothing(tmp_path: Path) -> None:
    async with xsale(tmp_path, orders=5) as (floor, sandbox):
        sandbox.faults.script("throttle", step="change_status")
        targets = [await floor.submit(order, "shipped", "xs") for order in sandbox.xsale.order_ids()]
        for target in targets:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert_nothing_twice_or_out_of_turn(sandbox)


async def test_a_deleted_order_fails_its_target(tmp_path: Path) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        sandbox.xsale.panel.delete(order.id)
        target = await floor.reach(order.id, "accepted", "xs")
        assert target.status is TargetStatus.FAILED
        assert target.problem is not None
        assert target.problem.type == "order-not-found"


# -- tokens ------------------------------------------------------------------------------------------------------------


async def test_tokens_that_end_before_their_time_are_renewed_once_for_all_calls(tmp_path: Path) -> None:
    async with xsale(tmp_path, orders=12) as (floor, sandbox):
        sandbox.xsale.panel.expire_tokens()
        targets = [await floor.submit(order, "delivered", "xs") for order in sandbox.xsale.order_ids()]
        for target in targets:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert len(sandbox.ledger.calls(step="login")) == 2
        assert_nothing_twice_or_out_of_turn(sandbox)


async def test_refused_credentials_pause_the_shop_with_one_alarm(tmp_path: Path) -> None:
    async with xsale(tmp_path, orders=8) as (floor, sandbox):
        sandbox.xsale.panel.change_token("another password")
        for order in sandbox.xsale.order_ids():
            await floor.submit(order, "shipped", "xs")
        (alarm,) = await floor.event("shop.access_denied")
        assert "Wrong email or password." in alarm.data["detail"]
        assert "sandbox-password-1" not in alarm.data["detail"]
        assert set_to(sandbox) == []
        assert len(await floor.events("shop.access_denied")) == 1
        assert len(sandbox.ledger.calls(step="login")) == 2, "one refused login, however many orders there are"


async def test_a_restart_logs_in_no_second_time_and_leaves_no_token_readable(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=2))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, platform="xsale")
        for _ in range(3):
            async with working_on(sandbox, config, tmp_path) as floor:
                await floor.commands.sync("xs", 30)
        assert len(sandbox.ledger.calls(step="login")) == 1
        kept = tmp_path / "xsale-xs.tokens"
        assert kept.stat().st_mode & 0o777 == 0o600
        assert "sandbox-password-1" not in kept.read_text()


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_restart_while_a_call_is_out_sets_nothing_twice(tmp_path: Path, moment: Moment) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, platform="xsale")
        (order,) = sandbox.xsale.order_ids()
        gate = sandbox.faults.hold(step="change_status", moment=moment)
        async with working_on(sandbox, config, tmp_path) as floor:
            target = await floor.submit(order, "W trakcie realizacji", "xs")
            await gate.arrived()
            await floor.supervisor.drain(0)
        gate.release()
        async with working_on(sandbox, config, tmp_path) as floor:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert set_to(sandbox) == FLOW[1:3]
        assert_nothing_twice_or_out_of_turn(sandbox)
