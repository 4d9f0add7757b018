"""What databases spell differently has a name, is spelt in the engine's folder, and does what it is called."""

from __future__ import annotations

import ast
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from storage.dialect import Dialect
from storage.events import EventFilter, append_event, append_events, list_events
from storage.leases import fence
from storage.migrations import migrate
from storage.sqlite.connection import SqliteTransaction
from storage.store import Store
from storage.transaction import Row, Transaction, Value
from tests.storage.engines import NOW, Engine

ROOT = Path(__file__).parents[2]


class Written:
    """A transaction of a made-up database: keeps what it is asked and does it on SQLite, without what that cannot."""

    dialect = Dialect(types={}, barrier="0||", row_lock=" FOR SHARE", feed_claim="SELECT 'the feed is ours'")

    def __init__(self, tx: SqliteTransaction) -> None:
        self.tx, self.published, self.asked = tx, tx.published, list[str]()
        self.execute = tx.execute

    def insert(self, sql: str, parameters: Sequence[Value]) -> int:
        self.asked.append(sql)
        return self.tx.insert(sql, parameters)

    def insert_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> list[int]:
        """As another database may: not in one run of numbers, and not in the order of time."""
        self.asked.append(sql)
        numbered = [(self.tx.insert(sql, row), at) for at, row in reversed(list(enumerate(rows)))]
        return [number for number, _ in sorted(numbered, key=lambda each: each[1])]

    def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        self.asked.append(sql)
        return self.tx.query(sql.removesuffix(self.dialect.row_lock), parameters)


def written() -> Written:
    tx = SqliteTransaction(sqlite3.connect(":memory:", isolation_level=None))
    migrate(tx, NOW)
    return Written(tx)


def test_a_transaction_claims_the_feed_once_before_its_first_event() -> None:
    tx = written()
    append_event(tx, NOW, "one")
    append_events(tx, NOW, "acme", "1", [("two", None, None), ("three", "t", {})])
    append_event(tx, NOW, "four")
    claims = [at for at, sql in enumerate(tx.asked) if sql == Written.dialect.feed_claim]
    assert claims == [0]
    again = Written(tx.tx)
    again.published = []  # the next transaction
    append_events(again, NOW, "acme", "1", [("five", None, None)])
    assert again.asked[0] == Written.dialect.feed_claim


def test_listeners_hear_the_cursors_that_the_database_gave_in_whatever_order() -> None:
    tx = written()
    append_events(tx, NOW, "acme", "1", [("one", None, None), ("two", "t", None), ("three", None, None)])
    kept = {event.cursor: (event.type, event.target) for event in list_events(tx, 0, 9)}
    assert {each.cursor: (each.type, each.target) for each in tx.published} == kept
    assert [each.type for each in tx.published] == ["one", "two", "three"]


async def test_many_rows_at_once_are_numbered_in_their_order(engine: Engine) -> None:
    async with engine.open() as store:
        await store.write(lambda tx: append_event(tx, NOW, "before"))
        sql = "INSERT INTO events (at, type, data) VALUES (?, ?, ?)"
        names = [f"n{number}" for number in range(50)]
        cursors = await store.write(lambda tx: tx.insert_many(sql, [(NOW, name, "{}") for name in names]))
        assert await store.write(lambda tx: tx.insert_many(sql, [])) == []
        events = await store.read(lambda tx: list_events(tx, 1, 99))
        assert [(event.cursor, event.type) for event in events] == list(zip(cursors, names, strict=True))


async def test_a_column_that_no_index_is_wanted_for_is_used_without_one(engine: Engine) -> None:
    async with engine.open() as store:
        found = {}
        for wanted in (EventFilter(shop="acme"), EventFilter(shop="acme", order="1")):
            found[wanted] = await _plan(store, wanted)
    by_shop, by_order = found.values()
    assert "PRIMARY KEY" in by_shop
    assert "TEMP B-TREE" not in by_shop
    assert "shop=?" in by_order


async def _plan(store: Store, wanted: EventFilter) -> str:
    """How the database goes about it; SQLite's words."""

    def unit(tx: Transaction) -> str:
        asked: list[tuple[str, Sequence[Value]]] = []

        class Kept:
            published, dialect = tx.published, tx.dialect
            execute, insert, insert_many = tx.execute, tx.insert, tx.insert_many

            def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
                asked.append((sql, parameters))
                return []

        list_events(Kept(), 0, 9, wanted)
        ((sql, parameters),) = asked
        return " ".join(str(row[-1]) for row in tx.query(f"EXPLAIN QUERY PLAN {sql}", parameters))

    return await store.read(unit)


def test_a_fence_locks_the_row_where_the_database_can() -> None:
    tx = written()
    tx.execute("INSERT INTO shops (name, platform, lease_epoch) VALUES ('acme', 'selldone', 4)")
    fence(tx, "acme", 4)
    assert tx.asked[-1].endswith(" FOR SHARE")


def test_one_engines_spelling_stands_in_its_own_folder_alone() -> None:
    ours = re.compile(r"[\"' (]\+\w+ =|lastrowid|\bPRAGMA\b|\bAUTOINCREMENT\b|FOR (SHARE|UPDATE)|\bpg_|randomblob")
    for path in sorted((ROOT / "storage").rglob("*.py")):
        if path.parent.name != "sqlite":
            assert not ours.findall(path.read_text(encoding="utf-8")), path


_SQL = re.compile(r"(SELECT|INSERT INTO|UPDATE|DELETE FROM) ")


def test_sql_is_written_in_storage_alone() -> None:
    for path in sorted((ROOT / "orchestrator").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not _SQL.match(node.value), f"{path}:{node.lineno}: {node.value}"
