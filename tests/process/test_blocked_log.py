"""Whoever watches the log alone misses no order that waits for a person."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from orchestrator.process import blocked_log
from orchestrator.process.blocked_log import BlockedLog
from orchestrator.testing.engine_suite.scratch import NOW
from storage.engines import open_store
from storage.events import append_event, last_cursor
from storage.transaction import Published
from tests.support.engines import store_url


async def test_what_is_blocked_as_the_daemon_ends_is_said_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocked_log, "_LAST_SECONDS", 300.0)
    async with open_store(store_url(tmp_path), NOW) as store:
        data = {"problem": {"type": "rejected", "step": "confirm", "detail": "Not this one."}}
        await store.write(lambda tx: append_event(tx, NOW, "order.blocked", shop="acme", order="7", data=data))
        cursor, it = await store.read(last_cursor), BlockedLog(store)
        with capture_logs() as logs:
            async with anyio.create_task_group() as group:
                group.start_soon(it.run)
                await anyio.wait_all_tasks_blocked()
                it.note([Published(cursor, "acme", "7", None, "order.blocked")])
                group.cancel_scope.cancel()
    assert [(each["event"], each["order"], each["detail"]) for each in logs] == [
        ("order.blocked", "7", "Not this one."),
    ]
