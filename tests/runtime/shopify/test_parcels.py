"""Parcels of Shopify orders: a code selects its parcel, several numbers are one parcel's, and a key is a shipment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.sandbox.shopify.orders import Fulfillment
from statemachines.target import TargetRequest
from storage.records import Order, Target, TargetStatus
from tests.runtime.shopify.floor import (
    SHOP,
    WHOLE,
    effects,
    floor_of,
    nothing_went_wrong,
    order_at,
    parcels,
    reach,
    shopify,
)
from tests.support.shopfloor import Shopfloor


def trackings_of(floor: Shopfloor, order: str) -> list[list[tuple[Any, Any]]]:
    """The numbers of each parcel, with their links, as the buyer sees them."""
    live = floor.sandbox.shopify.panel.order(order).live()
    return [[(each["number"], each["url"]) for each in parcel.numbers] for parcel in live]


def parcel(floor: Shopfloor, order: str, place: int) -> Fulfillment:
    found: Fulfillment = floor.sandbox.shopify.panel.order(order).live()[place]
    return found


async def two_parcels(floor: Shopfloor, codes: tuple[str, str] = ("C1", "C2")) -> Order:
    """An order of two lines, each in a parcel of its own."""
    order = await order_at(floor, WHOLE)
    for line, code in zip(order.facts["lines"], codes, strict=True):
        await reach(floor, order.id, "shipped", items=[line], tracking={"code": code, "carrier": "UPS"})
    return await floor.order(order.id, SHOP)


async def keyed(floor: Shopfloor, order: str, key: str | None, **fields: Any) -> Target:
    request = TargetRequest.from_json({"state": "shipped", **fields})
    return await floor.finished(await floor.commands.submit(SHOP, order, request, key=key))


async def test_an_export_that_ran_again_changes_no_parcel(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await two_parcels(floor)
        calls = effects(floor, order.id)
        for code in ("C1", "C2", "C1"):
            target = await floor.submit(order.id, "shipped", SHOP, tracking={"code": code})
            assert target.status is TargetStatus.REACHED
        assert effects(floor, order.id) == calls
        assert trackings_of(floor, order.id) == [[("C1", None)], [("C2", None)]]


async def test_what_comes_with_a_known_code_is_that_parcels_alone(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await two_parcels(floor)
        link = "https://t.example/C1"
        await reach(floor, order.id, "shipped", tracking={"code": "C1", "url": link})
        assert trackings_of(floor, order.id) == [[("C1", link)], [("C2", None)]]
        await reach(floor, order.id, "shipped", tracking={"code": "C2", "carrier": "DHL"})
        assert trackings_of(floor, order.id) == [[("C1", link)], [("C2", None)]]
        assert [parcel(floor, order.id, at).numbers[0]["company"] for at in (0, 1)] == ["UPS", "DHL"]


async def test_a_code_delivers_its_parcel_alone_until_all_are_delivered(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await two_parcels(floor)
        target = await reach(floor, order.id, "delivered", tracking={"code": "C2"})
        assert target.status is TargetStatus.REACHED
        assert [parcel(floor, order.id, at).display for at in (0, 1)] == ["FULFILLED", "DELIVERED"]
        assert (await floor.order(order.id, SHOP)).state == "FULFILLED"
        again = await floor.submit(order.id, "delivered", SHOP, tracking={"code": "C2"})
        assert again.status is TargetStatus.REACHED
        await reach(floor, order.id, "delivered", items=[next(iter(order.facts["lines"]))])
        assert (await floor.order(order.id, SHOP)).state == "DELIVERED"
        assert effects(floor, order.id) == ["fulfill"] * 2 + ["mark_delivered"] * 2
        assert nothing_went_wrong(floor.sandbox)


async def test_a_part_that_arrives_before_the_rest_is_shipped_is_marked(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        first, second = order.facts["lines"]
        await reach(floor, order.id, "shipped", items=[first], tracking={"code": "C1"})
        assert (await reach(floor, order.id, "delivered", tracking={"code": "C1"})).status is TargetStatus.REACHED
        assert (await floor.order(order.id, SHOP)).state == "PARTIALLY_FULFILLED"
        await reach(floor, order.id, "delivered", items=[second], tracking={"code": "C2"})
        assert (await floor.order(order.id, SHOP)).state == "DELIVERED"
        assert effects(floor, order.id) == ["fulfill", "mark_delivered"] * 2


async def refused(floor: Shopfloor, order: str, state: str, **fields: Any) -> str:
    calls = effects(floor, order)
    with pytest.raises(Refused) as found:
        await floor.submit(order, state, SHOP, **fields)
    with pytest.raises(Refused):
        await floor.commands.preview(SHOP, order, TargetRequest.from_json({"state": state, **fields}))
    assert found.value.slug == "not-allowed"
    assert effects(floor, order) == calls
    return str(found.value.extra["reason"])


async def test_a_delivery_under_a_code_that_nobody_knows_names_the_codes_that_there_are(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await two_parcels(floor)
        reason = await refused(floor, order.id, "delivered", tracking={"code": "C3"})
        assert "C1" in reason
        assert "C2" in reason


@pytest.mark.parametrize("state", ["delivered", "shipped"])
async def test_a_line_of_two_parcels_needs_a_code(tmp_path: Path, state: str) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        first, second = order.facts["lines"]
        for code, quantity in (("C1", 1), ("C2", 2)):
            part = [{"id": first, "quantity": quantity}]
            await reach(floor, order.id, "shipped", items=part, tracking={"code": code})
        await reach(floor, order.id, "shipped", tracking={"code": "C3"})
        more = {"tracking": {"code": "NEW"}} if state == "shipped" else {}
        reason = await refused(floor, order.id, state, items=[first], **more)
        assert "C1" in reason
        assert "C2" in reason
        assert "C3" not in reason
        assert (await reach(floor, order.id, state, items=[second], **more)).status is TargetStatus.REACHED


async def test_no_part_of_a_parcel_is_delivered(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        first, second = order.facts["lines"]
        await reach(floor, order.id, "shipped", tracking={"code": "C1"})
        assert "C1" in await refused(floor, order.id, "delivered", items=[first])
        assert "C1" in await refused(floor, order.id, "delivered", items=[{"id": first, "quantity": 1}, second])
        whole = [{"id": f"gid://shopify/LineItem/{first}", "quantity": "3.0"}, int(second)]
        assert (await reach(floor, order.id, "delivered", items=whole)).status is TargetStatus.REACHED
        assert (await floor.order(order.id, SHOP)).state == "DELIVERED"


async def test_several_numbers_are_one_parcels(tmp_path: Path) -> None:
    numbers = [{"code": "B"}, {"code": "A", "url": "https://t.example/A", "carrier": "UPS"}]
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        target = await reach(floor, order.id, "shipped", tracking=numbers)
        assert target.unused == ()
        assert trackings_of(floor, order.id) == [[("A", "https://t.example/A"), ("B", None)]]
        again = await floor.submit(order.id, "shipped", SHOP, tracking=numbers)
        assert again.status is TargetStatus.REACHED
        assert effects(floor, order.id) == ["fulfill"]
        await reach(floor, order.id, "shipped", tracking=[{"code": "B", "url": "https://t.example/B"}, {"code": "C"}])
        links = [("A", "https://t.example/A"), ("B", "https://t.example/B"), ("C", None)]
        assert trackings_of(floor, order.id) == [links]
        assert {each["company"] for each in parcel(floor, order.id, 0).numbers} == {"UPS"}


async def test_new_tracking_carries_what_it_does_not_change(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        first = {"code": "A", "url": "https://t.example/A", "carrier": "UPS"}
        await reach(floor, order.id, "shipped", tracking=first)
        await reach(floor, order.id, "shipped", tracking={"code": "A", "carrier": "DHL"})
        assert parcel(floor, order.id, 0).numbers == [{"company": "DHL", "number": "A", "url": first["url"]}]
        await reach(floor, order.id, "shipped", tracking={"url": "https://t.example/new"})
        assert parcel(floor, order.id, 0).numbers == [{"company": "DHL", "number": "A", "url": "https://t.example/new"}]
        await reach(floor, order.id, "shipped", tracking={"code": "B"})
        assert parcel(floor, order.id, 0).numbers == [{"company": "DHL", "number": "B", "url": None}]


@pytest.mark.parametrize("fault", ["drop_after", "drop_before", "error_after", "throttle"])
async def test_new_tracking_of_a_parcel_in_several_calls_reaches_all_of_them(tmp_path: Path, fault: str) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, 1)  # at two locations, so that one code is on two fulfilments
        await reach(floor, order.id, "shipped", tracking={"code": "OLD"})
        held_call = sandbox.faults.hold(step="update_tracking", moment="after")
        target = await floor.submit(order.id, "shipped", SHOP, tracking={"code": "NEW"})
        await held_call.arrived()
        sandbox.faults.script(fault, step="update_tracking")
        held_call.release()
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert trackings_of(floor, order.id) == [[("NEW", None)], [("NEW", None)]]


async def test_another_key_is_another_shipment_and_the_same_key_never(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        line = next(iter(order.facts["lines"]))
        month = {"items": [{"id": line, "quantity": 1}]}
        for key in ("month-1", "month-2", "month-1", "month-2"):
            assert (await keyed(floor, order.id, key, **month)).status is TargetStatus.REACHED
        assert parcels(floor, order.id) == [{int(line): 1}] * 2
        assert (await keyed(floor, order.id, "month-3", **month)).status is TargetStatus.REACHED
        assert (await keyed(floor, order.id, "month-4", **month)).status is TargetStatus.REACHED
        assert parcels(floor, order.id) == [{int(line): 1}] * 3, "no more than there is"


async def test_without_a_key_the_same_items_are_the_same_shipment(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        line = next(iter(order.facts["lines"]))
        for _ in range(2):
            assert (
                await keyed(floor, order.id, None, items=[{"id": line, "quantity": 1}])
            ).status is TargetStatus.REACHED
        assert parcels(floor, order.id) == [{int(line): 1}]


@pytest.mark.parametrize("fault", ["drop_after", "drop_before", "error_after", "garbage"])
async def test_a_shipment_with_a_key_whose_answer_is_lost_leaves_once(tmp_path: Path, fault: str) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        line = next(iter(order.facts["lines"]))
        for key in ("month-1", "month-2"):
            sandbox.faults.script(fault, step="fulfill")
            target = await keyed(floor, order.id, key, items=[{"id": line, "quantity": "1.0"}])
            assert target.status is TargetStatus.REACHED
        assert parcels(floor, order.id) == [{int(line): 1}] * 2


async def test_a_dry_run_with_a_key_shows_the_plan_of_that_key(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        line = next(iter(order.facts["lines"]))
        request = TargetRequest("shipped", items=({"id": line, "quantity": 1},))
        await keyed(floor, order.id, "month-1", items=list(request.items or ()))
        for key, count in (("month-1", 0), ("month-2", 1)):
            plan = await floor.commands.preview(SHOP, order.id, replace(request), key=key)
            assert len(plan.steps) == count


async def test_targets_that_wait_in_the_queue_are_judged_by_the_parcels_before_them(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        await floor.commands.hold(SHOP, order.id, None)
        first, second = order.facts["lines"]
        wishes: list[dict[str, Any]] = [
            {"state": "shipped", "items": [first], "tracking": {"code": "C1"}},
            {"state": "shipped", "items": [second], "tracking": {"code": "C2"}},
            {"state": "shipped", "tracking": {"code": "C1", "url": "https://t.example/C1"}},
            {"state": "delivered", "tracking": {"code": "C2"}},
        ]
        targets = [await floor.commands.submit(SHOP, order.id, TargetRequest.from_json(wish)) for wish in wishes]
        await floor.commands.release(SHOP, order.id)
        for target in targets:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert trackings_of(floor, order.id) == [[("C1", "https://t.example/C1")], [("C2", None)]]
        assert [parcel(floor, order.id, at).display for at in (0, 1)] == ["FULFILLED", "DELIVERED"]


async def test_a_target_that_named_everything_is_blocked_when_that_is_everything_no_more(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        await floor.commands.hold(SHOP, order.id, None)
        target = await floor.submit(order.id, "cancelled", SHOP, items=list(order.facts["lines"]))
        line = floor.sandbox.shopify.panel.goods(order.id, "add_line")["line"]
        await floor.commands.sync(SHOP, 30)
        await floor.commands.release(SHOP, order.id)
        blocked = await floor.finished(target)
        assert blocked.status is TargetStatus.BLOCKED
        assert blocked.problem is not None
        assert line in blocked.problem.detail
        assert effects(floor, order.id) == []
