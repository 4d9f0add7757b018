"""What nobody foresaw in one order is that order's own trouble, and a sync that ends by it says so."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.draft import Draft
from orchestrator.decisions.refusals import Refused
from orchestrator.platforms.client import PlatformClient
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import Rejected, Situation, TargetStatus
from storage.rejected import list_rejected
from storage.shops import get_shop
from tests.support.platforms import FIRST_STATES, SHOPS
from tests.support.shopfloor import Shopfloor, config_of, shopfloor, working_on

PLATFORMS = pytest.mark.parametrize("platform", SHOPS)


class Unforeseen(Exception):
    """What a bug raises."""


async def rejected(floor: Shopfloor) -> list[Rejected]:
    return await floor.store.read(lambda tx: list_rejected(tx, 0, 100))


def raising_for(order: str, call: Callable[..., Any], id_of: Callable[..., str]) -> Callable[..., Any]:
    """The call, which raises for one order."""

    def raises(*args: Any, **kwargs: Any) -> Any:
        if id_of(*args, **kwargs) == order:
            raise Unforeseen("no such luck")
        return call(*args, **kwargs)

    return raises


def adoption_raises(monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    module = import_module("orchestrator.decisions.adoption")
    monkeypatch.setattr(module, "advance", raising_for(order, module.advance, lambda draft, ctx: draft.order.id))


def wire_of(platform: str) -> Any:
    """The module that makes content of orders: the platform's `wire`, or the one that is all of it."""
    whole = import_module(f"orchestrator.platforms.{platform}")
    return import_module(f"{whole.__name__}.wire") if hasattr(whole, "__path__") else whole


def client_of(floor: Shopfloor, shop: str) -> PlatformClient:
    worker = floor.supervisor.worker(shop)
    assert worker is not None
    return worker.client


@PLATFORMS
async def test_an_order_whose_mapping_raises_is_set_aside_with_its_payload(
    platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=3))
    bad = sandbox.platforms[platform].order_ids()[1]
    wire = wire_of(platform)
    event = raising_for(
        bad, wire.content_of, lambda order, *_, **__: str(order.get("id", order.get("Id"))).rpartition("/")[2]
    )
    monkeypatch.setattr(wire, "content_of", event)
    async with shopfloor(sandbox, tmp_path, platform=platform) as floor:
        assert bad not in {order.id for order in await floor.orders()}
        assert len(await floor.orders()) == 2
        (aside,) = await rejected(floor)
        assert bad.encode() in aside.payload
        assert "Unforeseen" in aside.error
        assert "no such luck" in aside.error
        (rejected_event,) = await floor.events("import.rejected")
        assert rejected_event.order == bad
        with pytest.raises(Refused) as refused:
            await floor.submit(bad, FIRST_STATES[platform], SHOPS[platform])
        assert refused.value.slug == "not-allowed"
        monkeypatch.undo()
        assert (await floor.reach(bad, FIRST_STATES[platform], SHOPS[platform])).status is TargetStatus.REACHED
        assert await rejected(floor) == [], "it was read since"


@PLATFORMS
async def test_an_order_whose_adoption_raises_is_undone_alone(
    platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=7))
    bad = sandbox.platforms[platform].order_ids()[2]
    adoption_raises(monkeypatch, bad)
    async with shopfloor(sandbox, tmp_path, platform=platform) as floor:
        assert len(await floor.orders()) == 6
        assert len(await floor.events("order.imported")) == 6
        (aside,) = await rejected(floor)
        assert bad.encode() in aside.payload
        assert "Unforeseen" in aside.error
        with pytest.raises(Refused) as refused:
            await floor.commands.refresh(SHOPS[platform], bad)
        assert refused.value.slug == "not-allowed"
        report = await floor.commands.sync(SHOPS[platform], 30)
        assert report is not None
        assert report.rejected == 0
        assert len(await floor.events("import.rejected")) == 1
        shop = await floor.store.read(lambda tx: get_shop(tx, SHOPS[platform]))
        assert shop is not None
        assert shop.last_sync_error is None


@PLATFORMS
async def test_an_order_whose_read_raises_stands_in_no_other_s_way(
    platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=2))
    changes = {"fresh_seconds": 0, "retry": {"attempts": 2, "base_seconds": 0.01, "max_seconds": 0.02}}
    async with shopfloor(sandbox, tmp_path, changes, platform=platform) as floor:
        shop, (bad, good) = SHOPS[platform], sandbox.platforms[platform].order_ids()
        client = client_of(floor, shop)
        monkeypatch.setattr(client, "read", raising_for(bad, client.read, lambda order: order))
        with pytest.raises(Refused) as refused:
            await floor.commands.refresh(shop, bad)
        assert refused.value.slug == "not-allowed"
        blocked = await floor.reach(bad, FIRST_STATES[platform], shop)
        assert blocked.status is TargetStatus.BLOCKED
        order = await floor.order(bad, shop)
        assert order.problem is not None
        assert "Unforeseen" in order.problem.detail
        assert (await floor.reach(good, FIRST_STATES[platform], shop)).status is TargetStatus.REACHED
        assert any(bad.encode() in each.payload for each in await rejected(floor))


@PLATFORMS
async def test_an_order_whose_read_back_cannot_be_taken_in_is_blocked_with_the_reason(
    platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=2))
    changes = {"fresh_seconds": 0, "retry": {"attempts": 2, "base_seconds": 0.01, "max_seconds": 0.02}}
    async with shopfloor(sandbox, tmp_path, changes, platform=platform) as floor:
        shop, (bad, good) = SHOPS[platform], sandbox.platforms[platform].order_ids()
        driver = import_module("orchestrator.runtime.driver")

        def id_of(draft: Draft, *_: object, **__: object) -> str:
            return draft.order.id

        monkeypatch.setattr(driver, "apply_read", raising_for(bad, driver.apply_read, id_of))
        target = await floor.reach(bad, FIRST_STATES[platform], shop)
        assert target.status is TargetStatus.BLOCKED
        order = await floor.order(bad, shop)
        assert order.situation is Situation.BLOCKED
        assert order.problem is not None
        assert "Unforeseen" in order.problem.detail
        assert [bad.encode() in each.payload for each in await rejected(floor)] == [True]
        assert (await floor.reach(good, FIRST_STATES[platform], shop)).status is TargetStatus.REACHED
        monkeypatch.undo()
        await floor.commands.retry(shop, bad)
        assert (await floor.finished(await floor.target(target.id))).status is TargetStatus.REACHED


async def test_a_sync_that_ends_by_what_was_unexpected_is_reported_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), working_on(sandbox, config_of(sandbox, tmp_path), tmp_path) as floor:
        await floor.commands.sync("acme", 30)
        client = client_of(floor, "acme")

        async def list_page(position: object, cursor: object) -> object:
            raise Unforeseen("no such luck")

        with monkeypatch.context() as patch:
            patch.setattr(client, "list_page", list_page)
            for _ in range(2):
                with pytest.raises(Refused) as refused:
                    await floor.commands.sync("acme", 30)
                assert refused.value.slug == "platform-unreachable"
                assert "no such luck" in refused.value.detail
        shop = await floor.store.read(lambda tx: get_shop(tx, "acme"))
        assert shop is not None
        assert shop.last_sync_error is not None
        assert "Unforeseen" in shop.last_sync_error
        (event,) = await floor.events("sync.failed")
        assert event.data["kind"] == "internal"
        assert await floor.commands.sync("acme", 30) is not None
        shop = await floor.store.read(lambda tx: get_shop(tx, "acme"))
        assert shop is not None
        assert shop.last_sync_error is None
