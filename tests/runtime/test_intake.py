"""What polls and reads bring in: orders, changes, drift, payloads that nobody can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.payloads import get_payload
from storage.records import Situation, TargetStatus
from storage.rejected import list_rejected
from tests.support.shopfloor import config_of, shopfloor, working_on


async def test_the_first_poll_imports_every_order_once(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=23))
    async with shopfloor(sandbox, tmp_path, {"poll": {"interval_seconds": 3600, "page_size": 5}}) as floor:
        await floor.commands.sync("acme", 30)
        assert len(await floor.orders()) == 23
        assert len(await floor.events("order.imported")) == 23


async def test_the_payload_is_kept_as_the_platform_sent_it(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        payload = await floor.store.read(lambda tx: get_payload(tx, "acme", order.id))
        assert payload is not None
        assert payload.startswith(b"{")
        assert f'"id": {order.id}'.encode() in payload or f'"id":{order.id}'.encode() in payload


async def test_a_restart_goes_on_from_the_position_and_imports_nothing_twice(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=5))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path)
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync("acme", 30)
        added = sandbox.selldone.panel.add()
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync("acme", 30)
            assert len(await floor.events("order.imported")) == 6
            assert (await floor.order(added)).state == "CheckQueue"


async def test_a_person_who_moves_the_order_in_the_panel_is_drift(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.selldone.panel.move(order.id, "PreparingOrder")
        report = await floor.commands.sync("acme", 30)
        assert report is not None
        assert report.drifted == 1
        (drift,) = await floor.events("order.drifted")
        assert drift.data == {"from": "CheckQueue", "to": "PreparingOrder", "milestone": "preparing"}
        target = await floor.reach(order.id, "shipped")
        assert [entry.step for entry in target.plan] == ["send"]


async def test_our_own_steps_are_no_drift_and_no_update(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=3))
    async with shopfloor(sandbox, tmp_path) as floor:
        for order in await floor.orders():
            await floor.reach(order.id, "delivered", tracking={"code": "A"})
        await floor.commands.sync("acme", 30)
        assert await floor.events("order.drifted", "order.updated") == []


async def test_an_edit_by_a_person_is_reported(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=2))
    async with shopfloor(sandbox, tmp_path) as floor:
        order = (await floor.orders())[0]
        sandbox.selldone.panel.edit(order.id, "Somebody Else")
        await floor.commands.sync("acme", 30)
        (updated,) = await floor.events("order.updated")
        assert updated.order == order.id
        payload = await floor.store.read(lambda tx: get_payload(tx, "acme", order.id))
        assert payload is not None
        assert b"Somebody Else" in payload


async def test_a_cancellation_in_the_panel_fails_what_is_queued(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.commands.hold("acme", order.id, None)
        target = await floor.submit(order.id, "shipped")
        sandbox.selldone.panel.cancel(order.id)
        await floor.commands.sync("acme", 30)
        await floor.commands.release("acme", order.id)
        assert (await floor.finished(target)).status is TargetStatus.FAILED
        assert (await floor.order(order.id)).milestone == "cancelled"


async def test_a_payload_that_nobody_can_read_is_set_aside_and_stops_nothing(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=3))
    async with sandbox.running():
        sandbox.selldone.panel.add_garbage()
        sandbox.selldone.panel.add()
        async with working_on(sandbox, config_of(sandbox, tmp_path), tmp_path) as floor:
            await floor.commands.sync("acme", 30)
            await floor.commands.sync("acme", 30)
            assert len(await floor.orders()) == 4
            assert len(await floor.events("import.rejected")) == 1, "the same bytes are reported once"
            (rejected,) = await floor.store.read(lambda tx: list_rejected(tx, 0, 10))
            assert rejected.payload.startswith(b"{")
            with pytest.raises(Refused):
                await floor.commands.retry_rejected(rejected.id)


async def test_an_unknown_state_is_kept_and_blocks_for_a_person_until_it_is_known_again(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.selldone.panel.move(order.id, "Teleported")
        await floor.commands.sync("acme", 30)
        blocked = await floor.order(order.id)
        assert (blocked.state, blocked.situation, blocked.milestone) == ("Teleported", Situation.BLOCKED, None)
        assert blocked.problem is not None
        assert blocked.problem.type == "unknown-state"
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "shipped")
        assert refused.value.slug == "unreachable"
        sandbox.selldone.panel.move(order.id, "PreparingOrder")
        await floor.commands.retry("acme", order.id)
        known = await floor.order(order.id)
        assert (known.situation, known.problem) == (Situation.IDLE, None)


async def test_a_list_that_is_older_than_our_own_step_is_not_believed(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        import anyio

        (order,) = await floor.orders()
        sandbox.selldone.panel.edit(order.id, "Somebody Else")
        held_call = sandbox.faults.hold(step="list", moment="after")
        async with anyio.create_task_group() as group:
            group.start_soon(floor.commands.sync, "acme", 30)
            await held_call.arrived()
            await floor.reach(order.id, "shipped")
            held_call.release()
        assert (await floor.order(order.id)).state == "SentOrder"
        assert await floor.events("order.drifted") == []


async def test_a_sync_that_fails_is_reported_once_and_the_next_good_one_too(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        sandbox.faults.script("error_before", step="list", times=2)
        for _ in range(2):
            with pytest.raises(Refused):
                await floor.commands.sync("acme", 30)
        assert len(await floor.events("sync.failed")) == 1
        before = len(await floor.events("sync.completed"))
        await floor.commands.sync("acme", 30)
        assert len(await floor.events("sync.completed")) == before + 1


async def test_a_shop_added_by_a_reload_starts_and_a_removed_one_stops(tmp_path: Path) -> None:
    import dataclasses

    sandbox = Sandbox(SandboxSettings(orders=2, shops=2))
    async with sandbox.running():
        both = config_of(sandbox, tmp_path)
        names = sorted(both.shops)
        one = dataclasses.replace(both, shops={names[0]: both.shops[names[0]]})
        async with working_on(sandbox, one, tmp_path) as floor:
            assert list(floor.supervisor.shops()) == names[:1]
            await floor.supervisor.reload(both)
            assert (await floor.commands.sync(names[1], 30)) is not None
            await floor.supervisor.reload(one)
            with pytest.raises(Refused) as refused:
                await floor.commands.sync(names[1], 30)
            assert refused.value.slug == "shop-not-found"


async def test_a_first_import_gets_through_although_every_third_page_fails(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=40))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, {"poll": {"interval_seconds": 3600, "page_size": 5}})
        sandbox.faults.set_rates({"error_before": 0.34})
        async with working_on(sandbox, config, tmp_path) as floor:
            for _ in range(12):  # from the start each time, thirteen pages in a row would never all succeed
                try:
                    await floor.commands.sync("acme", 30)
                except Refused:
                    continue
                break
            assert len(await floor.orders()) == 40
            assert len(await floor.events("order.imported")) == 40
