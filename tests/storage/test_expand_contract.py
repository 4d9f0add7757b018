"""Two versions on one store: what expands does not disturb the one before, what contracts waits until it is gone."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

import anyio
import pytest
from psycopg.sql import SQL, Identifier
from structlog.testing import capture_logs

from orchestrator.testing import postgres
from orchestrator.testing.engine_suite.samples import order
from orchestrator.testing.engine_suite.scratch import NOW, Engine
from storage.engines import engine_of
from storage.errors import NewerStore
from storage.leases import acquire
from storage.migrations import Kind, Left, Migration, all_migrations, least_schema, migrate, newest_schema
from storage.nodes import Presence, beat, join
from storage.orders import get_order, insert_order
from storage.records import Order
from storage.transaction import Transaction
from tests.support.memory import memory_transaction

NEWEST = newest_schema()
LEAST = max(each.least for each in all_migrations())
TERM_MS = 300_000


def later(number: int, sql: str, kind: Kind = "expand") -> Migration:
    """A migration of a version to come."""
    return Migration(NEWEST + number, f"later_{number}", sql, kind)


EXPAND = later(1, "ALTER TABLE orders ADD COLUMN later TEXT;\n")
INDEX = later(2, "CREATE INDEX orders_later ON orders (later);\n", "index")
CONTRACT = later(3, f"-- least: {NEWEST + 2}\nALTER TABLE orders DROP COLUMN gone_detail;\n", "contract")


class Program:
    """Which version of the program opens stores: what it knows beside what there is."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch, self._real = patch, all_migrations()

    def knows(self, *further: Migration) -> None:
        self._patch.setattr("storage.migrations.all_migrations", lambda: [*self._real, *further])


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Program:
    return Program(monkeypatch)


def on_postgres(url: str) -> Engine:
    return Engine("postgresql", lambda _: url, url)


def imported(tx: Transaction) -> Order:
    acquire(tx, "acme", "example", "here")
    return insert_order(tx, order(), b"{}")


def versions(tx: Transaction) -> list[int]:
    return [version for (version,) in tx.query("SELECT version FROM schema_migrations ORDER BY version")]


def columns(tx: Transaction, table: str) -> set[str]:
    return {column for name, column, _ in tx.query(tx.dialect.all_columns) if name == table}


async def test_a_version_works_on_what_the_next_one_has_expanded(engine: Engine, program: Program) -> None:
    async with engine.open() as store:
        await store.write(imported)
    program.knows(EXPAND, INDEX)
    async with engine.open() as store:
        assert "later" in await store.read(lambda tx: columns(tx, "orders"))
    program.knows()
    async with engine.open() as store:
        assert await store.read(versions) == list(range(1, NEWEST + 3))
        assert await store.read(lambda tx: get_order(tx, "acme", order().id)) is not None
    program.knows(EXPAND, INDEX)
    async with engine.open() as store:  # and forward again: nothing runs twice
        assert await store.read(least_schema) == LEAST


async def test_a_version_is_refused_on_what_a_later_one_has_contracted(engine: Engine, program: Program) -> None:
    async with engine.open():
        pass
    program.knows(EXPAND, INDEX, CONTRACT)
    async with engine.open() as store:
        assert "gone_detail" not in await store.read(lambda tx: columns(tx, "orders"))
    program.knows(EXPAND)
    refusal = (
        rf"schema version {NEWEST + 3} and needs a fulfilld that knows at least {NEWEST + 2}, this one .* {NEWEST + 1}"
    )
    with pytest.raises(NewerStore, match=refusal):
        async with engine.open():
            pass
    program.knows(EXPAND, INDEX)  # it knows what the contract half says that is needed
    async with engine.open():
        pass


def test_a_contract_half_waits_for_older_nodes_and_what_follows_it_does_not(program: Program) -> None:
    tx, asked = memory_transaction(), []
    migrate(tx, NOW)
    after = later(4, "CREATE TABLE later_table (id BIGINT PRIMARY KEY);\n")

    def older(_: Transaction, least: int) -> Sequence[str]:
        asked.append(least)
        return ["one"]

    program.knows(EXPAND, INDEX, CONTRACT, after)
    done = migrate(tx, NOW, older=older)
    assert (done.applied, done.left) == ([NEWEST + 1, NEWEST + 2, NEWEST + 4], [Left(CONTRACT, ["one"])])
    assert (asked, least_schema(tx)) == ([NEWEST + 2], LEAST)
    program.knows()
    assert migrate(tx, NOW).applied == []  # the version before still works here
    program.knows(EXPAND, INDEX, CONTRACT, after)
    assert migrate(tx, NOW).applied == [NEWEST + 3]
    assert least_schema(tx) == NEWEST + 2


def test_a_contract_half_has_to_say_which_version_it_needs() -> None:
    with pytest.raises(ValueError, match="migration 7: a contract half needs a line `-- least: VERSION`"):
        assert Migration(7, "x", "DROP TABLE orders;\n", "contract").least


# -- PostgreSQL, where nodes work on the store while it is migrated --------------------------------------------------


async def test_of_several_nodes_that_start_at_once_one_migrates(url: str) -> None:
    engine = on_postgres(url)
    found: list[list[int]] = []

    async def start() -> None:
        async with engine.open() as store:
            found.append(await store.read(versions))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(start)
    assert found == [list(range(1, NEWEST + 1))] * 4


