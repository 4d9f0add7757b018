"""Targets that are accepted together: each by itself, in their sequence, with one commit."""

from __future__ import annotations

import random
import re
from dataclasses import replace
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


def normal(text: str, results: list[Any]) -> str:
    """Without what is by chance: ids of targets and their numbers, which may have gaps, and instants."""
    for number, result in enumerate(results):
        if isinstance(result, Accepted):
            text = text.replace(result.target.id, f"target {number}")
    return re.sub(r"\b1[0-9]{12}\b", "then", re.sub(r"\bseq=[0-9]+", "seq=?", text))


async def alone(floor: Shopfloor, each: Requested) -> Accepted | Refused:
    try:
        target = await floor.commands.submit(each.shop, each.order, each.request, key=each.key)
    except Refused as refusal:
        return refusal
    return Accepted(target, None)


async def outcome(floor: Shopfloor, asked: list[Requested], *, at_once: int) -> list[str]:
    """What became of targets, of their orders and of the feed."""
    results: list[Any] = []
    for start in range(0, len(asked), at_once):
        part = asked[start : start + at_once]
        results += await floor.commands.submit_all(part) if at_once > 1 else [await alone(floor, part[0])]
    shown = [
        repr((each.target, "target")) if isinstance(each, Accepted) else repr((each.slug, str(each), each.extra))
        for each in results
    ]
    rows = [repr(replace(each, content_hash="")) for each in await floor.orders()]
    events = [repr((each.type, each.order, each.target, each.data)) for each in await floor.events()]
    return [normal(each, results) for each in (*shown, *rows, *events)]


@pytest.mark.parametrize("seed", range(4))
async def test_targets_that_came_together_are_accepted_as_each_by_itself(seed: int, tmp_path: Path) -> None:
    found: list[list[str]] = []
    for at_once in (1, 20):
        (folder := tmp_path / str(at_once)).mkdir()
        async with shopfloor(Sandbox(SandboxSettings(orders=8)), folder) as floor:
            orders, chance = await paused_floor_orders(floor), random.Random(seed)
            states = ["accepted", "preparing", "shipped", "delivered", "cancelled", "nonsense", "CheckQueue"]
            asked = [
                Requested(
                    "acme",
                    chance.choice(orders),
                    TargetRequest(chance.choice(states), replace=chance.choice([None, None, True])),
                    chance.choice([None, None, "k", "l", "m"]),
                )
                for _ in range(80)
            ]
            found.append(await outcome(floor, asked, at_once=at_once))
    assert found[0] == found[1]


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
