"""Targets that come in while the shop's worker is down, in a process that is killed before it is back."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.support.process import daemon_process

pytestmark = pytest.mark.e2e

_WORKERS_FALL = """
import sys
from orchestrator.cli.app import main
from orchestrator.runtime.worker import ShopWorker
from storage.errors import StoreUnavailable

async def fall(worker, *, task_status):
    raise StoreUnavailable("a worker that cannot be started")

ShopWorker.run = fall
main()
"""


async def test_a_target_that_was_accepted_without_a_worker_survives_a_kill_and_is_done_once(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox)
        (order,) = sandbox.selldone.order_ids()
        daemon.start()
        await daemon.ready()
        assert (await daemon.call("POST", f"/v1/shops/{shop}/sync?wait=50"))[0] == 200
        daemon.kill()
        usual, daemon.program = daemon.program, ("-c", _WORKERS_FALL)
        daemon.start()
        await daemon.ready()
        path = f"/v1/shops/{shop}/orders/{order}"
        assert (await daemon.call("POST", f"{path}/targets?dry_run=true", {"state": "accepted"}))[0] == 200
        status, target = await daemon.call("POST", f"{path}/targets", {"state": "accepted"}, {"Idempotency-Key": "k"})
        assert status == 202
        refused, problem = await daemon.call("POST", f"{path}/refresh")
        assert (refused, problem["type"]) == (503, "overloaded")
        daemon.kill()
        daemon.program = usual
        daemon.start()
        await daemon.ready()
        again, same = await daemon.call("POST", f"{path}/targets", {"state": "accepted"}, {"Idempotency-Key": "k"})
        assert (again, same["id"]) == (202, target["id"])
        assert (await daemon.call("GET", f"/v1/targets/{target['id']}?wait=50"))[1]["status"] == "reached"
        assert sandbox.ledger.effects(order) == ["confirm"]
