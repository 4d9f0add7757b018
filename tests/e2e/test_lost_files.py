"""Files that are removed or replaced under a running daemon: its store, its lock, its socket."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.support.process import DaemonProcess, Unreachable, daemon_process

pytestmark = [pytest.mark.e2e, pytest.mark.engines("sqlite")]


def removed(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    other = path.with_name("other")
    shutil.copyfile(path, other)
    other.replace(path)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[DaemonProcess, Sandbox, str]]:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(folder) as daemon:
        shop = daemon.configure(sandbox)
        daemon.start()
        await daemon.ready()
        yield daemon, sandbox, shop


@pytest.mark.parametrize("how", [removed, replaced])
@pytest.mark.parametrize("suffix", ["", "-wal", ".lock"])
async def test_nothing_is_accepted_once_the_store_is_lost(
    suffix: str, how: Callable[[Path], None], tmp_path: Path
) -> None:
    async with running(tmp_path) as (daemon, sandbox, shop):
        (order,) = sandbox.selldone.order_ids()
        lost = tmp_path / f"fulfilld.db{suffix}"
        how(lost)
        status, problem = await daemon.call("POST", f"/v1/shops/{shop}/orders/{order}/targets", {"state": "delivered"})
        assert (status, problem["type"]) == (503, "overloaded")
        assert str(lost) in problem["detail"]
        with suppress(Unreachable):  # it may have ended by now
            assert (await daemon.call("GET", "/v1/ready"))[0] == 503
        assert await daemon.exited() == 2
        assert str(lost) in daemon.errors.read_text()
        assert "Traceback" not in daemon.errors.read_text()
        assert sandbox.ledger.effects(order) == []


async def test_a_daemon_that_rests_notices_by_itself(tmp_path: Path) -> None:
    async with running(tmp_path) as (daemon, _, _):
        (tmp_path / "fulfilld.db").unlink()
        assert await daemon.exited() == 2
        assert "store.lost" in daemon.errors.read_text()


async def test_a_second_daemon_with_a_lock_of_its_own_drives_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as (first, sandbox, shop), daemon_process(tmp_path) as second:
        (order,) = sandbox.selldone.order_ids()
        (tmp_path / "fulfilld.db.lock").unlink()
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "second.json").write_text(json.dumps({**config, "api": {"socket": "second.sock"}}))
        second.socket, second.errors = tmp_path / "second.sock", tmp_path / "second.txt"
        second.start(None, config="second.json")
        assert await first.exited() == 2
        await second.ready()
        _, target = await second.call("POST", f"/v1/shops/{shop}/orders/{order}/targets", {"state": "delivered"})
        _, answer = await second.call("GET", f"/v1/targets/{target['id']}?wait=50")
        assert answer["status"] == "reached"
        assert sandbox.ledger.effects(order) == ["confirm", "prepare", "send", "deliver"]


async def reached_again(daemon: DaemonProcess) -> None:
    with anyio.fail_after(120):
        while True:
            try:
                assert (await daemon.call("GET", "/v1/ready"))[0] == 200
                return
            except Unreachable:
                await anyio.sleep(0.05)  # nothing announces a file


async def test_a_socket_whose_file_is_removed_is_made_anew(tmp_path: Path) -> None:
    async with running(tmp_path) as (daemon, _, _):
        daemon.socket.unlink()
        await reached_again(daemon)
        await daemon.logged("api.socket_remade")
        assert await daemon.terminate() == 0
        assert not daemon.socket.exists()


async def test_sighup_makes_the_socket_anew_with_its_mode(tmp_path: Path) -> None:
    async with running(tmp_path) as (daemon, _, _):
        mode = daemon.socket.stat().st_mode
        daemon.socket.unlink()
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
        await reached_again(daemon)
        assert daemon.socket.stat().st_mode == mode


async def test_what_stands_in_the_sockets_place_is_reported_once_and_waited_for(tmp_path: Path) -> None:
    async with running(tmp_path) as (daemon, _, _):
        daemon.socket.unlink()
        daemon.socket.write_text("in the way")
        await daemon.logged("api.socket_lost")
        daemon.socket.unlink()
        await reached_again(daemon)
        assert daemon.errors.read_text().count("api.socket_lost") == 1
