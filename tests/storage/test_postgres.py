"""What a PostgreSQL server can do to the store: nothing is lost, nothing is done twice, and it goes on by itself."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

import anyio
import pytest

from orchestrator.testing import postgres
from orchestrator.testing.engine_suite.samples import order
from orchestrator.testing.engine_suite.scratch import NOW
from storage.changes import Change
from storage.engines import engine_of, open_store
from storage.errors import NotAStore, StoreError, StoreUnavailable
from storage.events import append_event, event_rows, last_cursor, list_events
from storage.identity import feed_id
from storage.leases import acquire
from storage.nodes import Presence, join, leave, live_nodes
from storage.orders import get_order, insert_order, step_row
from storage.records import Order
from storage.store import Store, no_listener
from storage.transaction import Published, Transaction
from tests.support.cutting import LOOK_BACK, REGISTRATION, How, way
from tests.support.notices import heard

T = TypeVar("T")


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder for a socket, whose path must be short."""
    with tempfile.TemporaryDirectory(prefix="way-") as folder:
        yield Path(folder)


def database_of(url: str) -> str:
    """The name of the database that a test has."""
    return postgres.name_of(url)


async def kept(store: Store) -> Order:
    def unit(tx: Transaction) -> Order:
        acquire(tx, "acme", "example", "here")
        return insert_order(tx, order(), b"{}")

    return await store.write(unit)


async def types(store: Store) -> list[str]:
    events = await store.read(lambda tx: list_events(tx, 0, 999))
    assert [each.cursor for each in events] == list(range(1, len(events) + 1)), "no cursor is missing"
    return [each.type for each in events]


@pytest.mark.parametrize("how", ["no answer", "no request", "late request"])
@pytest.mark.parametrize(
    ("what", "then"),
    [
        *((what, []) for what in ("change", "unit", "both")),
        ("change", [REGISTRATION]),
        ("unit", [REGISTRATION]),
        ("unit", [REGISTRATION, REGISTRATION]),
    ],
)
async def test_a_commit_whose_answer_is_lost_is_done_once(
    url: str, short: Path, how: How, what: str, then: list[bytes]
) -> None:
    """However often the connection that looks it up breaks before it hears what it asked for."""
    server, published = postgres.server(), list[Published]()
    with way(short, server.folder) as road:
        through = f"postgresql://fulfilld@/{database_of(url)}?{urlencode({'host': short})}"
        async with open_store(through, NOW, on_commit=published.extend) as store:
            first = await kept(store)
            await store.write(lambda tx: append_event(tx, NOW, "before"))
            change = Change(
                "acme", "1", 1, step_row(first), events=event_rows(NOW, "acme", "1", [("moved", None, None)])
            )
            road.cut(how, then)
            async with anyio.create_task_group() as group:
                if what != "unit":
                    group.start_soon(store.change, change)
                if what != "change":
                    group.start_soon(store.write, lambda tx: append_event(tx, NOW, "written"))
            road.late.set()
            await store.write(lambda tx: append_event(tx, NOW, "after"))
            assert road.cuts == 1
            wanted = {"change": ["moved"], "unit": ["written"], "both": ["moved", "written"]}[what]
            assert await types(store) == ["before", *wanted, "after"]
            assert [each.type for each in published] == ["before", *wanted, "after"]
            found = await store.read(lambda tx: get_order(tx, "acme", "1"))
            assert found is not None
            assert found.version == first.version + ("moved" in wanted)


async def test_what_others_committed_is_not_published_with_a_commit_whose_answer_is_lost(url: str, short: Path) -> None:
    """Each node logs, traces and counts what it committed itself, however much others did since."""
    server, published = postgres.server(), list[Published]()
    with way(short, server.folder) as road:
        through = f"postgresql://fulfilld@/{database_of(url)}?{urlencode({'host': short})}"
        async with open_store(through, NOW, on_commit=published.extend) as store, open_store(url, NOW) as other:
            await store.write(lambda tx: append_event(tx, NOW, "ours"))
            for number in range(5):
                await other.write(lambda tx, number=number: append_event(tx, NOW, f"theirs.{number}"))  # type: ignore[misc]
            road.cut("no answer", [])
            await store.write(lambda tx: append_event(tx, NOW, "ours, too"))
            assert [each.type for each in published] == ["ours", "ours, too"]


