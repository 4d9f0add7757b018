"""What the feed says of changes: a person's are reported once with what they are about, our own are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from statemachines.target import Json
from storage.payloads import get_kept, get_payload
from tests.support.shopfloor import Shopfloor, shopfloor
from tests.support.unpacked import keep_plainly

EDITS = {
    "selldone": "/ship_to",
    "cloudsuite": "/note",
    "xsale": "/note",
    "shopify": "/ship_to",
    "woocommerce": "/ship_to",
}
"""What the panel's `edit` is about."""

every_platform = pytest.mark.parametrize("platform", list(EDITS))


async def the_order(floor: Shopfloor) -> tuple[str, str]:
    """An order of the floor that is paid, and its shop."""
    found = next(each for each in await floor.orders() if each.payment in ("paid", "invoice"))
    return found.shop, found.id


def operate(floor: Shopfloor, platform: str, action: str, **fields: Json) -> None:
    floor.sandbox.platforms[platform].operate({"action": action, **fields})


async def updates(floor: Shopfloor, order: str) -> list[Any]:
    return [event.data["changed"] for event in await floor.events("order.updated", order=order)]


@every_platform
async def test_an_edit_is_reported_once_with_what_it_is_about_whoever_looks(platform: str, tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=6)), tmp_path, platform=platform) as floor:
        shop, order = await the_order(floor)
        operate(floor, platform, "edit", order=order, receiver_name="Somebody Else")
        for _ in range(2):
            await floor.commands.sync(shop, 30)
        await floor.commands.refresh(shop, order)
        assert await updates(floor, order) == [[EDITS[platform]]]
        operate(floor, platform, "edit", order=order, receiver_name="Somebody Again")
        await floor.commands.refresh(shop, order)
        await floor.commands.sync(shop, 30)
        assert await updates(floor, order) == [[EDITS[platform]]] * 2


@every_platform
async def test_what_is_kept_is_what_was_shown_last(platform: str, tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=6)), tmp_path, platform=platform) as floor:
        shop, order = await the_order(floor)
        operate(floor, platform, "edit", order=order, receiver_name="Somebody Else")
        await floor.commands.refresh(shop, order)
        payload = await floor.store.read(lambda tx: get_payload(tx, shop, order))
        kept = await floor.store.read(lambda tx: get_kept(tx, shop, order))
        assert b"Somebody" in (payload or b"")
        assert kept is not None
        assert "Somebody Else" in str(kept.content)


WAYS: dict[str, dict[str, Any]] = {
    "selldone": {"tracking": {"code": "1Z1", "url": "https://example.com/1Z1"}},
    "cloudsuite": {"erp_order_number": "ERP-1"},
    "xsale": {},
    "shopify": {"tracking": {"code": "1Z1", "carrier": "UPS"}},
    "woocommerce": {"tracking": {"code": "1Z1", "carrier": "UPS"}},
}


@every_platform
async def test_our_own_steps_are_no_change(platform: str, tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=6)), tmp_path, platform=platform) as floor:
        shop, order = await the_order(floor)
        milestones = [name for name in ("accepted", "preparing", "shipped", "delivered") if name in known(floor, shop)]
        for milestone in milestones:
            more = WAYS[platform] if milestone == "shipped" else {}
            assert (await floor.reach(order, milestone, shop, **more)).status.value == "reached"
            await floor.commands.refresh(shop, order)
            await floor.commands.sync(shop, 30)
        assert await updates(floor, order) == []
        operate(floor, platform, "edit", order=order, receiver_name="Somebody Else")
        await floor.commands.refresh(shop, order)
        assert await updates(floor, order) == [[EDITS[platform]]]


@pytest.mark.parametrize("platform", ["cloudsuite", "xsale", "shopify", "woocommerce"])
async def test_our_own_cancellation_is_no_change_and_a_persons_is(platform: str, tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=6)), tmp_path, platform=platform) as floor:
        shop, first = await the_order(floor)
        second = next(each.id for each in await floor.orders() if each.id != first)
        assert (await floor.reach(first, "cancelled", shop)).status.value == "reached"
        operate(floor, platform, "cancel", order=second)
        for order in (first, second):
            await floor.commands.refresh(shop, order)
            await floor.commands.sync(shop, 30)
        assert await updates(floor, first) == []
        if platform != "xsale":  # a cancelled order is a status there, and reported as drift
            ((changed,),) = [await updates(floor, second)]
            assert "/cancelled" in changed


async def test_orders_of_an_older_version_make_no_flood_and_are_compared_from_the_next_look_on(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=6)), tmp_path) as floor:
        shop, order = await the_order(floor)

        def forget(tx: Any) -> None:
            keep_plainly(tx)
            tx.execute("UPDATE payloads SET content = NULL, read_at = NULL")
            tx.execute("UPDATE orders SET content_hash = 'of an older version'")

        await floor.store.write(forget)
        await floor.commands.refresh(shop, order)
        await floor.commands.sync(shop, 30)
        assert await floor.events("order.updated") == []
        operate(floor, "selldone", "edit", order=order, receiver_name="Somebody Else")
        await floor.commands.refresh(shop, order)
        assert await updates(floor, order) == [["/ship_to"]]


async def test_an_order_of_an_older_version_that_changed_meanwhile_is_reported_as_a_whole(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=6)), tmp_path) as floor:
        shop, order = await the_order(floor)
        await floor.store.write(keep_plainly)
        await floor.store.write(lambda tx: tx.execute("UPDATE payloads SET content = NULL, read_at = NULL"))
        operate(floor, "selldone", "edit", order=order, receiver_name="Somebody Else")
        await floor.commands.refresh(shop, order)
        assert await updates(floor, order) == [[""]]


def known(floor: Shopfloor, shop: str) -> set[str]:
    return {
        state.milestone
        for state in floor.supervisor.shops()[shop].machine.states.values()
        if state.milestone is not None
    }
