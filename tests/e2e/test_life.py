"""The daemon's life as a process: one at a time, standby, drain, reload, status file, bad config."""

from __future__ import annotations

import json
import signal
import stat
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.support.process import DaemonProcess, Unreachable, daemon_process

pytestmark = pytest.mark.e2e


async def _until(daemon: DaemonProcess, path: str, key: str, wanted: Any) -> dict[str, Any]:
    """Follows the feed until an answer has what is wanted."""
    cursor = 0
    with anyio.fail_after(120):
        while True:
            _, answer = await daemon.call("GET", path)
            if answer.get(key) == wanted:
                return dict(answer)
            _, page = await daemon.call("GET", f"/v1/events?after={cursor}&limit=1000&wait=1")
            cursor = page["next"]


def _rewrite(daemon: DaemonProcess, **changes: Any) -> None:
    path = daemon.folder / "config.json"
    config = json.loads(path.read_text())
    for shop in config["shops"].values():
        shop.update(changes)
    path.write_text(json.dumps(config))


async def test_a_second_daemon_on_the_same_store_exits_2_and_names_the_holder(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as first, daemon_process(tmp_path) as second:
        first.configure(sandbox)
        holder = first.start()
        await first.ready()
        second.errors = tmp_path / "second.txt"
        second.start()
        assert await second.exited() == 2
        reported = second.errors.read_text()
        assert str(holder.pid) in reported
        assert len(reported.splitlines()) == 1
        assert first.is_running


async def test_a_standby_takes_over_when_the_holder_is_killed(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as first, daemon_process(tmp_path) as second:
        shop = first.configure(sandbox)
        first.start()
        await first.ready()
        waiting = second.start(None, "--standby")
        first.kill()
        await second.ready()
        _, status = await second.call("GET", "/v1/status")
        assert status["daemon"]["pid"] == waiting.pid
        assert status["shops"][0]["name"] == shop
        assert await second.terminate() == 0


async def test_a_standby_that_is_stopped_exits_0(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as first, daemon_process(tmp_path) as second:
        first.configure(sandbox)
        first.start()
        await first.ready()
        second.errors = tmp_path / "second.txt"
        _rewrite_level(first)
        second.start(None, "--standby")
        await second.logged("daemon.standby")
        assert await second.terminate() == 0
        assert first.is_running


def _rewrite_level(daemon: DaemonProcess) -> None:
    path = daemon.folder / "config.json"
    config = json.loads(path.read_text())
    config["log"] = {"level": "info"}
    path.write_text(json.dumps(config))


async def test_a_drain_records_the_call_that_is_out_and_begins_no_other(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox)
        (order,) = sandbox.selldone.order_ids()
        daemon.start()
        await daemon.ready()
        await daemon.call("POST", f"/v1/shops/{shop}/sync?wait=50")  # else the target may be what imports the order
        held_call = sandbox.faults.hold(step="confirm", moment="after")
        status, target = await daemon.call("POST", f"/v1/shops/{shop}/orders/{order}/targets", {"state": "delivered"})
        assert status == 202
        await held_call.arrived()
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGTERM)
        with anyio.fail_after(120):
            while True:
                refused, problem = await daemon.call("POST", f"/v1/shops/{shop}/orders/{order}/release")
                if refused == 503:
                    break
        assert problem["type"] == "draining"
        held_call.release()
        assert await daemon.exited() == 0
        assert sandbox.ledger.effects(order) == ["confirm"]
        following = sandbox.faults.hold(step="prepare", moment="before")
        daemon.start()
        await daemon.ready()
        await following.arrived()  # a minute that ends now has no step of this life
        _, history = await daemon.call("GET", f"/v1/history?step=hour&shop={shop}")
        assert sum(point["steps_done"] for point in history["points"]) == 1, "what was done before it ended is kept"
        assert sum(point["orders_imported"] for point in history["points"]) == 1
        following.release()
        _, answer = await daemon.call("GET", f"/v1/targets/{target['id']}?wait=50")
        assert answer["status"] == "reached"
        assert [c.step for c in sandbox.ledger.calls(order) if c.step != "read"] == [
            "confirm",
            "prepare",
            "send",
            "deliver",
        ], "what was recorded is not asked for again"


async def test_a_wrong_token_is_one_alarm_and_the_right_one_with_sighup_goes_on(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=3))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox)
        right = json.loads((tmp_path / "config.json").read_text())["shops"][shop]["token"]
        _rewrite(daemon, token="wrong-token-sentinel", poll={"interval_seconds": 0.05})
        daemon.start()
        await daemon.ready()
        paused = await _until(daemon, f"/v1/shops/{shop}", "paused", True)
        assert paused["paused_by"] == "access_denied"
        calls = len(sandbox.ledger.calls())
        _, page = await daemon.call("GET", "/v1/events?after=0&wait=1&type=shop.resumed")
        assert page["events"] == []
        assert len(sandbox.ledger.calls()) == calls, "a shop that refused us is left alone"
        _rewrite(daemon, token=right)
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
        await _until(daemon, f"/v1/shops/{shop}", "paused", False)
        _, page = await daemon.call("GET", "/v1/events?after=0&type=shop.access_denied")
        assert len(page["events"]) == 1
        assert "wrong-token-sentinel" not in daemon.errors.read_text()
        assert await daemon.terminate() == 0


