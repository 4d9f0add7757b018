"""A log that cannot be written stops no order: a full pipe, a closed stderr, a full disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.support.engines import engine_in_use
from tests.support.process import DaemonProcess, daemon_process

pytestmark = pytest.mark.e2e

ORDERS = 12


def start(daemon: DaemonProcess, stderr: int | None) -> None:
    """None: with stderr closed."""
    path = daemon.folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "log": {"level": "debug"}}))
    command = [sys.executable, "-m", "orchestrator", "--config", str(path), "run"]
    if stderr is None:
        command = ["sh", "-c", 'exec "$@" 2>&- 1>&- 0<&-', "sh", *command]
    daemon.process = subprocess.Popen(command, stderr=stderr)


def full_pipe(folder: Path) -> int:
    reading, writing = os.pipe()
    os.set_inheritable(reading, False)
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    full_pipe.reader = reading  # type: ignore[attr-defined] # stays open: nobody reads, nobody hangs up
    return writing


def closed_pipe(folder: Path) -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def full_disk(folder: Path) -> int:
    return os.open("/dev/full", os.O_WRONLY)


def closed(folder: Path) -> None:
    return None


@pytest.mark.parametrize("made", [full_pipe, closed_pipe, full_disk, closed])
async def test_the_daemon_runs_and_ends_well_whatever_becomes_of_its_log(
    made: Callable[[Path], int | None], tmp_path: Path
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=ORDERS))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox)
        stderr = made(tmp_path)
        start(daemon, stderr)
        await daemon.ready()
        for order in sandbox.selldone.order_ids():
            path = f"/v1/shops/{shop}/orders/{order}/targets?wait=50"
            status, target = await daemon.call("POST", path, {"state": "delivered"})
            assert (status, target["status"]) == (200, "reached")
        assert await daemon.terminate() == 0
        if engine_in_use() == "sqlite":  # where the log's descriptor might have become the store's
            assert (tmp_path / "fulfilld.db").read_bytes()[:15] == b"SQLite format 3"


async def test_a_daemon_that_cannot_start_says_so_by_its_code_even_if_nobody_hears_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    async with daemon_process(tmp_path) as daemon:
        (tmp_path / "config.json").write_text(json.dumps({"retention_days": -1, "shops": {}}))
        start(daemon, full_disk(tmp_path))
        assert await daemon.exited() == 2
