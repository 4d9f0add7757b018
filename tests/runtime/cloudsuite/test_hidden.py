"""A CloudSuite whose reads have no shipment_state: what we set there is kept as ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.records import TargetStatus
from tests.runtime.cloudsuite.floor import CS, cloudsuite, effects, erp, floor_of, nothing_went_wrong

HIDDEN = frozenset({"shipment_state"})


@pytest.mark.parametrize("answer", ["order", "echo", "nothing"])
async def test_an_order_is_marked_sent_and_stays_so(tmp_path: Path, answer: str) -> None:
    sandbox = cloudsuite(hidden=HIDDEN, writes_answer=answer)
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        assert (await floor.reach(order.id, "shipped", CS)).status is TargetStatus.REACHED
        for _ in range(2):
            await floor.commands.refresh(CS, order.id)
            assert (await floor.order(order.id, CS)).state == "sent"
        assert await floor.events("order.drifted", "step.failed") == []
        assert (await floor.reach(order.id, "delivered", CS)).status is TargetStatus.REACHED
        assert effects(sandbox, order.id) == ["process", "mark_sent", "finish"]


async def test_a_lost_answer_is_sent_again_where_no_read_shows_the_effect(tmp_path: Path) -> None:
    sandbox = cloudsuite(hidden=HIDDEN)
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script("drop_after", step="mark_sent")
        assert (await floor.reach(order.id, "shipped", CS)).status is TargetStatus.REACHED
        assert [call.took_effect for call in sandbox.ledger.calls(order.id, "mark_sent")] == [True, False]


async def test_lines_that_are_written_later_do_not_take_the_shipment_away(tmp_path: Path) -> None:
    sandbox = cloudsuite(hidden=HIDDEN)
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        assert (await floor.reach(order.id, "shipped", CS)).status is TargetStatus.REACHED
        assert (await floor.reach(order.id, "shipped", CS, **erp(order))).status is TargetStatus.REACHED
        assert sandbox.cloudsuite.panel.order(order.id).fields["shipment_state"] == "sent"
        assert nothing_went_wrong(sandbox)


async def test_an_offline_order_is_marked_sent_too(tmp_path: Path) -> None:
    sandbox = cloudsuite(0, offline_orders=1, hidden=HIDDEN)
    async with floor_of(sandbox, tmp_path, offline_orders="import") as floor:
        (order,) = await floor.orders()
        assert (await floor.reach(order.id, "shipped", CS)).status is TargetStatus.REACHED
        await floor.commands.refresh(CS, order.id)
        assert (await floor.order(order.id, CS)).state == "sent"


async def test_what_a_person_moves_counts_more_than_what_we_set(tmp_path: Path) -> None:
    sandbox = cloudsuite(hidden=HIDDEN)
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        assert (await floor.reach(order.id, "shipped", CS)).status is TargetStatus.REACHED
        sandbox.cloudsuite.panel.cancel(order.id)
        await floor.commands.refresh(CS, order.id)
        assert (await floor.order(order.id, CS)).state == "cancel"


async def test_a_shipment_that_is_shown_and_taken_back_is_drift(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        assert (await floor.reach(order.id, "shipped", CS)).status is TargetStatus.REACHED
        shown = sandbox.cloudsuite.panel.order(order.id)
        shown.fields["shipment_state"] = None
        sandbox.cloudsuite.shop.touch(shown)
        await floor.commands.refresh(CS, order.id)
        assert (await floor.order(order.id, CS)).state == "processing"
