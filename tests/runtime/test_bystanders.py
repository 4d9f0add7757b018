"""A firewall in front of the platform that refuses one order: that order is blocked, the shop goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.testing.stage import moves_of
from storage.records import Situation, TargetStatus
from storage.shops import get_shop
from tests.support.platforms import FIRST_STATES, SHOPS
from tests.support.shopfloor import Shopfloor, shopfloor

PAGE = b"<!DOCTYPE html><html><h1>Request 4711 was blocked by policy</h1></html>"

every_platform = pytest.mark.parametrize("platform", sorted(SHOPS))


async def is_paused(floor: Shopfloor, shop: str) -> bool:
    row = await floor.store.read(lambda tx: get_shop(tx, shop))
    assert row is not None
    return row.paused_at is not None


@every_platform
@pytest.mark.parametrize("status", [401, 403, 404])
async def test_the_order_is_blocked_with_the_pages_words_and_others_go_on(
    tmp_path: Path, platform: str, status: int
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=2))
    async with shopfloor(sandbox, tmp_path, platform=platform) as floor:
        shop, state, step = SHOPS[platform], FIRST_STATES[platform], moves_of(platform)[0].step
        disliked, other = await floor.orders()
        sandbox.faults.script_answer(status, PAGE, step=step, order=disliked.id, times=1000)
        target = await floor.reach(disliked.id, state, shop)
        assert target.problem is not None
        assert (target.status, target.problem.type) == (TargetStatus.BLOCKED, "rejected")
        assert f"HTTP {status}: Request 4711 was blocked by policy" in target.problem.detail
        assert not await is_paused(floor, shop)
        assert await floor.events("shop.access_denied") == []
        assert (await floor.reach(other.id, state, shop)).status is TargetStatus.REACHED


@every_platform
@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("body", [PAGE, b"404 page not found", b""])
async def test_no_page_declares_an_order_gone(tmp_path: Path, platform: str, status: int, body: bytes) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, {"fresh_seconds": 0}, platform=platform) as floor:
        shop = SHOPS[platform]
        (order,) = await floor.orders()
        sandbox.faults.script_answer(status, body, step="read", times=1000)
        target = await floor.reach(order.id, FIRST_STATES[platform], shop)
        assert target.problem is not None
        assert (target.status, target.problem.type) == (TargetStatus.BLOCKED, "attempts-exhausted")
        found = await floor.order(order.id, shop)
        assert (found.gone_at, found.situation) == (None, Situation.BLOCKED)
        assert not await is_paused(floor, shop)
