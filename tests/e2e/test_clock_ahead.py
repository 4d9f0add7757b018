"""A daemon that starts with its clock far ahead forgets nothing and reports nothing as new."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest

from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Clock
from orchestrator.config import Config
from orchestrator.daemon.composition import Daemon
from orchestrator.metrics import Metrics
from orchestrator.output import Output
from orchestrator.process.signals import Signals
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.engines import open_store
from storage.order_search import list_orders
from storage.store import Commits
from storage.targets import target_by_key
from tests.support.engines import store_url
from tests.support.process import daemon_process
from tests.support.watch import DAY_MS

pytestmark = pytest.mark.e2e


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    def now_ms() -> int:
        return time.time_ns() // 1_000_000 + 500 * DAY_MS

    for module in ("composition", "start"):
        monkeypatch.setattr(f"orchestrator.daemon.{module}.Clock", lambda: Clock(now_ms))


async def kept(folder: Path) -> tuple[list[str], list[str], bool]:
    async with open_store(store_url(folder), 1) as store:
        orders = await store.read(lambda tx: [order.id for order in list_orders(tx, 0, 99)])
        events = await store.read(lambda tx: tx.query("SELECT type FROM events WHERE type = 'order.imported'"))
        return orders, [row[0] for row in events], await store.read(lambda tx: target_by_key(tx, "k")) is not None


async def test_a_start_with_the_clock_500_days_ahead_deletes_nothing(
    tmp_path: Path, ahead: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=3))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox)
        daemon.start()
        await daemon.ready()
        assert (await daemon.call("POST", f"/v1/shops/{shop}/sync?wait=50"))[0] == 200  # it knows all before it ends
        order = sandbox.selldone.order_ids()[0]
        path = f"/v1/shops/{shop}/orders/{order}/targets?wait=50"
        _, target = await daemon.call("POST", path, {"state": "delivered"}, {"Idempotency-Key": "k"})
        assert target["status"] == "reached"
        assert await daemon.terminate() == 0
        before = await kept(tmp_path)
        forgotten = anyio.Event()

        async def sleep_once(seconds: float) -> None:
            forgotten.set()  # the first round is done
            await anyio.sleep_forever()

        monkeypatch.setattr("orchestrator.process.housekeeping.anyio.sleep", _only(3600.0, sleep_once))
        config = _config(tmp_path)
        commits = Commits()
        async with open_store(config.storage.url, 1, on_commit=commits) as store, anyio.create_task_group() as group:
            group.start_soon(Daemon(config, store, commits, Metrics(), Signals(), Checkpoints(None), Output()).run)
            with anyio.fail_after(120):
                await forgotten.wait()
            group.cancel_scope.cancel()
        assert await kept(tmp_path) == before


def _config(folder: Path) -> Config:
    from orchestrator.config import load

    return load(folder / "config.json")


def _only(seconds: float, instead):  # type: ignore[no-untyped-def]
    real = anyio.sleep

    async def sleep(delay: float) -> None:
        await (instead(delay) if delay == seconds else real(delay))

    return sleep
