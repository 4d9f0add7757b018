"""`parcel` on CloudSuite: a despatch, with the lines' positions where the ERP has no line numbers to give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.refusals import Refused
from storage.records import Order, Target, TargetStatus
from tests.runtime.cloudsuite.floor import CS, cloudsuite, effects, erp, floor_of, nothing_went_wrong
from tests.support.shopfloor import Shopfloor


async def box(floor: Shopfloor, order: Order, state: str = "shipped", **parcel: Any) -> Target:
    fields = parcel.pop("fields", {})
    return await floor.reach(order.id, state, CS, parcel=parcel, **fields)


def slips(floor: Shopfloor) -> list[tuple[str, dict[str, str]]]:
    """The packing slips that the platform has, with their quantities by ERP line number."""
    found = floor.sandbox.cloudsuite.shop.slips
    return [(number, {each["number"]: each["quantity"] for each in slip["lines"]}) for number, slip in found.items()]


async def test_lines_get_their_positions_for_numbers_and_the_last_despatch_is_final(tmp_path: Path) -> None:
    async with floor_of(cloudsuite(), tmp_path) as floor:
        (order,) = await floor.orders()
        first, *rest = order.facts["lines"]
        target = await box(floor, order, number="S-1", tracking=["3S1"], carrier="DHL", lines=[first])
        assert [entry.step for entry in target.plan] == ["process", "set_erp_lines", "send_despatch"]
        assert (target.state, target.milestone, target.unused) == ("sent", "shipped", ())
        now = await floor.order(order.id, CS)
        assert now.state == "processing"
        assert [each["erp"] for each in now.facts["lines"].values()] == list(range(1, len(order.facts["lines"]) + 1))
        await box(floor, order, number="S-2", lines=rest)
        assert effects(floor.sandbox, order.id) == ["process", "set_erp_lines", "send_despatch", "send_despatch"]
        assert (await floor.order(order.id, CS)).state == "sent"
        assert nothing_went_wrong(floor.sandbox)


async def test_the_erps_own_line_numbers_stay(tmp_path: Path) -> None:
    async with floor_of(cloudsuite(), tmp_path) as floor:
        (order,) = await floor.orders()
        numbers = {name: value for name, value in erp(order).items() if name.startswith("erp")}
        target = await box(floor, order, number="S-1", fields=numbers)
        assert [entry.step for entry in target.plan] == ["process", "set_erp_number", "set_erp_lines", "send_despatch"]
        lines = (await floor.order(order.id, CS)).facts["lines"]
        assert [each["erp"] for each in lines.values()] == [10 * n for n in range(1, len(lines) + 1)]


async def test_a_position_that_the_erp_gave_to_another_line_is_refused(tmp_path: Path) -> None:
    async with floor_of(cloudsuite(), tmp_path) as floor:
        (order,) = await floor.orders()
        first = next(iter(order.facts["lines"]))
        numbers = {"erp_lines": [{"line": first, "erp_line_number": 2}]}
        with pytest.raises(Refused, match="2 would stand on more than one line"):
            await box(floor, order, number="S-1", fields=numbers)


async def test_parcels_count_what_the_erps_own_despatches_hold(tmp_path: Path) -> None:
    async with floor_of(cloudsuite(), tmp_path) as floor:
        (order,) = await floor.orders()
        first, *rest = order.facts["lines"]
        own = {**erp(order), "despatch": [{"number": "D-1", "lines": [{"erp_line_number": 10}]}]}
        await floor.reach(order.id, "accepted", CS, **own)
        with pytest.raises(Refused, match=f"line {first}, and 0 of the order's"):
            await box(floor, order, number="S-1", lines=[first])
        target = await box(floor, order, number="S-1", lines=rest)
        assert target.status is TargetStatus.REACHED
        assert (await floor.order(order.id, CS)).state == "sent"


async def test_the_last_one_is_a_final_despatch_though_lines_are_left(tmp_path: Path) -> None:
    async with floor_of(cloudsuite(), tmp_path) as floor:
        (order,) = await floor.orders()
        await box(floor, order, number="S-1", lines=[next(iter(order.facts["lines"]))], last=True)
        assert (await floor.order(order.id, CS)).state == "sent"
        assert "mark_sent" not in effects(floor.sandbox, order.id)


async def test_an_offline_order_with_a_part_is_processed_and_not_marked_as_sent(tmp_path: Path) -> None:
    async with floor_of(cloudsuite(), tmp_path, offline_orders="import") as floor:
        found = floor.sandbox.cloudsuite.panel.operate({"action": "add", "offline": True})
        await floor.commands.sync(CS, 30)
        order = await floor.order(str(found["order"]), CS)
        first, *rest = order.facts["lines"]
        await box(floor, order, number="S-1", lines=[first])
        assert (await floor.order(order.id, CS)).state == "processing"
        await box(floor, order, number="S-2", lines=rest)
        assert (await floor.order(order.id, CS)).state == "sent"
        assert effects(floor.sandbox, order.id)[-2:] == ["send_despatch", "send_despatch"]


async def test_parcels_arrive_one_by_one_and_the_order_is_done_with_the_last(tmp_path: Path) -> None:
    async with floor_of(cloudsuite(), tmp_path) as floor:
        (order,) = await floor.orders()
        first, *rest = order.facts["lines"]
        await box(floor, order, number="S-1", lines=[first])
        await box(floor, order, number="S-2", lines=rest)
        await box(floor, order, "delivered", number="S-1")
        assert (await floor.order(order.id, CS)).state == "sent"
        await box(floor, order, "delivered", number="S-2")
        assert (await floor.order(order.id, CS)).state == "done"
