"""Goods of Shopify orders that do not all travel in one way: pickup in a store, fulfilment services, local delivery,
gift cards and tips, and one location of several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.sandbox.shopify.orders import LOCATIONS, STORE
from storage.records import Order, TargetStatus
from tests.runtime.shopify.floor import (
    SHOP,
    SPREAD,
    WHOLE,
    effects,
    floor_of,
    nothing_went_wrong,
    order_at,
    parcels,
    reach,
    shipped,
    shopify,
    whole,
)
from tests.support.shopfloor import Shopfloor


async def with_line(floor: Shopfloor, place: int = WHOLE, /, **extra: Any) -> tuple[Order, str]:
    """An order of two lines to be shipped and one line more; its id."""
    order = await order_at(floor, place)
    line = floor.sandbox.shopify.panel.goods(order.id, "add_line", **extra)["line"]
    await floor.commands.sync(SHOP, 30)
    return await floor.order(order.id, SHOP), line


async def for_pickup(floor: Shopfloor) -> Order:
    order = await order_at(floor, WHOLE)
    floor.sandbox.shopify.panel.goods(order.id, "set_method", method="PICK_UP")
    await floor.commands.sync(SHOP, 30)
    return await floor.order(order.id, SHOP)


async def state_of(floor: Shopfloor, order: str) -> str:
    return (await floor.order(order, SHOP)).state


@pytest.mark.parametrize(
    "extra",
    [
        {"method": "PICK_UP"},
        {"method": "RETAIL"},
        {"method": "LOCAL"},
        {"request": "SUBMITTED"},
        {"request": "ACCEPTED"},
        {"request": "CANCELLATION_REQUESTED"},
        {"request": "UNSUBMITTED"},
    ],
)
async def test_all_is_what_the_merchant_ships_by_one_method_that_travels(tmp_path: Path, extra: dict[str, str]) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order, line = await with_line(floor, **extra)
        for _ in range(2):
            assert (await reach(floor, order.id, "shipped", tracking={"code": "1Z"})).status is TargetStatus.REACHED
        assert (await reach(floor, order.id, "shipped")).status is TargetStatus.REACHED
        assert shipped(floor, order.id) == {k: v for k, v in whole(floor, order.id).items() if str(k) != line}
        assert await state_of(floor, order.id) == "PARTIALLY_FULFILLED"
        assert effects(floor, order.id) == ["fulfill"]


@pytest.mark.parametrize("extra", [{"method": "LOCAL"}, {"method": "RETAIL"}, {"request": "REJECTED"}])
async def test_items_ship_what_all_leaves_out(tmp_path: Path, extra: dict[str, str]) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order, line = await with_line(floor, **extra)
        await reach(floor, order.id, "shipped")
        assert (await reach(floor, order.id, "shipped", items=[line])).status is TargetStatus.REACHED
        assert shipped(floor, order.id) == whole(floor, order.id)
        assert await state_of(floor, order.id) == "FULFILLED"
        assert nothing_went_wrong(floor.sandbox)


async def test_items_that_a_service_has_are_refused(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order, line = await with_line(floor, request="ACCEPTED")
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "shipped", SHOP, items=[line])
        assert refused.value.slug == "not-allowed"
        assert "ACCEPTED" in str(refused.value.extra["reason"])
        floor.sandbox.shopify.panel.goods(order.id, "ask_service", request="ACCEPTED")
        await floor.commands.sync(SHOP, 30)
        with pytest.raises(Refused):
            await floor.submit(order.id, "shipped", SHOP)
        assert effects(floor, order.id) == []


@pytest.mark.parametrize("form", ["{}", "gid://shopify/Location/{}"])
async def test_a_location_ships_what_is_assigned_there_alone(tmp_path: Path, form: str) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, SPREAD)
        first, second = order.facts["lines"]
        there = form.format(LOCATIONS[1][0])
        target = await reach(floor, order.id, "shipped", location=there, tracking={"code": "1Z"})
        assert (target.status, target.unused) == (TargetStatus.REACHED, ())
        assert parcels(floor, order.id) == [{int(second): whole(floor, order.id)[int(second)]}]
        again = await floor.submit(order.id, "shipped", SHOP, location=there)
        assert again.status is TargetStatus.REACHED
        await reach(floor, order.id, "shipped", location=str(LOCATIONS[0][0]), items=[first])
        assert shipped(floor, order.id) == whole(floor, order.id)
        assert effects(floor, order.id) == ["fulfill", "fulfill"]


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        ("shipped", {"location": "1"}),
        ("shipped", {"location": "gid://shopify/Order/1"}),
        ("cancelled", {"location": str(LOCATIONS[0][0])}),
        ("shipped", {"location": str(LOCATIONS[1][0]), "items": ["FIRST"]}),
    ],
)
async def test_a_location_that_cannot_narrow_is_refused(tmp_path: Path, state: str, fields: dict[str, Any]) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, SPREAD)
        if "items" in fields:
            fields = {**fields, "items": [next(iter(order.facts["lines"]))]}
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, state, SHOP, **fields)
        assert refused.value.slug == "not-allowed"
        assert effects(floor, order.id) == []


# -- pickup ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["preparing", "shipped"])
async def test_goods_for_pickup_are_reported_ready_once(tmp_path: Path, state: str) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await for_pickup(floor)
        for _ in range(2):
            assert (await reach(floor, order.id, state)).status is TargetStatus.REACHED
        await floor.commands.sync(SHOP, 30)
        assert (await reach(floor, order.id, "shipped")).status is TargetStatus.REACHED
        assert effects(floor, order.id) == ["prepare_pickup"]
        assert parcels(floor, order.id) == []


async def test_delivered_says_that_goods_were_picked_up(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await for_pickup(floor)
        await reach(floor, order.id, "shipped")
        assert (await reach(floor, order.id, "delivered")).status is TargetStatus.REACHED
        assert await state_of(floor, order.id) == "DELIVERED"
        assert effects(floor, order.id) == ["prepare_pickup", "fulfill"]
        await floor.commands.refresh(SHOP, order.id)
        assert await state_of(floor, order.id) == "DELIVERED"


@pytest.mark.parametrize("fault", ["drop_after", "drop_before", "error_after", "garbage"])
async def test_a_lost_answer_about_pickup_is_asked_for_again_and_the_buyer_is_mailed_once(
    tmp_path: Path, fault: str
) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await for_pickup(floor)
        sandbox.faults.script(fault, step="prepare_pickup")
        assert (await reach(floor, order.id, "shipped")).status is TargetStatus.REACHED
        assert effects(floor, order.id) == ["prepare_pickup"]


async def test_what_waits_in_the_store_beside_a_parcel_needs_its_items_or_its_place(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order, line = await with_line(floor, method="PICK_UP", pieces=2)
        await reach(floor, order.id, "delivered", tracking={"code": "1Z"})
        assert await state_of(floor, order.id) == "PARTIALLY_FULFILLED"
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "shipped", SHOP, items=[{"id": line, "quantity": 1}])
        assert "ready for pickup" in str(refused.value.extra["reason"])
        await reach(floor, order.id, "shipped", items=[line])
        assert (await reach(floor, order.id, "delivered", location=str(STORE))).status is TargetStatus.REACHED
        assert await state_of(floor, order.id) == "DELIVERED"
        assert effects(floor, order.id) == ["fulfill", "mark_delivered", "prepare_pickup", "fulfill"]
        assert nothing_went_wrong(floor.sandbox)


async def test_goods_for_pickup_that_are_on_hold_wait(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await for_pickup(floor)
        floor.sandbox.shopify.panel.hold(order.id)
        await floor.commands.sync(SHOP, 30)
        target = await floor.submit(order.id, "shipped", SHOP)
        await floor.until(order.id, lambda now: now.wait is not None, SHOP)
        assert effects(floor, order.id) == []
        floor.sandbox.shopify.panel.release_hold(order.id)
        await floor.commands.retry(SHOP, order.id)
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert effects(floor, order.id) == ["prepare_pickup"]


# -- what no carrier takes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gift_card", "tip"])
async def test_what_no_carrier_takes_is_in_no_parcel_and_keeps_no_order_from_being_delivered(
    tmp_path: Path, kind: str
) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order, line = await with_line(floor, kind=kind)
        assert (await reach(floor, order.id, "shipped", tracking={"code": "1Z"})).status is TargetStatus.REACHED
        assert await state_of(floor, order.id) == "FULFILLED"
        assert (await reach(floor, order.id, "delivered")).status is TargetStatus.REACHED
        await floor.commands.refresh(SHOP, order.id)
        assert await state_of(floor, order.id) == "DELIVERED"
        assert parcels(floor, order.id) == [{k: v for k, v in whole(floor, order.id).items() if str(k) != line}]
        assert effects(floor, order.id) == ["fulfill", "mark_delivered"]


async def test_a_gift_card_in_one_fulfilment_order_with_goods_stays_behind(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order, line = await with_line(floor, kind="gift_card")
        found = floor.sandbox.shopify.panel.order(order.id)
        goods, card = found.fulfillment_orders
        goods.lines += card.lines
        found.fulfillment_orders.remove(card)
        floor.sandbox.shopify.shop.touch(found)
        await floor.commands.sync(SHOP, 30)
        await reach(floor, order.id, "delivered")
        assert await state_of(floor, order.id) == "DELIVERED"
        assert int(line) not in shipped(floor, order.id)


async def test_a_gift_card_that_is_named_with_goods_goes_out_by_itself(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order, line = await with_line(floor, kind="gift_card")
        first = next(iter(order.facts["lines"]))
        await reach(floor, order.id, "shipped", items=[first, line], tracking={"code": "1Z"})
        assert sorted(parcels(floor, order.id), key=len) == [{int(first): 3}, {int(line): 1}]


async def test_a_gift_card_that_went_out_by_itself_holds_up_no_delivery(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order, _ = await with_line(floor, kind="gift_card")
        found, shop = floor.sandbox.shopify.panel.order(order.id), floor.sandbox.shopify.shop
        card = found.fulfillment_orders[-1]
        shop.ship(found, [(card, card.lines[0], 1)], [])
        await floor.commands.sync(SHOP, 30)
        assert (await reach(floor, order.id, "delivered", tracking={"code": "1Z"})).status is TargetStatus.REACHED
        assert await state_of(floor, order.id) == "DELIVERED"
        assert effects(floor, order.id) == ["fulfill", "mark_delivered"]


async def test_an_order_of_nothing_but_a_gift_card_is_shipped_as_any_other(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        found = floor.sandbox.shopify.panel.order(order.id)
        for line in found.lines:
            line.requires_shipping = False
        floor.sandbox.shopify.panel.goods(order.id, "set_method", method="NONE")
        await floor.commands.sync(SHOP, 30)
        assert (await reach(floor, order.id, "shipped")).status is TargetStatus.REACHED
        assert shipped(floor, order.id) == whole(floor, order.id)
        assert await state_of(floor, order.id) == "FULFILLED"
