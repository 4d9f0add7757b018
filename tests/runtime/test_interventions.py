"""What a person does to orders and shops: hold, release, skip, cancel, retry, pause, resume."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import Situation, TargetStatus
from tests.support.shopfloor import Shopfloor, config_of, shopfloor, working_on

pytestmark = pytest.mark.engines("sqlite", "postgresql")

REFUSAL = b'{"message": "The given data was invalid.", "errors": {"list": ["No."]}}'


async def _blocked(floor: Shopfloor, state: str = "shipped") -> tuple[str, str]:
    """An order that is blocked in its first step, and its target."""
    (order,) = await floor.orders()
    floor.sandbox.faults.script_answer(422, REFUSAL, step="confirm")
    target = await floor.reach(order.id, state)
    assert target.status is TargetStatus.BLOCKED
    return order.id, target.id


async def test_hold_stops_before_the_next_step_and_release_goes_on(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        admission = sandbox.faults.hold(step="confirm", moment="after")
        target = await floor.submit(order.id, "shipped")
        await admission.arrived()
        await floor.commands.hold("acme", order.id, "stock is being counted")
        admission.release()
        held = await floor.in_situation(order.id, Situation.HELD)
        assert held.state == "OrderConfirm", "a call that was out is recorded"
        assert sandbox.ledger.effects(order.id) == ["confirm"]
        await floor.commands.release("acme", order.id)
        assert (await floor.finished(target)).status is TargetStatus.REACHED


async def test_a_hold_survives_a_restart(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path)
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync("acme", 30)
            (order,) = await floor.orders()
            await floor.commands.hold("acme", order.id, None)
            target = await floor.submit(order.id, "accepted")
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync("acme", 30)
            assert (await floor.order(order.id)).situation is Situation.HELD
            await floor.commands.release("acme", order.id)
            assert (await floor.finished(target)).status is TargetStatus.REACHED


async def test_release_of_an_order_that_is_not_held_is_refused(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=1)), tmp_path) as floor:
        (order,) = await floor.orders()
        with pytest.raises(Refused) as refused:
            await floor.commands.release("acme", order.id)
        assert refused.value.slug == "not-held"


async def test_skip_counts_the_blocked_step_as_done_by_hand(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        order, target = await _blocked(floor)
        sandbox.selldone.panel.move(order, "OrderConfirm")
        await floor.commands.skip("acme", order, "confirmed in the panel")
        assert (await floor.finished(await floor.target(target))).status is TargetStatus.REACHED
        done = (await floor.events("step.done", order=order))[0]
        assert (done.data["step"], done.data["how"], done.data["reason"]) == (
            "confirm",
            "by_hand",
            "confirmed in the panel",
        )
        assert sandbox.ledger.effects(order) == ["prepare", "send"]


@pytest.mark.parametrize("reason", [None, "", "  "])
async def test_skip_needs_a_reason(tmp_path: Path, reason: str | None) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=1)), tmp_path) as floor:
        order, _ = await _blocked(floor)
        with pytest.raises(Refused) as refused:
            await floor.commands.skip("acme", order, reason)
        assert refused.value.slug == "reason-required"


async def test_skip_and_retry_of_an_order_at_rest_are_conflicts(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=1)), tmp_path) as floor:
        (order,) = await floor.orders()
        for command in (floor.commands.retry("acme", order.id), floor.commands.skip("acme", order.id, "why not")):
            with pytest.raises(Refused) as refused:
                await command
            assert refused.value.slug == "not-blocked"


async def test_retry_tries_the_blocked_step_again(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        order, target = await _blocked(floor)
        await floor.commands.retry("acme", order)
        await floor.event("target.reached", order=order)
        assert (await floor.target(target)).status is TargetStatus.REACHED
        assert (await floor.order(order)).problem is None


async def test_cancel_drops_all_targets_of_a_blocked_order(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=1)), tmp_path) as floor:
        order, target = await _blocked(floor)
        behind = await floor.submit(order, "delivered")
        assert behind.status is TargetStatus.QUEUED
        now = await floor.commands.cancel("acme", order)
        assert (now.situation, now.problem) == (Situation.IDLE, None)
        for ended in (target, behind.id):
            assert (await floor.target(ended)).status is TargetStatus.CANCELLED
        assert len(await floor.events("target.cancelled")) == 2


async def test_a_call_that_is_out_when_its_target_is_cancelled_is_still_recorded(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        admission = sandbox.faults.hold(step="confirm", moment="after")
        target = await floor.submit(order.id, "delivered")
        await admission.arrived()
        assert (await floor.commands.cancel_target(target.id)).status is TargetStatus.CANCELLED
        admission.release()
        rested = await floor.in_situation(order.id, Situation.IDLE)
        assert rested.state == "OrderConfirm"
        assert sandbox.ledger.effects(order.id) == ["confirm"]
        with pytest.raises(Refused) as refused:
            await floor.commands.cancel_target(target.id)
        assert refused.value.slug == "already-finished"


async def test_a_lost_answer_is_resolved_even_when_its_target_was_cancelled(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    slow = {"retry": {"attempts": 8, "base_seconds": 3600, "max_seconds": 3600}}
    async with shopfloor(sandbox, tmp_path, slow) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script("drop_after", step="confirm")
        await floor.submit(order.id, "delivered")
        await floor.in_situation(order.id, Situation.RETRYING)
        await floor.commands.cancel("acme", order.id)
        rested = await floor.in_situation(order.id, Situation.IDLE)
        assert rested.state == "OrderConfirm"


async def test_a_paused_shop_stands_still_until_it_is_resumed(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=3))
    async with shopfloor(sandbox, tmp_path) as floor:
        await floor.commands.pause("acme", "inventory")
        calls = len(sandbox.ledger.calls())
        targets = [await floor.submit(order.id, "accepted") for order in await floor.orders()]
        with pytest.raises(Refused) as refused:
            await floor.commands.sync("acme", 30)
        assert refused.value.slug == "platform-unreachable"
        assert len(sandbox.ledger.calls()) == calls
        await floor.commands.resume("acme")
        for target in targets:
            assert (await floor.finished(target)).status is TargetStatus.REACHED


async def test_a_persons_pause_survives_a_restart_and_new_credentials(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        async with working_on(sandbox, config_of(sandbox, tmp_path), tmp_path) as floor:
            await floor.commands.sync("acme", 30)
            await floor.commands.pause("acme", "inventory")
        changed = config_of(sandbox, tmp_path, {"token": "another"})
        async with working_on(sandbox, changed, tmp_path) as floor:
            worker = floor.supervisor.worker("acme")
            assert worker is not None
            assert worker.admission.is_paused


async def test_new_credentials_end_a_pause_that_refused_ones_caused(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path)
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync("acme", 30)
            (order,) = await floor.orders()
            same = config_of(sandbox, tmp_path, {"fresh_seconds": 17})
            sandbox.selldone.panel.change_token("another")
            target = await floor.submit(order.id, "accepted")
            await floor.event("shop.access_denied")
            await floor.supervisor.reload(same)
            worker = floor.supervisor.worker("acme")
            assert worker is not None
            assert worker.admission.is_paused, "the same credentials end nothing"
            await floor.supervisor.reload(config_of(sandbox, tmp_path, {"token": "another"}))
            assert (await floor.finished(target)).status is TargetStatus.REACHED
            assert len(await floor.events("shop.resumed")) == 1
