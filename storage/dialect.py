"""What databases spell differently, each difference with a name; everything else in the queries is portable.

`Transaction.insert` and `insert_many` are the rest of it: every database has its own way to return new identities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of database spells it.

    `types` fills the `{name}` places of migrations: identity columns, byte strings, random text, tables that are kept
    by their key; `text_type` is what a column of text is there. `barrier` stands before a column that must not use an
    index, `index_hint` behind a table that is to be read by an index, whose name it has a place for. `row_lock` ends a
    SELECT whose rows nobody may change before the transaction ends; `row_take` one that leaves out the rows that
    another transaction has, and keeps the others for this one alone. `now_ms` is what the database's clock shows at
    that moment, in Unix milliseconds. `all_columns` is a query for every table, column and place of it in the primary
    key (0: none); `renumber` makes identities go on behind those that are there.
    """

    types: Mapping[str, str]
    text_type: str = "TEXT"
    barrier: str = ""
    index_hint: str = ""
    row_lock: str = ""
    row_take: str = ""
    now_ms: str = ""
    all_columns: str = ""
    renumber: tuple[str, ...] = ()

    def unindexed(self, column: str) -> str:
        """A column for a condition that the query planner must not choose an index for."""
        return f"{self.barrier}{column}"

    def by_index(self, table: str, index: str) -> str:
        """A table that the query planner must read by an index: one that knows nothing of how the rows are spread
        easily chooses another."""
        return table + self.index_hint.format(index)
