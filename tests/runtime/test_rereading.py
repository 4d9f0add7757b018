"""Orders set aside are read again by themselves, reported once for each error, and gone once they could be read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.decisions.rejected import FIRST_PAUSE_MS, LONGEST_PAUSE_MS, pause_ms
from orchestrator.runtime.patience import SYNCS
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import Rejected
from storage.rejected import Aside, due_rejected, list_rejected
from tests.support.platforms import SHOPS
from tests.support.shopfloor import Shopfloor, config_of, shopfloor, working_on
from tests.support.watch import DAY_MS, Watch

READS_ONE_BY_ONE = ["cloudsuite", "shopify"]

SENSELESS = {"cloudsuite": b'{"id": 5}', "shopify": b'{"data":{"order":{"id":5}}}'}
KEPT = {"cloudsuite": b'{"id": 5}', "shopify": b'{"id":5}'}

every_platform = pytest.mark.parametrize("platform", sorted(SHOPS))
every_reader = pytest.mark.parametrize("platform", READS_ONE_BY_ONE)


async def rejected_of(floor: Shopfloor) -> list[Rejected]:
    return await floor.store.read(lambda tx: list_rejected(tx, 0, 100))


async def asides_of(floor: Shopfloor, shop: str) -> list[Aside]:
    return await floor.store.read(lambda tx: due_rejected(tx, shop, None, 0, 100))


async def sync_once(floor: Shopfloor, shop: str) -> None:
    """A sync that nobody asked for."""
    worker = floor.supervisor.worker(shop)
    assert worker is not None
    await worker.sync_schedule._sync.run_once()


async def fails_to_sync(floor: Shopfloor, shop: str) -> None:
    with pytest.raises(Refused):
        await floor.commands.sync(shop, 30)


@asynccontextmanager
async def spoilt(tmp_path: Path, platform: str, watch: Watch | None = None) -> AsyncIterator[tuple[Shopfloor, str]]:
    """A shop at work with one good order and one that cannot be read."""
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        bad = str(sandbox.platforms[platform].operate({"action": "add_garbage"})["order"])
        config = config_of(sandbox, tmp_path, platform=platform)
        async with working_on(sandbox, config, tmp_path, clock=None if watch is None else watch.clock) as floor:
            await floor.commands.sync(SHOPS[platform], 30)
            yield floor, bad


def panel(floor: Shopfloor, platform: str, action: str, order: str) -> None:
    floor.sandbox.platforms[platform].operate({"action": action, "order": order})


@every_platform
async def test_an_order_that_cannot_be_read_is_one_row_and_reported_once(tmp_path: Path, platform: str) -> None:
    async with spoilt(tmp_path, platform) as (floor, bad):
        for _ in range(3):
            await floor.commands.sync(SHOPS[platform], 30)
        assert len(await rejected_of(floor)) == 1
        (reported,) = await floor.events("import.rejected")
        assert reported.order == bad
        assert len(await floor.orders()) == 1


@every_platform
async def test_a_sync_that_somebody_asks_for_reads_it_again(tmp_path: Path, platform: str) -> None:
    async with spoilt(tmp_path, platform) as (floor, bad):
        panel(floor, platform, "repair", bad)
        report = await floor.commands.sync(SHOPS[platform], 30)
        assert report is not None
        assert report.imported == 1
        assert await rejected_of(floor) == []
        assert (await floor.order(bad, SHOPS[platform])).id == bad


@every_reader
async def test_a_poll_reads_it_again_once_its_pause_is_over(tmp_path: Path, platform: str) -> None:
    watch, shop = Watch(), SHOPS[platform]
    sandbox = Sandbox(SandboxSettings(orders=2))
    async with sandbox.running():
        bad = sandbox.platforms[platform].order_ids()[0]
        sandbox.faults.script_answer(200, SENSELESS[platform], step="read", order=bad)
        config = config_of(sandbox, tmp_path, {"poll": {"enabled": False}}, platform=platform)
        async with working_on(sandbox, config, tmp_path, clock=watch.clock) as floor:
            await sync_once(floor, shop)
            assert [(each.source, each.payload) for each in await rejected_of(floor)] == [("poll", KEPT[platform])]
            reads = len(sandbox.ledger.calls(bad, "read"))
            await sync_once(floor, shop)
            assert len(sandbox.ledger.calls(bad, "read")) == reads, "the list shows no change"
            watch.ahead_ms += pause_ms(0)
            await sync_once(floor, shop)
            assert (await floor.order(bad, shop)).id == bad
            assert await rejected_of(floor) == []


@every_reader
async def test_each_try_that_comes_to_nothing_doubles_the_pause(tmp_path: Path, platform: str) -> None:
    watch, shop = Watch(), SHOPS[platform]
    async with spoilt(tmp_path, platform, watch) as (floor, bad):
        for attempts in range(1, 4):
            watch.ahead_ms += pause_ms(attempts - 1)
            await sync_once(floor, shop)
            (aside,) = await asides_of(floor, shop)
            assert (aside.order, aside.attempts) == (bad, attempts)
            left_ms = aside.next_at - watch.clock.now_ms()
            assert pause_ms(attempts) - 60_000 < left_ms <= pause_ms(attempts)
        assert len(await floor.events("import.rejected")) == 1


@every_reader
async def test_a_pause_that_a_clock_ahead_made_is_over(tmp_path: Path, platform: str) -> None:
    watch, shop = Watch(DAY_MS), SHOPS[platform]
    async with spoilt(tmp_path, platform, watch) as (floor, bad):
        panel(floor, platform, "repair", bad)
        watch.ahead_ms = 0
        await sync_once(floor, shop)
        assert (await floor.order(bad, shop)).id == bad


@every_platform
async def test_a_start_tries_it_at_once_for_it_may_be_another_version(tmp_path: Path, platform: str) -> None:
    sandbox, shop = Sandbox(SandboxSettings(orders=1)), SHOPS[platform]
    async with sandbox.running():
        bad = str(sandbox.platforms[platform].operate({"action": "add_garbage"})["order"])
        config = config_of(sandbox, tmp_path, {"poll": {"enabled": False}}, platform=platform)
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync(shop, 30)
            assert len(await rejected_of(floor)) == 1
        sandbox.platforms[platform].operate({"action": "repair", "order": bad})
        async with working_on(sandbox, config, tmp_path) as floor:
            with anyio.fail_after(60):
                await floor.event("order.imported", order=bad)
            assert await rejected_of(floor) == []


@every_platform
@pytest.mark.parametrize("road", ["refresh", "retry"])
async def test_it_is_gone_when_a_person_has_the_order_read(tmp_path: Path, platform: str, road: str) -> None:
    async with spoilt(tmp_path, platform) as (floor, bad):
        panel(floor, platform, "repair", bad)
        (rejected,) = await rejected_of(floor)
        if road == "refresh":
            await floor.commands.refresh(SHOPS[platform], bad)
        else:
            await floor.commands.retry_rejected(rejected.id)
        assert await rejected_of(floor) == []


@every_platform
async def test_it_is_gone_when_the_platform_has_no_such_order(tmp_path: Path, platform: str) -> None:
    async with spoilt(tmp_path, platform) as (floor, bad):
        panel(floor, platform, "delete", bad)
        await floor.commands.sync(SHOPS[platform], 30)
        assert await rejected_of(floor) == []


@every_reader
@pytest.mark.parametrize("fault", ["html", "cut_off", "empty", "error_before"])
async def test_an_order_that_is_never_shown_stops_neither_the_others_nor_the_position(
    tmp_path: Path, platform: str, fault: str
) -> None:
    sandbox, shop = Sandbox(SandboxSettings(orders=12)), SHOPS[platform]
    async with sandbox.running():
        bad = sandbox.platforms[platform].order_ids()[:3]
        for order in bad:
            sandbox.faults.script(fault, step="read", order=order, times=1000)
        config = config_of(sandbox, tmp_path, {"poll": {"enabled": False}}, platform=platform)
        async with working_on(sandbox, config, tmp_path) as floor:
            for _ in range(SYNCS - 1):
                await fails_to_sync(floor, shop)
            assert len(await floor.orders()) == 9, "the rest of the page comes through"
            assert await rejected_of(floor) == []
            await floor.commands.sync(shop, 30)
            assert {event.order for event in await floor.events("import.rejected")} == set(bad)
            assert len(await floor.events("sync.failed")) == 1
            assert len(await floor.events("sync.completed")) == 1
            await floor.commands.sync(shop, 30)
            assert len(await floor.events("import.rejected")) == 3, "it is reported once"
            sandbox.faults.forget()
            await floor.commands.sync(shop, 30)
            assert len(await floor.orders()) == 12
            assert await rejected_of(floor) == []


@pytest.mark.parametrize("platform", ["cloudsuite", "shopify"])
async def test_many_orders_that_the_platform_refuses_to_show_take_no_more_syncs_than_one(
    tmp_path: Path, platform: str
) -> None:
    sandbox, shop = Sandbox(SandboxSettings(orders=24)), SHOPS[platform]
    async with sandbox.running():
        bad = sandbox.platforms[platform].order_ids()[:20]
        for order in bad:
            sandbox.faults.script_answer(403, b"<html>no</html>", step="read", order=order, times=1000)
        config = config_of(sandbox, tmp_path, {"poll": {"enabled": False}}, platform=platform)
        async with working_on(sandbox, config, tmp_path) as floor:
            for _ in range(SYNCS - 1):
                await fails_to_sync(floor, shop)
            await floor.commands.sync(shop, 30)
            assert len(await floor.orders()) == 4
            assert {event.order for event in await floor.events("import.rejected")} == set(bad)
            sandbox.faults.forget()
            for order in bad[:10]:
                sandbox.faults.script_answer(403, b"<html>no</html>", step="read", order=order, times=1000)
            await floor.commands.sync(shop, 30)
            assert len(await floor.orders()) == 14, "those that are refused still keep none of the others back"


@pytest.mark.parametrize("platform", ["cloudsuite", "xsale"])
async def test_a_known_order_that_is_never_shown_stops_no_poll_for_ever(tmp_path: Path, platform: str) -> None:
    sandbox, shop = Sandbox(SandboxSettings(orders=2)), SHOPS[platform]
    watch = Watch()
    async with shopfloor(sandbox, tmp_path, platform=platform, clock=watch.clock) as floor:
        order = (await floor.orders())[0].id
        await floor.reach(order, "accepted", shop)
        sandbox.faults.script("html", step="read", order=order, times=1000)
        failures = 0
        for _ in range(SYNCS + 2):
            watch.ahead_ms += 1000
            try:
                await floor.commands.sync(shop, 30)
            except Refused:
                failures += 1
        assert failures <= SYNCS - 1
        assert len(await floor.events("import.rejected")) <= 1
        sandbox.faults.forget()
        await floor.commands.sync(shop, 30)
        assert await rejected_of(floor) == []


def test_pauses_grow_from_a_minute_to_six_hours() -> None:
    minutes = [pause_ms(attempts) // 60_000 for attempts in range(11)]
    assert minutes == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360]
    assert pause_ms(10**9) == LONGEST_PAUSE_MS
    assert pause_ms(0) == FIRST_PAUSE_MS