async def test_an_index_is_built_beside_writes_and_what_a_cut_off_build_left_is_replaced(
    url: str, program: Program
) -> None:
    engine = on_postgres(url)
    async with engine.open() as store:
        await store.write(imported)
        program.knows(EXPAND, INDEX)
        name = postgres.name_of(url)
        with postgres.server().asked(name) as server:
            server.execute("ALTER TABLE orders ADD COLUMN later TEXT")
            server.execute("INSERT INTO schema_migrations VALUES (%s, 'later_1', 1)", (NEWEST + 1,))
            # an index that a killed node was building, as the server leaves it
            server.execute("CREATE INDEX orders_later ON orders (later)")
            server.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_later'::regclass")
            async with engine.open():
                await store.write(lambda tx: tx.execute("UPDATE orders SET later = 'x'"))
            valid = server.execute(
                "SELECT indisvalid, indisready FROM pg_index WHERE indexrelid = 'orders_later'::regclass"
            ).fetchall()
        assert valid == [(True, True)]
        assert await store.read(versions) == list(range(1, NEWEST + 3))


async def test_nodes_that_start_at_once_build_an_index_once(url: str, program: Program) -> None:
    engine = on_postgres(url)
    async with engine.open():
        program.knows(EXPAND, INDEX)

        async def start() -> None:
            async with engine.open() as store:
                assert await store.read(versions) == list(range(1, NEWEST + 3))

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(start)


@pytest.mark.parametrize(
    ("migrations", "lock"),
    [((EXPAND,), "ACCESS SHARE"), ((EXPAND, INDEX), "ROW EXCLUSIVE")],  # as a dump has it for an hour, and a writer
)
async def test_a_migration_that_has_to_wait_for_a_table_lets_the_others_go_on(
    url: str, program: Program, monkeypatch: pytest.MonkeyPatch, migrations: tuple[Migration, ...], lock: str
) -> None:
    monkeypatch.setattr("storage.postgres.schema._PATIENCE", "SET LOCAL lock_timeout = '50ms'")
    monkeypatch.setattr("storage.postgres.schema._TRY_AGAIN_SECONDS", 0.05)
    engine = on_postgres(url)
    name = postgres.name_of(url)
    opened = anyio.Event()
    async with engine.open() as store:
        await store.write(imported)
        with postgres.server().asked(name) as server:
            server.execute(SQL("ALTER DATABASE {} SET lock_timeout = '50ms'").format(Identifier(name)))
        for count in range(1, len(migrations)):
            program.knows(*migrations[:count])
            async with engine.open():
                pass
        program.knows(*migrations)

        async def upgrade() -> None:
            async with engine.open():
                opened.set()

        def patiently(tx: Transaction) -> Order | None:
            tx.query("SELECT set_config('lock_timeout', '60s', true)")  # in place of the database's
            return get_order(tx, "acme", order().id)

        with capture_logs() as logs:
            async with anyio.create_task_group() as group:
                with postgres.server().asked(name) as other, other.transaction():
                    other.execute(f"LOCK TABLE orders IN {lock} MODE".encode())
                    group.start_soon(upgrade)
                    with anyio.fail_after(60):
                        while not logs:  # noqa: ASYNC110 - its log tells it
                            await anyio.sleep(0.01)
                    # this would stand behind a lock that waits
                    assert await store.read(patiently) is not None
                    assert not opened.is_set()
                with anyio.fail_after(60):
                    await opened.wait()
        assert "store.migration_waits" in {each["event"] for each in logs}
        assert await store.read(versions) == list(range(1, NEWEST + len(migrations) + 1))


async def test_a_contract_half_is_left_while_a_node_of_the_version_before_lives(url: str, program: Program) -> None:
    engine = on_postgres(url)
    async with engine.open() as store:
        await store.write(lambda tx: join(tx, "a", Presence("1"), TERM_MS))
        program.knows(EXPAND, INDEX, CONTRACT)
        with capture_logs() as logs:
            async with engine.open() as newer:
                await newer.write(lambda tx: join(tx, "b", Presence("2"), TERM_MS))
        assert [(each["event"], each["schema"], each["older"]) for each in logs if "schema" in each] == [
            ("store.contract_left", NEWEST + 3, ["a"])
        ]
        program.knows()
        await store.write(lambda tx: beat(tx, "a", Presence("1"), TERM_MS))
        assert await store.write(imported)
        await store.write(lambda tx: tx.execute("UPDATE nodes SET expires_at = 0 WHERE name = 'a'"))  # frozen
        program.knows(EXPAND, INDEX, CONTRACT)
        async with engine.open() as newer:
            assert "gone_detail" not in await newer.read(lambda tx: columns(tx, "orders"))
        program.knows()
        with pytest.raises(NewerStore):  # it comes back, and works on nothing that it does not understand
            await store.write(lambda tx: beat(tx, "a", Presence("1"), TERM_MS))


async def test_who_works_on_a_store_of_the_version_before_is_known_before_it_is_migrated(url: str) -> None:
    engine = on_postgres(url)
    async with engine.open() as store:
        await store.write(lambda tx: join(tx, f"{socket.gethostname()}:{os.getpid()}:1", Presence("1"), TERM_MS))
        further = await store.read(lambda tx: columns(tx, "nodes") - {"name", "expires_at"})
        dropped = ", ".join(f"DROP COLUMN {column}" for column in further)
        await store.write(lambda tx: tx.execute(f"ALTER TABLE nodes {dropped}"))
    engine_of(url).exclusive(lambda: NOW).acquire()
    holder = engine_of(url).holder()
    assert holder is not None
    assert holder.pid == os.getpid()
