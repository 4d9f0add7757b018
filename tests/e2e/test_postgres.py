"""The daemon on PostgreSQL: what is accepted arrives once, whatever becomes of the daemon and of the server."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream

from orchestrator.checkpoints import POINTS
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.testing import postgres
from tests.e2e.test_crash_matrix import TOKEN_POINTS, WEBHOOK_POINTS
from tests.support.erp import Erp, did_nothing_twice, drive, reported_once
from tests.support.process import DaemonProcess, daemon_process
from tests.support.ways import Way, serving, to_socket

pytestmark = [pytest.mark.e2e, pytest.mark.crash]


@pytest.fixture
def storage() -> Iterator[Mapping[str, Any]]:
    """The section `storage` of a daemon's config. A daemon that died keeps its shops for as short as can be."""
    yield {"url": postgres.server().database(), "lease_seconds": 1}
    postgres.server().forget()


async def _arrives(daemon: DaemonProcess, erp: Erp, sandbox: Sandbox) -> None:
    with anyio.fail_after(240):
        await drive(daemon, erp)
    await daemon.ready()
    await reported_once(daemon, erp)
    did_nothing_twice(sandbox, list(erp.targets))
    assert await daemon.terminate() == 0


@pytest.mark.parametrize("point", sorted(set(POINTS) - {"after_read"} - WEBHOOK_POINTS - TOKEN_POINTS))
async def test_a_kill_at_a_point_loses_and_repeats_nothing(
    tmp_path: Path, storage: Mapping[str, Any], point: str
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=12))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        daemon.storage = storage
        erp = Erp(daemon, daemon.configure(sandbox), sandbox.selldone.order_ids())
        daemon.start(f"{point}:1")
        await _arrives(daemon, erp, sandbox)
        assert daemon.starts == 2, "the point was passed"


@pytest.mark.parametrize("refused", [1, 2, 3, 5])
async def test_a_server_that_goes_away_while_the_daemon_starts_is_waited_for(tmp_path: Path, refused: int) -> None:
    server, connections = postgres.server(), count(1)
    database = postgres.name_of(server.database())

    async def connect() -> ByteStream:
        if next(connections) == refused:
            raise ConnectionRefusedError
        return await to_socket(server.folder / ".s.PGSQL.5432")

    way, sandbox = Way(connect), Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), serving(way), daemon_process(tmp_path) as daemon:
        daemon.storage = {"url": f"postgresql://fulfilld@127.0.0.1:{way.port}/{database}", "lease_seconds": 1}
        daemon.configure(sandbox)
        daemon.start()
        await daemon.ready()
        assert next(connections) > refused
        assert await daemon.terminate() == 0
    server.forget()


@pytest.mark.parametrize("what", ["crash", "cut", "away"])
async def test_what_becomes_of_the_server_under_load_loses_and_repeats_nothing(
    tmp_path: Path, storage: Mapping[str, Any], what: str
) -> None:
    rng, server = random.Random(7), postgres.server()
    sandbox = Sandbox(SandboxSettings(orders=40, latency_ms=5))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        daemon.storage = storage
        erp = Erp(daemon, daemon.configure(sandbox), sandbox.selldone.order_ids())
        sandbox.faults.set_rates({"mixed": 0.15})
        daemon.start()
        await daemon.ready()

        async def trouble() -> None:
            for _ in range(4):
                await anyio.sleep(rng.uniform(0.2, 0.6))  # chance is the point: any moment must do
                if what == "crash":
                    await anyio.to_thread.run_sync(server.crash)
                    continue
                with server.away():
                    await anyio.sleep(0 if what == "cut" else 1)

        async with anyio.create_task_group() as group:
            group.start_soon(trouble)
            with anyio.fail_after(240):
                await drive(daemon, erp)
        await _arrives(daemon, erp, sandbox)
        assert daemon.starts == 1, daemon.errors.read_text()[-3000:]  # it goes on by itself


async def test_a_second_daemon_takes_its_share_and_all_when_the_first_is_killed(
    tmp_path: Path, storage: Mapping[str, Any]
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=12, latency_ms=5))
    (tmp_path / "two").mkdir()
    async with sandbox.running(), daemon_process(tmp_path) as first, daemon_process(tmp_path / "two") as second:
        first.storage = second.storage = storage
        erp = Erp(first, first.configure(sandbox), sandbox.selldone.order_ids())
        second.configure(sandbox)
        first.start()
        await first.ready()
        second.start()
        await second.ready()
        await erp.submit_all()
        first.kill()
        erp.daemon = second
        await _arrives(second, erp, sandbox)


async def test_a_standby_takes_over_from_a_daemon_that_is_killed(tmp_path: Path, storage: Mapping[str, Any]) -> None:
    sandbox = Sandbox(SandboxSettings(orders=12, latency_ms=5))
    (tmp_path / "two").mkdir()
    async with sandbox.running(), daemon_process(tmp_path) as first, daemon_process(tmp_path / "two") as second:
        first.storage = second.storage = storage
        erp = Erp(first, first.configure(sandbox), sandbox.selldone.order_ids())
        second.configure(sandbox)
        first.start()
        await first.ready()
        second.start(None, "--standby")
        await erp.submit_all()
        first.kill()
        erp.daemon = second
        await _arrives(second, erp, sandbox)


async def test_a_daemon_waits_for_a_server_that_is_away_at_its_start(
    tmp_path: Path, storage: Mapping[str, Any]
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        daemon.storage = storage
        daemon.configure(sandbox)
        with postgres.server().away():
            daemon.start()
            await daemon.logged("store.unreachable")
        await daemon.ready()
        assert await daemon.terminate() == 0


async def test_a_database_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        daemon.storage = {"url": postgres.server().url("nowhere").replace("fulfilld@", "fulfilld:pass-word@")}
        daemon.configure(sandbox)
        daemon.start()
        assert await daemon.exited() == 2
        said = daemon.errors.read_text()
        assert "correct user, password or database in storage.url" in said
        assert "pass-word" not in said
