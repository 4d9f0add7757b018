"""What happens when reads, calls and people interfere with each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import anyio
import pytest

from orchestrator.clock import Clock
from orchestrator.runtime.reading import read_begins
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from statemachines.target import TargetRequest
from storage.changes import Change
from storage.leases import acquire
from storage.orders import LostUpdate
from storage.records import Situation, TargetStatus
from storage.transaction import Transaction
from tests.support.shopfloor import shopfloor

pytestmark = pytest.mark.engines("sqlite", "postgresql")

T = TypeVar("T")

REFUSAL = b'{"message": "The given data was invalid.", "errors": {"list": ["No."]}}'


async def test_an_older_observation_never_overwrites_a_newer_one(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        old = sandbox.faults.hold(step="read", moment="after")
        async with anyio.create_task_group() as group:
            group.start_soon(floor.commands.refresh, "acme", order.id)
            await old.arrived()
            sandbox.selldone.panel.move(order.id, "OrderConfirm")
            await floor.commands.refresh("acme", order.id)
            old.release()
        assert (await floor.order(order.id)).state == "OrderConfirm"
        assert len(await floor.events("order.drifted")) == 1


async def test_a_refresh_within_the_millisecond_of_the_last_read_still_shows_what_is_there_now(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    clock = Clock(now_ms=lambda: 1_796_000_000_000 + len(sandbox.ledger.calls(step="read")))  # moved on by reads alone
    async with shopfloor(sandbox, tmp_path, {"poll": {"enabled": False}}, clock=clock) as floor:
        (order,) = await floor.orders()
        sandbox.selldone.panel.move(order.id, "OrderConfirm")
        seen = await floor.commands.refresh("acme", order.id)
        assert seen.state == "OrderConfirm"


async def test_syncs_and_refreshes_within_one_tick_of_the_clock_show_what_is_there_now(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    clock = Clock(now_ms=lambda: Clock().now_ms() // 2 * 2)
    async with shopfloor(sandbox, tmp_path, clock=clock) as floor:
        (order,) = await floor.orders()
        for state in ("OrderConfirm", "PreparingOrder") * 8:
            sandbox.selldone.panel.move(order.id, state)
            await floor.commands.sync("acme", 30)
            assert (await floor.order(order.id)).state == state
            sandbox.selldone.panel.move(order.id, "CheckQueue")
            await floor.commands.refresh("acme", order.id)
            assert (await floor.order(order.id)).state == "CheckQueue"


@pytest.mark.parametrize(
    ("shown", "begins"),
    [([5, 6], 6), ([5, 5, 6], 6), ([5, 5, 5, 5], 5), ([5, 3, 3, 3], 3)],
    ids=["moves on", "late", "stands still", "is set back"],
)
async def test_a_read_begins_later_than_what_was_recorded_before(shown: list[int], begins: int) -> None:
    assert await read_begins(Clock(now_ms=iter(shown).__next__)) == begins


@pytest.mark.engines("postgresql")
async def test_an_order_that_another_node_changes_again_and_again_is_decided_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        worker = floor.supervisor.worker("acme")
        assert worker is not None
        write, lost = worker.store.write_fencing, [3]

        async def stale(_change: Change) -> bool:
            return False

        async def too_late(unit: Callable[[Transaction], T]) -> T:
            def changed_meanwhile(tx: Transaction) -> T:
                if lost[0]:
                    lost[0] -= 1
                    raise LostUpdate(f"order {order.id} was changed meanwhile")
                return unit(tx)

            return await write(changed_meanwhile)

        monkeypatch.setattr(worker.store, "change", stale)
        monkeypatch.setattr(worker.store, "write_fencing", too_late)
        target = await floor.reach(order.id, "accepted")
        assert target.status is TargetStatus.REACHED
        assert lost == [0]
        assert floor.supervisor.worker("acme") is worker, "it went on"
        assert sandbox.ledger.effects(order.id) == ["confirm"]


async def test_a_poll_sees_what_a_person_did_about_a_blocked_order(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script("drop_before", step="confirm", times=8)
        target = await floor.reach(order.id, "accepted")
        assert target.status is TargetStatus.BLOCKED
        sandbox.selldone.panel.move(order.id, "PreparingOrder")
        await floor.commands.sync("acme", 30)
        ended = await floor.finished(await floor.target(target.id))
        assert ended.status is TargetStatus.REACHED
        assert (await floor.order(order.id)).state == "PreparingOrder"


async def test_the_outcome_of_a_cancelled_target_does_not_block_the_next_one(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        held_call = sandbox.faults.hold(step="confirm", moment="before")
        sandbox.faults.script_answer(422, REFUSAL, step="confirm")
        await floor.submit(order.id, "accepted")
        await held_call.arrived()
        await floor.commands.cancel("acme", order.id)
        second = await floor.submit(order.id, "preparing")
        held_call.release()
        assert (await floor.finished(second)).status is TargetStatus.REACHED
        assert await floor.events("order.blocked") == []


async def test_an_unchanged_read_changes_neither_version_nor_time(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=3))
    async with shopfloor(sandbox, tmp_path) as floor:
        before = await floor.orders()
        await floor.commands.sync("acme", 30)
        for order in before:
            await floor.commands.refresh("acme", order.id)
        after = await floor.orders()
        assert [(o.version, o.updated_at) for o in after] == [(o.version, o.updated_at) for o in before]
        assert all(new.observed_at >= old.observed_at for new, old in zip(after, before, strict=True))


async def test_cancelling_a_target_behind_leaves_the_attempts_of_the_head_alone(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(
        sandbox, tmp_path, {"retry": {"attempts": 4, "base_seconds": 0.01, "max_seconds": 0.02}}
    ) as floor:
        (order,) = await floor.orders()
        sandbox.faults.set_rates({"error_before": 1.0})
        head = await floor.submit(order.id, "accepted")
        for number in range(1, 20):
            behind = await floor.submit(order.id, "preparing", tracking={"code": str(number)})
            await floor.commands.cancel_target(behind.id)
        assert (await floor.finished(head)).status is TargetStatus.BLOCKED


async def test_a_preview_replaces_what_the_target_would(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        held_call = sandbox.faults.hold(step="confirm")
        await floor.submit(order.id, "accepted")
        await held_call.arrived()
        queued = await floor.submit(order.id, "delivered")
        plan = await floor.commands.preview("acme", order.id, TargetRequest("preparing", replace=True))
        assert [step.step for step in plan.steps] == ["prepare"]
        assert (await floor.target(queued.id)).status is TargetStatus.QUEUED
        held_call.release()


async def test_a_held_order_that_the_platform_cancels_ends_its_targets(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.commands.hold("acme", order.id, None)
        target = await floor.submit(order.id, "shipped")
        sandbox.selldone.panel.cancel(order.id)
        await floor.commands.sync("acme", 30)
        assert (await floor.target(target.id)).status is TargetStatus.FAILED
        assert (await floor.order(order.id)).situation is Situation.HELD


@pytest.mark.parametrize("slots", [1, 8])
async def test_steps_of_a_slow_shop_go_on_while_its_orders_are_read(tmp_path: Path, slots: int) -> None:
    sandbox = Sandbox(SandboxSettings(orders=12))
    slow = {"limits": {"concurrency": slots, "rate_per_second": 60, "burst": 1}}
    async with shopfloor(sandbox, tmp_path, slow) as floor:
        orders = [order.id for order in await floor.orders()]
        targets = [await floor.submit(order, "accepted") for order in orders]

        async def look() -> None:
            while True:
                await floor.commands.refresh("acme", orders[0])

        async with anyio.create_task_group() as group:
            group.start_soon(look)
            with anyio.fail_after(60):
                for target in targets:
                    assert (await floor.finished(target)).status is TargetStatus.REACHED
            group.cancel_scope.cancel()


async def test_a_hold_between_a_durable_intent_and_its_call_lets_that_step_end_and_no_other_begin(
    tmp_path: Path,
) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=1)), tmp_path) as floor:
        (order,) = await floor.orders()
        with floor.checkpoints.hold("after_intent") as held:
            target = await floor.submit(order.id, "shipped")
            await held.reached()
            await floor.commands.hold("acme", order.id, "wait")
            assert (await floor.order(order.id)).intent is not None
            held.release()
            found = await floor.in_situation(order.id, Situation.HELD)
        found = await floor.until(order.id, lambda now: now.intent is None)
        assert (found.state, found.situation) == ("OrderConfirm", Situation.HELD)
        with floor.checkpoints.signal("after_outcome") as done:
            await floor.commands.release("acme", order.id)
            await done.reached()
            assert (await floor.order(order.id)).version > found.version
        assert (await floor.finished(target)).status.value == "reached"


async def test_an_order_that_changed_since_it_was_listed_is_decided_on_as_it_is(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=2))
    one_slot = {"limits": {"concurrency": 1, "rate_per_second": 10000, "burst": 10000, "window": {"calls": 0}}}
    async with shopfloor(sandbox, tmp_path, one_slot) as floor:
        first, second = [order.id for order in await floor.orders()]
        held_call = sandbox.faults.hold(step="confirm", moment="before")
        await floor.commands.pause("acme", None)
        for order in (first, second):
            await floor.submit(order, "accepted")
        await floor.commands.resume("acme")
        await held_call.arrived()
        await floor.commands.hold("acme", second, "look at it")
        held_call.release()
        await floor.until(first, lambda now: now.state == "OrderConfirm")
        await floor.in_situation(second, Situation.HELD)
        assert sandbox.ledger.effects(second) == []
        await floor.commands.release("acme", second)
        await floor.until(second, lambda now: now.state == "OrderConfirm")
        assert sandbox.ledger.effects(second) == ["confirm"]


async def test_a_step_is_committed_beside_what_people_do_and_neither_is_lost(tmp_path: Path) -> None:
    """The outcome is decided on the copy from before its call, the hold came in between: both count."""
    sandbox = Sandbox(SandboxSettings(orders=6))
    async with shopfloor(sandbox, tmp_path) as floor:
        orders = [order.id for order in await floor.orders()]
        held_calls = [sandbox.faults.hold(step="confirm", moment="after") for _ in orders]
        targets = [await floor.submit(order, "preparing") for order in orders]
        for held_call in held_calls:
            await held_call.arrived()
        for order in orders[::2]:
            await floor.commands.hold("acme", order, None)
        for held_call in held_calls:
            held_call.release()
        for order in orders[::2]:
            found = await floor.until(order, lambda now: now.intent is None)
            assert (found.state, found.situation) == ("OrderConfirm", Situation.HELD)
        for target in targets[1::2]:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert sandbox.ledger.repeats_after_effect() == []
        done = [(event.order, event.data["step"]) for event in await floor.events("step.done")]
        assert sorted(done) == sorted(
            [*((order, "confirm") for order in orders), *((order, "prepare") for order in orders[1::2])]
        )


async def test_a_lease_that_another_node_has_by_now_keeps_an_outcome_from_being_written(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        with floor.checkpoints.hold("after_call") as held:
            await floor.submit(order.id, "accepted")
            await held.reached()
            await floor.store.write(lambda tx: acquire(tx, "acme", "selldone", "another"))
            held.release()
        (done,) = await floor.event("step.done")
        assert done.data["how"] == "found_done", "by a read of the worker that came next"
        assert sandbox.ledger.effects(order.id) == ["confirm"]
