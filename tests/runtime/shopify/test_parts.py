"""Parts and parcels of Shopify orders where answers are lost, cancelling, and what nobody ships."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.decisions.refusals import Refused
from storage.records import TargetStatus
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

LOSSES = ["drop_after", "error_after", "garbage", "drop_before", "error_before"]


# -- lost answers of several calls -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", LOSSES)
@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("tracking", [TRACKING, None])
@pytest.mark.parametrize("is_part", [True, False])
async def test_whichever_of_two_parcels_loses_its_answer_each_leaves_once(
    tmp_path: Path, fault: str, lost: int, tracking: Any, is_part: bool
) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, SPREAD)
        fields: dict[str, Any] = {"tracking": tracking} if tracking else {}
        if is_part:
            fields["items"] = [{"id": line, "quantity": 1} for line in order.facts["lines"]]
        if lost == 1:
            sandbox.faults.script(fault, step="fulfill")
        else:
            held_call = sandbox.faults.hold(step="fulfill", moment="after")
        target = await floor.submit(order.id, "shipped", SHOP, **fields)
        if lost == 2:
            await held_call.arrived()
            sandbox.faults.script(fault, step="fulfill")
            held_call.release()
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        wanted = dict.fromkeys(whole(floor, order.id), 1) if is_part else whole(floor, order.id)
        assert shipped(floor, order.id) == wanted
        assert len(parcels(floor, order.id)) == 2
        assert nothing_went_wrong(sandbox)


@pytest.mark.parametrize("seed", [1, 2])
async def test_where_every_second_answer_is_lost_each_part_leaves_once(tmp_path: Path, seed: int) -> None:
    sandbox = shopify(12, seed=seed)
    patient = {"attempts": 60, "base_seconds": 0.001, "max_seconds": 0.01}
    async with floor_of(sandbox, tmp_path, retry=patient) as floor:
        orders = [order for order in await floor.orders() if sum(whole(floor, order.id).values()) > 1]
        sandbox.faults.set_rates({"drop_after": 0.2, "error_after": 0.2, "garbage": 0.1})
        targets = []
        for order in orders:
            line = next(iter(order.facts["lines"]))
            targets.append(await floor.submit(order.id, "shipped", SHOP, items=[{"id": line, "quantity": 1}]))
            targets.append(await floor.submit(order.id, "shipped", SHOP, tracking={"code": f"1Z-{order.id}"}))
        for target in targets:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        for order in orders:
            assert parcels(floor, order.id)[0] == {int(next(iter(order.facts["lines"]))): 1}
            marked = [each for each in sandbox.shopify.panel.order(order.id).live() if each.tracking]
            assert len(parcels(floor, order.id)) == len(marked) + 1
            assert shipped(floor, order.id) == whole(floor, order.id)


@pytest.mark.parametrize("fault", LOSSES)
async def test_a_part_of_other_goods_than_were_planned_is_not_shipped_twice(tmp_path: Path, fault: str) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, SPREAD)
        found = sandbox.shopify.panel.order(order.id)
        found.fulfillment_orders[0].status = "ON_HOLD"
        sandbox.shopify.shop.touch(found)
        await floor.commands.sync(SHOP, 30)
        sandbox.shopify.panel.release_hold(order.id)  # what was held is the first to leave now, and nobody knows
        sandbox.faults.script(fault, step="fulfill")
        items = [{"id": line, "quantity": 1} for line in order.facts["lines"]]
        assert (await reach(floor, order.id, "shipped", items=items)).status is TargetStatus.REACHED
        assert shipped(floor, order.id) == {int(item["id"]): 1 for item in items}


@pytest.mark.parametrize("fault", LOSSES)
async def test_equal_parcels_with_codes_of_their_own_all_leave_whatever_is_lost(tmp_path: Path, fault: str) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        line = next(iter(order.facts["lines"]))
        for n in range(3):
            sandbox.faults.script(fault, step="fulfill")
            part = {"items": [{"id": line, "quantity": 1}], "tracking": {"code": f"1Z-{n}"}}
            assert (await reach(floor, order.id, "shipped", **part)).status is TargetStatus.REACHED
        assert parcels(floor, order.id) == [{int(line): 1}] * 3


@pytest.mark.parametrize("tracking", [TRACKING, None])
async def test_a_part_that_used_up_its_attempts_is_not_shipped_again_when_a_person_retries(
    tmp_path: Path, tracking: Any
) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path, retry={"attempts": 1, "base_seconds": 0.01, "max_seconds": 0.02}) as floor:
        order = await order_at(floor, WHOLE)
        line = next(iter(order.facts["lines"]))
        fields = {"tracking": tracking} if tracking else {}
        sandbox.faults.script("drop_after", step="fulfill")
        target = await reach(floor, order.id, "shipped", items=[{"id": line, "quantity": 1}], **fields)
        assert target.status is TargetStatus.BLOCKED
        await floor.commands.retry(SHOP, order.id)
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert parcels(floor, order.id) == [{int(line): 1}]


async def test_a_call_that_was_given_up_and_takes_effect_later_is_seen_before_it_is_repeated(tmp_path: Path) -> None:
    sandbox = shopify(stall_seconds=0.9)
    async with floor_of(sandbox, tmp_path, timeout_seconds=0.6, lost_answer_seconds=3) as floor:
        order = await order_at(floor, WHOLE)
        line = next(iter(order.facts["lines"]))
        sandbox.faults.script("stall_before", step="fulfill")
        target = await reach(floor, order.id, "shipped", items=[{"id": line, "quantity": 1}])
        assert target.status is TargetStatus.REACHED
        while any(call.ended_at_ms is None for call in sandbox.ledger.calls(order.id)):  # noqa: ASYNC110
            await anyio.sleep(0.01)  # what was given up may still be at work
        assert parcels(floor, order.id) == [{int(line): 1}]


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":{"fulfillmentCreate":{}},"errors":[{"message":"Denied","extensions":{"code":"ACCESS_DENIED"}}]}',
        b'{"errors":[{"message":"Something went wrong on our end."}]}',
        b'{"errors":[{"message":"Gave up waiting.","extensions":{"code":"TIMEOUT"}}]}',
        b'{"data":{"fulfillmentCreate":{"fulfillment":null,"userErrors":[]}}}',
    ],
)
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_an_answer_that_does_not_say_whether_it_shipped_is_read_up(
    tmp_path: Path, body: bytes, moment: Any
) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        line = next(iter(order.facts["lines"]))
        sandbox.faults.script_answer(200, body, step="fulfill", moment=moment)
        target = await reach(floor, order.id, "shipped", items=[{"id": line, "quantity": 1}])
        assert target.status is TargetStatus.REACHED
        assert parcels(floor, order.id) == [{int(line): 1}]


async def test_a_parcel_that_was_taken_back_meanwhile_does_not_hide_the_one_that_just_left(tmp_path: Path) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        line = next(iter(order.facts["lines"]))
        await reach(floor, order.id, "shipped", items=[{"id": line, "quantity": 1}], tracking={"code": "1Z-OLD"})
        sandbox.faults.script("drop_after", step="fulfill")
        held_call = sandbox.faults.hold(step="fulfill", moment="after")
        target = await floor.submit(order.id, "shipped", SHOP, items=[{"id": line, "quantity": 1}])
        await held_call.arrived()
        found = sandbox.shopify.panel.order(order.id)
        sandbox.shopify.shop.unship(found.fulfillments[0], found)
        held_call.release()
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert effects(floor, order.id) == ["fulfill", "fulfill"]
        assert parcels(floor, order.id) == [{int(line): 1}]


# -- cancelling --------------------------------------------------------------------------------------------------------


async def test_a_cancellation_whose_job_is_not_found_does_not_make_the_order_vanish(tmp_path: Path) -> None:
    sandbox = shopify()
    body = b'{"data":{"job":null},"errors":[{"message":"invalid id","extensions":{"code":"RESOURCE_NOT_FOUND"}}]}'
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        sandbox.faults.script_answer(200, body, step="job", times=50)
        target = await reach(floor, order.id, "cancelled")
        assert target.status is TargetStatus.REACHED, target.problem


async def test_a_cancellation_that_shopify_did_not_carry_out_needs_a_person(tmp_path: Path) -> None:
    sandbox = shopify(job_seconds=3600)
    body = b'{"data":{"job":{"id":"gid://shopify/Job/1","done":true}}}'
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        sandbox.faults.script_answer(200, body, step="job", times=50)
        target = await reach(floor, order.id, "cancelled")
        assert target.status is TargetStatus.BLOCKED
        assert target.problem is not None
        assert target.problem.type == "rejected"
        assert effects(floor, order.id) == ["cancel"]


async def test_a_cancellation_that_failed_afterwards_ends_with_shopifys_own_words(tmp_path: Path) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        sandbox.shopify.panel.fail_cancel(order.id, "The payment could not be voided.")
        target = await reach(floor, order.id, "cancelled")
        assert target.status is TargetStatus.BLOCKED
        assert target.problem is not None
        assert (target.problem.type, target.problem.detail) == (
            "rejected",
            "Shopify could not cancel the order: The payment could not be voided.",
        )
        assert (await floor.order(order.id, SHOP)).state == "UNFULFILLED"
        await floor.commands.retry(SHOP, order.id)
        await floor.until(order.id, lambda now: now.state == "CANCELLED", SHOP)


@pytest.mark.parametrize(
    ("version", "answer"),
    [
        ("2026-07", None),
        ("2026-10", b'{"data":{"node":null}}'),
        ("2026-10", b'{"data":{"node":{"errors":[],"status":"FAILED"}}}'),
        ("2026-10", b'{"errors":[{"message":"invalid id","extensions":{"code":"RESOURCE_NOT_FOUND"}}]}'),
        ("2026-10", b"<html>"),
    ],
)
async def test_a_failed_cancellation_is_reported_where_shopify_gives_no_reason(
    tmp_path: Path, version: str, answer: bytes | None
) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path, api_version=version) as floor:
        order = await order_at(floor, WHOLE)
        sandbox.shopify.panel.fail_cancel(order.id, "unheard")
        if answer is not None:
            sandbox.faults.script_answer(200, answer, step="node", times=50)
        target = await reach(floor, order.id, "cancelled")
        assert target.problem is not None
        assert target.problem.detail == "Shopify carried the cancellation out, but the order is not cancelled"
        assert bool(sandbox.ledger.calls(step="node")) is (answer is not None)


async def test_a_cancellation_whose_answer_was_lost_is_given_time_to_show(tmp_path: Path) -> None:
    sandbox = shopify(job_seconds=0.3)
    async with floor_of(sandbox, tmp_path, lost_answer_seconds=3) as floor:
        order = await order_at(floor, WHOLE)
        sandbox.faults.script("drop_after", step="cancel")
        assert (await reach(floor, order.id, "cancelled")).status is TargetStatus.REACHED
        assert effects(floor, order.id) == ["cancel"]


async def test_a_cancellation_that_never_ends_needs_a_person_and_ends_by_itself_when_it_is_done(tmp_path: Path) -> None:
    sandbox = shopify(job_seconds=3600)
    changes = {"cancel_wait_seconds": 0.02, "retry": {"attempts": 2, "base_seconds": 0.01, "max_seconds": 0.02}}
    async with floor_of(sandbox, tmp_path, **changes) as floor:
        order = await order_at(floor, WHOLE)
        target = await reach(floor, order.id, "cancelled")
        assert target.status is TargetStatus.BLOCKED
        assert target.problem is not None
        assert (target.problem.type, target.problem.step) == ("attempts-exhausted", "cancel")
        assert "still being cancelled" in target.problem.detail
        sandbox.shopify.panel.cancel(order.id)
        await floor.commands.sync(SHOP, 30)
        assert (await floor.finished(target)).status is TargetStatus.REACHED


# -- what nobody ships -------------------------------------------------------------------------------------------------


async def test_an_order_with_nothing_to_ship_is_refused_and_can_be_cancelled(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        found = floor.sandbox.shopify.panel.order(order.id)
        found.fulfillment_orders.clear()
        floor.sandbox.shopify.panel.move(order.id, "FULFILLMENT_NOT_REQUIRED")
        await floor.commands.sync(SHOP, 30)
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "shipped", SHOP)
        assert refused.value.slug == "unreachable"
        found.display = None
        assert (await reach(floor, order.id, "cancelled")).status is TargetStatus.REACHED
