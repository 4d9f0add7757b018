"""Shopify's orders on the whole shop floor: what people do meanwhile, lost answers, limits, everything at once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from orchestrator.sandbox.shopify.options import ShopifyOptions
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
from tests.support.shopfloor import config_of, working_on

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
        floor.sandbox.shopify.panel.move(odd.id, "SOMETHING_NEW")
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
        fields = {"tracking": tracking} if tracking else {}
        await reach(floor, order.id, "preparing")
        target = await reach(floor, order.id, "delivered", **fields)
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
        fields = {"tracking": tracking} if tracking else {}
        target = await reach(floor, order.id, "shipped", items=[{"id": line, "quantity": 1}], **fields)
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
            fields = {"tracking": tracking} if tracking else {}
            items = [{"id": line, "quantity": 1} for line in order.facts["lines"]]
            held_call = sandbox.faults.hold(step="fulfill", moment="after")
            target = await floor.submit(order.id, "shipped", SHOP, items=items, **fields)
            await held_call.arrived()
            sandbox.faults.script("drop_after", step="fulfill")
            held_call.release()
        async with working_on(sandbox, config, tmp_path) as floor:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
            assert len(parcels(floor, order.id)) == 2
            assert set(shipped(floor, order.id).values()) == {1}


# -- limits and access -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_throttled_with_429", [False, True])
async def test_a_shop_that_spends_too_much_waits_as_long_as_shopify_says(
    tmp_path: Path, is_throttled_with_429: bool
) -> None:
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
            fields = {"tracking": {"code": f"1Z-{n}"}} if n % 2 else {}
            targets += [
                await floor.submit(order.id, "shipped", SHOP, items=[{"id": line, "quantity": 1}], **fields),
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
