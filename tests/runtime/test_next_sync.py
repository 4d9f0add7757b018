"""When a shop is polled next can be seen: a sync that failed is no trouble while another one comes."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import cast

import anyio
import pytest

from orchestrator.clock import Chance, Clock, rfc3339
from orchestrator.operations.views.shops import shop_view
from orchestrator.runtime import sync_schedule
from orchestrator.runtime.reports import SyncReport
from orchestrator.runtime.sync import ShopSync
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.shops import get_shop
from tests.support.shopfloor import Shopfloor, config_of, shopfloor, working_on

NOW = 1_700_000_000_000


class Empty:
    """A sync that finds nothing."""

    made_progress = False

    async def run_once(self, *, is_asked_for: bool, rereads_all: bool) -> SyncReport:
        return SyncReport()


class Drawing(random.Random):
    """Chance that is none."""

    def __init__(self, drawn: float) -> None:
        super().__init__()
        self._drawn = drawn

    def random(self) -> float:
        return self._drawn


def next_sync(floor: Shopfloor) -> int | None:
    return floor.supervisor.shops()["acme"].next_sync_at


async def test_the_next_sync_is_shown_once_one_has_ended(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, {"poll": {"interval_seconds": 3600}}) as floor:
        first = next_sync(floor)
        assert first is not None
        now = Clock().now_ms()
        assert now < first <= now + 3_600_000
        await floor.commands.sync("acme", 30)
        again = next_sync(floor)
        assert again is not None
        assert again > now + 3_000_000, "counted from the end of the sync, less what parts the shops"
        shown = shop_view(floor.supervisor.shops()["acme"], None, now)["next_sync_at"]
        assert shown is not None
        assert shown.endswith("Z")


@pytest.mark.parametrize("drawn", [0.0, 0.25, 0.75])
async def test_shops_that_were_synced_in_step_part(drawn: float) -> None:
    clock = Clock(now_ms=lambda: NOW)
    sync = cast("ShopSync", Empty())
    schedule = sync_schedule.SyncSchedule("acme", sync, clock, Chance(Drawing(drawn)))
    async with anyio.create_task_group() as group:
        group.start_soon(schedule.run, 3600.0)
        await schedule.ask()
        await anyio.wait_all_tasks_blocked()
        assert schedule.next_at == NOW + 3_600_000 - int(360_000 * drawn), "a tenth sooner at most, never later"
        group.cancel_scope.cancel()


async def test_a_sync_that_failed_is_made_again_before_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_schedule, "_FIRST_REST_SECONDS", 0.01)
    sandbox = Sandbox(SandboxSettings(orders=1))
    sandbox.faults.script("error_before", step="list", times=2)
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, {"poll": {"interval_seconds": 3600}})
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.event("sync.completed")
            assert len(await floor.events("sync.failed")) == 1


async def test_without_polls_there_is_no_next_one(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, {"poll": {"enabled": False}})
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync("acme", 30)
            assert next_sync(floor) is None


async def test_a_next_sync_that_another_node_announced_is_not_shown_once_it_has_ended(tmp_path: Path) -> None:
    """The row is as of now, and what the shop's node said as of its last heartbeat."""
    async with shopfloor(Sandbox(SandboxSettings(orders=1)), tmp_path) as floor:
        await floor.commands.sync("acme", 30)
        row = await floor.store.read(lambda tx: get_shop(tx, "acme"))
        assert row is not None
        assert row.last_sync_at is not None
        facts = replace(floor.supervisor.shops()["acme"], as_of=row.last_sync_at - 3000)
        late = replace(facts, next_sync_at=row.last_sync_at - 2000)
        assert shop_view(late, row, NOW)["next_sync_at"] is None
        due = replace(facts, next_sync_at=row.last_sync_at + 2000)
        assert shop_view(due, row, NOW)["next_sync_at"] == rfc3339(row.last_sync_at + 2000)
        assert shop_view(due, row, NOW)["as_of"] == rfc3339(row.last_sync_at - 3000)
