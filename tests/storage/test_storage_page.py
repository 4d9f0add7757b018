"""docs/storage.md names every table and every column, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.testing.engine_suite.scratch import NOW
from storage.migrations import migrate
from tests.support.memory import memory_transaction

PAGE = Path(__file__).parents[2] / "docs" / "storage.md"


def schema() -> dict[str, set[str]]:
    tx = memory_transaction()
    migrate(tx, NOW)
    names = tx.query("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {name: {row[1] for row in tx.query(f"PRAGMA table_info({name})")} for (name,) in names}


def sections() -> dict[str, str]:
    """The text below each table's heading."""
    parts = re.split(r"^### `(\w+)`$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_table_has_its_section_and_every_section_its_table() -> None:
    assert sorted(sections()) == sorted(schema())


def test_every_column_is_reported_in_the_section_of_its_table() -> None:
    reported = sections()
    for table, columns in schema().items():
        missing = columns - set(re.findall(r"`(\w+)`", reported[table]))
        assert not missing, f"{table}: {sorted(missing)}"


def test_no_table_of_columns_shows_one_that_is_not_there() -> None:
    for table, text in sections().items():
        rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
        reported = set(re.findall(r"`(\w+)`", "".join(rows)))
        assert reported <= schema()[table], table
