"""The daemon through a failover of its database that loses the newest commits: no call is repeated, and everything that
the ERP submits again arrives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.e2e.test_crash_matrix import Erp, _did_nothing_twice, _drive
from tests.support.pair import Pair, pairs
from tests.support.process import DaemonProcess, daemon_process

__all__ = ["pairs"]
pytestmark = [pytest.mark.e2e, pytest.mark.crash]


class CarefulErp(Erp):
    """An ERP that looks after what was accepted, and submits again what is gone."""

    async def all_reached(self) -> bool:
        for order, target in self.targets.items():
            status, _ = await self.daemon.call("GET", f"/v1/targets/{target}")
            if status == 404:
                self.targets[order] = None
        return await super().all_reached()


async def _feed(daemon: DaemonProcess) -> Any:
    return (await daemon.call("GET", "/v1/events?limit=1"))[1]["feed"]


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_a_failover_that_loses_commits_repeats_no_call(
    tmp_path: Path, pairs: Callable[..., Pair], is_restarted: bool
) -> None:
    pair, sandbox = pairs(), Sandbox(SandboxSettings(orders=24, latency_ms=20))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        daemon.storage = {"url": pair.through(), "lease_seconds": 1}
        erp = CarefulErp(daemon, daemon.configure(sandbox), sandbox.selldone.order_ids())
        daemon.start()
        await daemon.ready()
        feed = await _feed(daemon)

        async def trouble() -> None:
            while sum(len(sandbox.ledger.effects(order)) for order in erp.targets) < 20:  # noqa: ASYNC110 - the sandbox
                await anyio.sleep(0.01)
            await anyio.to_thread.run_sync(pair.lag)
            done = sum(len(sandbox.ledger.effects(order)) for order in erp.targets)
            while sum(len(sandbox.ledger.effects(order)) for order in erp.targets) < done + 20:  # noqa: ASYNC110
                await anyio.sleep(0.01)
            if is_restarted:
                daemon.kill()
            await anyio.to_thread.run_sync(pair.fail_over)

        async with anyio.create_task_group() as group:
            group.start_soon(trouble)
            with anyio.fail_after(120):
                await _drive(daemon, erp)
        with anyio.fail_after(60):
            await _drive(daemon, erp)
        _did_nothing_twice(sandbox, list(erp.targets))
        assert daemon.starts == 1 + is_restarted, daemon.errors.read_text()[-3000:]
        assert await _feed(daemon) != feed
        status, answer = await daemon.call("GET", f"/v1/events?after=1&feed={feed}")
        assert (status, answer["type"]) == (409, "cursor-ahead")
        assert "store.failed_over" in daemon.errors.read_text()