async def test_what_was_kept_is_not_reported_as_failed_where_nobody_can_say_what_was_published(
    url: str, short: Path
) -> None:
    """Who waits for events looks now and then: an ERP that is told of a failure sends its target again."""
    with way(short, postgres.server().folder) as road:
        through = f"postgresql://fulfilld@/{database_of(url)}?{urlencode({'host': short})}"
        async with open_store(through, NOW) as store:
            await kept(store)
            road.cut("no answer", [LOOK_BACK])
            assert await store.write(lambda tx: append_event(tx, NOW, "written")) == 1
            await store.write(lambda tx: append_event(tx, NOW, "after"))
            assert await types(store) == ["written", "after"]


async def test_a_unit_that_raised_and_was_kept_when_it_was_run_again_has_its_result(url: str, short: Path) -> None:
    server, runs = postgres.server(), 0

    def unit(tx: Transaction) -> str:
        nonlocal runs
        runs += 1
        if runs <= 2:  # with the others, and by itself: then the COMMIT is lost
            raise ValueError("not yet")
        append_event(tx, NOW, "written")
        return "done"

    with way(short, server.folder) as road:
        through = f"postgresql://fulfilld@/{database_of(url)}?{urlencode({'host': short})}"
        async with open_store(through, NOW) as store:
            await kept(store)
            road.cut("no request")
            assert await store.write(unit) == "done"
            assert await types(store) == ["written"]


async def again(call: Callable[[], Awaitable[T]]) -> T:
    """What a call answers once the server has recovered."""
    with anyio.fail_after(60):
        while True:
            with suppress(StoreUnavailable):
                return await call()
            await anyio.sleep(0.05)


async def test_a_server_that_restarts_costs_nothing_but_time(url: str) -> None:
    async with open_store(url, NOW) as store:
        await store.write(lambda tx: append_event(tx, NOW, "one"))
        for number in range(3):
            postgres.server().crash()
            await again(lambda n=number: store.write(lambda tx: append_event(tx, NOW, str(n))))  # type: ignore[misc]
        assert await again(lambda: types(store)) == ["one", "0", "1", "2"]


async def test_a_server_that_is_away_is_reported_and_work_goes_on_when_it_is_back(url: str) -> None:
    async with open_store(url, NOW) as store, store.listen("a") as notices:
        await store.write(lambda tx: append_event(tx, NOW, "one"))
        await store.read(last_cursor)
        with postgres.server().away():
            for call in (store.write, store.write_bulk, store.read):
                with pytest.raises(StoreUnavailable, match="look after the server"):
                    await call(last_cursor)
            await store.notify("a", "here at least")
        assert await anext(notices) == "here at least"
        await store.write(lambda tx: append_event(tx, NOW, "two"))
        assert await types(store) == ["one", "two"]


def alter(url: str, what: str) -> None:
    """Alters the database, and cuts off whoever is connected."""
    with postgres.server().asked("postgres") as server:
        server.execute(f"ALTER DATABASE {database_of(url)} {what}".encode())
    with postgres.server().away():
        pass


async def test_a_server_that_only_reads_is_not_taken_for_the_store(url: str) -> None:
    async with open_store(url, NOW) as store:
        alter(url, "SET default_transaction_read_only = on")
        with pytest.raises(StoreUnavailable, match="read-only"):
            await store.write(lambda tx: append_event(tx, NOW, "one"))
        alter(url, "RESET default_transaction_read_only")
        await store.write(lambda tx: append_event(tx, NOW, "two"))
        assert await types(store) == ["two"]


async def test_cursors_of_two_writers_have_no_gap_and_come_in_their_order(url: str) -> None:
    """Who has read up to a cursor never finds a new event below it, though many are written at once and some are
    undone."""
    seen: list[int] = []

    async def write(store: Store, name: str) -> None:
        async def one(number: int) -> None:
            def unit(tx: Transaction) -> None:
                append_event(tx, NOW, f"{name}.{number}")
                if number % 5 == 0:
                    raise ValueError(number)

            with suppress(ValueError):
                await store.write(unit)

        for start in range(0, 60, 6):
            async with anyio.create_task_group() as group:
                for number in range(start, start + 6):
                    group.start_soon(one, number)

    async def follow(store: Store) -> None:
        while len(seen) < 2 * 48:
            page = await store.read(lambda tx: list_events(tx, seen[-1] if seen else 0, 99))
            seen.extend(event.cursor for event in page)

    async with open_store(url, NOW) as one, open_store(url, NOW) as two:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(write, one, "one")
                group.start_soon(write, two, "two")
                group.start_soon(follow, two)
    assert seen == list(range(1, 97))


