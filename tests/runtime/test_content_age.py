"""What is kept of an order is stale after a step of ours, until the platform shows it again; an event says so then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.operations.content_view import content_view
from orchestrator.registry import BUILT_IN
from orchestrator.sandbox.selldone.baskets import Line
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.testing.stage import moves_of
from statemachines.target import TargetRequest
from storage.migrations import all_migrations
from storage.payloads import get_kept, get_payload
from tests.runtime.test_changes import operate, the_order
from tests.support.shopfloor import Shopfloor, shopfloor
from tests.support.unpacked import keep_plainly

every_platform = pytest.mark.parametrize("platform", BUILT_IN)


async def content(floor: Shopfloor, shop: str, order: str) -> Any:
    known = await floor.order(order, shop)
    kept = await floor.store.read(lambda tx: get_kept(tx, shop, order))
    found = content_view(known, kept)
    assert found is not None
    return found


async def payload(floor: Shopfloor, shop: str, order: str) -> bytes | None:
    return await floor.store.read(lambda tx: get_payload(tx, shop, order))


async def take(floor: Shopfloor, platform: str, shop: str, order: str) -> None:
    """The first step that the platform has."""
    move = moves_of(platform)[0]
    fields = {name: value for name, value in move.request.to_json().items() if name != "state"}
    assert (await floor.reach(order, move.request.state, shop, **fields)).status.value == "reached"


@every_platform
async def test_content_is_stale_after_a_step_until_the_next_read_and_an_event_says_when(
    platform: str, tmp_path: Path
) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=6)), tmp_path, platform=platform) as floor:
        shop, order = await the_order(floor)
        await floor.commands.refresh(shop, order)
        before, kept = await content(floor, shop, order), await payload(floor, shop, order)
        assert not before["stale"]
        await take(floor, platform, shop, order)
        after = await content(floor, shop, order)
        if after["stale"]:
            assert (after["hash"], await payload(floor, shop, order)) == (before["hash"], kept)
        await floor.commands.sync(shop, 30)
        fresh = await content(floor, shop, order)
        assert not fresh["stale"]
        assert fresh["read_at"] >= after["read_at"]
        assert await payload(floor, shop, order) != kept
        refreshed = await floor.events("order.refreshed", order=order)
        assert len(refreshed) == int(after["stale"])
        await floor.commands.sync(shop, 30)
        await floor.commands.refresh(shop, order)
        assert await floor.events("order.refreshed", order=order) == refreshed
        assert await floor.events("order.updated", order=order) == []


async def test_an_article_that_got_its_number_is_found_by_a_refresh_and_is_no_change(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=6)), tmp_path) as floor:
        shop, order = await the_order(floor)
        await floor.commands.refresh(shop, order)
        before, known = await content(floor, shop, order), await floor.order(order, shop)
        platform: Any = floor.sandbox.platforms["selldone"]
        (baskets,) = [each.baskets for each in platform.shops_by_key.values()]
        basket = baskets[int(order)]
        new = '{"sku": "NEW-1", "title": "New name"}'
        basket.lines = tuple(Line(line.fields, new, "null") for line in basket.lines)
        await floor.commands.refresh(shop, order)
        after = await content(floor, shop, order)
        assert {(line["sku"], line["name"]) for line in after["lines"]} == {("NEW-1", "New name")}
        assert after["hash"] != before["hash"]
        assert b"NEW-1" in (await payload(floor, shop, order) or b"")
        assert (await floor.order(order, shop)).version == known.version
        assert await floor.events("order.updated", "order.refreshed", order=order) == []


async def test_a_refresh_keeps_anew_what_the_disk_damaged(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=6)), tmp_path) as floor:
        shop, order = await the_order(floor)
        await floor.commands.refresh(shop, order)
        before, kept = await content(floor, shop, order), await payload(floor, shop, order)
        cut = "UPDATE payloads SET packed = substr(packed, 1, length(packed) - 9)"
        await floor.store.write(lambda tx: tx.execute(cut))
        assert await payload(floor, shop, order) is None
        await floor.commands.refresh(shop, order)
        assert await payload(floor, shop, order) == kept
        assert (await content(floor, shop, order))["hash"] == before["hash"]
        await floor.store.write(lambda tx: tx.execute(cut))
        assert (await floor.reach(order, "shipped", shop)).status.value == "reached", "it is driven all the same"
        assert await floor.events("order.updated", order=order) == []


@every_platform
async def test_an_order_that_a_step_brought_to_its_end_is_read_once_more(platform: str, tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=6)), tmp_path, platform=platform) as floor:
        shop, order = await the_order(floor)
        for milestone in ("shipped", "delivered"):
            assert (await floor.reach(order, milestone, shop)).status.value == "reached"
        await floor.commands.sync(shop, 30)
        assert not (await content(floor, shop, order))["stale"]


@every_platform
async def test_a_cancellation_of_ours_is_no_change_by_anybody_else(platform: str, tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=6)), tmp_path, platform=platform) as floor:
        shop, order = await the_order(floor)
        await floor.commands.refresh(shop, order)
        assert (await floor.reach(order, "cancelled", shop, reason="out of stock")).status.value == "reached"
        await floor.commands.sync(shop, 30)
        await floor.commands.refresh(shop, order)
        assert await floor.events("order.updated", order=order) == []
        assert len(await floor.events("order.cancelled", order=order)) == 1
        assert len(await floor.events("order.refreshed", order=order)) == 1
        assert not (await content(floor, shop, order))["stale"]


@every_platform
async def test_an_order_that_had_to_be_read_anyway_is_refreshed_as_well(platform: str, tmp_path: Path) -> None:
    """A list that shows a change while a step is out has the order read before the next one (`observed_at` 0)."""
    async with shopfloor(Sandbox(SandboxSettings(orders=6)), tmp_path, platform=platform) as floor:
        shop, order = await the_order(floor)
        await floor.commands.refresh(shop, order)
        await take(floor, platform, shop, order)
        await floor.store.write(lambda tx: tx.execute("UPDATE orders SET observed_at = 0 WHERE id = ?", (order,)))
        assert (await content(floor, shop, order))["stale"]
        await floor.commands.refresh(shop, order)
        assert not (await content(floor, shop, order))["stale"]
        assert len(await floor.events("order.refreshed", order=order)) == 1
        await floor.store.write(lambda tx: tx.execute("UPDATE orders SET observed_at = 0 WHERE id = ?", (order,)))
        await floor.commands.refresh(shop, order)
        assert len(await floor.events("order.refreshed", order=order)) == 1


@pytest.mark.parametrize("platform", [each for each in BUILT_IN if each != "shopify"])  # whose cancellation is a job
async def test_a_step_that_a_read_showed_to_be_done_is_not_followed_by_another_event(
    platform: str, tmp_path: Path
) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=6)), tmp_path, platform=platform) as floor:
        shop, order = await the_order(floor)
        step = (await floor.commands.preview(shop, order, TargetRequest("cancelled"))).steps[0].step
        floor.sandbox.faults.script("drop_after", step=step)
        assert (await floor.reach(order, "cancelled", shop)).status.value == "reached"
        (done,) = await floor.events("step.done", order=order)
        shown = await content(floor, shop, order)
        await floor.commands.sync(shop, 30)
        await floor.commands.refresh(shop, order)
        assert len(await floor.events("order.refreshed", order=order)) == int(shown["stale"])
        assert shown["stale"] is (done.data["how"] != "found_done")


async def test_a_parcel_that_our_step_made_is_in_the_event_that_follows(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=6)), tmp_path, platform="shopify") as floor:
        shop, order = await the_order(floor)
        await floor.commands.refresh(shop, order)
        await floor.reach(order, "shipped", shop, tracking={"code": "1Z"})
        assert (await content(floor, shop, order))["parcels"] == []
        await floor.commands.sync(shop, 30)
        (event,) = await floor.events("order.refreshed", order=order)
        found = await content(floor, shop, order)
        assert event.data["changed"] == [f"/parcels/{n}" for n in range(len(found["parcels"]))] != []
        assert {str(parcel["numbers"]) for parcel in found["parcels"]} == {"['1Z']"}
        assert {line["open"] for line in found["lines"]} == {"0"}


async def test_a_change_by_a_person_says_more_than_that_the_order_was_read(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=6)), tmp_path) as floor:
        shop, order = await the_order(floor)
        await floor.commands.refresh(shop, order)
        await take(floor, "selldone", shop, order)
        operate(floor, "selldone", "edit", order=order, receiver_name="Somebody Else")
        await floor.commands.refresh(shop, order)
        assert await floor.events("order.refreshed", order=order) == []
        assert len(await floor.events("order.updated", order=order)) == 1


@every_platform
async def test_what_0_2_kept_makes_no_events_when_it_is_read_again(platform: str, tmp_path: Path) -> None:
    """Its content has nulls for what is left out now, and some members meant something else."""
    async with shopfloor(Sandbox(SandboxSettings(orders=6)), tmp_path, platform=platform) as floor:
        shop, order = await the_order(floor)

        def age(tx: Any) -> None:
            keep_plainly(tx)
            tx.execute(
                "UPDATE payloads SET content_version = NULL, content = replace(content, '\"order\":', '\"was\":')"
            )
            text = tx.query("SELECT content FROM payloads WHERE shop = ? AND id = ?", (shop, order))[0][0]
            older = {**json.loads(text), "derived": ["/totals/total"], "buyer": {"id": None, "name": None}}
            older |= {"ship_to": None, "currency": None, "delivery": {"method": None, "cost": None}}
            tx.execute("UPDATE payloads SET content = ? WHERE shop = ? AND id = ?", (json.dumps(older), shop, order))
            tx.execute("UPDATE orders SET payment_status = NULL")
            (migration,) = [each for each in all_migrations() if each.name == "content_again"]
            for statement in migration.statements():
                tx.execute(statement)

        await floor.store.write(age)
        known = await floor.order(order, shop)
        kept = await floor.store.read(lambda tx: get_kept(tx, shop, order))
        assert content_view(known, kept) is None  # in 0.2 some of it was a guess, and what is null meant two things
        for _ in range(2):
            await floor.commands.refresh(shop, order)
            await floor.commands.sync(shop, 30)
        assert await floor.events("order.updated", "order.refreshed") == []
        assert (await floor.order(order, shop)).payment_status is not None
        kept = await floor.store.read(lambda tx: get_kept(tx, shop, order))
        assert kept is not None
        assert kept.is_exact
        assert not (await content(floor, shop, order))["stale"]