async def test_a_bad_file_at_sighup_changes_nothing_and_is_logged(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox)
        daemon.start()
        await daemon.ready()
        (tmp_path / "config.json").write_text(
            '{"shops": {"acme": {"platform": "nonsense", "token": "sentinel-secret"}}}'
        )
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
        assert "sentinel-secret" not in await daemon.logged("config.refused")
        assert (await daemon.call("GET", f"/v1/shops/{shop}"))[0] == 200


async def test_a_file_that_is_hardly_meant_is_warned_of_at_sighup_too(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        daemon.configure(sandbox)
        daemon.start()
        await daemon.ready()
        assert "config.warning" not in daemon.errors.read_text()
        _rewrite(daemon, webhook_secret="abc")
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
        await daemon.logged("config.warning")


async def test_a_reload_with_a_second_name_of_an_account_changes_nothing(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox)
        daemon.start()
        await daemon.ready()
        path = tmp_path / "config.json"
        config = json.loads(path.read_text())
        config["shops"]["twin"] = config["shops"][shop]
        path.write_text(json.dumps(config))
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
        assert f"shops.twin: is the same account as shops.{shop}" in await daemon.logged("config.refused")
        _, status = await daemon.call("GET", "/v1/status")
        assert [each["name"] for each in status["shops"]] == [shop]
        await daemon.terminate()
        daemon.start()
        assert await daemon.exited() == 2


async def test_sigusr1_writes_the_status_dump(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=2))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        daemon.configure(sandbox)
        daemon.start()
        await daemon.ready()
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGUSR1)
        path = tmp_path / "status.json"
        with anyio.fail_after(120):
            while not path.exists():  # noqa: ASYNC110
                await anyio.sleep(0.02)  # a file announces nothing
        assert json.loads(path.read_text())["daemon"]["pid"] == daemon.process.pid
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


async def test_a_broken_config_exits_2_with_every_path_no_traceback_and_no_secret(tmp_path: Path) -> None:
    shop = {"platform": "selldone", "shop_id": "not a number", "token": "sentinel-secret", "pol": {}}
    (tmp_path / "config.json").write_text(json.dumps({"retention_days": -1, "shops": {"acme": shop}}))
    async with daemon_process(tmp_path) as daemon:
        daemon.start()
        assert await daemon.exited() == 2
        reported = daemon.errors.read_text()
        for path in ("retention_days", "shops.acme.shop_id", "shops.acme.pol"):
            assert path in reported
        assert "Traceback" not in reported
        assert "sentinel-secret" not in reported


async def test_an_unknown_crash_point_is_refused(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        daemon.configure(sandbox)
        daemon.start("after_lunch")
        assert await daemon.exited() == 2
        assert "after_lunch" in daemon.errors.read_text()
        with pytest.raises(Unreachable):
            await daemon.call("GET", "/v1/health")
