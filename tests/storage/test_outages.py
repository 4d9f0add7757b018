"""What else becomes of a PostgreSQL server and of the way to it: each is answered in time and in words that help,
nothing is kept of what was reported as failed, and work goes on by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

import anyio
import pytest

from orchestrator.testing import postgres
from orchestrator.testing.engine_suite.samples import order
from orchestrator.testing.engine_suite.scratch import NOW
from orchestrator.testing.postgres import name_of
from storage.changes import Change
from storage.engines import open_store
from storage.errors import StoreUnavailable
from storage.events import NewEvent, append_event, event_rows, list_events
from storage.leases import acquire
from storage.orders import insert_order, step_row
from storage.postgres import connection
from storage.postgres.rows import Many
from storage.records import Order
from storage.store import Store
from storage.transaction import Transaction
from tests.support.notices import heard
from tests.support.ways import Way, serving, to_socket


def told(url: str, *statements: str) -> None:
    """Statements past the store, in its database."""
    with postgres.server().asked(name_of(url)) as server:
        for statement in statements:
            server.execute(statement.encode())


async def write(store: Store, what: str) -> int:
    return await store.write(lambda tx: append_event(tx, NOW, what))


async def types(store: Store) -> list[str]:
    return [each.type for each in await store.read(lambda tx: list_events(tx, 0, 99))]


async def again(call: Callable[[], Awaitable[object]]) -> None:
    """Returns once a call is answered."""
    with anyio.fail_after(60):
        while True:
            with suppress(StoreUnavailable):
                await call()
                return
            await anyio.sleep(0.05)


async def test_a_server_without_a_free_connection_is_reported_as_such_and_waited_for(url: str) -> None:
    server = postgres.server()
    told(
        url,
        f"CREATE ROLE plain_{name_of(url)} LOGIN",
        f"ALTER DATABASE {name_of(url)} OWNER TO plain_{name_of(url)}",
    )
    plain = f"postgresql://plain_{name_of(url)}@/{name_of(url)}?host={server.folder}"
    try:
        async with open_store(plain, NOW) as store:
            assert await store.read(lambda tx: tx.query("SELECT timeline IS NOT NULL FROM server")) == [(True,)], (
                "whoever owns a database alone may ask for the timeline"
            )
            await write(store, "one")
            told(url, f"ALTER ROLE plain_{name_of(url)} CONNECTION LIMIT 0")
            with server.away():
                pass
            for call in (partial(write, store, "lost"), partial(types, store)):
                with pytest.raises(StoreUnavailable, match="raise max_connections"):
                    await call()
            told(url, f"ALTER ROLE plain_{name_of(url)} CONNECTION LIMIT -1")
            await write(store, "two")
            assert await types(store) == ["one", "two"]
    finally:
        told(
            url,
            f"REASSIGN OWNED BY plain_{name_of(url)} TO fulfilld",
            f"DROP ROLE plain_{name_of(url)}",
        )


async def test_a_store_has_seven_connections_at_most(url: str) -> None:
    async with open_store(url, NOW) as store:
        with postgres.server().asked("postgres") as server:

            async def ask() -> None:
                await types(store)
                await store.notify("due", "acme")
                await write(store, "one")

            for _ in range(5):
                async with anyio.create_task_group() as group:
                    for _ in range(20):
                        group.start_soon(ask)
                ((found,),) = server.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'",
                    (name_of(url),),  # the server looks after its tables now and then, by a process of its own
                ).fetchall()
                assert found <= 7


@pytest.mark.parametrize(
    ("code", "remedy"), [("53100", "free disk space"), ("57P01", "look after the server"), ("58030", "look after")]
)
async def test_an_error_of_the_server_fails_the_group_and_nothing_else(url: str, code: str, remedy: str) -> None:
    async with open_store(url, NOW) as store:
        await write(store, "one")
        told(
            url,
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$",
            "CREATE TRIGGER fail BEFORE INSERT ON events EXECUTE FUNCTION fail()",
        )
        for call in (store.write, store.write_bulk):
            with pytest.raises(StoreUnavailable, match=remedy):
                await call(lambda tx: append_event(tx, NOW, "lost"))
        told(url, "DROP TRIGGER fail ON events")
        await write(store, "two")
        assert await types(store) == ["one", "two"]


@pytest.mark.parametrize("code", ["40P01", "40001"])
async def test_a_group_that_stands_in_anothers_way_is_tried_a_few_times(url: str, code: str) -> None:
    async with open_store(url, NOW) as store:
        tries = 0

        def unit(tx: Transaction, most: int) -> int:
            nonlocal tries
            tries += 1
            if tries <= most:
                tx.execute(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$")
            return append_event(tx, NOW, "written")

        assert await store.write(partial(unit, most=2)) == 1
        tries = 0
        with pytest.raises(StoreUnavailable):
            await store.write(partial(unit, most=1000))
        assert tries < 20
        assert await types(store) == ["written"]


async def test_a_heartbeat_waits_for_no_lock_that_others_wait_for(url: str) -> None:
    async with open_store(url, NOW) as store, anyio.create_task_group() as group:
        with postgres.server().asked(name_of(url)) as other:
            other.execute("BEGIN")
            other.execute("LOCK TABLE events IN EXCLUSIVE MODE")
            group.start_soon(write, store, "late")
            await anyio.wait_all_tasks_blocked()  # it is on its way
            await store.write_first(lambda tx: tx.query("SELECT 1"))
            other.execute("COMMIT")
        await write(store, "later")
        assert await types(store) == ["late", "later"]


async def test_who_waits_for_what_another_program_has_locked_is_answered(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.postgres.writer._LOCKED_SECONDS", 0.2)
    told(url, f"ALTER DATABASE {name_of(url)} SET lock_timeout = '100ms'")  # a stricter limit than ours is kept
    async with open_store(url, NOW) as store:
        await write(store, "one")
        with postgres.server().asked(name_of(url)) as other:
            other.execute("BEGIN")
            other.execute("LOCK TABLE events IN EXCLUSIVE MODE")
            with pytest.raises(StoreUnavailable, match="pg_locks"):
                await write(store, "lost")
            assert await types(store) == ["one"]
            other.execute("COMMIT")
        await write(store, "two")
        assert await types(store) == ["one", "two"]


@asynccontextmanager
async def road(url: str) -> AsyncIterator[tuple[Way, str]]:
    """A way to a database that can be cut or silenced, and the URL by way of it."""
    way = Way(partial(to_socket, postgres.server().folder / ".s.PGSQL.5432"))
    async with serving(way):
        yield way, f"postgresql://fulfilld@127.0.0.1:{way.port}/{name_of(url)}"


async def test_a_server_that_says_nothing_is_given_up_in_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other end acknowledges whatever is sent, so the system finds nothing wrong with the connection."""
    async with road(url) as (way, through), open_store(f"{through}?connect_timeout=2", NOW) as store:
        await write(store, "one")
        await types(store)
        way.silence()
        with monkeypatch.context() as impatient:
            impatient.setattr(connection.PatientConnection, "longest_seconds", 0.5)
            for call in (partial(types, store), partial(write, store, "lost")):
                with pytest.raises(StoreUnavailable, match="look after the server"):
                    await call()
        way.open()  # what was sent meanwhile arrives now
        await again(partial(write, store, "two"))
        assert await types(store) == ["one", "two"]


