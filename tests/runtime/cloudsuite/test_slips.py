"""Packing slips whose number exists already: ours only where an answer of ours was lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.refusals import Refused
from storage.records import Intent, Order, TargetStatus
from storage.transaction import Transaction
from tests.runtime.cloudsuite.floor import CS, WALK, cloudsuite, effects, erp, floor_of
from tests.support.shopfloor import Shopfloor, config_of, working_on


def slip(order: Order, number: str = "SAME") -> dict[str, Any]:
    return {**erp(order), "despatch": [{"number": number, "final": True}]}


async def how_of_the_slip(floor: Shopfloor, order: str) -> list[str]:
    done = await floor.events("step.done", order=order)
    return [event.data["how"] for event in done if event.data["step"] == "send_despatch"]


@pytest.mark.parametrize("style", ["xml", "text"])
async def test_a_number_that_another_order_used_is_refused_and_the_order_is_not_sent(
    tmp_path: Path, style: str
) -> None:
    sandbox = cloudsuite(2, proxy_style=style)
    async with floor_of(sandbox, tmp_path) as floor:
        first, second = await floor.orders()
        await floor.reach(first.id, "shipped", CS, **slip(first))
        target = await floor.reach(second.id, "shipped", CS, **slip(second))
        assert target.problem is not None
        assert (target.status, target.problem.type) == (TargetStatus.BLOCKED, "rejected")
        assert "already exists" in target.problem.detail
        assert (await floor.order(second.id, CS)).state == "processing"
        assert "send_despatch" not in effects(sandbox, second.id)


async def test_a_refused_number_stays_refused_when_a_person_retries(tmp_path: Path) -> None:
    sandbox = cloudsuite(2)
    async with floor_of(sandbox, tmp_path) as floor:
        first, second = await floor.orders()
        await floor.reach(first.id, "shipped", CS, **slip(first))
        target = await floor.reach(second.id, "shipped", CS, **slip(second))
        await floor.commands.retry(CS, second.id)
        await floor.event("order.blocked", second.id, count=2)
        assert (await floor.target(target.id)).status is TargetStatus.BLOCKED


@pytest.mark.parametrize(("fault", "how"), [("drop_after", "found_done"), ("drop_before", "called")])
async def test_after_a_lost_answer_the_timeline_shows_whether_the_slip_was_there(
    tmp_path: Path, fault: str, how: str
) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script(fault, step="send_despatch")
        assert (await floor.reach(order.id, "shipped", CS, **slip(order))).status is TargetStatus.REACHED
        assert await how_of_the_slip(floor, order.id) == [how]


async def test_a_lost_answer_is_remembered_over_throttled_attempts_and_a_new_target(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path, retry={"attempts": 2, "base_seconds": 0.01, "max_seconds": 0.01}) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script("drop_after", step="send_despatch")
        sandbox.faults.script_answer(400, b"<Response><Error>closed for today</Error></Response>", step="send_despatch")
        target = await floor.reach(order.id, "shipped", CS, **slip(order))
        assert target.status is TargetStatus.BLOCKED
        await floor.commands.cancel(CS, order.id)
        assert (await floor.reach(order.id, "shipped", CS, **slip(order))).status is TargetStatus.REACHED
        assert await how_of_the_slip(floor, order.id) == ["found_done"]
        assert effects(sandbox, order.id).count("send_despatch") == 1


async def test_a_lost_answer_of_one_number_says_nothing_of_another(tmp_path: Path) -> None:
    sandbox = cloudsuite(2)
    async with floor_of(sandbox, tmp_path) as floor:
        first, second = await floor.orders()
        await floor.reach(first.id, "shipped", CS, **slip(first))
        sandbox.faults.script("drop_after", step="send_despatch")
        await floor.reach(second.id, "accepted", CS, **{**erp(second), "despatch": [{"number": "OWN"}]})
        target = await floor.reach(second.id, "shipped", CS, despatch=[{"number": "SAME", "final": True}])
        assert target.status is TargetStatus.BLOCKED


@pytest.mark.parametrize("is_uncertain", [False, True])
async def test_an_intent_of_an_older_daemon_counts_as_sent(tmp_path: Path, is_uncertain: bool) -> None:
    sandbox = cloudsuite()

    def as_it_was_written(tx: Transaction) -> None:
        ((text,),) = tx.query("SELECT intent FROM orders")
        fields = json.loads(str(text))[:5]
        tx.execute("UPDATE orders SET intent = ?", (json.dumps([*fields, is_uncertain]),))

    async with sandbox.running():
        config = config_of(sandbox, tmp_path, platform="cloudsuite")
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync(CS, 30)
            (order,) = await floor.orders()
            held_call = sandbox.faults.hold(step="send_despatch", moment="after")
            target = await floor.submit(order.id, "delivered", CS, **erp(order, "A", "B"))
            await held_call.arrived()
            await floor.supervisor.drain(0)
            await floor.store.write(as_it_was_written)
        held_call.release()
        async with working_on(sandbox, config, tmp_path) as floor:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
            assert await how_of_the_slip(floor, order.id) == ["found_done", "called"]
            assert effects(sandbox, order.id) == WALK


def test_what_ended_in_doubt_is_no_lost_answer_for_being_cut_off_later() -> None:
    looked_at = Intent("t", "send_despatch", "processing", "sent", 1, is_uncertain=True)
    assert looked_at.cut_off() == looked_at
    assert Intent("t", "send_despatch", "processing", "sent", 1).cut_off().is_unanswered


PART: dict[str, Any] = {"number": "PS-1", "tracking_code": "3S1", "lines": [{"erp_line_number": 10, "quantity": 1}]}
CHANGED: list[tuple[dict[str, Any], str]] = [
    ({**PART, "tracking_code": "3S2"}, "code 3S1"),
    ({**PART, "carrier": "DHL"}, "no carrier"),
    ({**PART, "lines": [{"erp_line_number": 10, "quantity": 2}]}, "1 of line 10"),
    ({**PART, "lines": [{"erp_line_number": 20, "quantity": 1}]}, "1 of line 10"),
    ({"number": "PS-1"}, "1 of line 10"),
]
SAME: list[dict[str, Any]] = [
    PART,
    {**PART, "lines": [{"erp_line_number": 10, "quantity": "1.0000"}]},
    {name: value for name, value in PART.items() if name != "tracking_code"},
    {**PART, "comment": "again", "date": "2026-11-30"},
]


@pytest.mark.parametrize("again", SAME)
@pytest.mark.parametrize("state", ["accepted", "shipped"])
async def test_a_despatch_that_comes_again_with_the_same_content_is_not_sent_again(
    tmp_path: Path, again: dict[str, Any], state: str
) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "accepted", CS, **{**erp(order), "despatch": [PART]})
        target = await floor.reach(order.id, state, CS, despatch=[again])
        assert target.status is TargetStatus.REACHED
        assert effects(sandbox, order.id).count("send_despatch") == 1
        assert len(sandbox.ledger.calls(order.id, "send_despatch")) == 1


@pytest.mark.parametrize(("again", "said"), CHANGED)
@pytest.mark.parametrize("state", ["accepted", "shipped", "delivered"])
@pytest.mark.parametrize("reached", ["accepted", "delivered"])
async def test_a_despatch_number_that_comes_again_with_other_content_is_refused(
    tmp_path: Path, again: dict[str, Any], said: str, state: str, reached: str
) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "accepted", CS, **{**erp(order), "despatch": [PART]})
        await floor.reach(order.id, reached, CS)
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, state, CS, despatch=[again])
        assert refused.value.slug == "not-allowed"
        assert "PS-1" in refused.value.detail
        assert said in refused.value.detail
        assert "number of its own" in refused.value.detail


async def test_a_pending_despatch_counts_as_sent_for_the_targets_behind_it(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.commands.hold(CS, order.id, "a call")
        first = await floor.submit(order.id, "accepted", CS, **{**erp(order), "despatch": [PART]})
        with pytest.raises(Refused, match="was sent with"):
            await floor.submit(order.id, "shipped", CS, despatch=[CHANGED[2][0]])
        second = await floor.submit(order.id, "shipped", CS, despatch=[PART])
        await floor.commands.release(CS, order.id)
        assert (await floor.finished(first)).status is TargetStatus.REACHED
        assert (await floor.finished(second)).status is TargetStatus.REACHED
        assert effects(sandbox, order.id).count("send_despatch") == 1


async def test_after_a_lost_answer_the_number_is_not_used_for_other_content(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script("drop_after", step="send_despatch")
        sandbox.faults.script_answer(400, b"<Response><Error>closed for today</Error></Response>", step="send_despatch")
        await floor.reach(order.id, "accepted", CS, **{**erp(order), "despatch": [PART]})
        await floor.commands.cancel(CS, order.id)
        with pytest.raises(Refused, match="1 of line 10"):
            await floor.submit(order.id, "shipped", CS, despatch=[CHANGED[2][0]])
        assert (await floor.reach(order.id, "shipped", CS, despatch=[PART])).status is TargetStatus.REACHED
        assert effects(sandbox, order.id).count("send_despatch") == 1


async def test_tracking_of_the_target_is_that_of_the_despatches_to_come(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        first, second = ({"number": each, "lines": PART["lines"]} for each in ("PS-1", "PS-2"))
        await floor.reach(order.id, "accepted", CS, **erp(order), despatch=[first], tracking={"code": "T1"})
        both = {"despatch": [first, second], "tracking": {"code": "T2"}}
        assert (await floor.reach(order.id, "shipped", CS, **both)).status is TargetStatus.REACHED
        assert [slip["tracking_code"] for slip in sandbox.cloudsuite.shop.slips.values()] == ["T1", "T2"]
        with pytest.raises(Refused, match="code T1"):
            await floor.submit(order.id, "shipped", CS, despatch=[first], tracking={"code": "T2"})
