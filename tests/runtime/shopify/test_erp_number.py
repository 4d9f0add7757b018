"""The ERP's number of a Shopify order: written once, wherever the target leads, and never in the order's way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storage.records import TargetStatus
from tests.runtime.shopify.floor import (
    SHOP,
    WHOLE,
    change,
    content,
    effects,
    floor_of,
    order_at,
    reach,
    shopify,
    updates,
)
from tests.support.shopfloor import Shopfloor

NUMBER = {"erp_order_number": "SO-4711"}
PLACE = "custom.erp_order_number"


def written(floor: Shopfloor, order: str) -> dict[str, str]:
    found: dict[str, str] = floor.sandbox.shopify.panel.order(order).metafields
    return found


@pytest.mark.parametrize(
    ("state", "way"),
    [
        ("accepted", ["set_erp_number"]),
        ("attention", ["set_erp_number"]),
        ("new", ["set_erp_number"]),
        ("preparing", ["set_erp_number", "report_progress"]),
        ("shipped", ["set_erp_number", "fulfill"]),
        ("delivered", ["set_erp_number", "fulfill", "mark_delivered"]),
    ],
)
async def test_a_target_brings_the_number_wherever_it_leads(tmp_path: Path, state: str, way: list[str]) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        target = await reach(floor, order.id, state, **NUMBER)
        assert (target.status, target.unused) == (TargetStatus.REACHED, ())
        assert effects(floor, order.id) == way
        assert written(floor, order.id) == {PLACE: "SO-4711"}
        await floor.commands.sync(SHOP, 30)
        again = await reach(floor, order.id, state, **NUMBER)
        assert (again.status, again.unused) == (TargetStatus.REACHED, ())
        assert effects(floor, order.id) == way, "the order has it"
        assert await floor.events("order.drifted", "order.updated", order=order.id) == []


async def test_another_number_takes_its_place(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        await reach(floor, order.id, "accepted", **NUMBER)
        await reach(floor, order.id, "shipped", erp_order_number="SO-4712")
        assert effects(floor, order.id) == ["set_erp_number", "set_erp_number", "fulfill"]
        assert written(floor, order.id) == {PLACE: "SO-4712"}


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "error_before", "error_after", "garbage", "throttle"])
async def test_a_lost_answer_leaves_one_number_that_is_written_once(tmp_path: Path, fault: str) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        sandbox.faults.script(fault, step="set_erp_number")
        target = await reach(floor, order.id, "shipped", **NUMBER)
        assert (target.status, target.unused) == (TargetStatus.REACHED, ())
        assert written(floor, order.id) == {PLACE: "SO-4711"}
        assert effects(floor, order.id) == ["set_erp_number", "fulfill"]
        assert sandbox.ledger.repeats_after_effect() == []


@pytest.mark.parametrize("number", ["SO-4711", "another"])
async def test_a_number_that_stands_there_already_is_looked_at_first(tmp_path: Path, number: str) -> None:
    """It was written before the store was put back, or by a person."""
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        floor.sandbox.shopify.panel.order(order.id).metafields[PLACE] = number
        await reach(floor, order.id, "shipped", **NUMBER)
        assert written(floor, order.id) == {PLACE: "SO-4711"}
        assert effects(floor, order.id) == (["set_erp_number"] if number == "another" else []) + ["fulfill"]


@pytest.mark.parametrize("place", ["custom.erp_order_number", None])
async def test_content_has_the_number_that_the_order_has(tmp_path: Path, place: str | None) -> None:
    """Also one that a person gave it, which is a change of the order; ours is none."""
    async with floor_of(shopify(), tmp_path, erp_number_metafield=place) as floor:
        order = (await order_at(floor, WHOLE)).id
        assert (await content(floor, order))["numbers"].get("erp", "not asked for") == (
            None if place else "not asked for"
        )
        await reach(floor, order, "accepted", **NUMBER)
        await floor.commands.refresh(SHOP, order)
        assert await updates(floor, order) == []
        if place is not None:
            assert (await content(floor, order))["numbers"]["erp"] == "SO-4711"
            change(floor, order, "set_note", note="another number")
            floor.sandbox.shopify.panel.order(order).metafields[place] = "SO-4712"
            await floor.commands.refresh(SHOP, order)
            assert await updates(floor, order) == [["/note", "/numbers/erp"]]
            assert (await content(floor, order))["numbers"]["erp"] == "SO-4712"


@pytest.mark.parametrize("state", ["accepted", "shipped"])
async def test_an_app_that_may_not_write_it_does_everything_else(tmp_path: Path, state: str) -> None:
    sandbox = shopify()
    sandbox.shopify.operate({"action": "revoke_scope", "scope": "write_orders"})
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        target = await reach(floor, order.id, state, **NUMBER)
        assert (target.status, target.unused) == (TargetStatus.REACHED, ("erp_order_number",))
        [event] = [each for each in await floor.events("step.done") if each.data["step"] == "set_erp_number"]
        assert event.data["how"] == "not_taken"
        assert "write_orders" in event.data["reason"]
        assert written(floor, order.id) == {}
        assert await floor.events("shop.access_denied", "order.blocked") == []


async def test_a_number_that_the_place_does_not_take_holds_nothing_up(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        target = await reach(floor, order.id, "shipped", erp_order_number="two\nlines")
        assert (target.status, target.unused) == (TargetStatus.REACHED, ("erp_order_number",))
        [event] = [each for each in await floor.events("step.done") if each.data["step"] == "set_erp_number"]
        assert "single line" in event.data["reason"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"erp_number_metafield": "erp.number"}, {"erp.number": "SO-4711"}), ({"erp_number_metafield": None}, {})],
)
async def test_a_shop_says_where_it_goes(tmp_path: Path, options: dict[str, Any], expected: dict[str, str]) -> None:
    async with floor_of(shopify(), tmp_path, **options) as floor:
        order = await order_at(floor, WHOLE)
        target = await reach(floor, order.id, "accepted", **NUMBER)
        assert written(floor, order.id) == expected
        assert target.unused == (() if expected else ("erp_order_number",))


async def test_a_cancellation_brings_no_number(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        target = await reach(floor, order.id, "cancelled", **NUMBER)
        assert (target.status, target.unused) == (TargetStatus.REACHED, ("erp_order_number",))
        assert effects(floor, order.id) == ["cancel"]
