"""Small duties beside the shops: what goes wrong in one is said, and ends nothing."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from orchestrator.process.housekeeping import forget_forever
from orchestrator.testing.engine_suite.scratch import NOW
from storage.engines import open_store
from tests.support.engines import store_url

pytestmark = pytest.mark.engines("sqlite", "postgresql")


class _Broken:
    async def measure(self) -> int:
        raise OverflowError("a clock without a time")


async def test_a_fault_in_forgetting_is_said_and_ends_nothing(tmp_path: Path) -> None:
    async with open_store(store_url(tmp_path), NOW) as store:
        with capture_logs() as logs:
            async with anyio.create_task_group() as group:
                group.start_soon(forget_forever, store, _Broken(), lambda: 1, lambda _: {})  # type: ignore[arg-type]
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
    assert [(each["event"], each["log_level"]) for each in logs] == [("retention.failed", "error")]
