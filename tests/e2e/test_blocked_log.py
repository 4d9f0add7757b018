"""An order that waits for a person is an error in the log, once, with what helps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.support.process import DaemonProcess, daemon_process

pytestmark = pytest.mark.e2e


def blocked_lines(daemon: DaemonProcess) -> list[dict[str, Any]]:
    """Of a daemon that has ended."""
    lines = [json.loads(line) for line in daemon.errors.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "order.blocked"]


async def test_a_blocked_order_is_logged_once_each_time(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox)
        (order,) = sandbox.selldone.order_ids()
        daemon.start()
        await daemon.ready()
        sandbox.faults.script_answer(422, b'{"message": "Not this one."}', step="confirm", times=2)
        path = f"/v1/shops/{shop}/orders/{order}"
        _, target = await daemon.call("POST", f"{path}/targets?wait=50", {"state": "accepted"})
        assert target["status"] == "blocked"
        assert await daemon.terminate() == 0
        daemon.start()  # what was reported stays reported
        await daemon.ready()
        assert (await daemon.call("POST", f"{path}/retry"))[0] == 200
        await daemon.logged('"order.blocked"', 2)
        assert await daemon.terminate() == 0
        first, second = blocked_lines(daemon)
        assert (first["level"], first["shop"], first["order"]) == ("error", shop, order)
        assert (first["type"], first["step"]) == ("rejected", "confirm")
        assert "Not this one." in first["detail"]
        assert f"fulfilld retry {shop} {order}" in first["remedy"]
        assert second["level"] == "error"
