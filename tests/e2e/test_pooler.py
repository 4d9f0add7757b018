"""The daemon by way of a pooler that gives each transaction another session of the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.testing import postgres
from orchestrator.testing.pooler import pooler
from tests.support.erp import Erp, did_nothing_twice, drive, reported_once
from tests.support.process import daemon_process

pytestmark = pytest.mark.e2e


@pytest.fixture
def url() -> Iterator[str]:
    yield pooler().before(postgres.server().database())
    postgres.server().forget()


async def test_daemons_behind_a_pooler_drive_orders_and_take_over_from_each_other(tmp_path: Path, url: str) -> None:
    sandbox = Sandbox(SandboxSettings(orders=12, latency_ms=5))
    (tmp_path / "two").mkdir()
    async with sandbox.running(), daemon_process(tmp_path) as first, daemon_process(tmp_path / "two") as second:
        for daemon in (first, second):
            daemon.storage = {"url": url, "lease_seconds": 2}
            shop = daemon.configure(sandbox)
            daemon.start()
            await daemon.ready()
        erp = Erp(first, shop, sandbox.selldone.order_ids())
        await erp.submit_all()
        first.kill()
        erp.daemon = second
        with anyio.fail_after(240):
            await drive(second, erp)
        await reported_once(second, erp)
        did_nothing_twice(sandbox, list(erp.targets))
        assert await second.terminate() == 0
