"""`parcel` on Shopify: a fulfilment with all its numbers, known by the ERP's own number whatever a read shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.refusals import Refused
from storage.records import Target, TargetStatus
from tests.runtime.shopify.floor import (
    SHOP,
    SPREAD,
    WHOLE,
    effects,
    floor_of,
    order_at,
    parcels,
    reach,
    shipped,
    shopify,
    whole,
)
from tests.support.shopfloor import Shopfloor


async def box(floor: Shopfloor, order: str, state: str = "shipped", **parcel: Any) -> Target:
    return await reach(floor, order, state, parcel=parcel)


@pytest.mark.parametrize("form", ["gid://shopify/LineItem/{}", "{}", int])
@pytest.mark.parametrize("quantity", [1, 1.0, "1.0"])
async def test_lines_are_taken_in_each_form(tmp_path: Path, form: Any, quantity: Any) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        line = next(iter(order.facts["lines"]))
        given = form(line) if form is int else form.format(line)
        target = await box(floor, order.id, number="B-1", lines=[{"id": given, "quantity": quantity}])
        assert target.status is TargetStatus.REACHED
        assert parcels(floor, order.id) == [{int(line): 1}]


async def test_a_part_of_a_piece_is_refused(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        line = next(iter(order.facts["lines"]))
        with pytest.raises(Refused, match="not a whole number") as refusal:
            await box(floor, order.id, number="B-1", lines=[{"id": line, "quantity": "0.5"}])
        assert refusal.value.slug == "not-allowed"


async def test_the_buyer_gets_all_numbers_of_a_parcel(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        url = "https://t.example/T1"
        await box(floor, order.id, number="B-1", carrier="DHL", tracking=["T1", "T2"], url=url)
        (made,) = floor.sandbox.shopify.panel.order(order.id).live()
        assert [(each["number"], each["url"], each["company"]) for each in made.numbers] == [
            ("T1", url, "DHL"),
            ("T2", None, "DHL"),
        ]


async def test_parcels_of_the_same_goods_without_a_code_are_known_by_their_numbers(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        added = floor.sandbox.platforms["shopify"].operate({"action": "add", "pieces": 3})
        await floor.commands.sync(SHOP, 30)
        order = await floor.order(str(added["order"]), SHOP)
        line, count = next(iter(order.facts["lines"].items()))
        one = [{"id": line, "quantity": 1}]
        for number in [f"B-{n}" for n in range(count)] * 2:
            assert (await box(floor, order.id, number=number, lines=one)).status is TargetStatus.REACHED
        assert parcels(floor, order.id) == [{int(line): 1}] * count
        last = await box(floor, order.id, "delivered", number=f"B-{count - 1}")
        assert last.status is TargetStatus.REACHED
        displays = [each.display for each in floor.sandbox.shopify.panel.order(order.id).live()]
        assert displays == ["FULFILLED"] * (count - 1) + ["DELIVERED"]


async def test_a_parcel_from_two_places_is_one_number(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, SPREAD)
        target = await box(floor, order.id, number="B-1", tracking=["T1"])
        assert target.status is TargetStatus.REACHED
        assert effects(floor, order.id).count("fulfill") == 2
        assert floor.sandbox.ledger.repeats_after_effect() == []
        assert shipped(floor, order.id) == whole(floor, order.id)
        kept = (await floor.order(order.id, SHOP)).parcels or []
        assert [(each["number"], each["is_done"]) for each in kept] == [("B-1", True)]
        assert {line: int(count) for line, count in kept[0]["lines"].items()} == order.facts["lines"]
        assert len(await floor.events("parcel.recorded", order=order.id)) >= 1


async def test_a_place_ships_what_is_there_alone(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, SPREAD)
        place = order.facts["fulfillment_orders"][0]["location"]
        await box(floor, order.id, number="B-1", location=f"gid://shopify/Location/{place}")
        assert effects(floor, order.id) == ["fulfill"]
        assert (await floor.order(order.id, SHOP)).state == "PARTIALLY_FULFILLED"
        await box(floor, order.id, number="B-2")
        assert shipped(floor, order.id) == whole(floor, order.id)
        with pytest.raises(Refused, match="nothing of the order is left"):
            await box(floor, order.id, number="B-3", location="1")


async def test_what_a_person_did_to_a_parcel_is_not_undone_by_its_number(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        first, second = order.facts["lines"]
        await box(floor, order.id, number="B-1", tracking=["T1"], lines=[first])
        await box(floor, order.id, number="B-2", tracking=["T2"], lines=[second])
        made = floor.sandbox.shopify.panel.order(order.id).live()[0]
        made.numbers[0]["number"] = "BY-HAND"
        await floor.commands.refresh(SHOP, order.id)
        calls = effects(floor, order.id)
        await box(floor, order.id, number="B-1", tracking=["T1"], lines=[first])
        assert effects(floor, order.id) == calls
        await box(floor, order.id, "delivered", number="B-1")
        displays = [each.display for each in floor.sandbox.shopify.panel.order(order.id).live()]
        assert displays == ["DELIVERED", "FULFILLED"]


async def test_a_parcel_that_was_taken_back_is_not_sent_again_by_its_number(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        first = next(iter(order.facts["lines"]))
        await box(floor, order.id, number="B-1", tracking=["T1"], lines=[first])
        floor.sandbox.platforms["shopify"].operate({"action": "unfulfill", "order": order.id})
        await floor.commands.refresh(SHOP, order.id)
        calls = effects(floor, order.id)
        await box(floor, order.id, number="B-1", tracking=["T1"], lines=[first])
        assert effects(floor, order.id) == calls
        await box(floor, order.id, number="B-1a", tracking=["T9"], lines=[first])
        assert effects(floor, order.id) == [*calls, "fulfill"]


async def test_a_fulfilment_that_a_person_made_under_the_code_is_that_parcel(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        await reach(floor, order.id, "shipped", tracking={"code": "T1"})
        calls = effects(floor, order.id)
        for parcel in (
            {"number": "B-1", "tracking": ["T1"]},
            {"tracking": ["T1"], "lines": list(order.facts["lines"])},
        ):
            assert (await box(floor, order.id, **parcel)).status is TargetStatus.REACHED
        assert effects(floor, order.id) == calls
        assert (await box(floor, order.id, "delivered", number="B-1", tracking=["T1"])).status is TargetStatus.REACHED
        assert (await floor.order(order.id, SHOP)).state == "DELIVERED"