async def test_a_store_is_made_once_by_several_that_start_at_once(url: str) -> None:
    feeds: list[str] = []

    async def start() -> None:
        async with open_store(url, NOW) as store:
            feeds.append(await store.read(feed_id))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(start)
    assert len(set(feeds)) == 1


async def test_a_notice_reaches_other_processes(url: str) -> None:
    async with open_store(url, NOW) as one, open_store(url, NOW) as two, two.listen("due") as notices:
        await heard(notices, "acme", lambda: one.notify("due", "acme"))


async def test_a_second_daemon_is_let_in_and_one_of_this_machine_is_named(url: str) -> None:
    engine = engine_of(url)
    engine.exclusive(lambda: NOW).acquire()
    assert engine.holder() is None, "there is no store yet"
    async with engine.open(NOW, on_commit=no_listener, on_group=no_listener) as store:
        for name in (f"elsewhere:{os.getpid()}:1", f"{socket.gethostname()}:4711:2"):
            await store.write(lambda tx, name=name: join(tx, name, Presence("1"), 60_000))  # type: ignore[misc]
        engine_of(url).exclusive(lambda: NOW).acquire()
        holder = engine_of(url).holder()
        assert holder is not None
        assert holder.pid == 4711


async def test_a_standby_waits_until_no_daemon_lives(url: str) -> None:
    async with open_store(url, NOW) as store:
        await store.write(lambda tx: join(tx, "a", Presence("1"), 60_000))
        waiting = engine_of(url).exclusive(lambda: NOW)
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(waiting.wait_acquire)
                await anyio.wait_all_tasks_blocked()
                assert not group.cancel_scope.cancel_called
                assert len(await store.read(live_nodes)) == 1
                await store.write(lambda tx: leave(tx, "a"))


async def test_texts_are_compared_byte_by_byte_whatever_the_language(url: str) -> None:
    async with open_store(url, NOW):
        pass
    with postgres.server().asked(database_of(url)) as server:
        others = server.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
        ).fetchall()
    assert others == []


@pytest.mark.parametrize("own", ["CREATE TABLE theirs (x int)", "CREATE TABLE schema_migrations (version text)"])
async def test_another_programs_database_is_left_as_it_is(url: str, own: str) -> None:
    with postgres.server().asked(database_of(url)) as server:
        server.execute(own.encode())
    with pytest.raises(NotAStore, match="another program's tables"):
        async with open_store(url, NOW):
            pass
    assert [check.status for check in engine_of(url).checks()] == ["failed"]


async def test_a_dump_that_was_restored_is_known_as_another_store(url: str) -> None:
    async with open_store(url, NOW):
        pass
    server = postgres.server()
    copy, name = server.database(), database_of(url)
    server.call("pg_dump", "-h", str(server.folder), "-U", "fulfilld", "-Fc", "-f", str(server.folder / "dump"), name)
    server.call(
        *(
            "pg_restore",
            "-h",
            str(server.folder),
            "-U",
            "fulfilld",
            "-d",
            database_of(copy),
            str(server.folder / "dump"),
        )
    )
    assert engine_of(copy).place != engine_of(url).place
    assert engine_of(url).place == engine_of(url + "&connect_timeout=9").place
    async with open_store(copy, NOW) as store:
        await store.write(lambda tx: append_event(tx, NOW, "one"))


async def test_backup_names_the_tool_for_it(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="pg_dump"):
        engine_of(url).backup(tmp_path / "copy", NOW)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:pass-word@h1:5432,h2/db?sslpassword=pass-word", "postgresql://h1:5432,h2/db"),
        ("postgresql://u:pass%2Dword@[::1]:6432/db?password=pass-word", "postgresql://[::1]:6432/db"),
        (
            "postgresql:///db?host=/run/pg&port=5433&user=u&password=pass-word",
            "postgresql:///db?host=/run/pg&port=5433",
        ),
    ],
)
async def test_what_is_shown_of_a_url_has_no_secret(url: str, shown: str) -> None:
    engine = engine_of(url)
    assert engine.url == shown
    assert "pass-word" in engine.secrets
    with pytest.raises(StoreError) as caught:
        engine.glance(last_cursor)
    for said in (str(caught.value), *(check.detail for check in engine.checks())):
        assert "pass-word" not in said
