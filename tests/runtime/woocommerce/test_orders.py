"""WooCommerce orders at work: payment that is waited for, refunds, edits, the trash, tracking without its plug-in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.woocommerce import SandboxOptions
from storage.records import Situation, TargetStatus
from tests.support.shopfloor import Shopfloor, shopfloor

PLATFORM, SHOP = "woocommerce", "woo"


@asynccontextmanager
async def at_work(
    folder: Path, changes: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[Shopfloor, str]]:
    """A shop with one order; `options` are the platform's, `changes` the shop's config."""
    sandbox = Sandbox(SandboxSettings(orders=1, options={PLATFORM: SandboxOptions(**options)}))
    async with shopfloor(sandbox, folder, changes, platform=PLATFORM) as floor:
        (order,) = await floor.orders()
        yield floor, order.id


def operate(floor: Shopfloor, action: str, **fields: Any) -> None:
    floor.sandbox.platforms[PLATFORM].operate({"action": action, **fields})


async def test_an_order_on_hold_waits_for_its_payment_and_goes_on_when_that_shows(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (floor, _):
        order = floor.sandbox.platforms[PLATFORM].operate({"action": "add", "status": "on-hold"})["order"]
        await floor.commands.sync(SHOP, 30)
        assert (await floor.order(order, SHOP)).payment == "unpaid"
        target = await floor.submit(order, "shipped", SHOP)
        waiting = await floor.until(order, lambda each: each.situation is Situation.WAITING, SHOP)
        assert waiting.wait is not None
        assert "on-hold to processing (pay)" in waiting.wait.detail
        assert floor.sandbox.ledger.effects(order) == []
        operate(floor, "pay", order=order)
        await floor.commands.sync(SHOP, 30)
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert len(await floor.events("order.payment_settled", order=order)) == 1
        assert floor.sandbox.ledger.effects(order) == ["change_status"]


@pytest.mark.parametrize("milestone", ["shipped", "delivered"])
async def test_a_target_has_the_milestone_that_it_named(tmp_path: Path, milestone: str) -> None:
    async with at_work(tmp_path) as (floor, order):
        target = await floor.reach(order, milestone, SHOP)
        assert (target.status, target.state, target.milestone) == (TargetStatus.REACHED, "completed", milestone)
        for type_ in ("target.submitted", "target.reached"):
            assert [event.data["milestone"] for event in await floor.events(type_, order=order)] == [milestone]
        assert (await floor.order(order, SHOP)).milestone == "delivered"


async def test_own_statuses_are_walked_in_turn(tmp_path: Path) -> None:
    statuses = {"accepted": "received", "preparing": "packed", "shipped": "sent"}
    async with at_work(tmp_path, {"statuses": statuses}, statuses=("received", "packed", "sent")) as (floor, order):
        assert (await floor.reach(order, "delivered", SHOP)).status is TargetStatus.REACHED
        done = await floor.events("step.done", order=order)
        assert [event.data["to"] for event in done] == ["received", "packed", "sent", "completed"]
        assert floor.sandbox.ledger.out_of_sequence() == []


async def test_a_status_that_the_shop_has_not_is_named_and_once_it_is_there_the_order_goes_on(tmp_path: Path) -> None:
    async with at_work(tmp_path, {"statuses": {"preparing": "packed", "shipped": "sent"}}) as (floor, order):
        operate(floor, "register_status", status="wc-sent")
        target = await floor.submit(order, "delivered", SHOP)
        blocked = await floor.until(order, lambda each: each.situation is Situation.BLOCKED, SHOP)
        assert blocked.problem is not None
        assert "(sent: status packed)" in blocked.problem.detail
        assert "rest_invalid_param" in blocked.problem.detail
        assert "status: Invalid parameter." in blocked.problem.detail
        operate(floor, "register_status", status="packed")
        await floor.commands.retry(SHOP, order)
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        done = await floor.events("step.done", order=order)
        assert [event.data["to"] for event in done] == ["packed", "sent", "completed"]


async def test_refunds_and_edits_are_updates_with_what_changed(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (floor, order):
        operate(floor, "refund", order=order, amount="1.00")
        await floor.commands.sync(SHOP, 30)
        (refunded,) = await floor.events("order.updated", order=order)
        assert "/totals/refunded" in refunded.data["changed"]
        assert any(each.startswith("/returns") for each in refunded.data["changed"])
        assert [each["state"] for each in (await floor.order(order, SHOP)).facts["returns"]] == ["refunded"]
        operate(floor, "edit_line", order=order, quantity=5)
        await floor.commands.sync(SHOP, 30)
        _, edited = await floor.events("order.updated", order=order)
        assert any(each.startswith("/lines") for each in edited.data["changed"])
        operate(floor, "refund", order=order)
        await floor.commands.sync(SHOP, 30)
        assert (await floor.order(order, SHOP)).state == "refunded"


async def test_an_order_that_went_to_the_trash_shows_and_its_targets_fail(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (floor, order):
        operate(floor, "trash", order=order)
        await floor.commands.sync(SHOP, 30)
        assert (await floor.order(order, SHOP)).state == "trash"
        (drifted,) = await floor.events("order.drifted", order=order)
        assert drifted.data["to"] == "trash"
        operate(floor, "restore", order=order)
        await floor.commands.refresh(SHOP, order)
        await floor.commands.hold(SHOP, order, None)
        target = await floor.submit(order, "shipped", SHOP)
        operate(floor, "trash", order=order)
        await floor.commands.sync(SHOP, 30)
        assert (await floor.finished(target)).status is TargetStatus.FAILED


async def test_an_order_that_was_deleted_for_good_is_gone_with_the_next_read(tmp_path: Path) -> None:
    async with at_work(tmp_path, {"fresh_seconds": 0}) as (floor, order):
        operate(floor, "delete", order=order)
        assert (await floor.reach(order, "shipped", SHOP)).status is TargetStatus.FAILED
        assert (await floor.order(order, SHOP)).gone_at is not None


async def test_tracking_that_has_no_place_is_named_and_the_target_goes_on(tmp_path: Path) -> None:
    async with at_work(tmp_path, has_tracking=False) as (floor, order):
        target = await floor.reach(order, "shipped", SHOP, tracking={"code": "1Z", "carrier": "UPS"})
        assert (target.status, set(target.unused)) == (TargetStatus.REACHED, {"tracking", "tracking.carrier"})
        assert floor.sandbox.ledger.effects(order) == ["change_status"]


async def test_a_note_whose_answer_was_lost_is_written_once(tmp_path: Path) -> None:
    async with at_work(tmp_path, {"tracking": "note"}, has_tracking=False) as (floor, order):
        floor.sandbox.faults.script("drop_after", step="set_tracking")
        target = await floor.reach(order, "shipped", SHOP, tracking={"code": "1Z", "carrier": "UPS"})
        assert target.status is TargetStatus.REACHED
        assert floor.sandbox.ledger.effects(order) == ["set_tracking", "change_status"]
        again = await floor.reach(order, "shipped", SHOP, tracking={"code": "1Z", "carrier": "UPS"})
        assert again.status is TargetStatus.REACHED
        assert floor.sandbox.ledger.effects(order) == ["set_tracking", "change_status"]
