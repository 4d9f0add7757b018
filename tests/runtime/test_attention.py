"""Orders that the ERP asks a person to look at, on every platform: shown until they move on or are released."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.operations.documents import NeedyOrder
from orchestrator.operations.status import NodeNow, read_counts, status_dump
from orchestrator.operations.views.orders import needy_view, order_view
from orchestrator.registry import PLATFORMS
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import Order, Situation, TargetStatus
from tests.support.platforms import FIRST_STATES, SHOPS
from tests.support.shopfloor import Shopfloor, config_of, shopfloor, working_on

REASON = "no article KUB-CZ"


def sandbox_of() -> Sandbox:
    return Sandbox(SandboxSettings(orders=1))


class Node:
    """The daemon about itself, for a status dump."""

    node, pid, started_at, is_draining, is_ready = "test", 1, 0, False, True

    def __init__(self, floor: Shopfloor) -> None:
        self.shops = floor.supervisor.shops


async def needy(floor: Shopfloor) -> list[NeedyOrder]:
    counts = await floor.store.read(read_counts)
    dump = status_dump(counts, NodeNow.of(Node(floor)), "sqlite", 0, [], [])
    assert sum(shop["attention"] for shop in dump["shops"]) == len(counts.attention)
    return dump["attention"]


def shown(order: Order) -> Any:
    return order_view(order, [], None, None, 0)["attention"]


@pytest.mark.parametrize("platform", SHOPS)
async def test_attention_is_shown_everywhere_until_it_is_released(tmp_path: Path, platform: str) -> None:
    shop, sandbox = SHOPS[platform], sandbox_of()
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, platform=platform)
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync(shop, 30)
            (order,) = await floor.orders()
            assert shown(order) is None
            target = await floor.reach(order.id, "attention", shop, reason=REASON)
            assert (target.status, target.unused) == (TargetStatus.REACHED, ())
            found = await floor.order(order.id, shop)
            assert found.situation is Situation.IDLE
            assert shown(found)["reason"] == REASON
            assert shown(found)["since"].endswith("Z")
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync(shop, 30)
            [entry] = await needy(floor)
            assert (entry["shop"], entry["order"]) == (shop, order.id)
            assert entry["attention"] is not None
            assert entry["attention"]["reason"] == REASON
            assert entry["problem"] is not None
            assert (entry["problem"]["type"], entry["problem"]["detail"]) == ("attention", REASON)
            [begun] = await floor.events("order.attention", order=order.id)
            assert (begun.data["reason"], begun.target) == (REASON, target.id)
            await floor.commands.release(shop, order.id)
            assert shown(await floor.order(order.id, shop)) is None
            assert await needy(floor) == []
            [ended] = await floor.events("order.attention_ended", order=order.id)
            assert ended.data == {"by": "release", "reason": REASON}
            assert [event.data["by"] for event in await floor.events("order.released", order=order.id)] == ["release"]
            with pytest.raises(Refused) as refused:
                await floor.commands.release(shop, order.id)
            assert refused.value.slug == "not-held"


@pytest.mark.parametrize("platform", SHOPS)
async def test_an_order_that_moves_on_needs_no_attention(tmp_path: Path, platform: str) -> None:
    shop = SHOPS[platform]
    async with shopfloor(sandbox_of(), tmp_path, platform=platform) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "attention", shop, reason=REASON)
        target = await floor.reach(order.id, FIRST_STATES[platform], shop)
        assert target.status is TargetStatus.REACHED
        assert shown(await floor.order(order.id, shop)) is None
        [ended] = await floor.events("order.attention_ended", order=order.id)
        assert ended.data["by"] == "target"


async def test_a_milestone_of_our_record_moves_an_order_on(tmp_path: Path) -> None:
    async with shopfloor(sandbox_of(), tmp_path, platform="shopify") as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "attention", "shopy", reason=REASON)
        await floor.reach(order.id, "accepted", "shopy")
        assert await needy(floor) == []


@pytest.mark.parametrize("platform", SHOPS)
async def test_what_happens_on_the_platform_moves_an_order_on(tmp_path: Path, platform: str) -> None:
    shop, sandbox = SHOPS[platform], sandbox_of()
    async with shopfloor(sandbox, tmp_path, platform=platform) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "attention", shop)
        sandbox.platforms[platform].operate({"action": "cancel", "order": order.id})
        await floor.commands.sync(shop, 30)
        found = await floor.order(order.id, shop)
        assert (found.milestone, shown(found)) == ("cancelled", None)
        [ended] = await floor.events("order.attention_ended", order=order.id)
        assert ended.data == {"by": "drift", "reason": None}


async def test_the_same_wish_is_reported_once_and_another_reason_again(tmp_path: Path) -> None:
    async with shopfloor(sandbox_of(), tmp_path) as floor:
        (order,) = await floor.orders()
        for reason in (REASON, REASON, "no customer either"):
            await floor.reach(order.id, "attention", reason=reason)
        events = await floor.events("order.attention", order=order.id)
        assert [event.data["reason"] for event in events] == [REASON, "no customer either"]
        assert await floor.events("order.attention_ended", order=order.id) == []


async def test_release_ends_a_hold_and_attention_together(tmp_path: Path) -> None:
    async with shopfloor(sandbox_of(), tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "attention", reason=REASON)
        await floor.commands.hold("acme", order.id, "wait")
        await floor.commands.release("acme", order.id)
        found = await floor.order(order.id)
        assert (found.held_at, shown(found), found.situation) == (None, None, Situation.IDLE)
        assert len(await floor.events("order.released", order=order.id)) == 1


async def test_a_blocked_order_is_listed_once_with_both(tmp_path: Path) -> None:
    sandbox = sandbox_of()
    async with shopfloor(sandbox, tmp_path, {"retry": {"attempts": 1}}) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "attention", reason=REASON)
        sandbox.faults.script("error_before", step="confirm")
        assert (await floor.reach(order.id, "accepted")).status is TargetStatus.BLOCKED
        [entry] = await needy(floor)
        assert entry["problem"] is not None
        assert entry["problem"]["type"] == "attempts-exhausted"
        assert entry["attention"] is not None
        assert entry["attention"]["reason"] == REASON
        assert needy_view(await floor.order(order.id)) == entry


async def test_an_order_that_is_gone_needs_no_attention(tmp_path: Path) -> None:
    sandbox = sandbox_of()
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "attention", reason=REASON)
        sandbox.platforms["selldone"].operate({"action": "delete", "order": order.id})
        with pytest.raises(Refused):
            await floor.commands.refresh("acme", order.id)
        assert await needy(floor) == []


def test_every_platform_takes_attention() -> None:
    assert all(PLATFORMS[name].machine({}).resolve("attention") is not None for name in SHOPS)
