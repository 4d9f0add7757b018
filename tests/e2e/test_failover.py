"""The daemon through a failover of its database that loses the newest commits: no call is repeated, and everything that
the ERP submits again arrives."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.support.erp import Erp, did_nothing_twice
from tests.support.pair import Pair, pairs
from tests.support.process import DaemonProcess, Unreachable, daemon_process

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


@pytest.mark.parametrize("who", ["the same", "restarted", "another"])
async def test_a_failover_that_loses_commits_repeats_no_call(
    tmp_path: Path, pairs: Callable[..., Pair], who: str
) -> None:
    """Whoever goes on: the daemon that misses its commits, the next one, or another that knew nothing of them."""
    pair, sandbox = pairs(), Sandbox(SandboxSettings(orders=24, latency_ms=20))
    (tmp_path / "other").mkdir()
    async with (
        sandbox.running(),
        daemon_process(tmp_path) as first,
        daemon_process(tmp_path / "other") as other,
    ):
        for daemon in (first, other):
            daemon.storage = {"url": pair.through(), "lease_seconds": 1}
            erp = CarefulErp(first, daemon.configure(sandbox), sandbox.selldone.order_ids())
        first.start()
        await first.ready()
        if who == "another":
            other.start()
            await other.ready()
        feed = await _feed(first)

        def effects() -> int:
            return sum(len(sandbox.ledger.effects(order)) for order in erp.targets)

        async def trouble() -> None:
            while effects() < 20:  # noqa: ASYNC110 - the sandbox counts them
                await anyio.sleep(0.01)
            await anyio.to_thread.run_sync(pair.lag)
            done = effects()
            while effects() < done + 20:  # noqa: ASYNC110
                await anyio.sleep(0.01)
            if who != "the same":
                first.kill()
            if who == "another":
                erp.daemon = other
            await anyio.to_thread.run_sync(pair.fail_over)

        with anyio.fail_after(240):
            async with anyio.create_task_group() as group:
                group.start_soon(trouble)
                await _driven(erp)
            await _driven(erp)
        did_nothing_twice(sandbox, list(erp.targets))
        assert (first.starts, other.starts) == {"the same": (1, 0), "restarted": (2, 0), "another": (1, 1)}[who]
        assert await _feed(erp.daemon) != feed
        status, answer = await erp.daemon.call("GET", f"/v1/events?after=1&feed={feed}")
        assert (status, answer["type"]) == (409, "cursor-ahead")
        await erp.daemon.logged("store.failed_over")


async def _driven(erp: CarefulErp) -> None:
    """Until everything is reached, at whichever daemon the ERP speaks to by then."""
    while True:
        daemon = erp.daemon
        if not daemon.is_running:
            daemon.start()
        with suppress(Unreachable):
            await daemon.ready()
            await erp.submit_all()
            if await erp.all_reached():
                return
