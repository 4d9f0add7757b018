"""A store that takes long to open: the log says so, and systemd waits for it."""

from __future__ import annotations

import socket
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from orchestrator.process import opening
from orchestrator.process.opening import Opening


async def test_an_opening_that_lasts_is_said_and_systemd_asked_for_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(opening, "_SAY_SECONDS", 0.01)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, capture_logs() as logs:
        systemd.bind(str(tmp_path / "notify"))
        it = Opening("sqlite:///s.db")
        async with anyio.create_task_group() as group:
            group.start_soon(it.run)
            it.begin()
            asked = await anyio.to_thread.run_sync(systemd.recv, 100)
            it.end()
    assert b"EXTEND_TIMEOUT_USEC=60000000" in asked.splitlines()
    assert {(each["event"], each["place"]) for each in logs} == {("store.opening", "sqlite:///s.db")}


async def test_of_a_store_that_opens_at_once_nothing_is_said() -> None:
    it = Opening("sqlite:///s.db")
    with capture_logs() as logs:
        it.begin()
        it.end()
        await it.run()
    assert logs == []
