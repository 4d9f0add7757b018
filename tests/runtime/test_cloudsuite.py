"""CloudSuite's orders on the whole shop floor: walks, guards, drift, lost answers, tokens, restarts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.operations.refusals import Refused
from orchestrator.sandbox.cloudsuite_shop import CloudsuiteOptions
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from statemachines.target import TargetRequest
from storage.orders import get_payload
from storage.records import Order, Situation, TargetStatus
from storage.rejected import list_rejected
from tests.support.shopfloor import Shopfloor, config_of, shopfloor, working_on

CS = "cs"
WALK = ["process", "set_erp_number", "set_erp_lines", "send_despatch", "send_despatch", "finish"]
CHANGES = (
    "process",
    "set_erp_number",
    "set_erp_lines",
    "confirm_order",
    "send_despatch",
    "mark_sent",
    "finish",
    "cancel",
)


def cloudsuite(orders: int = 1, **options: Any) -> Sandbox:
    settings = {name: options.pop(name) for name in list(options) if name in SandboxSettings.__dataclass_fields__}
    return Sandbox(SandboxSettings(orders=orders, cloudsuite=CloudsuiteOptions(**options), **settings))


@asynccontextmanager
async def floor_of(sandbox: Sandbox, folder: Path, **changes: Any) -> AsyncIterator[Shopfloor]:
    async with shopfloor(sandbox, folder, changes, platform="cloudsuite") as floor:
        yield floor


def erp(order: Order, *slips: str, final: bool = True) -> dict[str, Any]:
    """All that an ERP tells of an order: its number, its line numbers, a despatch for each of `slips`."""
    lines = [{"line": line, "erp_line_number": 10 * n} for n, line in enumerate(order.facts["lines"], start=1)]
    despatch = [{"number": f"{order.id}-{slip}", "tracking_code": f"3S{slip}"} for slip in slips]
    if despatch:
        despatch[-1]["final"] = final  # type: ignore[assignment]
    told: dict[str, Any] = {"erp_order_number": f"ERP-{order.id}", "erp_lines": lines}
    return told | ({"despatch": despatch} if despatch else {})


def effects(sandbox: Sandbox, order: str) -> list[str]:
    return sandbox.ledger.effects(order)


def nothing_went_wrong(sandbox: Sandbox) -> bool:
    """Nothing twice (a despatch that is sent again is refused by the platform) and nothing out of turn."""
    repeats = [call for call in sandbox.ledger.repeats_after_effect() if call.step != "send_despatch"]
    lost = [order for order in sandbox.cloudsuite.shop.orders.values() if order.lost]
    return repeats == [] and sandbox.ledger.out_of_sequence() == [] and lost == []


# -- import ------------------------------------------------------------------------------------------------------------


async def test_summaries_are_completed_by_reading_each_order(tmp_path: Path) -> None:
    async with floor_of(cloudsuite(3), tmp_path) as floor:
        orders = await floor.orders()
        assert len(orders) == 3
        for order in orders:
            payload = await floor.store.read(lambda tx, order=order: get_payload(tx, CS, order.id))
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
                group.start_soon(lambda order=order: floor.reach(order.id, "delivered", CS, **erp(order, "A", "B")))
        for order in orders:
            assert effects(sandbox, order.id) == WALK
            told = [event.data["step"] for event in await floor.events("step.done", order=order.id)]
            assert told == WALK
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
        told = erp(order, "A", "B")
        del told["despatch"][0]["tracking_code"]
        target = await floor.reach(order.id, "shipped", CS, tracking={"code": "JVGL1", "carrier": "DHL"}, **told)
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
        assert all(line["discount_percentage"] == 2.5 for line in held.lines)


async def test_a_person_who_edits_while_we_read_is_not_overwritten(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "accepted", CS)
        gate = sandbox.faults.hold(step="read", order=order.id, moment="after")
        target = await floor.submit(order.id, "accepted", CS, **erp(order))
        await gate.arrived()
        sandbox.cloudsuite.panel.edit(order.id, "Somebody Else")
        gate.release()
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
        target = await floor.reach(order.id, "cancelled", CS, **erp(order, "A"))
        assert target.status is TargetStatus.REACHED
        assert set(target.unused) == {"erp_order_number", "erp_lines", "despatch"}
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


# -- payment and other guards ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["started", "none", "closed_canceled", "something new"])
async def test_an_unpaid_order_is_imported_and_refused_until_its_payment_settles(tmp_path: Path, status: str) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        order = sandbox.cloudsuite.panel.add()
        sandbox.cloudsuite.panel.set_payment(order, status)
        await floor.commands.sync(CS, 30)
        assert (await floor.order(order, CS)).payment == "unpaid"
        with pytest.raises(Refused) as refused:
            await floor.submit(order, "accepted", CS)
        assert refused.value.slug == "not-allowed"
        assert status in refused.value.extra["reason"]
        sandbox.cloudsuite.panel.pay(order)
        await floor.commands.sync(CS, 30)
        (settled,) = await floor.events("order.payment_settled")
        assert (settled.order, settled.data["payment"]) == (order, "paid")
        assert (await floor.reach(order, "accepted", CS)).status is TargetStatus.REACHED


@pytest.mark.parametrize(("status", "payment"), [("paid", "paid"), ("closed_success", "paid"), ("account", "invoice")])
async def test_a_settled_payment_releases_the_order(tmp_path: Path, status: str, payment: str) -> None:
    sandbox = cloudsuite(0)
    async with floor_of(sandbox, tmp_path) as floor:
        order = sandbox.cloudsuite.panel.add(status)
        assert (await floor.reach(order, "accepted", CS)).status is TargetStatus.REACHED
        assert (await floor.order(order, CS)).payment == payment


async def test_an_unpaid_order_can_be_cancelled(tmp_path: Path) -> None:
    sandbox = cloudsuite(0, unpaid_orders=1)
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        assert (await floor.reach(order.id, "cancelled", CS)).status is TargetStatus.REACHED


async def test_a_shop_without_payments_asks_for_none(tmp_path: Path) -> None:
    sandbox = cloudsuite(0, unpaid_orders=1)
    async with floor_of(sandbox, tmp_path, payment_check="off") as floor:
        (order,) = await floor.orders()
        assert order.payment == "unknown"
        assert (await floor.reach(order.id, "delivered", CS)).status is TargetStatus.REACHED


async def test_a_payment_that_fell_back_meanwhile_is_waited_for(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.cloudsuite.panel.set_payment(order.id, "closed_canceled")
        target = await floor.submit(order.id, "accepted", CS)
        waiting = await floor.until(order.id, lambda found: found.situation is Situation.WAITING, CS)
        assert waiting.wait is not None
        assert (waiting.wait.reason, waiting.payment) == ("payment", "unpaid")
        assert "closed_canceled" in waiting.wait.detail
        assert effects(sandbox, order.id) == []
        sandbox.cloudsuite.panel.pay(order.id)
        await floor.commands.sync(CS, 30)
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert len(await floor.events("order.payment_settled")) == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"erp_lines": [{"line": "1", "erp_line_number": 10}]}, "lines 1 are not in this order"),
        ({"despatch": [{"number": "A"}]}, "no ERP line number yet"),
        ({"despatch": [{"number": "A", "lines": [{"erp_line_number": 99, "quantity": 1}]}]}, "99"),
        ({"despatch": [{"number": ""}]}, "number is missing"),
        ({"despatch": [{"number": "A"}, {"number": "A"}]}, "twice"),
        ({"confirmation": "cxml"}, "erp_order_number"),
        ({"confirmation": "fax"}, "neither json nor cxml"),
    ],
)
async def test_what_cannot_be_sent_is_refused_at_once(tmp_path: Path, fields: dict[str, Any], said: str) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "shipped", CS, **fields)
        assert refused.value.slug == "not-allowed"
        assert said in refused.value.extra["reason"]
        assert effects(sandbox, order.id) == []


# -- drift -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modified_filter", [None, "modified_date__gte"])
async def test_what_people_do_in_the_panel_is_found_by_the_next_poll(
    tmp_path: Path, modified_filter: str | None
) -> None:
    sandbox = cloudsuite(3)
    async with floor_of(sandbox, tmp_path, modified_filter=modified_filter) as floor:
        moved, cancelled, shipped = await floor.orders()
        await floor.reach(shipped.id, "accepted", CS)
        sandbox.cloudsuite.panel.move(moved.id, "processing")
        sandbox.cloudsuite.panel.cancel(cancelled.id)
        sandbox.cloudsuite.panel.ship(shipped.id)
        await floor.commands.sync(CS, 30)
        assert {order.id: order.state for order in await floor.orders()} == {
            moved.id: "processing",
            cancelled.id: "cancel",
            shipped.id: "sent",
        }
        assert len(await floor.events("order.drifted")) == 3


async def test_a_filter_by_change_time_reads_only_what_changed_and_imports_no_old_order(tmp_path: Path) -> None:
    sandbox = cloudsuite(5)
    async with floor_of(sandbox, tmp_path, modified_filter="modified_date__gte") as floor:
        stranger = sandbox.cloudsuite.panel.add()
        sandbox.cloudsuite.panel.move(stranger, "done")
        reads = len(sandbox.ledger.calls(step="read"))
        await floor.commands.sync(CS, 30)
        assert len(sandbox.ledger.calls(step="read")) == reads
        assert len(await floor.orders()) == 5


async def test_an_order_cancelled_behind_our_back_is_not_brought_back_to_life(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.cloudsuite.panel.cancel(order.id)
        target = await floor.reach(order.id, "delivered", CS, **erp(order, "A"))
        assert target.status is TargetStatus.FAILED
        assert effects(sandbox, order.id) == []
        assert sandbox.cloudsuite.panel.order(order.id).state == "cancel"


async def test_a_step_that_somebody_did_by_hand_is_found_done(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.cloudsuite.panel.move(order.id, "processing")
        assert (await floor.reach(order.id, "delivered", CS)).status is TargetStatus.REACHED
        assert effects(sandbox, order.id) == ["mark_sent", "finish"]


# -- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["process", "set_erp_number", "set_erp_lines", "send_despatch", "finish"])
@pytest.mark.parametrize("fault", ["error_after", "drop_after", "garbage", "error_before", "drop_before"])
async def test_a_lost_answer_has_its_effect_once(tmp_path: Path, fault: str, step: str) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script(fault, step=step)
        target = await floor.reach(order.id, "delivered", CS, **erp(order, "A", "B"))
        assert target.status is TargetStatus.REACHED
        assert effects(sandbox, order.id) == WALK
        assert nothing_went_wrong(sandbox)
        calls = [call.step for call in sandbox.ledger.calls(order.id)]
        assert calls[calls.index(step) + 1] == "read", "nothing is sent before the order was read"


@pytest.mark.parametrize("step", ["confirm_order", "mark_sent", "cancel"])
@pytest.mark.parametrize("fault", ["drop_after", "garbage", "drop_before"])
async def test_a_lost_answer_of_the_other_steps_has_its_effect_once(tmp_path: Path, fault: str, step: str) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script(fault, step=step)
        await floor.reach(order.id, "shipped", CS, confirmation="cxml", **erp(order))
        target = await floor.reach(order.id, "cancelled", CS)
        assert target.status is TargetStatus.REACHED
        assert effects(sandbox, order.id) == ["process", "confirm_order", "mark_sent", "cancel"]
        assert nothing_went_wrong(sandbox)


async def test_with_a_quarter_of_all_calls_going_wrong_every_order_arrives(tmp_path: Path) -> None:
    sandbox = cloudsuite(20)
    more = {"attempts": 60, "base_seconds": 0.01, "max_seconds": 0.02}
    async with floor_of(sandbox, tmp_path, retry=more) as floor:
        orders = await floor.orders()
        sandbox.faults.set_rates({"mixed": 0.2})
        targets = [await floor.submit(order.id, "delivered", CS, **erp(order, "A", "B")) for order in orders]
        for target in targets:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        for order in orders:
            assert effects(sandbox, order.id) == WALK
        assert nothing_went_wrong(sandbox)


@pytest.mark.parametrize("style", ["xml", "text"])
@pytest.mark.parametrize("is_ok", [True, False])
async def test_a_despatch_is_sent_again_with_its_number_and_the_refusal_means_done(
    tmp_path: Path, style: str, is_ok: bool
) -> None:
    sandbox = cloudsuite(1, proxy_style=style, is_duplicate_ok_status=is_ok)
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script("drop_after", step="send_despatch")
        target = await floor.reach(order.id, "shipped", CS, **erp(order, "A"))
        assert target.status is TargetStatus.REACHED
        calls = sandbox.ledger.calls(order.id, "send_despatch")
        assert [call.sent["number"] for call in calls] == [f"{order.id}-A"] * 2
        assert [call.took_effect for call in calls] == [True, False]


async def test_a_shop_that_wants_to_be_asked_is_asked_and_the_person_skips(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path, desadv_on_timeout="ask") as floor:
        (order,) = await floor.orders()
        sandbox.faults.script("drop_after", step="send_despatch")
        target = await floor.reach(order.id, "delivered", CS, **erp(order, "A"))
        assert target.status is TargetStatus.BLOCKED
        assert len(sandbox.ledger.calls(order.id, "send_despatch")) == 1
        await floor.commands.skip(CS, order.id, "the slip is on the buyer's page")
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert effects(sandbox, order.id) == ["process", "set_erp_number", "set_erp_lines", "send_despatch", "finish"]


async def test_a_shop_that_wants_to_be_asked_does_not_take_a_used_number_for_done(tmp_path: Path) -> None:
    sandbox = cloudsuite(2)
    async with floor_of(sandbox, tmp_path, desadv_on_timeout="ask") as floor:
        first, second = await floor.orders()
        same = {"despatch": [{"number": "SAME", "final": True}]}
        await floor.reach(first.id, "shipped", CS, **{**erp(first), **same})
        target = await floor.reach(second.id, "shipped", CS, **{**erp(second), **same})
        assert target.status is TargetStatus.BLOCKED
        assert target.problem is not None
        assert "already exists" in target.problem.detail


async def test_a_refused_write_blocks_with_the_platforms_own_words(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script_answer(400, b'{"state": ["Not on a Sunday."]}', step="process")
        target = await floor.reach(order.id, "accepted", CS)
        assert target.status is TargetStatus.BLOCKED
        assert target.problem is not None
        assert "Not on a Sunday." in target.problem.detail


@pytest.mark.parametrize("answer", ["echo", "nothing"])
async def test_writes_that_answer_little_are_enough(tmp_path: Path, answer: str) -> None:
    sandbox = cloudsuite(1, writes_answer=answer)
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        assert (await floor.reach(order.id, "delivered", CS, **erp(order, "A", "B"))).status is TargetStatus.REACHED
        assert effects(sandbox, order.id) == WALK


# -- access ------------------------------------------------------------------------------------------------------------


async def test_a_token_that_ends_is_renewed_and_nobody_notices(tmp_path: Path) -> None:
    sandbox = cloudsuite(3)
    async with floor_of(sandbox, tmp_path) as floor:
        for order in await floor.orders():
            sandbox.cloudsuite.panel.expire_tokens()
            await floor.reach(order.id, "delivered", CS)
        assert await floor.events("step.failed", "shop.access_denied") == []
        assert sandbox.cloudsuite.shop.issued == 4


async def test_refused_credentials_pause_the_shop_with_one_alarm(tmp_path: Path) -> None:
    sandbox = cloudsuite(3)
    async with floor_of(sandbox, tmp_path) as floor:
        orders = await floor.orders()
        sandbox.cloudsuite.panel.change_token("another")
        for order in orders:
            await floor.submit(order.id, "accepted", CS)
        (denied,) = await floor.event("shop.access_denied")
        assert "invalid_client" in denied.data["detail"]
        assert all(effects(sandbox, order.id) == [] for order in orders)


async def test_the_deprecated_key_opens_the_shop_too(tmp_path: Path) -> None:
    sandbox = cloudsuite(2)
    async with sandbox.running():
        raw = sandbox.config
        shop = sandbox.cloudsuite.shop

        def with_key(base_url: str | None = None) -> dict[str, Any]:
            config = raw(base_url)
            del config["shops"][CS]["credentials"]
            config["shops"][CS]["token"] = shop.key
            return config

        sandbox.config = with_key  # type: ignore[method-assign]
        config = config_of(sandbox, tmp_path, platform="cloudsuite")
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync(CS, 30)
            (order, _) = await floor.orders()
            assert (await floor.reach(order.id, "delivered", CS)).status is TargetStatus.REACHED
            assert shop.issued == 0


# -- restarts and notes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["process", "set_erp_number", "set_erp_lines", "send_despatch", "finish"])
async def test_a_restart_while_a_call_is_out_sends_nothing_twice(tmp_path: Path, step: str) -> None:
    sandbox = cloudsuite()
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, platform="cloudsuite")
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync(CS, 30)
            (order,) = await floor.orders()
            gate = sandbox.faults.hold(step=step, moment="after")
            target = await floor.submit(order.id, "delivered", CS, **erp(order, "A", "B"))
            await gate.arrived()
            worker = floor.supervisor.worker(CS)
            assert worker is not None
            await floor.supervisor.drain(0)
        gate.release()
        async with working_on(sandbox, config, tmp_path) as floor:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
            assert effects(sandbox, order.id) == WALK
            assert nothing_went_wrong(sandbox)


async def test_notes_are_written_once_and_their_failure_stops_nothing(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    notes = {"processing": {"nl_NL": "In behandeling"}, "sent": {"nl_NL": "Verzonden", "en_GB": "Sent"}}
    async with floor_of(sandbox, tmp_path, status_notes=notes) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script("error_before", step="note")
        assert (await floor.reach(order.id, "delivered", CS)).status is TargetStatus.REACHED
        (told,) = sandbox.cloudsuite.panel.order(order.id).timeline
        assert told["CloudsuiteOrderId"] == order.reference
        assert told["state"] == [{"lang": "nl_NL", "value": "Verzonden"}, {"lang": "en_GB", "value": "Sent"}]
        assert len(sandbox.ledger.calls(order.id, "note")) == 2


async def test_an_order_is_found_by_its_reference(tmp_path: Path) -> None:
    sandbox = cloudsuite(0)
    async with floor_of(sandbox, tmp_path) as floor:
        order = sandbox.cloudsuite.panel.add()
        assert (await floor.commands.refresh(CS, f"CS{order}")).id == order
        with pytest.raises(Refused) as refused:
            await floor.commands.refresh(CS, "CS-nonsense")
        assert refused.value.slug == "order-not-found"


async def test_a_preview_shows_one_step_for_each_despatch(tmp_path: Path) -> None:
    async with floor_of(cloudsuite(), tmp_path) as floor:
        (order,) = await floor.orders()
        request = TargetRequest.from_json({"state": "delivered", **erp(order, "A", "B", "C")})
        plan = await floor.commands.preview(CS, order.id, request)
        assert [step.step for step in plan.steps].count("send_despatch") == 3
        assert [(step.source, step.to) for step in plan.steps][-2:] == [("processing", "sent"), ("sent", "done")]
