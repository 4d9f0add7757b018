"""A store that took another one's place carries on with nothing that was asked of the other one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.clock import Chance, Clock
from orchestrator.process.restored import Here, settle
from orchestrator.testing.engine_suite.scratch import NOW
from orchestrator.testing.engine_suite.test_jobs import JOB, ORDERS
from storage.engines import open_store
from storage.jobs import add_job, list_jobs, shops_with_pieces
from tests.support.engines import store_url


@pytest.mark.parametrize(
    ("place", "is_driven", "goes_on"), [("b", False, False), ("b", True, True), ("a", False, True)]
)
async def test_jobs_of_a_store_that_was_copied_end(tmp_path: Path, place: str, is_driven: bool, goes_on: bool) -> None:
    clock, chance, shops = Clock(), Chance(), {"acme": "selldone"}
    async with open_store(store_url(tmp_path), NOW) as store:
        await settle(store, Here(None, "a"), shops, clock, chance, is_driven=False)
        await store.write(lambda tx: add_job(tx, JOB, ORDERS))
        ended = replace(JOB, id="j-2", orders=0, status="done", ended_at=NOW)
        await store.write(lambda tx: add_job(tx, ended, []))
        await settle(store, Here(None, place), shops, clock, chance, is_driven=is_driven)
        jobs = await store.read(lambda tx: list_jobs(tx, 0, 9))
        assert [job.status for job in jobs] == ["done", "running" if goes_on else "cancelled"]
        assert bool(await store.read(shops_with_pieces)) is goes_on
