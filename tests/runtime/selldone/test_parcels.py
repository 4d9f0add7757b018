"""`parcel` and `items` on Selldone, which sends whole orders."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import TargetStatus
from tests.support.shopfloor import shopfloor


@pytest.mark.parametrize("state", ["preparing", "shipped", "delivered"])
async def test_items_of_a_later_state_have_to_cover_every_line(tmp_path: Path, state: str) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=4)), tmp_path) as floor:
        order = next(each for each in await floor.orders() if len(each.facts["items"]) > 1)
        first, *rest = order.facts["items"]
        for items in ([first], [{"id": each, "quantity": order.facts["counts"][each]} for each in rest]):
            with pytest.raises(Refused) as refusal:
                await floor.submit(order.id, state, items=items)
            assert refusal.value.slug == "not-allowed"
            assert "leave out" in refusal.value.extra["reason"]
        assert (await floor.reach(order.id, state, items=[first, *rest])).status is TargetStatus.REACHED


async def test_an_order_that_came_back_is_sent_anew_in_parcels_of_other_numbers(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=4))
    async with shopfloor(sandbox, tmp_path) as floor:
        order = next(each for each in await floor.orders() if len(each.facts["items"]) > 1)
        first, *rest = order.facts["items"]
        for number, lines in (("B-1", [first]), ("B-2", rest)):
            await floor.reach(
                order.id, "shipped", parcel={"number": number, "tracking": [f"T-{number}"], "lines": lines}
            )
        await floor.reach(order.id, "returned")
        sent = sandbox.ledger.effects(order.id).count("send")
        again = await floor.reach(order.id, "shipped", parcel={"number": "B-2", "lines": rest})
        assert (again.status, again.plan) == (TargetStatus.REACHED, ())
        await floor.reach(order.id, "shipped", parcel={"number": "B-3", "lines": [first]})
        assert sandbox.ledger.effects(order.id).count("send") == sent
        await floor.reach(order.id, "shipped", parcel={"number": "B-4", "tracking": ["T-B-4"], "lines": rest})
        assert sandbox.ledger.effects(order.id).count("send") == sent + 1
        now = await floor.order(order.id)
        assert now.state == "SentOrder"
        assert now.facts["tracking_code"] == "T-B-4"
        assert [each["is_back"] for each in now.parcels or ()] == [True, True, False, False]


async def test_what_was_not_confirmed_is_in_no_parcel(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=4)), tmp_path) as floor:
        order = next(each for each in await floor.orders() if len(each.facts["items"]) > 1)
        first, *rest = order.facts["items"]
        await floor.reach(order.id, "accepted", items=[first])
        with pytest.raises(Refused, match="are not in this order"):
            await floor.submit(order.id, "shipped", parcel={"number": "B-1", "lines": rest})
        await floor.reach(order.id, "shipped", parcel={"number": "B-1"})
        now = await floor.order(order.id)
        assert now.state == "SentOrder"
        assert list((now.parcels or [])[0]["lines"]) == [first]
