"""The store by way of a pooler that gives each transaction another session: it does what it does without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from orchestrator.testing import postgres
from orchestrator.testing.engine_suite.test_changes import *  # noqa: F403 - its tests are ours, as those of the next
from orchestrator.testing.engine_suite.test_events import *  # noqa: F403
from orchestrator.testing.engine_suite.test_jobs import *  # noqa: F403
from orchestrator.testing.engine_suite.test_leases import *  # noqa: F403
from orchestrator.testing.engine_suite.test_orders import *  # noqa: F403
from orchestrator.testing.engine_suite.test_retention import *  # noqa: F403
from orchestrator.testing.engine_suite.test_targets import *  # noqa: F403
from orchestrator.testing.engine_suite.test_units import *  # noqa: F403
from orchestrator.testing.engine_suite.scratch import NOW, Engine
from orchestrator.testing.pooler import pooler
from storage.engines import engine_of, open_store
from storage.store import Store
from storage.transaction import Transaction


del test_writes_at_once_come_to_what_one_after_another_would  # type: ignore[name-defined]  # noqa: F821 - hundreds of stores


def _scratch(_folder: Path) -> str:
    return pooler().before(postgres.server().database())


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """In place of the suite's own: an empty store behind the pooler."""
    yield Engine.on("postgresql", _scratch, tmp_path)
    postgres.server().forget()


@pytest.fixture
def url() -> Iterator[str]:
    yield postgres.server().database()
    postgres.server().forget()


async def _told(one: Store, two: Store) -> None:
    """Returns once a notice of one store has come to the other."""
    received = anyio.Event()

    async with two.listen("due") as notices, anyio.create_task_group() as group:

        async def receive() -> None:
            assert await anext(notices) == "acme"
            received.set()

        group.start_soon(receive)
        with anyio.fail_after(60):
            while not received.is_set():  # until the other one listens, notices are lost
                await one.notify("due", "acme")
                await anyio.sleep(0.02)


async def test_notices_come_past_the_pooler_where_the_url_says_how(url: str) -> None:
    through = f"{pooler().before(url)}&listen={postgres.server().folder}"
    async with open_store(through, NOW) as one, open_store(through, NOW) as two:
        await _told(one, two)


async def test_what_cannot_be_heard_is_said_and_no_session_of_the_pool_listens(url: str) -> None:
    with capture_logs() as logs:
        async with open_store(pooler().before(url), NOW) as store:
            with anyio.fail_after(60):
                while not any(each["event"] == "store.hears_no_notices" for each in logs):  # noqa: ASYNC110 - its log tells it
                    await anyio.sleep(0.01)

            def channels(tx: Transaction) -> list[object]:
                return [row for row in tx.query("SELECT pg_listening_channels()")]

            assert [await store.read(channels) for _ in range(12)] == [[]] * 12


async def test_settings_of_one_transaction_are_not_those_of_another_programs(url: str) -> None:
    """A pooler gives the session to whoever comes next, as it was left."""
    names = ("synchronous_commit", "idle_in_transaction_session_timeout")

    def settings(tx: Transaction) -> list[object]:
        return [tx.query(f"SHOW {name}")[0][0] for name in names]

    with postgres.server().asked("postgres") as server:
        server.execute(f"ALTER DATABASE {url.partition('@/')[2].partition('?')[0]} SET synchronous_commit = off".encode())
    async with open_store(pooler().before(url), NOW) as store:
        assert await store.write(settings) == ["on", "5s"]
        assert await store.read(settings) == ["off", "5s"]


async def test_doctor_says_that_a_pooler_stands_before_the_server(url: str) -> None:
    def said(of: str) -> list[tuple[str, str]]:
        return [(check.status, check.name) for check in engine_of(of).checks()]

    assert ("warning", "pooler") in said(pooler().before(url))
    assert ("ok", "pooler") in said(f"{pooler().before(url)}&listen={postgres.server().folder}")
    assert "pooler" not in {name for _, name in said(url)}
