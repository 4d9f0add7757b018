"""The demo as a whole: everything arrives, and no process and no file is left behind on any way out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.e2e

USUAL = [sys.executable, "-m", "orchestrator", "demo"]
DEMO = [*USUAL, "--orders", "8"]


def start(directory: Path, *arguments: str, command: Sequence[str] = DEMO) -> subprocess.Popen[str]:
    environ = {**os.environ, "TMPDIR": str(directory)}
    return subprocess.Popen(
        [*command, *arguments], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def left_behind(directory: Path) -> list[str]:
    """Command lines of processes that still have to do with a demo in this directory."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        environ = process.info["environ"] or {}
        if environ.get("TMPDIR") == str(directory):
            found.append(" ".join(process.info["cmdline"] or ()))
    return found


def test_everything_arrives_and_nothing_is_left(directory: Path) -> None:
    with start(directory) as process:
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    assert "done twice: 0, out of turn: 0" in out
    assert "unreachable" in out
    assert "order.imported" in out
    assert "came by signed webhook" in out
    link, began = out.index("dashboard: http://127.0.0.1:"), out.index("targets submitted")
    assert link < began, "while the orders still move"
    assert "it waits for platform" in out
    assert "UNFULFILLED → PARTIALLY_FULFILLED" in out
    assert "product.updated by webhook" in out
    assert "forged: 0, out of order: 0" in out
    assert err == ""
    assert "\x1b" not in out
    assert list(directory.iterdir()) == []
    assert left_behind(directory) == []


def test_everything_arrives_at_the_usual_size(directory: Path) -> None:
    with start(directory, command=USUAL) as process:
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    assert "done twice: 0, out of turn: 0" in out


def test_kept_files_are_a_working_installation(directory: Path) -> None:
    with start(directory, "--keep") as process:
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    (kept,) = directory.iterdir()
    assert {"config.json", "fulfilld.db", "daemon.log", "sandbox.log"} <= {path.name for path in kept.iterdir()}
    assert str(kept) in out
    check = [sys.executable, "-m", "orchestrator", "--config", str(kept / "config.json"), "config", "check"]
    subprocess.run(check, check=True, capture_output=True)
    token = (kept / "token").read_text().strip()
    assert token not in out + (kept / "daemon.log").read_text()
    assert left_behind(directory) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_demo_and_its_processes(directory: Path, number: signal.Signals) -> None:
    with start(directory) as process:
        assert process.stdout is not None
        process.stdout.readline()  # sandbox and daemon are up
        process.send_signal(number)
        out, err = process.communicate(timeout=240)
    assert process.returncode == 130, out + err
    assert err == ""
    assert left_behind(directory) == []
    assert list(directory.iterdir()) == []
