"""Targets that are accepted together: each by itself, in their sequence, with one commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import orchestrator.decisions.submission as module
from orchestrator.decisions.refusals import Refused
from orchestrator.decisions.submission import Accepted, Requested
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from statemachines.target import TargetRequest
from storage.records import TargetStatus
from tests.runtime.test_unforeseen import raising_for
from tests.support.platforms import FIRST_STATES
from tests.support.shopfloor import Shopfloor, shopfloor


def wanted(order: str, state: str = "delivered", key: str | None = None, shop: str = "acme") -> Requested:
    return Requested(shop, order, TargetRequest(state), key)


def words(results: Any) -> list[str | None]:
    """What became of each: the target's state, or the slug of a refusal."""
    return [
        None
        if each is None
        else (each.target.milestone if isinstance(each, Accepted) else each.slug if isinstance(each, Refused) else "?")
        for each in results
    ]


async def paused_floor_orders(floor: Shopfloor, shop: str = "acme") -> list[str]:
    await floor.commands.pause(shop, "the targets are to be looked at")
    return [order.id for order in await floor.orders()]


async def test_targets_of_one_commit_are_accepted_each_by_itself(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=3)), tmp_path) as floor:
        first, second, third = await paused_floor_orders(floor)
        results = await floor.commands.submit_all(
            [
                wanted(first, "accepted"),
                wanted(first, "nonsense"),
                wanted(second, "shipped", key="k"),
                wanted(first, "shipped"),
                wanted(second, "shipped", key="k"),
                wanted(third, "shipped", key="k"),
                wanted("1", shop="nowhere"),
                wanted(third, "cancelled"),
            ]
        )
        assert words(results) == [
            "accepted",
            "unknown-state",
            "shipped",
            "shipped",
            "shipped",
            "idempotency-key-reused",
            "shop-not-found",
            "cancelled",
        ]
        assert results[2] == results[4]
        submitted = [event.order for event in await floor.events("target.submitted")]
        assert submitted == [first, second, first, third], "the feed has them in their sequence"


async def test_a_later_target_sees_what_an_earlier_one_made_of_its_order(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=1)), tmp_path) as floor:
        (order,) = await paused_floor_orders(floor)
        results = await floor.commands.submit_all([wanted(order, state) for state in ("shipped", "delivered")])
        plans = [[entry.step for entry in each.target.plan] for each in results if isinstance(each, Accepted)]
        assert plans == [["confirm", "prepare", "send"], ["deliver"]]


async def test_an_order_that_has_to_be_read_first_holds_up_its_own_targets_alone(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=2)), tmp_path) as floor:
        first, *_ = await paused_floor_orders(floor)
        results = await floor.commands.submit_all([wanted("404"), wanted(first), wanted("404", "nonsense")])
        assert words(results) == [None, "delivered", None]


@pytest.mark.parametrize("at", range(3))
async def test_a_target_that_raises_leaves_nothing_half_done_and_the_others_to_themselves(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=3)), tmp_path) as floor:
        orders = await paused_floor_orders(floor)
        monkeypatch.setattr(module, "settle", raising_for(orders[at], module.settle, lambda draft, ctx: draft.order.id))
        assert words(await floor.commands.submit_all([wanted(order) for order in orders])) == [None] * 3
        assert await floor.events("target.submitted") == []
        for number, order in enumerate(orders):
            if number != at:
                assert (await floor.submit(order, "delivered")).milestone == "delivered"


@pytest.mark.parametrize("platform", sorted(FIRST_STATES))
async def test_targets_that_came_together_are_worked_off_on_every_platform(platform: str, tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=5)), tmp_path, platform=platform) as floor:
        orders, state = await floor.orders(), FIRST_STATES[platform]
        alone = await floor.submit(orders[0].id, state, orders[0].shop)
        together = await floor.commands.submit_all([wanted(each.id, state, shop=each.shop) for each in orders[1:]])
        for result in together:
            assert isinstance(result, Accepted)
            assert result.target.plan == alone.plan
            assert (await floor.finished(result.target)).status is TargetStatus.REACHED
