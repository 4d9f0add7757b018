"""Failures of the platform: retried, read back, waited out, or given to a person; never an effect twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import Situation, TargetStatus
from tests.support.shopfloor import shopfloor

pytestmark = pytest.mark.engines("sqlite", "postgresql")

NO_RETRY_SOON = {"retry": {"attempts": 8, "base_seconds": 3600, "max_seconds": 3600}}


@pytest.mark.parametrize("step", ["confirm", "prepare", "set_tracking", "send", "deliver"])
@pytest.mark.parametrize("fault", ["error_after", "drop_after", "garbage", "error_before", "drop_before"])
async def test_a_lost_answer_is_resolved_by_reading_the_order(tmp_path: Path, fault: str, step: str) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script(fault, step=step)
        target = await floor.reach(order.id, "delivered", tracking={"code": "A"})
        assert target.status is TargetStatus.REACHED
        assert sandbox.ledger.effects(order.id) == ["confirm", "prepare", "set_tracking", "send", "deliver"]
        assert sandbox.ledger.repeats_after_effect() == []
        calls = [call.step for call in sandbox.ledger.calls(order.id)]
        assert calls[calls.index(step) + 1] == "read", "nothing is sent before the order was read"
        how = [e.data["how"] for e in await floor.events("step.done") if e.data["step"] == step]
        assert how == ["called" if fault.endswith("before") else "found_done"]


async def test_a_lost_answer_of_a_return_is_resolved_by_reading(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "shipped")
        sandbox.faults.script("drop_after", step="return_delivery")
        assert (await floor.reach(order.id, "returned")).status is TargetStatus.REACHED
        assert len(sandbox.ledger.calls(order.id, "return_delivery")) == 1
        assert (await floor.order(order.id)).state == "Returned"


async def test_with_a_quarter_of_all_calls_going_wrong_every_order_arrives(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=60))
    more = {"retry": {"attempts": 30, "base_seconds": 0.01, "max_seconds": 0.05}}
    async with shopfloor(sandbox, tmp_path, more) as floor:
        orders = [order.id for order in await floor.orders()]
        sandbox.faults.set_rates({"mixed": 0.25})
        targets = [await floor.submit(order, "delivered", tracking={"code": order}) for order in orders]
        for target in targets:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        for order in orders:
            assert sandbox.ledger.effects(order) == ["confirm", "prepare", "set_tracking", "send", "deliver"]
        assert sandbox.ledger.repeats_after_effect() == []
        assert sandbox.ledger.out_of_sequence() == []
        # What was on its way comes within the wait of one second; a machine may stand still for a while in between.
        assert sandbox.faults.violations(slack_seconds=0.8) == [], "calls wait out Retry-After"


async def test_a_step_that_runs_out_of_attempts_waits_for_a_person(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script("error_before", step="confirm", times=8)
        target = await floor.reach(order.id, "accepted")
        assert target.status is TargetStatus.BLOCKED
        assert target.problem is not None
        assert (target.problem.type, target.problem.step) == ("attempts-exhausted", "confirm")
        assert len(sandbox.ledger.calls(order.id, "confirm")) == 8
        await floor.commands.retry("acme", order.id)
        await floor.until(order.id, lambda found: found.state == "OrderConfirm")


async def test_a_refused_step_blocks_with_the_platforms_own_words(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        body = b'{"message": "The given data was invalid.", "errors": {"list": ["The list is not welcome."]}}'
        sandbox.faults.script_answer(422, body, step="confirm")
        target = await floor.reach(order.id, "accepted")
        assert target.status is TargetStatus.BLOCKED
        assert target.problem is not None
        assert target.problem.type == "rejected"
        assert "The list is not welcome." in target.problem.detail
        (blocked,) = await floor.events("order.blocked")
        assert blocked.data["problem"]["step"] == "confirm"


async def test_out_of_sequence_though_the_read_shows_what_we_expected_is_rejected(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        body = b'{"error": "CAN_NOT_APPLY_CHANGE_ERROR", "error_msg": "The requested changes cannot be applied."}'
        sandbox.faults.script_answer(200, body, step="confirm")
        target = await floor.reach(order.id, "accepted")
        assert target.problem is not None
        assert target.problem.type == "rejected"
        assert [call.step for call in sandbox.ledger.calls(order.id)] == ["confirm", "read"]


async def test_out_of_sequence_because_a_person_moved_the_order_is_adopted(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.selldone.panel.move(order.id, "PreparingOrder")
        target = await floor.reach(order.id, "shipped")
        assert target.status is TargetStatus.REACHED
        assert [call.step for call in sandbox.ledger.calls(order.id)] == ["confirm", "read", "send"]
        # at or past a step's state counts as done, whoever did it; what lies beyond is drift
        (drift,) = await floor.events("order.drifted")
        assert (drift.data["from"], drift.data["to"]) == ("OrderConfirm", "PreparingOrder")


async def test_a_newer_target_wakes_an_order_in_backoff(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, NO_RETRY_SOON) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script("error_before", step="confirm")
        first = await floor.submit(order.id, "accepted")
        waiting = await floor.in_situation(order.id, Situation.RETRYING)
        assert waiting.next_attempt_at is not None
        second = await floor.reach(order.id, "preparing")
        assert second.status is TargetStatus.REACHED
        assert (await floor.target(first.id)).status is TargetStatus.REACHED


async def test_retry_wakes_an_order_in_backoff(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, NO_RETRY_SOON) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script("drop_before", step="confirm")
        target = await floor.submit(order.id, "accepted")
        await floor.in_situation(order.id, Situation.RETRYING)
        await floor.commands.retry("acme", order.id)
        assert (await floor.finished(target)).status is TargetStatus.REACHED


async def test_retry_after_pauses_the_whole_shop_and_costs_no_attempt(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=6, throttle_seconds=1))
    one_by_one = {"limits": {"concurrency": 1, "rate_per_second": 1000, "burst": 1000}}
    async with shopfloor(sandbox, tmp_path, one_by_one) as floor:
        orders = [order.id for order in await floor.orders()]
        sandbox.faults.script("throttle", step="confirm")
        targets = [await floor.submit(order, "accepted") for order in orders]
        for target in targets:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert sandbox.faults.violations() == []
        assert [event.data["kind"] for event in await floor.events("step.failed")] == ["transient"]
        assert sum(len(sandbox.ledger.calls(order, "confirm")) for order in orders) == 7


async def test_an_open_circuit_lets_one_probe_through(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=8))
    changes = {
        "circuit": {"failures": 3, "cooldown_seconds": 3},
        "limits": {"concurrency": 4, "rate_per_second": 1000, "burst": 1000},
    }
    async with shopfloor(sandbox, tmp_path, changes) as floor:
        orders = [order.id for order in await floor.orders()]
        sandbox.faults.set_rates({"error_before": 1.0})
        targets = [await floor.submit(order, "accepted") for order in orders]
        worker = floor.supervisor.worker("acme")
        assert worker is not None
        await floor.event("step.failed", count=3)
        before = len(sandbox.ledger.calls(step="confirm")) + len(sandbox.ledger.calls(step="read"))
        sandbox.faults.set_rates({})
        for target in targets:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert worker.admission.circuit == "closed"
        assert before <= 3 + 4, "an open circuit lets nothing but a probe through"
        for order in orders:
            assert sandbox.ledger.effects(order) == ["confirm"]


async def test_refused_credentials_pause_the_shop_with_one_alarm(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=20))
    async with shopfloor(sandbox, tmp_path) as floor:
        orders = [order.id for order in await floor.orders()]
        sandbox.selldone.panel.change_token("another")
        for order in orders:
            await floor.submit(order, "accepted")
        await floor.event("shop.access_denied")
        worker = floor.supervisor.worker("acme")
        assert worker is not None
        await worker.rested()
        calls = len(sandbox.ledger.calls())
        for order in orders:
            await floor.submit(order, "preparing")
        assert len(await floor.events("shop.access_denied")) == 1
        assert len(sandbox.ledger.calls()) == calls, "a paused shop is left alone"
        assert calls <= 4 + 16 + 1
        assert {order.attempts for order in await floor.orders()} == {0}


async def test_an_order_that_is_being_rejected_waits_and_goes_on_when_it_is_not(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.selldone.panel.reject(order.id)
        target = await floor.submit(order.id, "accepted")
        waiting = await floor.in_situation(order.id, Situation.WAITING)
        assert waiting.wait is not None
        assert waiting.wait.reason == "platform"
        assert waiting.wait.until is not None
        sandbox.selldone.panel.unreject(order.id)
        await floor.commands.refresh("acme", order.id)
        assert (await floor.finished(target)).status is TargetStatus.REACHED


async def test_a_target_fails_when_the_order_was_cancelled_on_the_platform(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.selldone.panel.cancel(order.id)
        target = await floor.reach(order.id, "shipped")
        assert target.status is TargetStatus.FAILED
        assert target.problem is not None
        assert target.problem.type == "unreachable"
        assert (await floor.order(order.id)).state == "Canceled"


async def test_a_target_fails_when_the_order_is_gone(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.selldone.panel.delete(order.id)
        target = await floor.reach(order.id, "shipped")
        assert target.status is TargetStatus.FAILED
        assert (await floor.order(order.id)).situation is Situation.IDLE


async def test_reads_that_fail_are_not_called_attempts_of_the_step(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script("drop_after", step="confirm")
        sandbox.faults.script("error_before", step="read", times=20)
        target = await floor.reach(order.id, "accepted")
        assert target.status is TargetStatus.BLOCKED
        found = await floor.order(order.id)
        assert target.problem is not None
        assert found.attempts == 1
        assert "ran out of attempts" not in target.problem.title
