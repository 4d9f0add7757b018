"""Shopify orders of more lines than one page shows, from their import to the last parcel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.sandbox.server import Sandbox
from storage.payloads import get_payload
from storage.records import Order, TargetStatus
from tests.runtime.shopify.floor import (
    SHOP,
    TRACKING,
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
from tests.support.shopfloor import Shopfloor

LINES = 700
MOST_SHIPPED = 512  # of one fulfillmentCreate
LOSSES = ["drop_after", "error_after", "garbage", "drop_before", "error_before"]


def large(lines: int = LINES, pieces: int = 1, **options: Any) -> Sandbox:
    """A shop with one order of that many lines."""
    sandbox = shopify(0, **options)
    add_large(sandbox, lines, pieces)
    return sandbox


def add_large(sandbox: Sandbox, lines: int = LINES, pieces: int = 1) -> str:
    """An order that was made a minute ago: a change within the second of the last one shows no other time."""
    made = str(sandbox.shopify.operate({"action": "add", "lines": lines, "pieces": pieces})["order"])
    sandbox.shopify.panel.order(made).updated -= 60_000
    return made


async def imported(floor: Shopfloor) -> Order:
    return await order_at(floor, 0)


def reads(sandbox: Sandbox) -> list[Any]:
    return [call.sent for call in sandbox.ledger.calls() if call.step == "read"]


async def test_an_order_of_seven_hundred_lines_is_imported_whole(tmp_path: Path) -> None:
    sandbox = large()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await imported(floor)
        assert order.facts["lines"] == {str(line): count for line, count in whole(floor, order.id).items()}
        assert await floor.events("import.rejected") == []
        payload = await floor.store.read(lambda tx: get_payload(tx, SHOP, order.id))
        listed = json.loads(payload or b"")["lineItems"]
        assert len(listed["nodes"]) == LINES
        assert listed["pageInfo"]["hasNextPage"] is False
    assert len(reads(sandbox)) == 1 + 2 + 2


async def test_all_of_it_is_shipped_in_two_fulfilments_under_one_code(tmp_path: Path) -> None:
    sandbox = large()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await imported(floor)
        assert (await reach(floor, order.id, "shipped", tracking=TRACKING)).status is TargetStatus.REACHED
        assert [len(parcel) for parcel in parcels(floor, order.id)] == [MOST_SHIPPED, LINES - MOST_SHIPPED]
        assert shipped(floor, order.id) == whole(floor, order.id)
        codes = {each.tracking["number"] for each in sandbox.shopify.panel.order(order.id).live() if each.tracking}
        assert codes == {TRACKING["code"]}
        assert (await reach(floor, order.id, "delivered")).status is TargetStatus.REACHED
        assert effects(floor, order.id) == ["fulfill"] * 2 + ["mark_delivered"] * 2
        assert nothing_went_wrong(sandbox)


async def test_parts_of_it_leave_as_they_are_asked_for(tmp_path: Path) -> None:
    sandbox = large(pieces=2)
    async with floor_of(sandbox, tmp_path) as floor:
        order = await imported(floor)
        lines = list(order.facts["lines"])
        last = [{"id": lines[-1], "quantity": 1}]
        assert (await reach(floor, order.id, "shipped", items=last)).status is TargetStatus.REACHED
        assert parcels(floor, order.id) == [{int(lines[-1]): 1}]
        most = [{"id": line, "quantity": 1} for line in lines[:600]]
        part = await reach(floor, order.id, "shipped", items=most, tracking={"code": "1Z-A"})
        assert part.status is TargetStatus.REACHED
        assert [len(parcel) for parcel in parcels(floor, order.id)] == [1, MOST_SHIPPED, 600 - MOST_SHIPPED]
        assert (await floor.order(order.id, SHOP)).platform_state == "PARTIALLY_FULFILLED"
        with pytest.raises(Refused):
            await floor.submit(order.id, "shipped", SHOP, items=[{"id": lines[-1], "quantity": 2}])
        assert (await reach(floor, order.id, "shipped", tracking={"code": "1Z-B"})).status is TargetStatus.REACHED
        assert shipped(floor, order.id) == whole(floor, order.id)
        assert nothing_went_wrong(sandbox)


@pytest.mark.parametrize(
    ("fault", "items"), [*((fault, None) for fault in LOSSES), ("drop_after", 600), ("drop_before", 600)]
)
async def test_whatever_answers_are_lost_each_line_leaves_once(tmp_path: Path, fault: str, items: int | None) -> None:
    sandbox = large(pieces=2)
    async with floor_of(sandbox, tmp_path) as floor:
        order = await imported(floor)
        sandbox.faults.script(fault, step="fulfill", times=2)
        fields: dict[str, Any] = {}
        wanted = whole(floor, order.id)
        if items is not None:
            wanted = dict.fromkeys(list(wanted)[:items], 1)
            fields["items"] = [{"id": str(line), "quantity": 1} for line in wanted]
        assert (await reach(floor, order.id, "shipped", **fields)).status is TargetStatus.REACHED
        assert shipped(floor, order.id) == wanted
        assert len(parcels(floor, order.id)) == 2


@pytest.mark.parametrize("fault", [*LOSSES, "throttle"])
async def test_a_further_page_that_is_lost_or_throttled_holds_up_no_shipment(tmp_path: Path, fault: str) -> None:
    sandbox = large(throttle_seconds=1)
    async with floor_of(sandbox, tmp_path) as floor:
        order = await imported(floor)
        first_page = sandbox.faults.hold(step="read", moment="after")
        target = await floor.submit(order.id, "shipped", SHOP, tracking=TRACKING)
        await first_page.arrived()
        sandbox.faults.script(fault, step="read")
        first_page.release()
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert shipped(floor, order.id) == whole(floor, order.id)
        assert len(parcels(floor, order.id)) == 2
        assert [call.fault for call in sandbox.ledger.calls() if call.fault] == [fault]
        assert sandbox.faults.violations() == []
        assert nothing_went_wrong(sandbox)


async def test_a_change_between_two_pages_is_read_from_the_beginning(tmp_path: Path) -> None:
    sandbox = large()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await imported(floor)
        sandbox.shopify.panel.edit(order.id, "Ann")
        sandbox.shopify.panel.order(order.id).updated -= 30_000
        before = len(reads(sandbox))
        first_page = sandbox.faults.hold(step="read", moment="after")
        async with anyio.create_task_group() as group:
            group.start_soon(floor.commands.sync, SHOP, 30)
            await first_page.arrived()
            sandbox.shopify.panel.cancel(order.id)
            first_page.release()
        found = await floor.order(order.id, SHOP)
        assert found.platform_state == "CANCELLED"
        assert set(found.facts["lines"].values()) == {0}
        again = [sent for sent in reads(sandbox)[before:] if "after" not in sent]
        assert len(again) == 2


async def test_an_order_that_is_throttled_on_a_further_page_is_imported_at_the_next_look(tmp_path: Path) -> None:
    sandbox = shopify(0, throttle_seconds=1)
    async with floor_of(sandbox, tmp_path, poll={"interval_seconds": 1}) as floor:
        first_page = sandbox.faults.hold(step="read", moment="after")
        made = add_large(sandbox)
        await first_page.arrived()
        sandbox.faults.script("throttle", step="read")
        first_page.release()
        await floor.event("order.imported", order=made)
        assert len((await floor.order(made, SHOP)).facts["lines"]) == LINES
        assert [call.fault for call in sandbox.ledger.calls() if call.fault] == ["throttle"]
        assert await floor.events("import.rejected") == []
        assert sandbox.faults.violations() == []


async def test_an_order_that_is_too_large_is_set_aside_and_says_why(tmp_path: Path) -> None:
    sandbox = large(lines=110, most_nodes=1)
    async with floor_of(sandbox, tmp_path) as floor:
        (rejected,) = await floor.events("import.rejected")
        assert "101 pages" in json.dumps(rejected.data)
        assert await floor.orders() == []
