"""An xSale shop whose login was refused, and a person who fixes that: a new login is made at once."""

from __future__ import annotations

from pathlib import Path

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import TargetStatus
from tests.runtime.xsale.floor import xsale
from tests.support.shopfloor import config_of, working_on

XS = "xs"


async def test_a_resume_asks_for_a_login_at_once(tmp_path: Path) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        password = sandbox.xsale.shop.account["password"]
        sandbox.xsale.panel.change_token("another password")
        target = await floor.submit(order.id, "shipped", XS)
        await floor.event("shop.access_denied")
        sandbox.xsale.panel.change_token(password)
        await floor.commands.resume(XS)
        await floor.event("step.done", order.id)
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert len(await floor.events("shop.access_denied")) == 1


async def test_a_resume_without_a_remedy_is_refused_anew_and_pauses_again(tmp_path: Path) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        sandbox.xsale.panel.change_token("another password")
        await floor.submit(order.id, "shipped", XS)
        await floor.event("shop.access_denied")
        logins = len(sandbox.ledger.calls(step="login"))
        await floor.commands.resume(XS)
        await floor.event("shop.access_denied", count=2)
        assert len(sandbox.ledger.calls(step="login")) == logins + 1


async def test_a_reload_with_other_credentials_asks_at_once(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, platform="xsale")
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync(XS, 30)
            (order,) = await floor.orders()
            sandbox.xsale.panel.change_token("another password")
            target = await floor.submit(order.id, "shipped", XS)
            await floor.event("shop.access_denied")
            await floor.supervisor.reload(config_of(sandbox, tmp_path, platform="xsale"))
            assert (await floor.finished(target)).status is TargetStatus.REACHED
            assert len(await floor.events("shop.access_denied")) == 1
