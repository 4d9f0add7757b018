"""What a migration may do while nodes of the version before work on the store (CONTRIBUTING.md)."""

from __future__ import annotations

import re

import pytest

from storage.migrations import Kind, Migration, all_migrations
from tests.support.previous import PREVIOUS

_WORD = r"[a-z_][a-z0-9_]*"
_TYPE = r"(?:BIGINT|INTEGER|TEXT|DOUBLE PRECISION|\{bytes\})"
_LITERAL = r"(?:-?\d+|'[^']*'|NULL)"
_TABLE = re.compile(rf"CREATE TABLE ({_WORD}) \((?:[^()]|\([^()]*\))*\)")  # and nothing behind it
_REFERENCED = re.compile(rf'REFERENCES "?({_WORD})')
_COLUMN = re.compile(rf"ALTER TABLE {_WORD} ADD COLUMN {_WORD} {_TYPE}(?: (?:NOT NULL )?DEFAULT {_LITERAL})?")
_INDEX = re.compile(rf"CREATE INDEX {_WORD} ON ({_WORD}) ")
_UNIQUE = re.compile(rf"CREATE UNIQUE INDEX {_WORD} ON ({_WORD}) ")
_FILL = re.compile(rf"INSERT INTO ({_WORD}) ")

FLOOR = 25
"""The newest schema of the time when no two daemons worked on one store."""
REVIEWED = {"0030_queues": "an index that no query of any version names"}
"""Contract halves that no node of the version before keeps waiting, and why it works without what goes."""


def faults(migration: Migration, before: int = 0) -> list[str]:
    """What in a migration a version that knows the schema `before` would be disturbed by, statement by statement."""
    statements = [" ".join(each.split()) for each in migration.statements()]
    if migration.kind == "contract":
        if not 0 < migration.least <= migration.version:
            return [f"least: {migration.least} is no version before"]
        return [] if migration.least > before else [f"least: {migration.least} waits for no node, and is not REVIEWED"]
    if migration.kind == "index":
        return [each for each in statements if not _INDEX.match(each)]
    new = {found[1] for each in statements if (found := _TABLE.fullmatch(each))}
    return [each for each in statements if not _expands(each, new)]


def _expands(statement: str, new: set[str]) -> bool:
    """Whether a statement adds a table, a column that old INSERTs need not know, or concerns a `new` table alone."""
    if _TABLE.fullmatch(statement):
        return new.issuperset(_REFERENCED.findall(statement))  # others could not delete what they refer to
    if _COLUMN.fullmatch(statement):
        return True
    of_table = next((found for form in (_INDEX, _UNIQUE, _FILL) if (found := form.match(statement))), None)
    return of_table is not None and of_table[1] in new


SINCE = {f"{each.version:04}_{each.name}": each for each in all_migrations() if each.version > FLOOR}


def test_migrations_disturb_nobody() -> None:
    found = {
        name: faults(each, PREVIOUS.schema if each.version > PREVIOUS.schema else FLOOR)
        for name, each in SINCE.items()
        if name not in REVIEWED
    }
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    assert all(SINCE[name].kind == "contract" for name in REVIEWED)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE a (b TEXT);\nCREATE INDEX a_b ON a (b);\nCREATE UNIQUE INDEX a_c ON a (b);\n",
        "CREATE TABLE a (b TEXT);\nINSERT INTO a (b) VALUES ('x');\n",
        "CREATE TABLE a (b TEXT PRIMARY KEY);\nCREATE TABLE c (b TEXT REFERENCES a (b) ON DELETE CASCADE);\n",
        "ALTER TABLE orders ADD COLUMN a TEXT;\n",
        "ALTER TABLE orders ADD COLUMN a BIGINT NOT NULL DEFAULT 0;\n",
        "ALTER TABLE orders ADD COLUMN a TEXT DEFAULT '';\n",
        "ALTER TABLE orders ADD COLUMN a {bytes};\n",
        "-- a comment alone: a version by which others know what this program can do\n",
    ],
)
def test_what_expands_may_be_done(sql: str) -> None:
    assert faults(Migration(1, "x", sql)) == []


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE orders DROP COLUMN a",
        "ALTER TABLE orders RENAME TO others",
        "ALTER TABLE orders RENAME COLUMN a TO b",
        "ALTER TABLE orders ALTER COLUMN a TYPE BIGINT",
        "ALTER TABLE orders ADD COLUMN a TEXT NOT NULL",
        "ALTER TABLE orders ADD COLUMN a TEXT UNIQUE",
        "ALTER TABLE orders ADD COLUMN a TEXT REFERENCES shops (name)",
        "ALTER TABLE orders ADD COLUMN a BIGINT CHECK (a > 0)",
        "ALTER TABLE orders ADD COLUMN a TEXT NOT NULL DEFAULT ({random})",
        "ALTER TABLE orders ADD CONSTRAINT c CHECK (a > 0)",
        "DROP TABLE orders",
        "DROP INDEX orders_busy",
        "CREATE INDEX a ON orders (state)",
        "CREATE UNIQUE INDEX a ON orders (state)",
        "UPDATE orders SET state = 'a'",
        "DELETE FROM orders",
        "INSERT INTO shops (name) VALUES ('a')",
        "CREATE TRIGGER a AFTER INSERT ON orders BEGIN SELECT 1; END",
        "TRUNCATE orders",
        "CREATE TABLE a (b TEXT REFERENCES orders (id))",
        "CREATE TABLE a (b TEXT, FOREIGN KEY (b) REFERENCES orders (id))",
        "CREATE TABLE a (b TEXT) INHERITS (orders)",
        "CREATE TABLE a (b) AS SELECT id FROM orders",
    ],
)
def test_what_contracts_is_found_outside_a_contract_half(sql: str) -> None:
    assert faults(Migration(9, "x", sql + ";\n")) == [sql]
    assert faults(Migration(9, "x", f"-- least: 8\n{sql};\n", "contract"), 7) == []


@pytest.mark.parametrize(("least", "before"), [(0, 8), (10, 8), (8, 8), (1, 8)])
def test_a_contract_half_needs_a_version_that_there_is_and_that_the_one_before_does_not_know(
    least: int, before: int
) -> None:
    assert faults(Migration(9, "x", f"-- least: {least}\nDROP TABLE orders;\n", "contract"), before)


@pytest.mark.parametrize("kind", ["expand", "index"])
def test_indexes_of_tables_that_are_there_have_a_file_of_their_own(kind: Kind) -> None:
    assert bool(faults(Migration(9, "x", "CREATE INDEX a ON orders (state);\n", kind))) == (kind == "expand")
