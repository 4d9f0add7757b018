"""The store by way of a pooler that gives each transaction another session: it does what it does without one."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from orchestrator.testing import postgres
from orchestrator.testing.engine_suite.scratch import NOW, Engine
from orchestrator.testing.pooler import pooler
from storage.engines import engine_of, open_store
from storage.postgres.url import direct, libpq, options_of
from storage.store import Store
from storage.transaction import Row, Transaction

# Not all of the suite: what is left out makes hundreds of stores.
for _part in ("changes", "events", "jobs", "leases", "orders", "payloads", "retention", "targets", "units"):
    _tests = vars(import_module(f"orchestrator.testing.engine_suite.test_{_part}"))
    globals().update({name: test for name, test in _tests.items() if name.startswith("test_")})
del globals()["test_writes_at_once_come_to_what_one_after_another_would"]


def _scratch(_folder: Path) -> str:
    return pooler().before(postgres.server().database())


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """In place of the suite's own: an empty store behind the pooler."""
    yield Engine.on("postgresql", _scratch, tmp_path)
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


async def test_without_a_way_past_the_pooler_a_warning_says_so_and_no_session_of_the_pool_listens(url: str) -> None:
    with capture_logs() as logs:
        async with open_store(pooler().before(url), NOW) as store:
            with anyio.fail_after(60):
                while not any(each["event"] == "store.cannot_listen" for each in logs):  # noqa: ASYNC110 - its log tells it
                    await anyio.sleep(0.01)

            def channels(tx: Transaction) -> list[Row]:
                return list(tx.query("SELECT pg_listening_channels()"))

            assert [await store.read(channels) for _ in range(12)] == [[]] * 12


async def test_settings_of_one_transaction_are_not_those_of_another_programs(url: str) -> None:
    """A pooler gives the session to whoever comes next, as it was left."""
    names = ("synchronous_commit", "idle_in_transaction_session_timeout")

    def settings(tx: Transaction) -> list[object]:
        return [tx.query(f"SHOW {name}")[0][0] for name in names]

    with postgres.server().asked("postgres") as server:
        server.execute(
            f"ALTER DATABASE {url.partition('@/')[2].partition('?')[0]} SET synchronous_commit = off".encode()
        )
    async with open_store(pooler().before(url), NOW) as store:
        assert await store.write(settings) == ["on", "5s"]
        assert await store.read(settings) == ["off", "5s"]


async def test_doctor_says_that_a_pooler_stands_before_the_server(url: str) -> None:
    def said(of: str) -> list[tuple[str, str]]:
        return [(check.status, check.name) for check in engine_of(of).checks()]

    assert ("warning", "pooler") in said(pooler().before(url))
    assert ("ok", "pooler") in said(f"{pooler().before(url)}&listen={postgres.server().folder}")
    assert "pooler" not in {name for _, name in said(url)}


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [
        ("db1", "db1", ""),
        ("db1:6000,db2", "db1,db2", "6000,"),
        ("%5Bfe80::1%5D:6000", "fe80::1", "6000"),
        ("fe80::1", "fe80::1", ""),
        ("%2Frun%2Fpg", "/run/pg", ""),
    ],
)
def test_where_notices_come_from_has_the_rest_of_the_url(listen: str, host: str, port: str) -> None:
    options = options_of(f"postgresql://u:secret@pool:6432/db?listen={listen}&sslmode=require")
    assert libpq(options).keys().isdisjoint({"listen"})
    found = direct(options)
    assert (found["host"], found["port"]) == (host, port)
    assert (found["user"], found["password"], found["dbname"], found["sslmode"]) == ("u", "secret", "db", "require")
    assert direct(options_of("postgresql://u@pool:6432/db"))["host"] == "pool"
