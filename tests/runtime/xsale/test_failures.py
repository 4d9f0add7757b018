"""xSale's orders on the whole shop floor: lost answers, refusals, tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.sandbox.faults import Moment
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import TargetStatus
from tests.runtime.xsale.floor import FAULTS, FLOW, assert_nothing_twice_or_out_of_turn, set_to, xsale
from tests.support.engines import engine_in_use
from tests.support.shopfloor import config_of, working_on

# -- what goes wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["error_after", "drop_after", "garbage", "error_before", "drop_before"])
async def test_a_lost_answer_is_resolved_by_reading_the_order(tmp_path: Path, fault: str) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        await floor.reach(order.id, "accepted", "xs")
        before = len(sandbox.ledger.calls(order.id))
        sandbox.faults.script(fault, step="change_status")
        assert (await floor.reach(order.id, "W trakcie realizacji", "xs")).status is TargetStatus.REACHED
        calls = [call.step for call in sandbox.ledger.calls(order.id)][before:]
        assert calls[calls.index("change_status") + 1] == "read"
        how = [event.data["how"] for event in await floor.events("step.done")]
        assert how == ["called", "called" if fault.endswith("before") else "found_done"]
        assert await floor.events("order.drifted") == []
        assert set_to(sandbox) == FLOW[1:3]
        assert_nothing_twice_or_out_of_turn(sandbox)


@pytest.mark.parametrize("fault", ["error_before", "drop_before", "garbage", "throttle"])
async def test_a_change_whose_check_fails_is_not_made_again(tmp_path: Path, fault: str) -> None:
    async with xsale(tmp_path, {"look_first": False}) as (floor, sandbox):
        (order,) = await floor.orders()
        sandbox.faults.script(fault, step="read")
        assert (await floor.reach(order.id, "accepted", "xs")).status is TargetStatus.REACHED
        assert set_to(sandbox) == ["Zaimportowano do ERP"]


async def test_with_a_quarter_of_all_calls_going_wrong_every_order_arrives_and_no_automation_fires_twice(
    tmp_path: Path,
) -> None:
    more = {"retry": {"attempts": 40, "base_seconds": 0.01, "max_seconds": 0.05}}
    async with xsale(tmp_path, more, orders=30, logins_a_minute=10_000) as (floor, sandbox):
        sandbox.faults.set_rates(dict.fromkeys(FAULTS, 0.05))
        targets = [await floor.submit(order, "delivered", "xs") for order in sandbox.xsale.order_ids()]
        for target in targets:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        for order in sandbox.xsale.order_ids():
            assert sandbox.ledger.effects(order) == ["change_status"] * 5
        assert_nothing_twice_or_out_of_turn(sandbox)


async def test_a_persons_change_is_not_overwritten_however_fresh_our_knowledge(tmp_path: Path) -> None:
    async with xsale(tmp_path, orders=2) as (floor, sandbox):
        cancelled, moved = sandbox.xsale.order_ids()
        sandbox.xsale.panel.cancel(cancelled)
        target = await floor.reach(cancelled, "accepted", "xs")
        assert target.status is TargetStatus.FAILED
        assert sandbox.ledger.calls(cancelled, "change_status") == []
        sandbox.xsale.panel.move(moved, "W trakcie realizacji")
        assert (await floor.reach(moved, "preparing", "xs")).status is TargetStatus.REACHED
        assert set_to(sandbox) == ["Przygotowywane do wysyłki"]
        assert_nothing_twice_or_out_of_turn(sandbox)


async def test_a_status_that_a_person_set_already_is_not_set_again(tmp_path: Path) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        sandbox.xsale.panel.move(order.id, "Zaimportowano do ERP")
        assert (await floor.reach(order.id, "accepted", "xs")).status is TargetStatus.REACHED
        assert set_to(sandbox) == []


async def test_a_refused_change_blocks_with_the_platforms_own_words(tmp_path: Path) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        body = b'{"title": "One or more validation errors occurred.", "errors": {"StatusId": ["Not today."]}}'
        sandbox.faults.script_answer(400, body, step="change_status")
        target = await floor.reach(order.id, "accepted", "xs")
        assert target.problem is not None
        assert target.problem.type == "rejected"
        assert "Not today." in target.problem.detail
        await floor.commands.retry("xs", order.id)
        await floor.until(order.id, lambda found: found.state == "Zaimportowano do ERP", "xs")


async def test_throttling_pauses_the_shop_and_loses_nothing(tmp_path: Path) -> None:
    async with xsale(tmp_path, orders=5) as (floor, sandbox):
        sandbox.faults.script("throttle", step="change_status")
        targets = [await floor.submit(order, "shipped", "xs") for order in sandbox.xsale.order_ids()]
        for target in targets:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert_nothing_twice_or_out_of_turn(sandbox)


async def test_a_deleted_order_fails_its_target(tmp_path: Path) -> None:
    async with xsale(tmp_path) as (floor, sandbox):
        (order,) = await floor.orders()
        sandbox.xsale.panel.delete(order.id)
        target = await floor.reach(order.id, "accepted", "xs")
        assert target.status is TargetStatus.FAILED
        assert target.problem is not None
        assert target.problem.type == "order-not-found"


# -- tokens ------------------------------------------------------------------------------------------------------------


async def test_tokens_that_end_before_their_time_are_renewed_once_for_all_calls(tmp_path: Path) -> None:
    async with xsale(tmp_path, orders=12) as (floor, sandbox):
        sandbox.xsale.panel.expire_tokens()
        targets = [await floor.submit(order, "delivered", "xs") for order in sandbox.xsale.order_ids()]
        for target in targets:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert len(sandbox.ledger.calls(step="login")) == 2
        assert_nothing_twice_or_out_of_turn(sandbox)


async def test_refused_credentials_pause_the_shop_with_one_alarm(tmp_path: Path) -> None:
    async with xsale(tmp_path, orders=8) as (floor, sandbox):
        sandbox.xsale.panel.change_token("another password")
        for order in sandbox.xsale.order_ids():
            await floor.submit(order, "shipped", "xs")
        (alarm,) = await floor.event("shop.access_denied")
        assert "Wrong email or password." in alarm.data["detail"]
        assert "sandbox-password-1" not in alarm.data["detail"]
        assert set_to(sandbox) == []
        assert len(await floor.events("shop.access_denied")) == 1
        assert len(sandbox.ledger.calls(step="login")) == 2, "one refused login, however many orders there are"


async def test_a_restart_logs_in_no_second_time_and_leaves_no_token_readable(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=2))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, platform="xsale")
        for _ in range(3):
            async with working_on(sandbox, config, tmp_path) as floor:
                await floor.commands.sync("xs", 30)
        assert len(sandbox.ledger.calls(step="login")) == 1
        if engine_in_use() != "sqlite":
            return
        kept = tmp_path / "xsale-xs.tokens"
        assert kept.stat().st_mode & 0o777 == 0o600
        assert "sandbox-password-1" not in kept.read_text()


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_restart_while_a_call_is_out_sets_nothing_twice(tmp_path: Path, moment: Moment) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, platform="xsale")
        (order,) = sandbox.xsale.order_ids()
        held_call = sandbox.faults.hold(step="change_status", moment=moment)
        async with working_on(sandbox, config, tmp_path) as floor:
            target = await floor.submit(order, "W trakcie realizacji", "xs")
            await held_call.arrived()
            await floor.supervisor.drain(0)
        held_call.release()
        async with working_on(sandbox, config, tmp_path) as floor:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert set_to(sandbox) == FLOW[1:3]
        assert_nothing_twice_or_out_of_turn(sandbox)
