"""Shopify's orders on the whole shop floor: import, walks, guards, waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.refusals import Refused
from storage.payloads import get_payload
from storage.records import Situation, TargetStatus
from tests.runtime.shopify.floor import (
    SHOP,
    SPREAD,
    TRACKING,
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

# -- import ------------------------------------------------------------------------------------------------------------


async def test_orders_come_in_with_exact_ids_and_their_payload_as_it_was_sent(tmp_path: Path) -> None:
    async with floor_of(shopify(5), tmp_path) as floor:
        orders = await floor.orders()
        assert [order.id for order in orders] == floor.sandbox.shopify.order_ids()
        assert all(float(order.id) != int(order.id) for order in orders[:1])  # more digits than a float has
        payload = await floor.store.read(lambda tx: get_payload(tx, SHOP, orders[0].id))
        assert payload is not None
        assert b'"displayFulfillmentStatus": "UNFULFILLED"' in payload
        assert (orders[0].milestone, orders[0].reference) == ("new", "#1001")


async def test_our_own_steps_are_no_drift_and_no_update(tmp_path: Path) -> None:
    async with floor_of(shopify(3), tmp_path) as floor:
        for order in await floor.orders():
            await reach(floor, order.id, "delivered", tracking=TRACKING)
        await floor.commands.sync(SHOP, 30)
        assert await floor.events("order.drifted", "order.updated") == []


async def test_a_poll_reads_only_what_changed(tmp_path: Path) -> None:
    async with floor_of(shopify(20), tmp_path) as floor:
        before = len(floor.sandbox.ledger.calls(step="read"))
        floor.sandbox.shopify.panel.edit(floor.sandbox.shopify.order_ids()[7], "Somebody Else")
        await floor.commands.sync(SHOP, 30)
        assert len(floor.sandbox.ledger.calls(step="read")) - before < 6
        assert len(await floor.events("order.updated")) == 1


async def test_an_order_that_was_cancelled_before_we_saw_it_is_left_out(tmp_path: Path) -> None:
    sandbox = shopify(2)
    sandbox.shopify.panel.cancel(sandbox.shopify.order_ids()[0])
    async with floor_of(sandbox, tmp_path) as floor:
        assert [order.id for order in await floor.orders()] == sandbox.shopify.order_ids()[1:]


# -- walks -------------------------------------------------------------------------------------------------------------


async def test_an_order_walks_from_new_to_delivered(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        for state in ("accepted", "preparing", "shipped", "delivered"):
            target = await reach(floor, order.id, state, **({"tracking": TRACKING} if state == "shipped" else {}))
            assert target.status is TargetStatus.REACHED
            assert target.unused == ()
        assert effects(floor, order.id) == ["report_progress", "fulfill", "mark_delivered"]
        assert (await floor.order(order.id, SHOP)).state == "DELIVERED"
        assert shipped(floor, order.id) == whole(floor, order.id)
        assert nothing_went_wrong(floor.sandbox)


async def test_a_target_is_walked_to_without_detours(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        target = await reach(floor, order.id, "delivered")
        assert [entry.step for entry in target.plan] == ["fulfill", "mark_delivered"]
        assert effects(floor, order.id) == ["fulfill", "mark_delivered"]


async def test_each_location_gets_its_own_call(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, SPREAD)
        target = await reach(floor, order.id, "shipped", tracking=TRACKING)
        assert [entry.to for entry in target.plan] == ["PARTIALLY_FULFILLED", "FULFILLED"]
        assert len(parcels(floor, order.id)) == 2
        assert shipped(floor, order.id) == whole(floor, order.id)


@pytest.mark.parametrize("tracking", [TRACKING, None])
async def test_a_part_is_shipped_once_and_then_the_rest(tmp_path: Path, tracking: Any) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        line = next(iter(order.facts["lines"]))
        extra = {"tracking": tracking} if tracking else {}
        target = await reach(floor, order.id, "shipped", items=[{"id": line, "quantity": 2}], **extra)
        assert target.status is TargetStatus.REACHED
        assert (await floor.order(order.id, SHOP)).state == "PARTIALLY_FULFILLED"
        assert parcels(floor, order.id) == [{int(line): 2}]
        await reach(floor, order.id, "shipped", tracking={"code": "1Z-REST"})
        assert (await floor.order(order.id, SHOP)).state == "FULFILLED"
        assert shipped(floor, order.id) == whole(floor, order.id)
        assert effects(floor, order.id) == ["fulfill", "fulfill"]


async def test_parts_that_wait_in_a_queue_are_all_shipped(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        line = next(iter(order.facts["lines"]))
        targets = [
            await floor.submit(
                order.id, "shipped", SHOP, items=[{"id": line, "quantity": 1}], tracking={"code": f"1Z-{n}"}
            )
            for n in range(3)
        ]
        for target in targets:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert parcels(floor, order.id) == [{int(line): 1}] * 3


async def test_new_tracking_of_a_shipped_order_is_sent_and_nothing_else(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, SPREAD)
        await reach(floor, order.id, "shipped", tracking=TRACKING)
        again = await reach(floor, order.id, "shipped", tracking=TRACKING)
        assert (again.status, again.plan) == (TargetStatus.REACHED, ())
        target = await reach(floor, order.id, "shipped", tracking={"code": "1Z-NEW"})
        assert [entry.step for entry in target.plan] == ["update_tracking"]
        codes = [each.tracking["number"] for each in floor.sandbox.shopify.panel.order(order.id).live()]
        assert codes == ["1Z-NEW", "1Z-NEW"]


@pytest.mark.parametrize("place", [WHOLE, SPREAD])
async def test_a_cancellation_is_waited_for(tmp_path: Path, place: int) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, place)
        target = await reach(floor, order.id, "cancelled", reason="out of stock")
        assert target.status is TargetStatus.REACHED
        assert floor.sandbox.shopify.panel.order(order.id).cancelled is not None
        assert effects(floor, order.id) == ["cancel"]
        sent = next(call.sent for call in floor.sandbox.ledger.calls(step="cancel"))
        assert (sent["reason"], sent["note"]) == ("OTHER", "out of stock")
        assert sent["refundMethod"] == {"originalPaymentMethodsRefund": False}


# -- guards ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"items": ["12"]}, "not in this order"),
        ({"items": []}, "items is empty"),
        ({"items": [{"id": "LINE", "quantity": 9}]}, "3 remain"),
        ({"items": [{"id": "LINE", "quantity": 0}]}, "whole number"),
        ({"items": ["LINE", "LINE"]}, "named twice"),
        ({"tracking": {"url": "javascript:alert(1)"}}, "not an http(s) link"),
    ],
)
async def test_senseless_shipments_are_refused_at_once(tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        line = next(iter(order.facts["lines"]))
        if "items" in fields:
            fields = {
                "items": [
                    {**item, "id": line} if isinstance(item, dict) else item.replace("LINE", line)
                    for item in fields["items"]
                ]
            }
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "shipped", SHOP, **fields)
        assert refused.value.slug == "not-allowed"
        assert words in str(refused.value.extra["reason"])
        assert effects(floor, order.id) == []


async def test_what_was_shipped_cannot_be_cancelled(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        await reach(floor, order.id, "shipped")
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "cancelled", SHOP)
        assert refused.value.slug == "unreachable"


async def test_returned_is_seen_and_never_set(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "returned", SHOP)
        assert refused.value.slug == "unreachable"
        await reach(floor, order.id, "delivered")
        floor.sandbox.shopify.panel.return_(order.id)
        await floor.commands.sync(SHOP, 30)
        assert (await floor.order(order.id, SHOP)).milestone == "returned"


# -- waits -------------------------------------------------------------------------------------------------------------


async def test_an_order_without_fulfillment_orders_waits_for_them(tmp_path: Path) -> None:
    sandbox = shopify(0, routing_seconds=3600)
    async with floor_of(sandbox, tmp_path) as floor:
        order = sandbox.shopify.panel.add()
        await floor.commands.sync(SHOP, 30)
        target = await floor.submit(order, "shipped", SHOP)
        waiting = await floor.until(order, lambda found: found.situation is Situation.WAITING, SHOP)
        assert waiting.wait is not None
        assert waiting.wait.reason == "platform"
        assert waiting.due_at is not None
        assert waiting.due_at - waiting.observed_at == 2000
        sandbox.shopify.panel.route(order)
        await floor.commands.retry(SHOP, order)
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert shipped(floor, order) == whole(floor, order)


async def test_an_order_that_never_gets_fulfillment_orders_needs_a_person(tmp_path: Path) -> None:
    sandbox = shopify(0, routing_seconds=3600)
    async with floor_of(sandbox, tmp_path, routing_timeout_seconds=0.5) as floor:
        order = sandbox.shopify.panel.add()
        sandbox.shopify.panel.order(order).created -= 60_000
        await floor.commands.sync(SHOP, 30)
        target = await reach(floor, order, "shipped")
        assert target.status is TargetStatus.BLOCKED
        assert target.problem is not None
        assert "no fulfillment orders" in target.problem.detail
        sandbox.shopify.panel.route(order)
        await floor.commands.retry(SHOP, order)
        assert (await floor.finished(target)).status is TargetStatus.REACHED


async def test_an_order_on_hold_waits_but_can_be_cancelled(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        held, other = await order_at(floor, WHOLE), await order_at(floor, SPREAD)
        for order in (held, other):
            floor.sandbox.shopify.panel.hold(order.id)
        await floor.commands.sync(SHOP, 30)
        assert (await floor.order(held.id, SHOP)).state == "ON_HOLD"
        target = await floor.submit(held.id, "shipped", SHOP)
        waiting = await floor.until(held.id, lambda found: found.situation is Situation.WAITING, SHOP)
        assert waiting.wait is not None
        assert "INCORRECT_ADDRESS" in waiting.wait.detail
        assert (await reach(floor, other.id, "cancelled")).status is TargetStatus.REACHED
        floor.sandbox.shopify.panel.release_hold(held.id)
        await floor.commands.sync(SHOP, 30)
        assert (await floor.finished(target)).status is TargetStatus.REACHED


async def test_a_hold_that_we_were_not_informed_of_makes_the_step_wait(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        floor.sandbox.shopify.panel.hold(order.id)
        await floor.submit(order.id, "shipped", SHOP)
        await floor.until(order.id, lambda found: found.situation is Situation.WAITING, SHOP)
        assert effects(floor, order.id) == []
