"""A platform that answers with pages for people, halves of answers or nothing: trouble that passes by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import TargetStatus
from storage.rejected import list_rejected
from storage.shops import get_shop
from tests.support.platforms import FIRST_STATES, SHOPS
from tests.support.shopfloor import Shopfloor, config_of, shopfloor, working_on

PAGE = b"<html><head><title>Maintenance</title></head><body><h1>Back at noon</h1></body></html>"
WORDS = "HTTP 200: a page in place of an answer: Maintenance Back at noon"

every_platform = pytest.mark.parametrize("platform", sorted(SHOPS))
every_fault = pytest.mark.parametrize("fault", ["html", "cut_off", "empty"])


async def rejected_of(floor: Shopfloor) -> list[tuple[str, str]]:
    return [(each.source, each.error) for each in await floor.store.read(lambda tx: list_rejected(tx, 0, 100))]


@every_platform
async def test_a_page_of_maintenance_in_place_of_the_list_is_one_trouble_and_ends(
    tmp_path: Path, platform: str
) -> None:
    sandbox, shop = Sandbox(SandboxSettings(orders=1)), SHOPS[platform]
    async with shopfloor(sandbox, tmp_path, platform=platform) as floor:
        sandbox.platforms[platform].operate({"action": "add"})
        sandbox.faults.script_answer(200, PAGE, step="list", times=1000)
        for _ in range(4):
            with pytest.raises(Refused, match="Maintenance Back at noon"):
                await floor.commands.sync(shop, 30)
        (failed,) = await floor.events("sync.failed")
        assert failed.data == {"kind": "transient", "detail": WORDS}
        row = await floor.store.read(lambda tx: get_shop(tx, shop))
        assert row is not None
        assert row.last_sync_error == WORDS
        assert await rejected_of(floor) == []
        assert await floor.events("import.rejected") == []
        sandbox.faults.forget()
        before = len(await floor.events("sync.completed"))
        await floor.commands.sync(shop, 30)
        assert len(await floor.events("sync.completed")) == before + 1
        assert len(await floor.events("order.imported")) == 2
        row = await floor.store.read(lambda tx: get_shop(tx, shop))
        assert row is not None
        assert row.last_sync_error is None


@every_platform
@every_fault
async def test_one_garbage_answer_to_a_read_or_a_list_keeps_no_order_out(
    tmp_path: Path, platform: str, fault: str
) -> None:
    sandbox, shop = Sandbox(SandboxSettings(orders=3)), SHOPS[platform]
    async with sandbox.running():
        for step in ("list", "read"):
            sandbox.faults.script(fault, step=step)
        async with working_on(sandbox, config_of(sandbox, tmp_path, platform=platform), tmp_path) as floor:
            for _ in range(2):
                try:
                    await floor.commands.sync(shop, 30)
                except Refused:
                    continue
            assert len(await floor.orders()) == 3
            assert await rejected_of(floor) == []


@every_platform
@every_fault
async def test_a_step_that_is_answered_with_garbage_takes_effect_once(
    tmp_path: Path, platform: str, fault: str
) -> None:
    sandbox, shop = Sandbox(SandboxSettings(orders=1)), SHOPS[platform]
    async with shopfloor(sandbox, tmp_path, platform=platform) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script(fault, order=order.id)
        target = await floor.reach(order.id, FIRST_STATES[platform], shop)
        assert target.status is TargetStatus.REACHED
        assert len(sandbox.ledger.effects(order.id)) == 1
        assert sandbox.ledger.repeats_after_effect() == []
