"""CloudSuite's orders on the whole shop floor: import and walks."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio
import pytest

from orchestrator.decisions.refusals import Refused
from storage.payloads import get_payload
from storage.records import Situation, TargetStatus
from storage.rejected import list_rejected
from tests.runtime.cloudsuite.floor import (
    CS,
    WALK,
    cloudsuite,
    effects,
    erp,
    floor_of,
    nothing_went_wrong,
)

# -- import ------------------------------------------------------------------------------------------------------------


async def test_summaries_are_completed_by_reading_each_order(tmp_path: Path) -> None:
    async with floor_of(cloudsuite(3), tmp_path) as floor:
        orders = await floor.orders()
        assert len(orders) == 3
        for order in orders:
            payload = await floor.store.read(partial(get_payload, shop=CS, order=order.id))
            assert payload == floor.sandbox.cloudsuite.panel.order(order.id).detail().encode()
            assert order.facts["lines"]
            assert order.reference == f"CS{order.id}"
            assert order.milestone == "new"


async def test_next_pages_are_asked_of_our_own_host_and_every_order_comes_in_once(tmp_path: Path) -> None:
    sandbox = cloudsuite(23, next_host="https://test.cloudsuite.example")
    async with floor_of(sandbox, tmp_path, poll={"interval_seconds": 3600, "page_size": 5}) as floor:
        await floor.commands.sync(CS, 30)
        assert len(await floor.orders()) == 23
        assert len(await floor.events("order.imported")) == 23


async def test_a_page_smaller_than_asked_for_loses_nothing(tmp_path: Path) -> None:
    async with floor_of(cloudsuite(23, max_limit=4), tmp_path) as floor:
        assert len(await floor.orders()) == 23


async def test_our_own_steps_are_no_drift_and_no_update(tmp_path: Path) -> None:
    sandbox = cloudsuite(3)
    async with floor_of(sandbox, tmp_path) as floor:
        for order in await floor.orders():
            await floor.reach(order.id, "delivered", CS, **erp(order, "A"))
        await floor.commands.sync(CS, 30)
        assert await floor.events("order.drifted", "order.updated") == []


async def test_offline_orders_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    async with floor_of(cloudsuite(2, offline_orders=2), tmp_path) as floor:
        assert len(await floor.orders()) == 2
    async with floor_of(cloudsuite(2, offline_orders=2), tmp_path / "all", offline_orders="import") as floor:
        assert len(await floor.orders()) == 4


async def test_a_payload_that_nobody_can_read_is_set_aside(tmp_path: Path) -> None:
    sandbox = cloudsuite(2)
    async with floor_of(sandbox, tmp_path) as floor:
        sandbox.cloudsuite.panel.add_garbage()
        good = sandbox.cloudsuite.panel.add()
        await floor.commands.sync(CS, 30)
        assert good in [order.id for order in await floor.orders()]
        assert len(await floor.store.read(lambda tx: list_rejected(tx, 0, 10))) == 1


@pytest.mark.parametrize("state", ["draft", "quotation"])
async def test_drafts_and_quotations_are_seen_only(tmp_path: Path, state: str) -> None:
    sandbox = cloudsuite(1)
    async with floor_of(sandbox, tmp_path) as floor:
        order = sandbox.cloudsuite.panel.add()
        sandbox.cloudsuite.panel.move(order, state)
        await floor.commands.sync(CS, 30)
        assert order not in [found.id for found in await floor.orders()]
        with pytest.raises(Refused) as refused:
            await floor.submit(order, "accepted", CS)
        assert refused.value.slug == "unreachable"
        assert effects(sandbox, order) == []


async def test_a_state_that_nobody_knows_blocks_the_order_and_breaks_nothing(tmp_path: Path) -> None:
    sandbox = cloudsuite(2)
    async with floor_of(sandbox, tmp_path) as floor:
        odd, good = await floor.orders()
        sandbox.cloudsuite.panel.move(odd.id, "backordered")
        await floor.commands.sync(CS, 30)
        blocked = await floor.order(odd.id, CS)
        assert blocked.situation is Situation.BLOCKED
        assert blocked.state == "backordered"
        assert (await floor.reach(good.id, "accepted", CS)).status is TargetStatus.REACHED


# -- walks -------------------------------------------------------------------------------------------------------------


async def test_orders_walk_to_done_with_erp_data_and_despatches_in_sequence(tmp_path: Path) -> None:
    sandbox = cloudsuite(20)
    async with floor_of(sandbox, tmp_path) as floor:
        orders = await floor.orders()
        async with anyio.create_task_group() as group:
            for order in orders:
                group.start_soon(partial(floor.reach, order.id, "delivered", CS, **erp(order, "A", "B")))
        for order in orders:
            assert effects(sandbox, order.id) == WALK
            steps = [event.data["step"] for event in await floor.events("step.done", order=order.id)]
            assert steps == WALK
            held = sandbox.cloudsuite.panel.order(order.id)
            assert held.fields["erp_order_number"] == f"ERP-{order.id}"
            assert [line["erp_line_number"] for line in held.lines] == [10 * (n + 1) for n in range(len(held.lines))]
        assert nothing_went_wrong(sandbox)


async def test_a_plain_target_is_walked_with_the_shipment_marked_as_sent(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        assert (await floor.reach(order.id, "delivered", CS)).status is TargetStatus.REACHED
        assert effects(sandbox, order.id) == ["process", "mark_sent", "finish"]
        held = sandbox.cloudsuite.panel.order(order.id)
        assert (held.state, held.fields["shipment_state"]) == ("done", "sent")


async def test_a_final_despatch_makes_the_order_sent_and_stays_so_after_reads(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        target = await floor.reach(order.id, "shipped", CS, **erp(order, "A"))
        assert [entry.step for entry in target.plan] == WALK[:4]
        await floor.commands.sync(CS, 30)
        now = await floor.order(order.id, CS)
        assert (now.state, now.platform_state, now.milestone) == ("sent", "processing", "shipped")
        assert await floor.events("order.drifted") == []
        again = await floor.submit(order.id, "shipped", CS, **erp(order, "A"))
        assert (again.status, again.unused) == (TargetStatus.REACHED, ())
        await floor.reach(order.id, "delivered", CS)
        assert effects(sandbox, order.id) == [*WALK[:4], "finish"]


async def test_partial_despatches_leave_the_order_in_processing_until_the_final_one(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        first = await floor.reach(order.id, "accepted", CS, **erp(order, "A", final=False))
        assert first.status is TargetStatus.REACHED
        assert (await floor.order(order.id, CS)).state == "processing"
        second = await floor.reach(order.id, "accepted", CS, **erp(order, "A", "B"))
        assert [entry.step for entry in second.plan] == ["send_despatch"]
        assert (await floor.order(order.id, CS)).state == "sent"
        assert list(sandbox.cloudsuite.shop.slips) == [f"{order.id}-A", f"{order.id}-B"]


async def test_a_despatch_that_is_not_final_is_followed_by_mark_sent(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "shipped", CS, **erp(order, "A", final=False))
        assert effects(sandbox, order.id) == [*WALK[:4], "mark_sent"]


async def test_tracking_travels_in_the_despatch(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        data = erp(order, "A", "B")
        del data["despatch"][0]["tracking_code"]
        target = await floor.reach(order.id, "shipped", CS, tracking={"code": "JVGL1", "carrier": "DHL"}, **data)
        slips = list(sandbox.cloudsuite.shop.slips.values())
        assert [(slip["tracking_code"], slip["carrier"]) for slip in slips] == [("JVGL1", "DHL"), ("3SB", "DHL")]
        assert target.unused == ()


async def test_tracking_without_a_despatch_is_named_as_unused(tmp_path: Path) -> None:
    async with floor_of(cloudsuite(), tmp_path) as floor:
        (order,) = await floor.orders()
        target = await floor.reach(order.id, "shipped", CS, tracking={"code": "A"}, notify_customer=True)
        assert target.unused == ("tracking", "notify_customer")


async def test_a_confirmation_by_cxml_takes_the_place_of_number_and_lines(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        target = await floor.reach(order.id, "delivered", CS, confirmation="cxml", **erp(order, "A"))
        assert target.unused == ()
        assert effects(sandbox, order.id) == ["process", "confirm_order", "send_despatch", "finish"]
        held = sandbox.cloudsuite.panel.order(order.id)
        assert held.fields["erp_order_number"] == f"ERP-{order.id}"
        assert all(line["erp_line_number"] for line in held.lines)


async def test_writing_the_lines_loses_nothing_and_moves_nothing_back(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        before = dict(sandbox.cloudsuite.panel.order(order.id).fields)
        await floor.reach(order.id, "accepted", CS, **erp(order))
        held = sandbox.cloudsuite.panel.order(order.id)
        ours = ("state", "erp_order_number", "modified_date")
        assert {k: v for k, v in held.fields.items() if k not in ours} == {
            k: v for k, v in before.items() if k not in ours
        }
        assert held.lost == []
        assert held.state == "processing"
        assert all(line["batch"] for line in held.lines)


async def test_a_person_who_edits_while_we_read_is_not_overwritten(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "accepted", CS)
        held_call = sandbox.faults.hold(step="read", order=order.id, moment="after")
        target = await floor.submit(order.id, "accepted", CS, **erp(order))
        await held_call.arrived()
        sandbox.cloudsuite.panel.edit(order.id, "Somebody Else")
        held_call.release()
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        held = sandbox.cloudsuite.panel.order(order.id)
        assert held.fields["description"] == "For Somebody Else"
        assert held.lines[0]["erp_line_number"] == 10


async def test_an_offline_order_goes_from_confirmed_to_sent(tmp_path: Path) -> None:
    sandbox = cloudsuite(1, offline_orders=1)
    async with floor_of(sandbox, tmp_path) as floor:
        offline = sandbox.cloudsuite.order_ids()[-1]
        target = await floor.reach(offline, "shipped", CS)
        assert [entry.step for entry in target.plan] == ["mark_sent"]
        await floor.commands.refresh(CS, offline)
        assert (await floor.order(offline, CS)).state == "sent"
        await floor.reach(offline, "delivered", CS)
        assert effects(sandbox, offline) == ["mark_sent", "finish"]
        assert nothing_went_wrong(sandbox)


@pytest.mark.parametrize("state", ["new", "accepted", "shipped"])
async def test_an_order_is_cancelled_from_any_state_that_is_no_end(tmp_path: Path, state: str) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, state, CS)
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "cancelled", CS, **erp(order, "A"))
        assert refused.value.slug == "not-allowed"
        assert "a despatch says that goods leave" in str(refused.value.extra["reason"])
        target = await floor.reach(order.id, "cancelled", CS, **erp(order))
        assert target.status is TargetStatus.REACHED
        assert set(target.unused) == {"erp_order_number", "erp_lines"}
        assert effects(sandbox, order.id)[-1] == "cancel"
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "delivered", CS)
        assert refused.value.slug == "unreachable"


async def test_strict_chaining_takes_one_state_at_a_time(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path, chaining="strict") as floor:
        (order,) = await floor.orders()
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "shipped", CS)
        assert refused.value.slug == "not-adjacent"
        assert refused.value.extra["allowed"] == ["processing", "cancel"]
        for state in ("accepted", "shipped", "delivered"):
            assert (await floor.reach(order.id, state, CS)).status is TargetStatus.REACHED
