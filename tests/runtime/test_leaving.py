"""Shops that leave the config, come back, or get another name: nothing that is wanted of their orders disappears."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog.testing

from orchestrator.config import Config, load
from orchestrator.decisions.refusals import Refused
from orchestrator.operations.order_pages import OrderQuery
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.errors import StoreUnavailable
from storage.records import Situation, TargetStatus
from tests.support.asking import queries
from tests.support.platforms import SHOPS
from tests.support.shopfloor import SHOP, config_of, shopfloor, working_on

pytestmark = pytest.mark.engines("sqlite", "postgresql")


def with_shops(config: Config, shops: dict[str, Any]) -> Config:
    tree = json.loads(config.path.read_text())
    config.path.write_text(json.dumps({**tree, "shops": shops}))
    return load(config.path)


def written(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "config.json").read_text())["shops"])


@pytest.mark.parametrize("platform", list(SHOPS))
async def test_what_waits_for_a_shop_that_left_is_shown_and_can_be_cancelled(tmp_path: Path, platform: str) -> None:
    sandbox = Sandbox(SandboxSettings(orders=2))
    async with shopfloor(sandbox, tmp_path, platform=platform) as floor:
        shop = next(iter(floor.supervisor.shops()))
        first, second = [order.id for order in await floor.orders()]
        await floor.commands.hold(shop, first, None)
        await floor.commands.pause(shop, None)
        state = "shipped" if platform in ("shopify", "woocommerce") else "accepted"
        targets = [await floor.submit(order, state, shop) for order in (first, second)]
        await floor.commands.release(shop, first)
        config = load(tmp_path / "config.json")
        await floor.supervisor.reload(with_shops(config, {}))

        (left,) = await floor.events("shop.left")
        assert left.data == {"targets_pending": 2}
        status_shown = await queries(floor).status()
        (view,) = status_shown["shops"]
        assert (view["name"], view["configured"], view["held"]) == (shop, False, False)
        assert view["waiting"] == 2
        assert (await queries(floor).shop(shop))["configured"] is False
        assert [each["name"] for each in await queries(floor).shops()] == [shop]
        order, _ = await queries(floor).order(shop, first)
        assert order["wait"] is not None
        assert (order["situation"], order["wait"]["reason"]) == ("waiting", "not_configured")
        page, _ = await queries(floor).orders(OrderQuery(situation="waiting"), 0, 9)
        assert {json.loads(each)["id"] for each in page} == {first, second}

        assert (await floor.commands.cancel_target(targets[0].id)).status is TargetStatus.CANCELLED
        assert (await floor.commands.cancel(shop, second)).situation is Situation.IDLE
        with pytest.raises(Refused):
            await floor.commands.cancel_target(targets[0].id)
        with pytest.raises(Refused):
            await floor.submit(first, "accepted", shop)
        assert (await queries(floor).status())["shops"] == []
        assert [each.target for each in await floor.events("target.cancelled")] == [each.id for each in targets]


async def test_a_shop_that_is_back_goes_on_with_what_waited(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.commands.pause(SHOP, None)
        target = await floor.submit(order.id, "delivered")
        before, config = written(tmp_path), load(tmp_path / "config.json")
        await floor.supervisor.reload(with_shops(config, {}))
        await floor.supervisor.reload(with_shops(config, before))
        assert len(await floor.events("shop.returned")) == 1
        await floor.commands.resume(SHOP)
        with anyio.fail_after(60):
            assert (await floor.finished(target)).status is TargetStatus.REACHED


async def test_a_call_that_was_out_when_the_shop_left_is_resolved_when_it_is_back(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        held_call = sandbox.faults.hold(step="confirm", moment="after")
        target = await floor.submit(order.id, "delivered")
        await held_call.arrived()
        before, config = written(tmp_path), load(tmp_path / "config.json")
        tree = json.loads(config.path.read_text())
        config.path.write_text(json.dumps({**tree, "drain_seconds": 1}))
        await floor.supervisor.reload(with_shops(config, {}))
        shown, _ = await queries(floor).order(SHOP, order.id)
        assert shown["wait"] is not None
        assert shown["wait"]["reason"] == "not_configured"
        held_call.release()
        await floor.supervisor.reload(with_shops(config, before))
        with anyio.fail_after(60):
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert sandbox.ledger.effects(order.id) == ["confirm", "prepare", "send", "deliver"]


async def test_leaving_and_coming_back_are_reported_once_each_also_over_restarts(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path)
        before = written(tmp_path)
        async with working_on(sandbox, config, tmp_path):
            pass
        for _ in range(2):
            async with working_on(sandbox, with_shops(config, {}), tmp_path) as floor:
                assert len(await floor.events("shop.left")) == 1
        for _ in range(2):
            async with working_on(sandbox, with_shops(config, before), tmp_path) as floor:
                assert len(await floor.events("shop.returned")) == 1


async def test_a_new_name_of_the_same_account_is_reported_as_what_it_is(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.commands.pause(SHOP, None)
        await floor.submit(order.id, "delivered")
        config = load(tmp_path / "config.json")
        with structlog.testing.capture_logs() as logs:
            await floor.supervisor.reload(with_shops(config, {"acme2": written(tmp_path)[SHOP]}))
        (entry,) = [each for each in logs if each["event"] == "shop.renamed"]
        assert (entry["shop"], entry["to"], entry["targets_pending"]) == (SHOP, "acme2", 1)
        (left,) = await floor.events("shop.left")
        assert left.data == {"targets_pending": 1, "renamed_to": "acme2"}


async def test_what_is_left_of_a_queue_waits_in_its_turn(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.commands.pause(SHOP, None)
        first = await floor.submit(order.id, "accepted")
        second = await floor.submit(order.id, "shipped")
        before, config = written(tmp_path), load(tmp_path / "config.json")
        await floor.supervisor.reload(with_shops(config, {}))
        await floor.commands.cancel_target(first.id)
        await floor.supervisor.reload(with_shops(config, before))
        await floor.commands.resume(SHOP)
        with anyio.fail_after(60):
            assert (await floor.finished(second)).status is TargetStatus.REACHED
        assert (await floor.target(first.id)).status is TargetStatus.CANCELLED


async def refused(_: object) -> None:
    raise StoreUnavailable("database or disk is full")


async def test_a_reload_on_a_full_disk_is_applied_and_recorded_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.runtime.departures._AGAIN_SECONDS", 0.01)
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        before, config = written(tmp_path), load(tmp_path / "config.json")
        with monkeypatch.context() as full, structlog.testing.capture_logs() as logs:
            full.setattr(floor.store, "write", refused)
            await floor.supervisor.reload(with_shops(config, {}))
        assert [each["log_level"] for each in logs if each["event"] == "shops.not_noted"] == ["error"]
        assert not floor.supervisor.is_configured(SHOP)
        with anyio.fail_after(60):
            await floor.event("shop.left")
        await floor.supervisor.reload(with_shops(config, before))
        await floor.event("shop.returned")
        (order,) = await floor.orders()
        with anyio.fail_after(60):
            assert (await floor.reach(order.id, "accepted")).status is TargetStatus.REACHED
