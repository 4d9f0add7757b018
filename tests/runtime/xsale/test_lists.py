"""xSale's orders on the whole shop floor: every way that lists and statuses may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.xsale.shop import XsaleOptions
from storage.records import Situation, TargetStatus
from storage.shops import get_shop
from tests.runtime.xsale.floor import assert_nothing_twice_or_out_of_turn, set_to, xsale
from tests.support.shopfloor import config_of, working_on

# -- every way that lists may be ---------------------------------------------------------------------------------------


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


async def test_a_coding_that_the_platform_does_not_understand_is_reported(tmp_path: Path) -> None:
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


async def test_a_platform_that_overlooks_paging_ends_the_sync_all_the_same(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=4, options={"xsale": XsaleOptions(paging="limit_offset")}))
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
