"""The crash matrix for every platform: whatever the machine, a kill at a point of driving repeats and loses nothing."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from orchestrator.registry import BUILT_IN, PLATFORMS
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.testing.stage import walk_of
from tests.support.process import DaemonProcess, Unreachable, daemon_process

pytestmark = [pytest.mark.e2e, pytest.mark.crash]

WALKS = sorted(name for name in PLATFORMS if name != "selldone")  # whose own matrix is larger


def _is_whole_walk(platform: str, effects: list[str]) -> bool:
    """Each step once, in sequence, or once for every place that its goods lie at."""
    walk = walk_of(platform)
    places = effects.count(walk.delivered[0]) if walk.is_by_place else 1
    return places > 0 and effects == [step for step in walk.delivered for _ in range(places)]


async def _submit(daemon: DaemonProcess, shop: str, order: str) -> str | None:
    """The target's id; None when the order's guard refuses (a CloudSuite order that nobody paid)."""
    body = {"state": "delivered", "tracking": {"code": f"T{order}"}}
    path = f"/v1/shops/{shop}/orders/{order}/targets"
    while True:
        status, answer = await daemon.call("POST", path, body, {"Idempotency-Key": f"key-{order}"})
        if status == 202:
            return str(answer["id"])
        if status == 409:
            assert answer["type"] == "not-allowed", answer
            return None
        assert status == 503, answer
        await anyio.sleep(0.05)  # the daemon said so: it cannot ask the platform just now


async def _drive(daemon: DaemonProcess, shop: str, orders: list[str]) -> list[str]:
    """Keeps the daemon alive and asks until every accepted target is reached; answers the accepted orders."""
    while True:
        if not daemon.is_running:
            daemon.start()
        try:
            await daemon.ready()
            targets = {order: await _submit(daemon, shop, order) for order in orders}
            for target in filter(None, targets.values()):
                answer = {"status": "running"}
                while answer["status"] in ("queued", "running"):
                    _, answer = await daemon.call("GET", f"/v1/targets/{target}?wait=5")
                assert answer["status"] == "reached", answer
            return [order for order, target in targets.items() if target is not None]
        except Unreachable:
            continue


@pytest.mark.parametrize("point", ["after_intent:4", "after_call:4", "after_outcome:4"])
@pytest.mark.parametrize("platform", WALKS)
async def test_a_kill_repeats_and_loses_nothing_on_any_platform(tmp_path: Path, platform: str, point: str) -> None:
    sandbox = Sandbox(SandboxSettings(orders=6))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox, platform)
        daemon.start(point)
        with anyio.fail_after(200):
            driven = await _drive(daemon, shop, sandbox.platforms[platform].order_ids())
        assert daemon.starts == 2, "the point was passed"
        assert driven
        for order in driven:
            assert _is_whole_walk(platform, sandbox.ledger.effects(order)), sandbox.ledger.effects(order)
        assert sandbox.ledger.repeats_after_effect() == []
        assert await daemon.terminate() == 0


@pytest.mark.parametrize("platform", WALKS)
async def test_with_a_fifth_of_all_calls_failing_a_kill_still_repeats_nothing(tmp_path: Path, platform: str) -> None:
    sandbox = Sandbox(SandboxSettings(orders=8))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox, platform)
        sandbox.faults.set_rates({"mixed": 0.2})
        daemon.start("after_call:9")
        with anyio.fail_after(200):
            driven = await _drive(daemon, shop, sandbox.platforms[platform].order_ids())
        for order in driven:
            assert _is_whole_walk(platform, sandbox.ledger.effects(order)), sandbox.ledger.effects(order)
        assert sandbox.ledger.repeats_after_effect() == []


@pytest.mark.parametrize("point", ["after_intent:4", "after_call:4", "after_outcome:4"])
async def test_a_kill_sends_no_despatch_twice_and_loses_none(tmp_path: Path, point: str) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    (order,) = sandbox.platforms["cloudsuite"].order_ids()
    lines = [str(line["id"]) for line in sandbox.cloudsuite.panel.order(order).lines]
    body = {
        "state": "delivered",
        "erp_order_number": "ERP-1",
        "erp_lines": [{"line": line, "erp_line_number": n} for n, line in enumerate(lines, start=1)],
        "despatch": [{"number": "SLIP-1", "final": True}],
    }
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox, "cloudsuite")
        daemon.start(point)  # the despatch is the fourth step
        with anyio.fail_after(200):
            await daemon.ready()
            status, target = await daemon.call("POST", f"/v1/shops/{shop}/orders/{order}/targets", body)
            assert status == 202, target
            assert await daemon.exited() != 0
            daemon.start()
            await daemon.ready()
            answer = target
            while answer["status"] in ("queued", "running"):
                _, answer = await daemon.call("GET", f"/v1/targets/{target['id']}?wait=5")
        assert answer["status"] == "reached", answer
        walk = ["process", "set_erp_number", "set_erp_lines", "send_despatch", "finish"]
        assert sandbox.ledger.effects(order) == walk
        assert list(sandbox.cloudsuite.shop.slips) == ["SLIP-1"]
        assert await daemon.terminate() == 0


@pytest.mark.parametrize("point", ["after_intent:2", "after_call:1", "after_call:2", "after_outcome:2"])
@pytest.mark.parametrize("platform", sorted(BUILT_IN))  # a plug-in's orders may show no lines
async def test_a_kill_sends_no_parcel_twice_and_loses_none(tmp_path: Path, platform: str, point: str) -> None:
    sandbox = Sandbox(SandboxSettings(orders=6))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox, platform)
        daemon.start(point)
        with anyio.fail_after(200):
            order, line = await _goods(daemon, shop, sandbox.platforms[platform].order_ids())
            parcels = [
                {"number": "B-1", "tracking": ["T1"], "lines": [{"id": line}]},
                {"number": "B-2", "tracking": ["T2"]},  # all that is left
            ]
            for parcel in parcels:
                await _tell(daemon, f"/v1/shops/{shop}/orders/{order}/targets", {"state": "shipped", "parcel": parcel})
            for parcel in parcels:  # an export that runs again, under other keys
                await _tell(daemon, f"/v1/shops/{shop}/orders/{order}/targets", {"state": "shipped", "parcel": parcel})
        assert daemon.starts == 2, "the point was passed"
        _, found = await daemon.call("GET", f"/v1/shops/{shop}/orders/{order}")
        assert [(each["number"], each["tracking"]) for each in found["parcels"]] == [("B-1", ["T1"]), ("B-2", ["T2"])]
        assert found["milestone"] in ("shipped", "delivered")
        effects = sandbox.ledger.effects(order)
        step = PLATFORMS[platform].machine({}).parcel_step
        assert step is None or effects.count(step) == 2, effects
        assert sandbox.ledger.repeats_after_effect() == []
        assert await daemon.terminate() == 0


async def _goods(daemon: DaemonProcess, shop: str, orders: list[str]) -> tuple[str, str]:
    """An order that may be shipped and has more than one line, and a line of it; any name will do where the platform
    shows no lines."""
    await daemon.ready()
    for order in orders:
        path = f"/v1/shops/{shop}/orders/{order}/targets?dry_run=true"
        status, plan = await daemon.call("POST", path, {"state": "shipped"})
        if status != 200 or not plan["plan"]:
            continue
        status, answer = await daemon.call(
            "POST", path, {"state": "shipped", "parcel": {"number": "?", "lines": ["?"]}}
        )
        if status == 200:
            return order, "?"
        first, *rest = answer["reason"].partition("it has ")[2].split(", ")
        if rest:
            return order, str(first)
    raise AssertionError(f"{shop} has no order of several lines that may be shipped")


async def _tell(daemon: DaemonProcess, path: str, body: dict[str, object]) -> None:
    """Submits until it is taken, through any number of deaths, and waits until it is reached."""
    while True:
        if not daemon.is_running:
            daemon.start()
        try:
            await daemon.ready()
            status, answer = await daemon.call("POST", f"{path}?wait=5", body)
            while status in (200, 202) and answer["status"] in ("queued", "running"):
                _, answer = await daemon.call("GET", f"/v1/targets/{answer['id']}?wait=5")
            if status in (200, 202):
                assert answer["status"] == "reached", answer
                return
            assert status == 503, answer
        except Unreachable:
            continue
