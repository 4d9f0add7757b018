"""Migrations: numbered, once each, and the same schema whichever way a store came to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.testing.engine_suite.scratch import NOW
from storage.counts import count_orders, count_pending, wrong_counts
from storage.migrations import Migration, all_migrations, migrate
from storage.sqlite.connection import SqliteTransaction
from storage.transaction import Value
from tests.support.memory import memory_transaction

Schema = list[tuple[str, str, str]]


def schema(tx: SqliteTransaction) -> Schema:
    rows = tx.query("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name")
    return [(row[0], row[1], row[2]) for row in rows]


def only(monkeypatch: pytest.MonkeyPatch, migrations: Sequence[Migration]) -> None:
    monkeypatch.setattr("storage.migrations.all_migrations", lambda: list(migrations))


def test_a_fresh_store_and_one_migrated_version_by_version_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    known = all_migrations()
    fresh, grown = memory_transaction(), memory_transaction()
    assert migrate(fresh, NOW).applied == [each.version for each in known]
    for count in range(1, len(known) + 1):
        only(monkeypatch, known[:count])
        assert migrate(grown, NOW).applied == [known[count - 1].version]
    assert schema(grown) == schema(fresh)


def test_migrating_again_changes_nothing() -> None:
    tx = memory_transaction()
    migrate(tx, NOW)
    before = schema(tx), tx.query("SELECT * FROM schema_migrations")
    assert migrate(tx, NOW + 1).applied == []
    assert (schema(tx), tx.query("SELECT * FROM schema_migrations")) == before


def test_versions_are_numbered_without_gaps() -> None:
    assert [each.version for each in all_migrations()] == list(range(1, len(all_migrations()) + 1))


def test_every_statement_is_found_and_spelled_for_the_database() -> None:
    for migration in all_migrations():
        statements = list(migration.statements())
        assert len(statements) == migration.sql.count(";\n")
        assert not [each for each in statements if each.startswith("--")]
    tx = memory_transaction()
    migrate(tx, NOW)
    assert not [name for _, name, sql in schema(tx) if sql and "{" in sql]


def test_a_comment_with_a_semicolon_is_no_statement() -> None:
    migration = Migration(1, "x", "-- one; two;\nCREATE TABLE a (b TEXT);\n\n-- end;\nCREATE INDEX c ON a (b);\n")
    assert list(migration.statements()) == ["CREATE TABLE a (b TEXT)", "CREATE INDEX c ON a (b)"]


def test_a_shop_of_before_history_was_kept_is_followed_since_its_last_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    known = all_migrations()
    (history,) = [each.version for each in known if each.name == "history"]
    tx = memory_transaction()
    only(monkeypatch, [each for each in known if each.version < history])
    migrate(tx, NOW)
    for name, last_sync_at in (("synced", NOW - 5), ("new", None)):
        tx.execute("INSERT INTO shops (name, platform, last_sync_at) VALUES (?, 'selldone', ?)", (name, last_sync_at))
    only(monkeypatch, known)
    migrate(tx, NOW)
    rows = tx.query("SELECT name, followed_since, swept_since, skipped FROM shops ORDER BY name")
    assert [tuple(row) for row in rows] == [("new", None, None, 0), ("synced", NOW - 5, None, 0)]


def test_an_order_that_only_webhooks_reported_is_provisional(monkeypatch: pytest.MonkeyPatch) -> None:
    known = all_migrations()
    (provisional,) = [each.version for each in known if each.name == "provisional"]
    tx = memory_transaction()
    only(monkeypatch, [each for each in known if each.version < provisional])
    migrate(tx, NOW)
    for order, content_hash in (("webhook", ""), ("read", "h")):
        tx.execute(
            "INSERT INTO orders (shop, platform, id, state, platform_state, payment, situation, facts, content_hash,"
            " observed_at, moved_at, attempts, read_attempts, crashes, imported_at, updated_at, version)"
            " VALUES ('acme', 'shopify', ?, 's', 's', 'paid', 'idle', '{}', ?, 0, 0, 0, 0, 0, 1, 1, 1)",
            (order, content_hash),
        )
    only(monkeypatch, known)
    migrate(tx, NOW)
    rows = tx.query("SELECT id, is_provisional FROM orders ORDER BY id")
    assert [tuple(row) for row in rows] == [("read", 0), ("webhook", 1)]


def test_webhooks_of_older_versions_keep_what_they_are_about_and_that_somebody_looked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = all_migrations()
    (kind,) = [each.version for each in known if each.name == "webhook_kind"]
    tx = memory_transaction()
    only(monkeypatch, [each for each in known if each.version < kind])
    migrate(tx, NOW)
    for source, topic, attempts in (
        ("shopify", "orders/paid", 0),
        ("shopify", "products/create", 0),
        ("shopify", None, 2),
        ("hint", None, 0),
    ):
        tx.execute(
            "INSERT INTO webhooks (shop, source, topic, received_at, payload, attempts, due_at)"
            " VALUES ('acme', ?, ?, 7, ?, ?, 7)",
            (source, topic, b"{}", attempts),
        )
    only(monkeypatch, known)
    migrate(tx, NOW)
    rows = [tuple(row) for row in tx.query("SELECT kind, looked_at FROM webhooks ORDER BY id")]
    assert rows == [("order", None), ("product", None), ("other", 7), ("order", None)]


def test_of_many_payloads_of_one_order_the_newest_stays_and_no_list_does(monkeypatch: pytest.MonkeyPatch) -> None:
    known = all_migrations()
    (rejected,) = [each.version for each in known if each.name == "rejected"]
    tx = memory_transaction()
    only(monkeypatch, known[: rejected - 1])
    migrate(tx, NOW)
    for number, (shop, order) in enumerate([("a", "1"), ("a", "1"), ("a", None), ("a", None), ("b", "1"), ("a", "1")]):
        row = (shop, order, NOW, str(number), b"x%d" % number)
        columns = "shop, source, order_id, at, error, digest, payload"
        tx.execute(f"INSERT INTO rejected ({columns}) VALUES (?, 'poll', ?, ?, '?', ?, ?)", row)
    for number, error in enumerate(["the list cannot be read: '{' is missing", "the list of orders has no nodes"]):
        of_a_list = (NOW, error, f"list {number}", b"<html>")
        tx.execute(f"INSERT INTO rejected ({columns}) VALUES ('a', 'poll', NULL, ?, ?, ?, ?)", of_a_list)
    only(monkeypatch, known[:rejected])
    migrate(tx, NOW)
    kept = tx.query("SELECT id, shop, subject, payload, next_at FROM rejected ORDER BY id")
    assert kept == [
        (3, "a", "payload 2", b"x2", 0),
        (4, "a", "payload 3", b"x3", 0),
        (5, "b", "order 1", b"x4", 0),
        (6, "a", "order 1", b"x5", 0),
    ]
    tx.execute("DELETE FROM rejected")
    found = tx.insert(
        "INSERT INTO rejected (shop, subject, source, at, error, payload, told, attempts, next_at)"
        " VALUES ('a', 's', 'poll', 1, '?', x'', '', 0, 0)",
        (),
    )
    assert found == 9, "an id is never another payload's"


def test_a_migration_that_is_killed_anywhere_begins_again_with_nothing_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = all_migrations()
    (counts,) = [each.version for each in known if each.name == "counts"]
    only(monkeypatch, known[: counts - 1])
    path = tmp_path / "s.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(SqliteTransaction(connection), NOW)
        for number, situation, milestone in ((1, "idle", "new"), (2, "idle", None), (3, "blocked", "new")):
            connection.execute(
                "INSERT INTO orders (shop, platform, id, state, platform_state, milestone, payment, situation, facts,"
                " content_hash, observed_at, moved_at, attempts, read_attempts, crashes, imported_at, updated_at,"
                " version) VALUES ('acme', 'shopify', ?, 's', 's', ?, 'paid', ?, '{}', 'h', 0, 0, 0, 0, 0, 1, 1, 1)",
                (number, milestone, situation),
            )
            connection.execute(
                "INSERT INTO targets (id, shop, order_id, state, status, request, plan, unused, submitted_at,"
                " finished_at) VALUES (?, 'acme', ?, 's', 'queued', '{}', '[]', '[]', 1, ?)",
                (number, number, None if situation == "blocked" else 2),
            )
    only(monkeypatch, known)
    steps = sum(len(list(migration.statements())) for migration in known[counts - 1 :])
    for step in range(steps + 1):
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            with pytest.raises(_Killed):
                migrate(_Killing(connection, step), NOW)  # nothing is committed: the file is as it was
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        tx = SqliteTransaction(connection)
        migrate(tx, NOW)
        assert count_orders(tx) == [("acme", "blocked", "s", 1), ("acme", "idle", "s", 2)]
        assert count_pending(tx) == (1, {"acme": 1})
        assert wrong_counts(tx).shops == []


class _Killed(Exception):
    """The process was ended here."""


class _Killing(SqliteTransaction):
    """Ends at a statement that changes something, counted from the first one of the migrations that are missing."""

    def __init__(self, connection: sqlite3.Connection, steps: int) -> None:
        super().__init__(connection)
        self._left = steps + 1  # the ledger's own statement comes first

    def execute(self, sql: str, parameters: Sequence[Value] = ()) -> int:
        if not self._left:
            raise _Killed
        self._left -= 1
        return super().execute(sql, parameters)
