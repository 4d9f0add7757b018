"""Somebody changes an order in the shop's panel while its parcels leave: what a parcel says is held against the order
as it is by then. Nothing is sent that nobody meant, and what does not fit waits for a person."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.registry import BUILT_IN, PLATFORMS
from statemachines.machine import OrderState
from storage.records import TargetStatus
from tests.runtime.test_parcels import Goods, sandbox
from tests.support.shopfloor import Shopfloor, shopfloor

NAMES = sorted(BUILT_IN)


def operate(floor: Shopfloor, platform: str, action: str, **fields: Any) -> dict[str, Any]:
    return floor.sandbox.platforms[platform].operate({"action": action, **fields})


async def two_lines(floor: Shopfloor, platform: str) -> tuple[Goods, str, str]:
    """An order of two mugs and a book, and the ids of both lines."""
    number = str(operate(floor, platform, "add", cart={"currency": "EUR"})["order"])
    shop = next(iter(floor.supervisor.shops()))
    await floor.commands.sync(shop, 30)
    order = await floor.order(number, shop)
    whole = (
        PLATFORMS[platform].machine({}).whole(OrderState(order.state, order.platform_state, order.payment, order.facts))
    )
    lines = {line: Decimal(str(count)) for line, count in (whole.lines or {}).items()}
    mugs, book = lines
    assert [int(each) for each in lines.values()] == [2, 1]
    return Goods(floor, platform, shop, order, lines), mugs, book


async def changed(order: Goods, action: str, **fields: Any) -> None:
    """Somebody does it in the panel, and the next read shows it."""
    operate(order.floor, order.platform, action, order=order.order, **fields)
    before = len(await order.floor.events("order.updated", order=order.order))
    await order.floor.commands.refresh(order.shop, order.order)
    told = (await order.floor.events("order.updated", order=order.order))[before:]
    assert any(each.startswith("/lines") for event in told for each in event.data["changed"]), "nobody was informed"


def parcel(*lines: tuple[str, int], number: str, **more: Any) -> dict[str, Any]:
    return {"number": number, "lines": [{"id": line, "quantity": count} for line, count in lines], **more}


@pytest.mark.parametrize("platform", NAMES)
@pytest.mark.parametrize("last", [False, True])
async def test_a_parcel_of_a_line_that_was_taken_out_is_refused(tmp_path: Path, platform: str, last: bool) -> None:
    async with shopfloor(sandbox(), tmp_path, platform=platform) as floor:
        order, mugs, book = await two_lines(floor, platform)
        await order.reach("shipped", **parcel((mugs, 2), number="B-1"))
        await changed(order, "remove_line", line=book)
        assert book in await order.refused("shipped", **parcel((book, 1), number="B-2", last=last))
        target = await floor.reach(order.order, "shipped", order.shop)
        assert target.status is TargetStatus.REACHED, target.problem
        assert await order.milestone() in ("shipped", "delivered")
        assert floor.sandbox.ledger.repeats_after_effect() == []


@pytest.mark.parametrize("platform", NAMES)
@pytest.mark.parametrize(
    ("action", "change"), [("remove_line", {}), ("edit_line", {"quantity": 1})], ids=["a line less", "a piece less"]
)
async def test_an_accepted_parcel_that_fits_no_more_waits_for_a_person(
    tmp_path: Path, platform: str, action: str, change: dict[str, Any]
) -> None:
    async with shopfloor(sandbox(), tmp_path, platform=platform) as floor:
        order, mugs, book = await two_lines(floor, platform)
        await order.reach("shipped", **parcel((book, 1), number="B-1"))
        await floor.commands.hold(order.shop, order.order, None)
        accepted = await order.submit("shipped", **parcel((mugs, 2), number="B-2", last=True))
        await changed(order, action, line=mugs, **change)
        before = (await order.parcels(), order.effects())
        await floor.commands.release(order.shop, order.order)
        target = await floor.finished(accepted)
        assert target.status is TargetStatus.BLOCKED
        assert mugs in str(target.problem)
        assert (await order.parcels(), order.effects()) == before, "nothing was sent"


@pytest.mark.parametrize("platform", NAMES)
async def test_a_parcel_that_closed_the_order_leaves_behind_what_was_added(tmp_path: Path, platform: str) -> None:
    async with shopfloor(sandbox(), tmp_path, platform=platform) as floor:
        order, mugs, book = await two_lines(floor, platform)
        await order.reach("shipped", **parcel((mugs, 2), number="B-1"))
        await floor.commands.hold(order.shop, order.order, None)
        accepted = await order.submit("shipped", **parcel((book, 1), number="B-2"))
        await changed(order, "add_line", sku="LAMP")
        await floor.commands.release(order.shop, order.order)
        assert (await floor.finished(accepted)).status is TargetStatus.REACHED
        assert await order.milestone() not in ("shipped", "delivered"), "a lamp is left"
        rest = await order.reach("shipped", number="B-3")
        assert rest.status is TargetStatus.REACHED, rest.problem
        assert await order.milestone() in ("shipped", "delivered")
        assert len((await order.parcels())[2]["lines"]) == 1
        assert floor.sandbox.ledger.repeats_after_effect() == []


async def test_no_two_lines_of_an_edited_cloudsuite_order_share_an_erp_line_number(tmp_path: Path) -> None:
    async with shopfloor(sandbox(), tmp_path, platform="cloudsuite") as floor:
        order, mugs, book = await two_lines(floor, "cloudsuite")
        await order.reach("shipped", **parcel((book, 1), number="B-1"))
        await changed(order, "remove_line", line=mugs)
        await changed(order, "add_line", sku="LAMP")
        await order.reach("shipped", number="B-2")
        lines = floor.sandbox.cloudsuite.panel.order(order.order).lines
        numbers = [line["erp_line_number"] for line in lines]
        assert len(set(numbers)) == len(numbers) == 2
        slip = floor.sandbox.cloudsuite.shop.slips["B-2"]
        assert [(each["ItemNum"], each["SellerItemID"]) for each in slip["items"]] == [(str(numbers[1]), "LAMP")]
