"""The daemon on PostgreSQL: everything that is accepted arrives once, whatever becomes of the server meanwhile."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.testing import postgres
from tests.e2e.test_crash_matrix import Erp, _did_nothing_twice, _drive, _reported_once
from tests.support.process import daemon_process

pytestmark = pytest.mark.e2e


async def test_a_daemon_drives_orders(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=12))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        daemon.storage = {"url": postgres.server().database(), "lease_seconds": 1}
        erp = Erp(daemon, daemon.configure(sandbox), sandbox.selldone.order_ids())
        daemon.start()
        with anyio.fail_after(90):
            await _drive(daemon, erp)
        await _reported_once(daemon, erp)
        _did_nothing_twice(sandbox, list(erp.targets))
        assert await daemon.terminate() == 0
    postgres.server().forget()
