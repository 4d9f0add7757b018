"""A platform that refuses to show an order before a step: nothing was refused of the step, so it is tried again."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import TargetStatus
from storage.shops import get_shop
from tests.support.platforms import FIRST_STATES, SHOPS
from tests.support.shopfloor import shopfloor

READ_FIRST = {"fresh_seconds": 0, "circuit": {"failures": 3, "cooldown_seconds": 60}}
WORDS = b'{"detail": "Not on a Sunday.", "message": "Not on a Sunday."}'

every_platform = pytest.mark.parametrize("platform", sorted(SHOPS))
every_refusal = pytest.mark.parametrize("status", [400, 405, 409, 422])


@every_platform
@every_refusal
async def test_it_is_read_again_and_the_step_follows(tmp_path: Path, platform: str, status: int) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, READ_FIRST, platform=platform) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script_answer(status, WORDS, step="read", times=4)
        target = await floor.reach(order.id, FIRST_STATES[platform], SHOPS[platform])
        assert target.status is TargetStatus.REACHED
        assert len(sandbox.ledger.effects(order.id)) == 1


@every_platform
@every_refusal
async def test_when_it_goes_on_the_attempts_run_out_with_the_platforms_words(
    tmp_path: Path, platform: str, status: int
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, READ_FIRST, platform=platform) as floor:
        (order,) = await floor.orders()
        shop = SHOPS[platform]
        sandbox.faults.script_answer(status, WORDS, step="read", times=1000)
        target = await floor.reach(order.id, FIRST_STATES[platform], shop)
        assert target.problem is not None
        assert (target.status, target.problem.type) == (TargetStatus.BLOCKED, "attempts-exhausted")
        assert "Not on a Sunday." in target.problem.detail
        row = await floor.store.read(lambda tx: get_shop(tx, shop))
        assert row is not None
        assert row.circuit == "closed", "an order that is not shown says nothing of the shop"


@pytest.mark.parametrize("status", [400, 409])
async def test_the_read_between_two_steps_may_be_refused_too(tmp_path: Path, status: int) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, platform="cloudsuite") as floor:
        (order,) = await floor.orders()
        sandbox.faults.script_answer(status, WORDS, step="read")
        assert (await floor.reach(order.id, "accepted", "cs")).status is TargetStatus.REACHED
        (failed,) = await floor.events("step.failed", order=order.id)
        assert failed.data["kind"] == "transient"
