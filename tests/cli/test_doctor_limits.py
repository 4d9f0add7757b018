"""`doctor` shows what is left of a rate limit where the platform says so, and counts its calls with the daemon's."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.cli.doctor import examine
from orchestrator.clock import Clock
from orchestrator.config import Config
from orchestrator.platforms.client import Finding
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.support.shopfloor import config_of


async def left(config: Config) -> list[Finding]:
    return [check.finding for check in await examine(config) if check.finding.check == "rate limit"]


@pytest.mark.parametrize(
    ("platform", "unit"), [("selldone", "of 80 calls are left"), ("shopify", "of 2000 points are left")]
)
async def test_what_is_left_is_reported_in_the_platforms_unit(tmp_path: Path, platform: str, unit: str) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1, has_real_limits=True))
    async with sandbox.running():
        (finding,) = await left(config_of(sandbox, tmp_path, {"limits": {}}, platform=platform))
    assert finding.status == "ok"
    assert unit in finding.detail


async def test_nothing_is_reported_where_the_platform_says_nothing(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        assert await left(config_of(sandbox, tmp_path, platform="cloudsuite")) == []


async def test_an_account_that_others_use_up_is_warned_of(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1, has_real_limits=True))
    async with sandbox.running():
        for _ in range(75):
            sandbox.selldone.shop.throttle.arrive()
        (finding,) = await left(config_of(sandbox, tmp_path, {"limits": {}}))
    assert finding.status == "warning"
    assert "something else uses this account" in finding.detail


async def test_its_calls_take_room_from_a_daemon_on_the_same_store(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1, has_real_limits=True))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, {"limits": {}})
        meter = config.shops["acme"].meter(Clock(), config.state_directory)
        await examine(config)
        calls = len(sandbox.ledger.calls())
    assert calls
    assert meter.room() == 80 - calls
