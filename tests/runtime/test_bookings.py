"""What an ERP books by, on every platform: each cancellation and each return is reported once, with whose it is."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.registry import PLATFORMS
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from statemachines.machine import OrderState, Plan
from statemachines.target import TargetRequest
from storage.records import Event, TargetStatus
from tests.support.platforms import SHOPS
from tests.support.shopfloor import QUICK, Shopfloor, config_of, shopfloor, working_on

CANCELS = [name for name in SHOPS if (found := PLATFORMS[name].machine({}).resolve("cancelled")) and found.settable]
LOST = ("drop_after", "error_after", "garbage")


def sandbox_of() -> Sandbox:
    return Sandbox(SandboxSettings(orders=1))


def operate(floor: Shopfloor, platform: str, action: str, order: str, **fields: Any) -> dict[str, Any]:
    return floor.sandbox.platforms[platform].operate({"action": action, "order": order, **fields})


async def cancellations(floor: Shopfloor, order: str) -> list[Event]:
    return await floor.events("order.cancelled", order=order)


async def returned(floor: Shopfloor, order: str) -> list[list[dict[str, Any]]]:
    return [event.data["lines"] for event in await floor.events("order.returned", order=order)]


def test_every_platform_can_be_asked_to_cancel() -> None:
    assert set(SHOPS) == set(CANCELS)


@pytest.mark.parametrize("platform", SHOPS)
async def test_a_cancellation_in_the_shop_is_reported_once_whatever_is_read_again(
    tmp_path: Path, platform: str
) -> None:
    shop, sandbox = SHOPS[platform], sandbox_of()
    async with sandbox.running():
        config = config_of(
            sandbox, tmp_path, {"lost_answer_seconds": 0} if platform == "shopify" else None, platform=platform
        )
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync(shop, 30)
            (order,) = await floor.orders()
            operate(floor, platform, "cancel", order.id)
            await floor.commands.sync(shop, 30)
            await floor.commands.refresh(shop, order.id)
            [event] = await cancellations(floor, order.id)
            assert event.target is None
            assert event.data["by"] in ("platform", "buyer")
            assert event.data["reason"] is None or isinstance(event.data["reason"], str)
            assert len(await floor.events("order.drifted", order=order.id)) == 1
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync(shop, 30)
            await floor.commands.refresh(shop, order.id)
            assert len(await cancellations(floor, order.id)) == 1


@pytest.mark.parametrize("platform", CANCELS)
async def test_a_cancellation_by_a_target_is_the_erps(tmp_path: Path, platform: str) -> None:
    shop = SHOPS[platform]
    async with shopfloor(sandbox_of(), tmp_path, platform=platform) as floor:
        (order,) = await floor.orders()
        target = await floor.reach(order.id, "cancelled", shop, reason="sold twice")
        assert target.status is TargetStatus.REACHED
        await floor.commands.sync(shop, 30)
        await floor.commands.refresh(shop, order.id)
        [event] = await cancellations(floor, order.id)
        assert (event.data["by"], event.data["reason"], event.target) == ("erp", "sold twice", target.id)
        assert await floor.events("order.drifted", order=order.id) == []
        again = await floor.reach(order.id, "cancelled", shop)
        assert again.status is TargetStatus.REACHED
        assert len(await cancellations(floor, order.id)) == 1


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("platform", CANCELS)
async def test_a_cancellation_whose_answer_was_lost_is_reported_once(tmp_path: Path, platform: str, fault: str) -> None:
    shop, sandbox = SHOPS[platform], sandbox_of()
    changes = {"lost_answer_seconds": 0} if platform == "shopify" else None
    async with shopfloor(sandbox, tmp_path, changes, platform=platform) as floor:
        (order,) = await floor.orders()
        current = OrderState(order.state, order.platform_state, order.payment, order.facts)
        plan = PLATFORMS[platform].machine({}).plan(current, TargetRequest("cancelled"))
        assert isinstance(plan, Plan)
        (step,) = (each.step for each in plan.steps)
        sandbox.faults.script(fault, step=step)
        assert (await floor.reach(order.id, "cancelled", shop)).status is TargetStatus.REACHED
        await floor.commands.refresh(shop, order.id)
        [event] = await cancellations(floor, order.id)
        assert event.data["by"] == "erp"


@pytest.mark.parametrize("platform", SHOPS)
async def test_an_order_that_is_imported_as_cancelled_says_so_and_no_more(tmp_path: Path, platform: str) -> None:
    shop, sandbox = SHOPS[platform], sandbox_of()
    async with sandbox.running():
        (order,) = sandbox.platforms[platform].order_ids()
        sandbox.platforms[platform].operate({"action": "cancel", "order": order})
        async with working_on(sandbox, config_of(sandbox, tmp_path, platform=platform), tmp_path) as floor:
            await floor.commands.refresh(shop, order)
            assert (await floor.order(order, shop)).milestone == "cancelled"
            [imported] = await floor.events("order.imported", order=order)
            assert imported.data["milestone"] == "cancelled"
            assert await cancellations(floor, order) == []


async def test_a_withdrawal_that_was_cancelled_is_the_buyers(tmp_path: Path) -> None:
    async with shopfloor(sandbox_of(), tmp_path) as floor:
        (order,) = await floor.orders()
        operate(floor, "selldone", "withdraw", order.id)
        await floor.commands.sync("acme", 30)
        assert await cancellations(floor, order.id) == []
        operate(floor, "selldone", "cancel", order.id)
        await floor.commands.sync("acme", 30)
        [event] = await cancellations(floor, order.id)
        assert event.data["by"] == "buyer"


async def test_a_rejection_gives_its_reason(tmp_path: Path) -> None:
    async with shopfloor(sandbox_of(), tmp_path) as floor:
        (order,) = await floor.orders()
        operate(floor, "selldone", "reject", order.id, reason="PaymentFraud", express=True)
        await floor.commands.sync("acme", 30)
        [event] = await cancellations(floor, order.id)
        assert (event.data["by"], event.data["reason"]) == ("platform", "PaymentFraud")


async def test_what_comes_back_of_a_shopify_order_is_reported_piece_by_piece(tmp_path: Path) -> None:
    sandbox = sandbox_of()
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, {"lost_answer_seconds": 0}, platform="shopify")
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync("shopy", 30)
            (order,) = await floor.orders()
            lines: dict[str, int] = order.facts["lines"]
            line = next(iter(lines))
            await floor.reach(order.id, "delivered", "shopy")
            made = operate(floor, "shopify", "request_return", order.id, lines=[{"id": line, "quantity": 1}])
            await floor.commands.sync("shopy", 30)
            assert await returned(floor, order.id) == [], "asked for is not back"
            operate(floor, "shopify", "approve_return", order.id, **{"return": made["return"]})
            operate(floor, "shopify", "close_return", order.id, **{"return": made["return"]})
            await floor.commands.sync("shopy", 30)
            first = [{"id": line, "quantity": 1}]
            assert await returned(floor, order.id) == [first]
            operate(floor, "shopify", "reopen_return", order.id, **{"return": made["return"]})
            await floor.commands.sync("shopy", 30)
            operate(floor, "shopify", "close_return", order.id, **{"return": made["return"]})
            await floor.commands.sync("shopy", 30)
            assert await returned(floor, order.id) == [first], "closed twice, back once"
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.refresh("shopy", order.id)
            assert await returned(floor, order.id) == [first]
            operate(floor, "shopify", "return", order.id)
            await floor.commands.sync("shopy", 30)
            _, rest = await returned(floor, order.id)
            left = {each: count - (each == line) for each, count in lines.items()}
            assert {each["id"]: each["quantity"] for each in rest} == {each: n for each, n in left.items() if n}
            assert (await floor.order(order.id, "shopy")).milestone == "returned"


async def test_without_the_right_to_read_returns_the_whole_is_reported(tmp_path: Path) -> None:
    sandbox = sandbox_of()
    sandbox.platforms["shopify"].operate({"action": "revoke_scope", "scope": "read_returns"})
    async with shopfloor(sandbox, tmp_path, {"lost_answer_seconds": 0}, platform="shopify") as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "shipped", "shopy")
        operate(floor, "shopify", "return", order.id)
        await floor.commands.sync("shopy", 30)
        [lines] = await returned(floor, order.id)
        assert {each["id"]: each["quantity"] for each in lines} == order.facts["lines"]


async def test_a_parcel_that_came_back_is_reported_and_so_is_the_next_one(tmp_path: Path) -> None:
    async with shopfloor(sandbox_of(), tmp_path) as floor:
        (order,) = await floor.orders()
        whole = [{"id": item, "quantity": int(order.facts["counts"][item])} for item in order.facts["items"]]
        for times in (1, 2):
            await floor.reach(order.id, "shipped")
            assert (await floor.reach(order.id, "returned")).status is TargetStatus.REACHED
            await floor.commands.refresh("acme", order.id)
            assert await returned(floor, order.id) == [whole] * times


async def test_items_that_the_shop_takes_back_are_reported_when_it_accepts_them(tmp_path: Path) -> None:
    async with shopfloor(sandbox_of(), tmp_path) as floor:
        (order,) = await floor.orders()
        item = order.facts["items"][0]
        await floor.reach(order.id, "shipped")
        asked = operate(floor, "selldone", "request_return", order.id)["return"]
        await floor.commands.sync("acme", 30)
        assert await returned(floor, order.id) == []
        for state in ("Accepted", "Pending", "Accepted"):
            operate(floor, "selldone", "answer_return", order.id, **{"return": asked, "state": state})
            await floor.commands.sync("acme", 30)
        assert await returned(floor, order.id) == [[{"id": item, "quantity": 1}]]


async def test_an_order_that_is_refunded_as_a_whole_comes_back_as_a_whole(tmp_path: Path) -> None:
    async with shopfloor(sandbox_of(), tmp_path, platform="woocommerce") as floor:
        (order,) = await floor.orders()
        shop = SHOPS["woocommerce"]
        await floor.reach(order.id, "delivered", shop)
        for _ in range(2):
            operate(floor, "woocommerce", "refund", order.id)
            await floor.commands.sync(shop, 30)
        [lines] = await returned(floor, order.id)
        assert {each["id"]: Decimal(each["quantity"]) for each in lines} == {
            line: Decimal(count) for line, count in order.facts["lines"].items()
        }


async def test_a_step_that_was_done_by_hand_is_a_persons(tmp_path: Path) -> None:
    sandbox = sandbox_of()
    async with shopfloor(sandbox, tmp_path, platform="cloudsuite") as floor:
        (order,) = await floor.orders()
        for _ in range(QUICK["retry"]["attempts"]):
            sandbox.faults.script("error_before", step="cancel")
        assert (await floor.reach(order.id, "cancelled", "cs")).status is TargetStatus.BLOCKED
        await floor.commands.skip("cs", order.id, "cancelled in the panel")
        [event] = await cancellations(floor, order.id)
        assert (event.data["by"], event.data["reason"]) == ("person", "cancelled in the panel")
