"""Targets on Shopify that could mean two things: they are refused, and no parcel's tracking or goods go astray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.sandbox.shopify.orders import LOCATIONS
from statemachines.target import TargetRequest
from storage.records import Target, TargetStatus
from tests.runtime.shopify.floor import SHOP, SPREAD, WHOLE, effects, floor_of, order_at, parcels, reach, shopify
from tests.support.shopfloor import Shopfloor

HERE, THERE = str(LOCATIONS[0][0]), str(LOCATIONS[1][0])
PAGE = {"url": "https://carrier.example/track"}


def codes(floor: Shopfloor, order: str) -> list[list[str | None]]:
    return [[each["number"] for each in parcel.numbers] for parcel in floor.sandbox.shopify.panel.order(order).live()]


async def keyed(floor: Shopfloor, order: str, key: str | None, **fields: Any) -> Target:
    request = TargetRequest.from_json({"state": "shipped", **fields})
    return await floor.finished(await floor.commands.submit(SHOP, order, request, key=key))


async def refused(floor: Shopfloor, order: str, **fields: Any) -> str:
    before = effects(floor, order)
    with pytest.raises(Refused) as refusal:
        await floor.submit(order, "shipped", SHOP, **fields)
    assert refusal.value.slug == "not-allowed"
    assert effects(floor, order) == before
    return str(refusal.value.extra["reason"])


async def test_a_known_code_for_another_location_is_refused_while_goods_are_left_there(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = (await order_at(floor, SPREAD)).id
        await reach(floor, order, "shipped", location=HERE, tracking={"code": "C1"})
        assert f"still to be shipped from location {THERE}" in await refused(
            floor, order, location=THERE, tracking={"code": "C1"}
        )
        again = await reach(floor, order, "shipped", location=HERE, tracking={"code": "C1"})
        assert again.status is TargetStatus.REACHED
        await reach(floor, order, "shipped", location=THERE, tracking={"code": "C2"})
        assert codes(floor, order) == [["C1"], ["C2"]]


async def test_a_new_code_for_a_location_changes_no_parcel_of_another_one(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = (await order_at(floor, SPREAD)).id
        await reach(floor, order, "shipped", tracking={"code": "OLD"})
        assert "name the items or the code" in await refused(floor, order, location=THERE, tracking={"code": "NEW"})
        assert codes(floor, order) == [["OLD"], ["OLD"]]


@pytest.mark.parametrize("method", ["LOCAL", "PICK_UP"])
async def test_a_new_code_takes_no_code_from_the_parcel_that_left_while_goods_are_left(
    tmp_path: Path, method: str
) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = (await order_at(floor, WHOLE)).id
        floor.sandbox.shopify.panel.goods(order, "add_line", method=method)
        await floor.commands.sync(SHOP, 30)
        await reach(floor, order, "shipped", tracking={"code": "C1"})
        assert "goods are left" in await refused(floor, order, tracking={"code": "C2"})
        assert codes(floor, order) == [["C1"]]


async def test_a_link_without_a_code_is_no_reason_not_to_ship_for_another_key(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        line = next(iter(order.facts["lines"]))
        for key in ("month 1", "month 2", "month 2"):
            target = await keyed(floor, order.id, key, items=[{"id": line, "quantity": 1}], tracking=PAGE)
            assert target.status is TargetStatus.REACHED
        assert parcels(floor, order.id) == [{int(line): 1}, {int(line): 1}]


async def test_a_lost_answer_under_a_link_and_a_key_ships_once(tmp_path: Path) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        line = next(iter(order.facts["lines"]))
        await keyed(floor, order.id, "month 1", items=[{"id": line, "quantity": 1}], tracking=PAGE)
        sandbox.faults.script("drop_after", step="fulfill")
        target = await keyed(floor, order.id, "month 2", items=[{"id": line, "quantity": 1}], tracking=PAGE)
        assert target.status is TargetStatus.REACHED
        assert parcels(floor, order.id) == [{int(line): 1}, {int(line): 1}]


async def test_tracking_that_was_left_half_changed_is_in_doubt_for_another_code(tmp_path: Path) -> None:
    sandbox = shopify()
    retry = {"attempts": 1, "base_seconds": 0.01, "max_seconds": 0.05}
    async with floor_of(sandbox, tmp_path, retry=retry) as floor:
        order = (await order_at(floor, SPREAD)).id
        await reach(floor, order, "shipped", tracking={"code": "OLD"})
        sandbox.faults.script("drop_after", step="update_tracking")
        blocked = await reach(floor, order, "shipped", tracking={"code": "NEW"})
        assert blocked.status is TargetStatus.BLOCKED
        await floor.commands.cancel(SHOP, order)
        await floor.commands.sync(SHOP, 30)
        assert "(NEW; OLD)" in await refused(floor, order, tracking={"code": "OTHER"})


async def test_a_shipped_order_still_says_no_to_what_it_never_had(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        line, count = next(iter(order.facts["lines"].items()))
        await reach(floor, order.id, "shipped", tracking={"code": "C1"})
        assert f"the order has {count}" in await refused(floor, order.id, items=[{"id": line, "quantity": 99}])
        assert "assigned to location 1;" in await refused(floor, order.id, location="1")
        again = await reach(floor, order.id, "shipped", items=[{"id": line, "quantity": count}])
        assert again.status is TargetStatus.REACHED
