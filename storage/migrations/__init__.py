"""Numbered, forward-only migrations; each `NNNN_name.sql` runs once, in order, in one transaction."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from storage.dialect import Dialect
from storage.errors import NewerStore
from storage.transaction import Transaction

_LEDGER = """CREATE TABLE IF NOT EXISTS schema_migrations (
    version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    version: int
    name: str
    sql: str

    def statements(self) -> Iterator[str]:
        """Its statements, comments left out. They end with `;` at the end of a line."""
        lines = [line for line in self.sql.splitlines() if not line.lstrip().startswith("--")]
        for statement in "\n".join(lines).split(";\n"):
            if text := statement.strip().rstrip(";").strip():
                yield text


def all_migrations() -> list[Migration]:
    """Every migration that this version knows, oldest first."""
    found = []
    for entry in resources.files(__name__).iterdir():
        number, _, name = entry.name.partition("_")
        if entry.name.endswith(".sql"):
            found.append(Migration(int(number), name.removesuffix(".sql"), entry.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.version)


def migrate(tx: Transaction, now_ms: int) -> list[int]:
    """Brings the store to this version's schema; returns the versions that were applied.

    `Dialect` fills the `{name}` places that databases spell differently (identity columns, byte strings).
    Raises NewerStore when the store was written by a later version.
    """
    tx.execute(_spelled(_LEDGER, tx.dialect))
    known = all_migrations()
    done = {version for (version,) in tx.query("SELECT version FROM schema_migrations")}
    newest = known[-1].version
    if done and max(done) > newest:
        raise NewerStore(max(done), newest)
    applied = []
    for migration in known:
        if migration.version in done:
            continue
        for statement in migration.statements():
            tx.execute(_spelled(statement, tx.dialect))
        tx.execute(
            "INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, ?)",
            (migration.version, migration.name, now_ms),
        )
        applied.append(migration.version)
    return applied


def _spelled(statement: str, dialect: Dialect) -> str:
    for name, text in dialect.types.items():
        statement = statement.replace("{" + name + "}", text)
    return re.sub(r"\bTEXT\b", dialect.text_type, statement)
