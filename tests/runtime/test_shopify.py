"""Shopify's orders on the whole shop floor: import, walks, parts, waits, drift, lost answers, restarts."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.operations.refusals import Refused
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.shopify_shop import ShopifyOptions
from storage.orders import get_payload
from storage.records import Order, Situation, Target, TargetStatus
from tests.support.shopfloor import Shopfloor, config_of, shopfloor, working_on

SHOP = "shopy"
WHOLE, SPREAD = 0, 1  # places of orders: stocked at one location, at two
TRACKING = {"code": "1Z827WK74630", "url": "https://example.com/track/1Z827WK74630", "carrier": "UPS"}
CHANGES = {"report_progress", "fulfill", "update_tracking", "mark_delivered", "cancel"}


def shopify(orders: int = 2, **options: Any) -> Sandbox:
    settings = {name: options.pop(name) for name in list(options) if name in SandboxSettings.__dataclass_fields__}
    return Sandbox(SandboxSettings(orders=orders, shopify=ShopifyOptions(**options), **settings))


@asynccontextmanager
async def floor_of(sandbox: Sandbox, folder: Path, **changes: Any) -> AsyncIterator[Shopfloor]:
    async with shopfloor(sandbox, folder, {"lost_answer_seconds": 0, **changes}, platform="shopify") as floor:
        yield floor


async def order_at(floor: Shopfloor, place: int) -> Order:
    return await floor.order(floor.sandbox.shopify.order_ids()[place], SHOP)


async def reach(floor: Shopfloor, order: str, state: str, **fields: Any) -> Target:
    return await floor.reach(order, state, SHOP, **fields)


def effects(floor: Shopfloor, order: str) -> list[str]:
    return floor.sandbox.ledger.effects(order)


def parcels(floor: Shopfloor, order: str) -> list[dict[int, int]]:
    """What really left the warehouse, parcel by parcel."""
    return [each.lines for each in floor.sandbox.shopify.panel.order(order).live()]


def shipped(floor: Shopfloor, order: str) -> dict[int, int]:
    total: Counter[int] = Counter()
    for lines in parcels(floor, order):
        total.update(lines)
    return dict(total)


def whole(floor: Shopfloor, order: str) -> dict[int, int]:
    return {line.id: line.quantity for line in floor.sandbox.shopify.panel.order(order).lines}


def nothing_went_wrong(sandbox: Sandbox) -> bool:
    return sandbox.ledger.repeats_after_effect() == [] and sandbox.ledger.out_of_sequence() == []


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
        told = {"tracking": tracking} if tracking else {}
        target = await reach(floor, order.id, "shipped", items=[{"id": line, "quantity": 2}], **told)
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
        ({"tracking": {"url": "javascript:alert(1)"}}, "no http(s) link"),
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


async def test_a_hold_that_nobody_told_us_of_makes_the_step_wait(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        floor.sandbox.shopify.panel.hold(order.id)
        await floor.submit(order.id, "shipped", SHOP)
        await floor.until(order.id, lambda found: found.situation is Situation.WAITING, SHOP)
        assert effects(floor, order.id) == []


# -- the world moves on ------------------------------------------------------------------------------------------------


async def test_what_a_person_shipped_is_not_shipped_again(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, SPREAD)
        floor.sandbox.shopify.panel.fulfill(order.id, "BY-HAND")
        target = await reach(floor, order.id, "shipped")
        assert target.status is TargetStatus.REACHED
        assert effects(floor, order.id) == []
        assert shipped(floor, order.id) == whole(floor, order.id)


async def test_a_fulfillment_that_was_taken_back_is_shipped_anew(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        await reach(floor, order.id, "shipped", tracking=TRACKING)
        floor.sandbox.shopify.panel.unfulfill(order.id)
        await floor.commands.sync(SHOP, 30)
        assert (await floor.order(order.id, SHOP)).state == "UNFULFILLED"
        await reach(floor, order.id, "shipped", tracking={"code": "1Z-AGAIN"})
        assert shipped(floor, order.id) == whole(floor, order.id)


async def test_fulfillment_orders_under_new_ids_are_found(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        floor.sandbox.shopify.panel.split(order.id)
        assert (await reach(floor, order.id, "shipped")).status is TargetStatus.REACHED
        assert shipped(floor, order.id) == whole(floor, order.id)


async def test_an_order_that_was_cancelled_meanwhile_ends_its_target(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        floor.sandbox.shopify.panel.cancel(order.id)
        target = await reach(floor, order.id, "shipped")
        assert target.status is TargetStatus.FAILED
        assert effects(floor, order.id) == []


async def test_a_state_that_nobody_knows_blocks_the_order_and_breaks_nothing(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        odd, good = await order_at(floor, WHOLE), await order_at(floor, SPREAD)
        floor.sandbox.shopify.panel.move(odd.id, "REQUEST_DECLINED")
        await floor.commands.sync(SHOP, 30)
        assert (await floor.order(odd.id, SHOP)).situation is Situation.BLOCKED
        assert (await reach(floor, good.id, "shipped")).status is TargetStatus.REACHED


# -- lost answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["drop_after", "error_after", "garbage", "drop_before", "error_before", "throttle"])
@pytest.mark.parametrize("tracking", [TRACKING, None])
@pytest.mark.parametrize("step", ["report_progress", "fulfill", "mark_delivered"])
async def test_a_lost_answer_ships_nothing_twice(tmp_path: Path, fault: str, tracking: Any, step: str) -> None:
    sandbox = shopify(throttle_seconds=0)
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, SPREAD)
        sandbox.faults.script(fault, step=step)
        told = {"tracking": tracking} if tracking else {}
        await reach(floor, order.id, "preparing")
        target = await reach(floor, order.id, "delivered", **told)
        assert target.status is TargetStatus.REACHED
        assert len(parcels(floor, order.id)) == 2
        done = Counter(effects(floor, order.id))
        assert (done["fulfill"], done["mark_delivered"]) == (2, 2)
        assert 1 <= done["report_progress"] <= 2  # the order shows IN_PROGRESS from the first one on
        assert nothing_went_wrong(sandbox)


@pytest.mark.parametrize("fault", ["drop_after", "error_after", "garbage"])
@pytest.mark.parametrize("tracking", [TRACKING, None])
async def test_a_part_whose_answer_was_lost_is_not_shipped_again(tmp_path: Path, fault: str, tracking: Any) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        line = next(iter(order.facts["lines"]))
        sandbox.faults.script(fault, step="fulfill")
        told = {"tracking": tracking} if tracking else {}
        target = await reach(floor, order.id, "shipped", items=[{"id": line, "quantity": 1}], **told)
        assert target.status is TargetStatus.REACHED
        assert parcels(floor, order.id) == [{int(line): 1}]
        (done,) = await floor.events("step.done", order=order.id)
        assert done.data["how"] == "found_done"


@pytest.mark.parametrize("fault", ["drop_after", "error_after", "garbage"])
@pytest.mark.parametrize("step", ["cancel", "job"])
async def test_a_cancellation_whose_answer_was_lost_is_found(tmp_path: Path, fault: str, step: str) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        sandbox.faults.script(fault, step=step)
        assert (await reach(floor, order.id, "cancelled")).status is TargetStatus.REACHED
        assert sandbox.shopify.panel.order(order.id).cancelled is not None


async def test_tracking_whose_answer_was_lost_is_sent_once(tmp_path: Path) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        await reach(floor, order.id, "shipped", tracking=TRACKING)
        sandbox.faults.script("drop_after", step="update_tracking")
        assert (await reach(floor, order.id, "shipped", tracking={"code": "1Z-NEW"})).status is TargetStatus.REACHED
        assert effects(floor, order.id) == ["fulfill", "update_tracking"]


@pytest.mark.parametrize("tracking", [TRACKING, None])
async def test_a_restart_between_two_parcels_ships_the_other_one_alone(tmp_path: Path, tracking: Any) -> None:
    sandbox = shopify()
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, platform="shopify")
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync(SHOP, 30)
            order = await order_at(floor, SPREAD)
            told = {"tracking": tracking} if tracking else {}
            items = [{"id": line, "quantity": 1} for line in order.facts["lines"]]
            gate = sandbox.faults.hold(step="fulfill", moment="after")
            target = await floor.submit(order.id, "shipped", SHOP, items=items, **told)
            await gate.arrived()
            sandbox.faults.script("drop_after", step="fulfill")
            gate.release()
        async with working_on(sandbox, config, tmp_path) as floor:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
            assert len(parcels(floor, order.id)) == 2
            assert set(shipped(floor, order.id).values()) == {1}


# -- limits and access -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_throttled_with_429", [False, True])
async def test_a_shop_that_spends_too_much_waits_as_it_is_told(tmp_path: Path, is_throttled_with_429: bool) -> None:
    sandbox = shopify(4)
    async with floor_of(sandbox, tmp_path) as floor:
        sandbox.shopify.shop.options = ShopifyOptions(
            bucket=100, restore_rate=200, is_throttled_with_429=is_throttled_with_429
        )
        targets = [await floor.submit(order.id, "delivered", SHOP) for order in await floor.orders()]
        for target in targets:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert nothing_went_wrong(sandbox)


async def test_a_revoked_token_stops_the_shop_with_one_alarm(tmp_path: Path) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        first, second = await order_at(floor, WHOLE), await order_at(floor, SPREAD)
        sandbox.shopify.panel.change_token("shpat_another")
        for order in (first, second):
            await floor.submit(order.id, "shipped", SHOP)
        await floor.event("shop.access_denied")
        assert len(await floor.events("shop.access_denied")) == 1
        assert effects(floor, first.id) == []


# -- everything at once ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_in_a_storm_of_faults_every_order_arrives_once_and_whole(tmp_path: Path, seed: int) -> None:
    sandbox = shopify(12, seed=seed, throttle_seconds=0)
    async with floor_of(sandbox, tmp_path, retry={"attempts": 40, "base_seconds": 0.01, "max_seconds": 0.05}) as floor:
        sandbox.faults.set_rates({"mixed": 0.2})
        targets = []
        for n, order in enumerate(await floor.orders()):
            line = next(iter(order.facts["lines"]))
            told = {"tracking": {"code": f"1Z-{n}"}} if n % 2 else {}
            targets += [
                await floor.submit(order.id, "shipped", SHOP, items=[{"id": line, "quantity": 1}], **told),
                await floor.submit(order.id, "shipped", SHOP, tracking={"code": f"1Z-{n}-REST"}),
                await floor.submit(order.id, "delivered", SHOP),
            ]
        for target in targets:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        sandbox.faults.set_rates({})
        for n, order in enumerate(await floor.orders()):
            assert shipped(floor, order.id) == whole(floor, order.id)
            assert len(parcels(floor, order.id)) == effects(floor, order.id).count("fulfill")
            if sum(whole(floor, order.id).values()) == 1:
                continue  # there is no rest
            live = sandbox.shopify.panel.order(order.id).live()
            parts = [each.lines for each in live if (each.tracking or {}).get("number") != f"1Z-{n}-REST"]
            line = next(iter(order.facts["lines"]))
            assert parts == [{int(line): 1}]  # a second one would only leave less for the rest
