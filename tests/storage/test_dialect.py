"""What databases spell differently has a name, is spelt in the engine's folder, and does what it is called."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path

from orchestrator.testing.engine_suite.scratch import NOW
from storage.dialect import Dialect
from storage.events import append_events, list_events
from storage.leases import fence
from storage.migrations import migrate
from storage.sqlite.connection import SqliteTransaction
from storage.transaction import Row, Value
from tests.support.memory import memory_transaction

ROOT = Path(__file__).parents[2]


class Written:
    """A transaction of a made-up database: keeps what it is asked and does it on SQLite, without what that cannot."""

    dialect = Dialect(types={}, barrier="0||", row_lock=" FOR SHARE")

    def __init__(self, tx: SqliteTransaction) -> None:
        self.tx, self.published, self.moves, self.asked = tx, tx.published, tx.moves, list[str]()
        self.execute, self.execute_many = tx.execute, tx.execute_many

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
    tx = memory_transaction()
    migrate(tx, NOW)
    return Written(tx)


def test_listeners_hear_the_cursors_that_the_database_gave_in_whatever_order() -> None:
    tx = written()
    append_events(tx, NOW, "acme", "1", [("one", None, None), ("two", "t", None), ("three", None, None)])
    kept = {event.cursor: (event.type, event.target) for event in list_events(tx, 0, 9)}
    assert {each.cursor: (each.type, each.target) for each in tx.published} == kept
    assert [each.type for each in tx.published] == ["one", "two", "three"]


def test_a_fence_locks_the_row_where_the_database_can() -> None:
    tx = written()
    tx.execute("INSERT INTO shops (name, platform, lease_epoch) VALUES ('acme', 'selldone', 4)")
    fence(tx, "acme", 4)
    assert tx.asked[-1].endswith(" FOR SHARE")


def test_one_engines_spelling_stands_in_its_own_folder_alone() -> None:
    ours = re.compile(r"[\"' (]\+\w+ =|lastrowid|\bPRAGMA\b|\bAUTOINCREMENT\b|FOR (SHARE|UPDATE)|\bpg_|randomblob")
    for path in sorted((ROOT / "storage").rglob("*.py")):
        if path.parent.name not in ("sqlite", "postgres"):
            assert not ours.findall(path.read_text(encoding="utf-8")), path


_SQL = re.compile(r"(SELECT|INSERT INTO|UPDATE|DELETE FROM) ")


def test_sql_is_written_in_storage_alone() -> None:
    for path in sorted((ROOT / "orchestrator").rglob("*.py")):
        if "testing" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not _SQL.match(node.value), f"{path}:{node.lineno}: {node.value}"
