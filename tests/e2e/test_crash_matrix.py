"""kill -9 at every named point, and at random under load: everything accepted is finished, nothing is sent twice."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.checkpoints import POINTS
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.support.process import DaemonProcess, Unreachable, daemon_process

pytestmark = [pytest.mark.e2e, pytest.mark.crash]

WALK = ["confirm", "prepare", "set_tracking", "send", "deliver"]

#: what the state of the outside must be for a point to be passed at all
WEBHOOK_POINTS = {point for point in POINTS if "webhook" in point or "delivery" in point}
TOKEN_POINTS = {point for point in POINTS if "token" in point}


class Erp:
    """Submits each order's target until it is accepted, as an ERP does: with the same key, over and over."""

    def __init__(self, daemon: DaemonProcess, shop: str, orders: list[str]) -> None:
        self.daemon, self.shop = daemon, shop
        self.targets: dict[str, str | None] = dict.fromkeys(orders)

    async def submit_all(self) -> None:
        for order, target in self.targets.items():
            if target is None:
                self.targets[order] = await self._submit(order)

    async def _submit(self, order: str) -> str | None:
        body = {"state": "delivered", "tracking": {"code": f"T{order}"}}
        path = f"/v1/shops/{self.shop}/orders/{order}/targets"
        status, answer = await self.daemon.call("POST", path, body, {"Idempotency-Key": f"key-{order}"})
        assert status in (202, 503), answer
        return str(answer["id"]) if status == 202 else None

    async def all_reached(self) -> bool:
        if None in self.targets.values():
            return False
        for target in self.targets.values():
            _, answer = await self.daemon.call("GET", f"/v1/targets/{target}?wait=5")
            assert answer["status"] not in ("failed", "blocked", "cancelled"), answer
            if answer["status"] != "reached":
                return False
        return True


async def _drive(daemon: DaemonProcess, erp: Erp) -> None:
    """Keeps the daemon alive and the ERP asking until everything is reached."""
    while True:
        if not daemon.is_running:
            daemon.start()
        try:
            await daemon.ready()
            await erp.submit_all()
            if await erp.all_reached():
                return
        except Unreachable:
            continue


async def _reported_once(daemon: DaemonProcess, erp: Erp) -> None:
    """The feed has each target once, and each step of each order done once, in sequence."""
    after, events = 0, []
    while True:
        _, page = await daemon.call("GET", f"/v1/events?after={after}&limit=1000")
        if not page["events"]:
            break
        events += page["events"]
        after = page["next"]
    reached = [event["target"] for event in events if event["type"] == "target.reached"]
    assert sorted(reached) == sorted(str(target) for target in erp.targets.values())
    for order in erp.targets:
        done = [e["data"]["step"] for e in events if e["type"] == "step.done" and e["order"] == order]
        assert done == WALK


def _did_nothing_twice(sandbox: Sandbox, orders: list[str]) -> None:
    for order in orders:
        assert sandbox.ledger.effects(order) == WALK
    assert sandbox.ledger.repeats_after_effect() == []
    assert sandbox.ledger.out_of_sequence() == []


async def _run(folder: Path, crash: str | None, sandbox: Sandbox, **changes: Any) -> DaemonProcess:
    async with sandbox.running(), daemon_process(folder) as daemon:
        erp = Erp(daemon, daemon.configure(sandbox, **changes), sandbox.selldone.order_ids())
        daemon.start(crash)
        with anyio.fail_after(90):
            await _drive(daemon, erp)
        await _reported_once(daemon, erp)
        _did_nothing_twice(sandbox, list(erp.targets))
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

        with anyio.fail_after(100):
            async with anyio.create_task_group() as group:
                group.start_soon(kill_now_and_then)
                await _drive(daemon, erp)
        if not daemon.is_running:
            daemon.start()
        await daemon.ready()
        await _reported_once(daemon, erp)
        _did_nothing_twice(sandbox, list(erp.targets))


async def test_an_order_whose_step_kills_the_daemon_again_and_again_is_quarantined(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox)
        (order,) = sandbox.selldone.order_ids()
        daemon.start("after_intent:1")
        await daemon.ready()
        with pytest.raises(Unreachable):
            await daemon.call("POST", f"/v1/shops/{shop}/orders/{order}/targets?wait=15", {"state": "accepted"})
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
        _, answer = await daemon.call("GET", f"/v1/targets/{target}?wait=15")
        assert answer["status"] == "reached"
