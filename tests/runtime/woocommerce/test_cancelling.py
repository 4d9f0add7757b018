"""A cancellation takes the place of what is not begun, a blocked target too; of what has begun a person has to know."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.decisions.refusals import Refused
from statemachines.target import TargetRequest
from storage.records import Situation, TargetStatus
from tests.runtime.woocommerce.test_orders import SHOP, at_work

REFUSED = b'{"code": "rest_invalid_param", "message": "Invalid parameter(s): status"}'
OWN = {"preparing": "packed", "shipped": "sent"}


async def test_a_blocked_target_of_which_nothing_is_done_makes_room(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (floor, order):
        floor.sandbox.faults.script_answer(400, REFUSED, step="change_status")
        blocked = await floor.reach(order, "shipped", SHOP)
        assert blocked.status is TargetStatus.BLOCKED
        behind = await floor.submit(order, "delivered", SHOP)
        plan = await floor.commands.preview(SHOP, order, TargetRequest("cancelled"))
        assert [step.step for step in plan.steps] == ["cancel"]
        assert (await floor.target(blocked.id)).status is TargetStatus.BLOCKED, "a preview changes nothing"
        assert (await floor.reach(order, "cancelled", SHOP)).status is TargetStatus.REACHED
        for each in (blocked, behind):
            ended = await floor.target(each.id)
            assert ended.problem is not None
            assert (ended.status, ended.problem.type) == (TargetStatus.CANCELLED, "superseded")
        now = await floor.order(order, SHOP)
        assert (now.state, now.situation, now.problem, now.attempts) == ("cancelled", Situation.IDLE, None, 0)
        assert floor.sandbox.ledger.effects(order) == ["cancel"]


@pytest.mark.parametrize("replace", [None, False])
async def test_a_blocked_target_that_has_begun_is_named_with_what_helps(tmp_path: Path, replace: bool | None) -> None:
    async with at_work(tmp_path, {"statuses": OWN}, statuses=("packed", "sent")) as (floor, order):
        held = floor.sandbox.faults.hold(step="change_status", moment="after")
        blocked = await floor.submit(order, "delivered", SHOP)
        await held.arrived()
        floor.sandbox.faults.script_answer(400, REFUSED, step="change_status")
        held.release()
        assert (await floor.finished(blocked)).status is TargetStatus.BLOCKED
        assert (await floor.order(order, SHOP)).state == "packed"
        with pytest.raises(Refused) as refused:
            await floor.submit(order, "cancelled", SHOP, replace=replace)
        words = refused.value.detail
        assert refused.value.slug == "unreachable"
        assert f"target {blocked.id} (completed) has begun and is blocked" in words
        for remedy in ("retry", "skip", "cancel"):
            assert f"`fulfilld {remedy} {SHOP} {order}" in words
        assert "it is in packed" in words
        assert "cancelled" in refused.value.extra["allowed"], "from where the order stands"
        await floor.commands.cancel(SHOP, order)
        assert (await floor.reach(order, "cancelled", SHOP)).status is TargetStatus.REACHED


async def test_a_refusal_behind_what_is_queued_names_replace_as_the_remedy(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (floor, order):
        await floor.commands.hold(SHOP, order, None)
        queued = await floor.submit(order, "shipped", SHOP)
        with pytest.raises(Refused, match='`"replace": true` takes the place') as refused:
            await floor.submit(order, "cancelled", SHOP, replace=False)
        assert f"by target {queued.id}" in refused.value.detail
        assert "blocked" not in refused.value.detail
        assert (await floor.submit(order, "cancelled", SHOP)).status is TargetStatus.QUEUED
        assert (await floor.target(queued.id)).status is TargetStatus.CANCELLED


async def test_a_call_that_may_have_been_carried_out_keeps_its_target(tmp_path: Path) -> None:
    once = {"retry": {"attempts": 1, "base_seconds": 0.01, "max_seconds": 0.01}}
    async with at_work(tmp_path, once) as (floor, order):
        floor.sandbox.faults.script("drop_after", step="change_status")
        held = floor.sandbox.faults.hold(step="change_status", moment="after")
        blocked = await floor.submit(order, "shipped", SHOP)
        await held.arrived()
        floor.sandbox.faults.script("error_before", step="read", times=9)
        held.release()
        assert (await floor.finished(blocked)).status is TargetStatus.BLOCKED
        assert (await floor.order(order, SHOP)).intent is not None
        with pytest.raises(Refused, match="has begun and is blocked"):
            await floor.submit(order, "cancelled", SHOP)
        assert (await floor.target(blocked.id)).status is TargetStatus.BLOCKED
