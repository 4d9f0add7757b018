"""The seam between queries and engines: a unit of work is one function of a transaction.

Such a function runs in the engine's own thread from BEGIN to COMMIT, so a cancelled caller can not cut it in half
(docs/pitfalls.md S1). It must not block on anything but the database, and it may be run again by an engine that
retries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from storage.dialect import Dialect
from storage.moves import Moves

Value: TypeAlias = str | int | float | bytes | None
Row: TypeAlias = tuple[Any, ...]


class Transaction(Protocol):
    """Statements in portable SQL with `?` places. `published` collects events for listeners once it is committed;
    `moves` how the counts move, which the engine writes before it commits."""

    published: list[Published]
    moves: Moves

    @property
    def dialect(self) -> Dialect:
        """How this database spells what others spell otherwise."""
        ...

    def execute(self, sql: str, parameters: Sequence[Value] = ()) -> int:
        """Runs a statement, returns how many rows it changed."""
        ...

    def execute_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> int:
        """Runs a statement that changes one row for each of several, returns how many rows they changed in all. Raises
        when one of them fails; then some may be done."""
        ...

    def insert(self, sql: str, parameters: Sequence[Value]) -> int:
        """Runs an INSERT into a table with an identity column, returns the new identity."""
        ...

    def insert_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> list[int]:
        """As `insert` for several rows at once: `sql` is for one row and ends with its places alone, `VALUES (?, …)`.
        Answers the identities in the order of `rows`."""
        ...

    def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """All rows of a SELECT."""
        ...


class Published(NamedTuple):
    """What listeners get of a committed event."""

    cursor: int
    shop: str | None
    order: str | None
    target: str | None
    type: str = ""
