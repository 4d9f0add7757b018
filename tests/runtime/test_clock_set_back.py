"""The clock was ahead and is set right: what was stored then neither keeps orders waiting nor hides changes of them."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from orchestrator import registry
from orchestrator.clock import Chance
from orchestrator.intake.inbox import Inbox
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.engines import open_store
from storage.products import list_products
from storage.records import Circuit, ShopWaitReason, Situation, TargetStatus
from storage.shops import save_admission
from storage.webhooks import Arrival, add_webhook, postpone_webhook
from tests.push.erp import dispatching, running_erp, settings
from tests.support.engines import store_url
from tests.support.shopfloor import SHOP, config_of, shopfloor, working_on
from tests.support.watch import DAY_MS, HOUR_MS, Watch

SLOW = {"retry": {"attempts": 8, "base_seconds": 200, "max_seconds": 300}}
NEVER_POLLS = {"poll": {"enabled": False}}

pytestmark = pytest.mark.parametrize("ahead_ms", [HOUR_MS, DAY_MS])
PLATFORMS = pytest.mark.parametrize("platform", list(registry.PLATFORMS))


async def test_a_backoff_ends_at_once_after_a_start(tmp_path: Path, ahead_ms: int) -> None:
    watch, sandbox = Watch(ahead_ms), Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, SLOW)
        async with working_on(sandbox, config, tmp_path, clock=watch.clock) as floor:
            await floor.commands.sync(SHOP, 30)
            (order,) = await floor.orders()
            sandbox.faults.script("error_before", step="confirm")
            target = await floor.submit(order.id, "delivered")
            await floor.in_situation(order.id, Situation.RETRYING)
        watch.ahead_ms = 0
        async with working_on(sandbox, config, tmp_path, clock=watch.clock) as floor:
            with anyio.fail_after(60):
                assert (await floor.finished(target)).status is TargetStatus.REACHED


async def test_a_backoff_ends_while_the_daemon_runs(tmp_path: Path, ahead_ms: int) -> None:
    watch, sandbox = Watch(ahead_ms), Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, SLOW, clock=watch.clock) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script("error_before", step="confirm")
        target = await floor.submit(order.id, "accepted")
        await floor.in_situation(order.id, Situation.RETRYING)
        watch.ahead_ms = 0
        worker = floor.supervisor.worker(SHOP)
        assert worker is not None
        worker.wake()  # as it wakes by itself now and then
        with anyio.fail_after(60):
            assert (await floor.finished(target)).status is TargetStatus.REACHED


async def test_a_backoff_that_has_not_passed_is_still_waited_out(tmp_path: Path, ahead_ms: int) -> None:
    watch, sandbox = Watch(ahead_ms), Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, SLOW, clock=watch.clock) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script("error_before", step="confirm")
        await floor.submit(order.id, "accepted")
        found = await floor.in_situation(order.id, Situation.RETRYING)
        worker = floor.supervisor.worker(SHOP)
        assert worker is not None
        worker.wake()
        await floor.commands.sync(SHOP, 30)
        assert (await floor.order(order.id)).next_attempt_at == found.next_attempt_at
        assert len(sandbox.ledger.calls(order.id, "confirm")) == 1


@PLATFORMS
async def test_a_refresh_answers_what_the_platform_shows_now(tmp_path: Path, platform: str, ahead_ms: int) -> None:
    watch, sandbox = Watch(ahead_ms), Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, NEVER_POLLS, platform=platform, clock=watch.clock) as floor:
        shop = next(iter(floor.supervisor.shops()))
        (order,) = await floor.orders()
        watch.ahead_ms = 0
        panel_of(sandbox, platform).cancel(order.id)
        assert (await floor.commands.refresh(shop, order.id)).milestone == "cancelled"


@PLATFORMS
async def test_a_poll_finds_what_was_cancelled_after_our_step(tmp_path: Path, platform: str, ahead_ms: int) -> None:
    watch, sandbox = Watch(ahead_ms), Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, platform=platform, clock=watch.clock) as floor:
        shop = next(iter(floor.supervisor.shops()))
        (order,) = await floor.orders()
        await floor.reach(order.id, "accepted", shop)
        watch.ahead_ms = 0
        panel_of(sandbox, platform).cancel(order.id)
        await floor.commands.sync(shop, 30)
        found = await floor.order(order.id, shop)
        assert found.milestone == "cancelled"
        assert found.moved_at <= watch.clock.now_ms()


async def test_a_target_reads_the_order_first_when_nobody_knows_how_old_the_last_look_is(
    tmp_path: Path, ahead_ms: int
) -> None:
    watch, sandbox = Watch(ahead_ms), Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, NEVER_POLLS, clock=watch.clock) as floor:
        (order,) = await floor.orders()
        watch.ahead_ms = 0
        sandbox.selldone.panel.cancel(order.id)
        target = await floor.reach(order.id, "shipped")
        assert target.status is TargetStatus.FAILED
        assert sandbox.ledger.calls(order.id, "confirm") == []


@pytest.mark.parametrize("reason", ["retry_after", "circuit"])
async def test_an_admission_that_a_clock_ahead_closed_is_open_after_a_start(
    tmp_path: Path, reason: ShopWaitReason, ahead_ms: int
) -> None:
    watch, sandbox = Watch(), Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path)
        async with working_on(sandbox, config, tmp_path, clock=watch.clock):
            pass
        until = watch.clock.now_ms() + 60_000 + ahead_ms
        circuit: Circuit = "open" if reason == "circuit" else "closed"
        async with open_store(store_url(tmp_path), 1) as store:
            await store.write(lambda tx: save_admission(tx, SHOP, circuit, reason, until, "wait"))
        async with working_on(sandbox, config, tmp_path, clock=watch.clock) as floor:
            with anyio.fail_after(60):
                assert await floor.commands.sync(SHOP, 15) is not None
            (order,) = await floor.orders()
            assert (await floor.reach(order.id, "accepted")).status is TargetStatus.REACHED


async def test_a_webhook_that_was_put_off_is_worked_off(tmp_path: Path, ahead_ms: int) -> None:
    watch, sandbox = Watch(), Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, NEVER_POLLS, clock=watch.clock) as floor:
        body = b'{"id": 5, "title": "Mug", "updated_at": "2026-01-01T00:00:00Z"}'
        arrival = Arrival(SHOP, "shopify", "products/create", "w", None, None, body)
        await floor.store.write(lambda tx: add_webhook(tx, arrival, watch.clock.now_ms() + ahead_ms))
        await floor.store.write(
            lambda tx: postpone_webhook(tx, 1, watch.clock.now_ms() + ahead_ms + 1000, is_failure=True)
        )
        async with anyio.create_task_group() as group:
            group.start_soon(Inbox(floor.store, floor.supervisor.worker, watch.clock, Chance()).run)
            with anyio.fail_after(60):
                await floor.event("product.created")
            group.cancel_scope.cancel()
        assert len(await floor.store.read(lambda tx: list_products(tx, 0, 9))) == 1


async def test_a_delivery_that_was_parked_goes_out(tmp_path: Path, ahead_ms: int) -> None:
    async with running_erp() as erp:
        erp.judge = lambda delivered: 503 if delivered.body["order"] == "1" else 204
        async with dispatching(tmp_path, settings(erp, max_wait_seconds=600), first_wait_seconds=600) as it:
            await it.publish("1", "2")
            while not await it.store.read(lambda tx: tx.query("SELECT 1 FROM parked")):  # noqa: ASYNC110
                await anyio.sleep(0.01)  # nothing signals that an event was put aside
        erp.judge = lambda _: 204
        async with open_store(store_url(tmp_path), 1) as store:
            put_off = "UPDATE parked SET due_at = due_at + ?"
            assert await store.write(lambda tx: tx.execute(put_off, (ahead_ms,))) == 1
        async with dispatching(tmp_path, settings(erp, max_wait_seconds=600)):
            with anyio.fail_after(60):
                await erp.until(lambda erp: {each.body["order"] for each in erp.taken} == {"1", "2"})


def panel_of(sandbox: Sandbox, platform: str):  # type: ignore[no-untyped-def] # each platform has its own
    return getattr(sandbox, platform).panel
