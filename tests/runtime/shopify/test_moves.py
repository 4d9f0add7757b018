"""Parts, parcels and holds of Shopify orders where the world moves between two looks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.sandbox.shopify.orders import LOCATIONS, FulfillmentOrder, Line
from storage.records import Situation, TargetStatus
from tests.runtime.shopify.floor import (
    SHOP,
    SPREAD,
    TRACKING,
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


@pytest.mark.parametrize("step", ["fulfill", "report_progress"])
async def test_fulfillment_orders_that_are_replaced_while_the_call_is_on_its_way_are_found(
    tmp_path: Path, step: str
) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        held_call = sandbox.faults.hold(step=step, moment="before")
        target = await floor.submit(order.id, "shipped" if step == "fulfill" else "preparing", SHOP)
        await held_call.arrived()
        sandbox.shopify.panel.split(order.id)
        held_call.release()
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert shipped(floor, order.id) == (whole(floor, order.id) if step == "fulfill" else {})


async def test_a_refusal_in_words_that_nobody_knows_is_looked_into(tmp_path: Path) -> None:
    sandbox = shopify()
    body = b'{"data":{"fulfillmentCreate":{"fulfillment":null,"userErrors":[{"field":null,"message":"Nie teraz."}]}}}'
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        held_call = sandbox.faults.hold(step="fulfill", moment="before")
        sandbox.faults.script_answer(200, body, step="fulfill")
        target = await floor.submit(order.id, "shipped", SHOP)
        await held_call.arrived()
        sandbox.shopify.panel.split(order.id)
        held_call.release()
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        sandbox.faults.script_answer(200, body, step="fulfill", times=20)
        other = await reach(floor, (await order_at(floor, SPREAD)).id, "shipped")
        assert other.status is TargetStatus.BLOCKED
        assert other.problem is not None
        assert (other.problem.type, other.problem.detail) == ("rejected", "Nie teraz.")


async def test_goods_at_a_location_that_the_app_may_not_see_are_reported_to_a_person(tmp_path: Path) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, SPREAD)
        found = sandbox.shopify.panel.order(order.id)
        hidden = found.fulfillment_orders.pop()
        sandbox.shopify.panel.fulfill(order.id)
        sandbox.shopify.panel.move(order.id, "PARTIALLY_FULFILLED")
        target = await reach(floor, order.id, "shipped")
        assert target.status is TargetStatus.BLOCKED
        assert target.problem is not None
        assert "read_assigned_fulfillment_orders" in target.problem.detail
        found.fulfillment_orders.append(hidden)
        found.display = None
        await floor.commands.retry(SHOP, order.id)
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert shipped(floor, order.id) == whole(floor, order.id)


async def test_a_refusal_that_nothing_explains_needs_a_person_who_reads_its_words(tmp_path: Path) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        words = b"Fulfillment order 9 has an unfulfillable status= closed."
        body = b'{"data":{"fulfillmentCreate":{"fulfillment":null,"userErrors":[{"field":null,"message":"%s"}]}}}'
        sandbox.faults.script_answer(200, body % words, step="fulfill", times=20)
        target = await reach(floor, order.id, "shipped")
        assert target.status is TargetStatus.BLOCKED
        assert target.problem is not None
        assert (target.problem.type, target.problem.detail) == ("rejected", words.decode())


async def test_a_part_without_tracking_that_was_taken_back_can_be_shipped_again(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        line = next(iter(order.facts["lines"]))
        part = [{"id": line, "quantity": 1}]
        await reach(floor, order.id, "shipped", items=part)
        assert (await reach(floor, order.id, "shipped", items=part)).plan == ()  # there already
        floor.sandbox.shopify.panel.unfulfill(order.id)
        await floor.commands.sync(SHOP, 30)
        assert (await reach(floor, order.id, "shipped", items=part)).status is TargetStatus.REACHED
        assert parcels(floor, order.id) == [{int(line): 1}]


@pytest.mark.parametrize("items", [["LINE"], [{"id": "LINE", "quantity": 1}]])
async def test_what_was_refunded_is_not_taken_for_shipped(tmp_path: Path, items: list[Any]) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        gone = next(iter(order.facts["lines"]))
        found = floor.sandbox.shopify.panel.order(order.id)
        for part in found.fulfillment_orders[0].lines:
            if str(part[1]) == gone:
                part[2] = part[3] = 0
        found.lines[0].current = 0
        floor.sandbox.shopify.shop.touch(found)
        await floor.commands.sync(SHOP, 30)
        items = [{**each, "id": gone} if isinstance(each, dict) else gone for each in items]
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "shipped", SHOP, items=items)
        assert refused.value.slug == "not-allowed"
        target = await reach(floor, order.id, "shipped")
        assert target.status is TargetStatus.REACHED
        assert int(gone) not in shipped(floor, order.id)


async def test_a_refund_while_the_call_is_on_its_way_ships_what_is_left(tmp_path: Path) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        held_call = sandbox.faults.hold(step="fulfill", moment="before")
        target = await floor.submit(order.id, "shipped", SHOP, tracking=TRACKING)
        await held_call.arrived()
        found = sandbox.shopify.panel.order(order.id)
        found.fulfillment_orders[0].lines[0][3] -= 1
        found.lines[0].current -= 1
        held_call.release()
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert parcels(floor, order.id) == [{line.id: line.current for line in found.lines}]


async def test_a_line_that_is_added_to_a_shipped_order_is_shipped_by_the_next_target(tmp_path: Path) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        await reach(floor, order.id, "delivered", tracking={"code": "1Z-A"})
        found, shop = sandbox.shopify.panel.order(order.id), sandbox.shopify.shop
        added = Line(found.lines[-1].id + 1, "MUG-11", "Mug, 11 oz", 2, 2)
        found.lines.append(added)
        parts = [[shop.press.next_id(), added.id, 2, 2]]
        found.fulfillment_orders.append(FulfillmentOrder(shop.press.next_id(), LOCATIONS[0][0], parts))
        shop.touch(found)
        await floor.commands.sync(SHOP, 30)
        assert (await floor.order(order.id, SHOP)).state == "PARTIALLY_FULFILLED"
        assert (await reach(floor, order.id, "delivered", tracking={"code": "1Z-B"})).status is TargetStatus.REACHED
        assert parcels(floor, order.id)[1:] == [{added.id: 2}]
        trackings = [each.tracking["number"] for each in found.live() if each.tracking]
        assert trackings == ["1Z-A", "1Z-B"]
        assert Counter(effects(floor, order.id)) == {"fulfill": 2, "mark_delivered": 2}


async def test_what_is_on_hold_at_one_location_waits_and_the_rest_leaves(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, SPREAD)
        found = floor.sandbox.shopify.panel.order(order.id)
        held, _ = found.fulfillment_orders
        held.status, held.holds = "ON_HOLD", ["INVENTORY_OUT_OF_STOCK"]
        floor.sandbox.shopify.shop.touch(found)
        target = await floor.submit(order.id, "delivered", SHOP, tracking=TRACKING)
        waiting = await floor.until(order.id, lambda now: now.situation is Situation.WAITING, SHOP)
        assert waiting.state == "PARTIALLY_FULFILLED"
        assert waiting.wait is not None
        assert "INVENTORY_OUT_OF_STOCK" in waiting.wait.detail
        assert len(parcels(floor, order.id)) == 1
        floor.sandbox.shopify.panel.release_hold(order.id)
        await floor.commands.retry(SHOP, order.id)
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert Counter(effects(floor, order.id)) == {"fulfill": 2, "mark_delivered": 2}


async def test_a_scheduled_order_shows_until_when_it_waits(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        floor.sandbox.shopify.panel.schedule(order.id, 7200)
        at = floor.sandbox.shopify.panel.order(order.id).fulfillment_orders[0].fulfill_at
        await floor.commands.sync(SHOP, 30)
        await floor.submit(order.id, "shipped", SHOP)
        waiting = await floor.until(order.id, lambda now: now.situation is Situation.WAITING, SHOP)
        assert waiting.wait is not None
        assert at is not None
        assert waiting.wait.until == at // 1000 * 1000
        assert effects(floor, order.id) == []


async def test_a_return_of_one_parcel_does_not_keep_the_rest_from_leaving(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, SPREAD)
        line = next(iter(order.facts["lines"]))
        await reach(floor, order.id, "shipped", items=[line], tracking=TRACKING)
        floor.sandbox.shopify.panel.return_(order.id)
        await floor.commands.sync(SHOP, 30)
        assert (await floor.order(order.id, SHOP)).state == "PARTIALLY_FULFILLED"
        assert (await reach(floor, order.id, "shipped")).status is TargetStatus.REACHED
        assert shipped(floor, order.id) == whole(floor, order.id)
        await floor.commands.sync(SHOP, 30)
        assert (await floor.order(order.id, SHOP)).milestone == "shipped"


@pytest.mark.parametrize("state", ["IN_PROGRESS", "PARTIALLY_FULFILLED", "ON_HOLD", "SCHEDULED"])
async def test_an_app_that_may_see_no_fulfillment_orders_is_named_in_any_state(tmp_path: Path, state: str) -> None:
    sandbox = shopify(0, routing_seconds=3600)
    async with floor_of(sandbox, tmp_path) as floor:
        order = sandbox.shopify.panel.add()
        sandbox.shopify.panel.order(order).created -= 600_000
        sandbox.shopify.panel.move(order, state)
        await floor.commands.sync(SHOP, 30)
        await floor.submit(order, "shipped", SHOP)
        found = await floor.until(order, lambda now: now.situation in (Situation.WAITING, Situation.BLOCKED), SHOP)
        assert found.situation is Situation.BLOCKED
        assert found.problem is not None
        assert "read_merchant_managed_fulfillment_orders" in found.problem.detail


async def test_a_link_that_comes_later_leaves_the_code_of_each_parcel_alone(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, SPREAD)
        await reach(floor, order.id, "shipped", tracking={"code": "1Z-BOTH", "carrier": "UPS"})
        link = {"url": "https://example.com/1Z-BOTH"}
        assert (await reach(floor, order.id, "shipped", tracking=link)).status is TargetStatus.REACHED
        trackings = [each.tracking for each in floor.sandbox.shopify.panel.order(order.id).live()]
        assert trackings == [{"number": "1Z-BOTH", "company": "UPS", **link}] * 2


async def test_a_carrier_that_was_wrong_is_put_right(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        for carrier in ("UPS", "DHL Express"):
            tracking = {"code": "1Z", "carrier": carrier}
            assert (await reach(floor, order.id, "shipped", tracking=tracking)).status is TargetStatus.REACHED
            (parcel,) = floor.sandbox.shopify.panel.order(order.id).live()
            assert parcel.tracking is not None
            assert parcel.tracking["company"] == carrier
