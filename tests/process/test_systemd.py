"""What systemd is notified of, and how often."""

import os
import socket
from pathlib import Path

import pytest

from orchestrator.process import systemd


@pytest.mark.parametrize("is_abstract", [False, True])
def test_systemd_is_notified_on_file_and_abstract_sockets(tmp_path: Path, is_abstract: bool) -> None:
    name = f"@fulfilld-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name[1:] if is_abstract else name)
        assert systemd.notify(systemd.READY, "STATUS=up", environ={"NOTIFY_SOCKET": name})
        assert listener.recv(100) == b"READY=1\nSTATUS=up"


@pytest.mark.parametrize("address", ["", "vsock:2:1", "/no/such/socket", "/" + "x" * 200])
def test_without_systemd_nothing_is_sent_and_nothing_fails(address: str) -> None:
    assert not systemd.notify(systemd.WATCHDOG, environ={"NOTIFY_SOCKET": address})


@pytest.mark.parametrize(
    ("environ", "interval_seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "often"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_asked(environ: dict[str, str], interval_seconds: float | None) -> None:
    assert systemd.watchdog_interval_seconds(environ, pid=7) == interval_seconds
