"""kill -9 at every named point, and at random under load: everything accepted is finished, nothing is sent twice."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.checkpoints import POINTS
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.support.erp import Erp, did_nothing_twice, drive, reported_once
from tests.support.process import DaemonProcess, Unreachable, daemon_process

pytestmark = [pytest.mark.e2e, pytest.mark.crash]

#: what the state of the outside must be for a point to be passed at all
WEBHOOK_POINTS = {point for point in POINTS if "webhook" in point or "delivery" in point}
TOKEN_POINTS = {point for point in POINTS if "token" in point}


async def _run(folder: Path, crash: str | None, sandbox: Sandbox, **changes: Any) -> DaemonProcess:
    async with sandbox.running(), daemon_process(folder) as daemon:
        erp = Erp(daemon, daemon.configure(sandbox, **changes), sandbox.selldone.order_ids())
        daemon.start(crash)
        with anyio.fail_after(200):
            await drive(daemon, erp)
        await reported_once(daemon, erp)
        did_nothing_twice(sandbox, list(erp.targets))
        assert await daemon.terminate() == 0
        return daemon


@pytest.mark.parametrize("count", [1, 9])
@pytest.mark.parametrize(
    "point",
    sorted(set(POINTS) - {"after_read", "after_import", "after_sync"} - WEBHOOK_POINTS - TOKEN_POINTS),
)
async def test_a_kill_at_a_point_of_driving_loses_and_repeats_nothing(tmp_path: Path, point: str, count: int) -> None:
    daemon = await _run(tmp_path, f"{point}:{count}", Sandbox(SandboxSettings(orders=12)))
    assert daemon.starts == 2, "the point was passed"


@pytest.mark.parametrize("point", ["after_import", "after_sync"])
async def test_a_kill_while_orders_come_in_loses_and_repeats_nothing(tmp_path: Path, point: str) -> None:
    daemon = await _run(tmp_path, f"{point}:1", Sandbox(SandboxSettings(orders=12)))
    assert daemon.starts == 2


@pytest.mark.parametrize("count", [1, 5])
async def test_a_kill_after_a_read_loses_and_repeats_nothing(tmp_path: Path, count: int) -> None:
    daemon = await _run(tmp_path, f"after_read:{count}", Sandbox(SandboxSettings(orders=12)), fresh_seconds=0)
    assert daemon.starts == 2


@pytest.mark.parametrize(("seed", "faults"), [(1, {}), (2, {}), (3, {"mixed": 0.25})])
async def test_kills_at_random_under_load_lose_and_repeat_nothing(
    tmp_path: Path, seed: int, faults: dict[str, float]
) -> None:
    rng = random.Random(seed)
    sandbox = Sandbox(SandboxSettings(orders=40, seed=seed, latency_ms=5))
    kills = 5
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        erp = Erp(daemon, daemon.configure(sandbox), sandbox.selldone.order_ids())
        sandbox.faults.set_rates(faults)
        daemon.start()

        async def kill_now_and_then() -> None:
            for _ in range(kills):
                await anyio.sleep(rng.uniform(0.3, 0.9))  # chance is the point: any moment must do
                if daemon.is_running:
                    daemon.kill()

        with anyio.fail_after(200):
            async with anyio.create_task_group() as group:
                group.start_soon(kill_now_and_then)
                await drive(daemon, erp)
        if not daemon.is_running:
            daemon.start()
        await daemon.ready()
        await reported_once(daemon, erp)
        did_nothing_twice(sandbox, list(erp.targets))


async def test_an_order_whose_step_kills_the_daemon_again_and_again_is_quarantined(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox)
        (order,) = sandbox.selldone.order_ids()
        daemon.start("after_intent:1")
        await daemon.ready()
        with pytest.raises(Unreachable):
            await daemon.call("POST", f"/v1/shops/{shop}/orders/{order}/targets?wait=50", {"state": "accepted"})
        for _ in range(4):
            await daemon.exited()
            daemon.start("after_intent:1")
        await daemon.exited()
        daemon.start()
        await daemon.ready()
        _, found = await daemon.call("GET", f"/v1/shops/{shop}/orders/{order}")
        assert (found["situation"], found["problem"]["type"]) == ("blocked", "quarantined")
        assert sandbox.ledger.effects(order) == []
        await daemon.call("POST", f"/v1/shops/{shop}/orders/{order}/retry")
        target = found["targets"][0]["id"]
        _, answer = await daemon.call("GET", f"/v1/targets/{target}?wait=50")
        assert answer["status"] == "reached"