@pytest.mark.parametrize("text", ["5", "null", '"a"', "[1, 2]", "{", '["a", "b", "c", "d"]'])
async def test_notices_of_another_program_on_the_channel_are_ignored(url: str, text: str) -> None:
    async with open_store(url, NOW) as one, open_store(url, NOW) as two, two.listen("due") as notices:

        async def send() -> None:
            told(url, f"NOTIFY fulfilld, '{text}'")
            await one.notify("due", "acme")

        await heard(notices, "acme", send)


async def test_a_store_whose_identity_was_deleted_says_so(url: str) -> None:
    async with open_store(url, NOW) as store:
        told(url, "CREATE TABLE aside AS SELECT * FROM store_identity", "DELETE FROM store_identity")
        with postgres.server().away():
            pass
        with pytest.raises(StoreUnavailable, match="identity"):
            await write(store, "lost")
        told(url, "INSERT INTO store_identity SELECT * FROM aside")
        await again(partial(write, store, "two"))
        assert await types(store) == ["two"]


BEFORE: NewEvent = ("before", None, None)


@pytest.mark.parametrize("what", ["change", "unit", "both"])
async def test_a_connection_that_is_gone_when_a_statement_is_first_used_is_replaced(
    url: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server has to be asked before is asked on the next connection."""
    async with open_store(url, NOW) as store:

        def unit(tx: Transaction) -> Order:
            acquire(tx, "acme", "example", "here", 60_000)
            return insert_order(tx, order(), b"{}")

        first = await store.write(unit)
        assert await store.change(
            Change("acme", "1", 1, step_row(first), events=event_rows(NOW, "acme", "1", [BEFORE]))
        )
        first = replace(first, version=first.version + 1)
        monkeypatch.setattr(Many, "_known", {})
        with postgres.server().away():
            pass
        events = event_rows(NOW, "acme", "1", [("moved", None, None)])
        async with anyio.create_task_group() as group:
            if what != "unit":
                group.start_soon(store.change, Change("acme", "1", 1, step_row(first), events=events))
            if what != "change":
                group.start_soon(write, store, "written")
        wanted = {"change": ["moved"], "unit": ["written"], "both": ["moved", "written"]}[what]
        assert sorted(await types(store)) == ["before", *wanted]


async def test_what_is_refused_in_the_midst_of_a_piece_is_no_warning_of_the_library(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_store(url, NOW) as store:

        def unit(tx: Transaction) -> Order:
            acquire(tx, "acme", "example", "here", 60_000)
            return insert_order(tx, order(), b"{}")

        first = await store.write(unit)
        events = event_rows(NOW, "acme", "1", [BEFORE] * 2000)
        stale = Change("acme", "1", 7, step_row(first), events=events)
        for _ in range(3):
            async with anyio.create_task_group() as group:
                group.start_soon(store.change, stale)
                group.start_soon(write, store, "written")
        assert await types(store) == ["written"] * 3
        assert [each.getMessage() for each in caplog.records if each.name.startswith("psycopg")] == []
