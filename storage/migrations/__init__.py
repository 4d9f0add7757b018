"""Numbered, forward-only migrations; each `NNNN_name.sql` runs once, in order, in one transaction.

Nodes of two versions work on one store while it is upgraded, and a version may be taken back. So a change comes in
halves, by the name of its file:

* `NNNN_name.sql` expands: what the version before does not know of does not disturb it.
* `NNNN_name.index.sql` has indexes alone, which a database that several nodes work on builds without locking a table.
* `NNNN_name.contract.sql` takes away what no program needs any more that knows the version in its line `-- least: N`.
  It waits until no node lives that knows less, and no program that knows less opens the store from then on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final, Literal, TypeAlias

from storage.dialect import Dialect
from storage.errors import NewerStore
from storage.transaction import Transaction

_LEDGER = """CREATE TABLE IF NOT EXISTS schema_migrations (
    version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)"""

_LEAST: Final = re.compile(r"^-- least: (\d+)$", re.MULTILINE)

Kind: TypeAlias = Literal["expand", "index", "contract"]

Older: TypeAlias = Callable[[Transaction, int], Sequence[str]]
"""Which nodes live that do not know a version of the schema, by their names."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    version: int
    name: str
    sql: str
    kind: Kind = "expand"

    @property
    def least(self) -> int:
        """The schema version that a program has to know to work on the store once this was applied; 0 for one that
        disturbs nobody. Raises ValueError where a contract half does not say it."""
        if self.kind != "contract":
            return 0
        found = _LEAST.search(self.sql)
        if found is None:
            raise ValueError(f"migration {self.version}: a contract half needs a line `-- least: VERSION`")
        return int(found[1])

    def statements(self) -> Iterator[str]:
        """Its statements, comments left out. They end with `;` at the end of a line."""
        lines = [line for line in self.sql.splitlines() if not line.lstrip().startswith("--")]
        for statement in "\n".join(lines).split(";\n"):
            if text := statement.strip().rstrip(";").strip():
                yield text


@dataclass(frozen=True, slots=True)
class Left:
    """A contract half that is left for a later start, because of `older` nodes that live."""

    migration: Migration
    older: Sequence[str]


@dataclass(frozen=True, slots=True)
class Migrated:
    """What became of a store: the versions that were `applied`, indexes that are to be built `apart`, and what is
    `left`."""

    applied: Sequence[int]
    apart: Sequence[Migration]
    left: Sequence[Left]


def all_migrations() -> list[Migration]:
    """Every migration that this version knows, oldest first."""
    found = []
    for entry in resources.files(__name__).iterdir():
        if entry.name.endswith(".sql"):
            number, _, rest = entry.name.removesuffix(".sql").partition("_")
            name, _, kind = rest.partition(".")
            found.append(Migration(int(number), name, entry.read_text(encoding="utf-8"), _kind(kind)))
    return sorted(found, key=lambda migration: migration.version)


def newest_schema() -> int:
    """The newest schema version that this program knows."""
    return all_migrations()[-1].version


def nobody(_tx: Transaction, _least: int) -> Sequence[str]:
    """Where one daemon has the store for itself no other node lives."""
    return ()


def migrate(tx: Transaction, now_ms: int, *, older: Older = nobody, is_shared: bool = False) -> Migrated:
    """Brings the store to this version's schema, but for contract halves that an older node is in the way of.

    `is_shared`: other nodes may be working on the store, so indexes of tables that are there are left to be built
    apart. `Dialect` fills the `{name}` places that databases spell differently (identity columns, byte strings).
    Raises NewerStore when the store needs a later version.
    """
    tx.execute(spelled(_LEDGER, tx.dialect))
    known = all_migrations()
    done = {version for (version,) in tx.query("SELECT version FROM schema_migrations")}
    if done and max(done) > known[-1].version:
        refuse_newer(tx)
    applied, apart, left = [], [], []
    for migration in known:
        if migration.version in done:
            continue
        if migration.kind == "index" and is_shared and done:
            apart.append(migration)
        elif migration.kind == "contract" and (found := _in_the_way(tx, migration, older)):
            left.append(Left(migration, found))
        else:
            for statement in migration.statements():
                tx.execute(spelled(statement, tx.dialect))
            note(tx, migration, now_ms)
            applied.append(migration.version)
    return Migrated(applied, apart, left)


def _in_the_way(tx: Transaction, migration: Migration, older: Older) -> Sequence[str]:
    # From now on no node that starts comes to know which version the store needs: it waits for what is decided here.
    tx.execute("UPDATE store_identity SET least_schema = least_schema")
    return older(tx, migration.least)


def note(tx: Transaction, migration: Migration, now_ms: int) -> None:
    """Notes that a migration was applied."""
    tx.execute(
        "INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, ?)",
        (migration.version, migration.name, now_ms),
    )
    if migration.least:
        tx.execute(
            "UPDATE store_identity SET least_schema = ? WHERE least_schema < ?", (migration.least, migration.least)
        )


def refuse_newer(tx: Transaction) -> None:
    """Raises NewerStore when the store needs a later version of this program."""
    least, newest = least_schema(tx), newest_schema()
    if least > newest:
        ((found,),) = tx.query("SELECT max(version) FROM schema_migrations")
        raise NewerStore(found, newest, least)


def least_schema(tx: Transaction) -> int:
    """The schema version that a program has to know to work on the store."""
    found: int = tx.query("SELECT least_schema FROM store_identity")[0][0]
    return found


def spelled(statement: str, dialect: Dialect) -> str:
    """A statement of a migration as this database takes it."""
    for name, text in dialect.types.items():
        statement = statement.replace("{" + name + "}", text)
    return re.sub(r"\bTEXT\b", dialect.text_type, statement)


def _kind(text: str) -> Kind:
    match text:
        case "":
            return "expand"
        case "index" | "contract":
            return text
        case _:
            raise ValueError(f"a migration is no {text!r}: name it NNNN_name.sql, .index.sql or .contract.sql")
