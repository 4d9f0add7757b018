"""How SQLite goes about queries that must stay quick in a large store, in its own words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.testing.engine_suite.scratch import NOW
from storage.deliveries import list_parked, parked_heads, parked_keys
from storage.events import EventFilter, list_events
from storage.sqlite.store import open_sqlite
from storage.store import Store
from storage.transaction import Row, Transaction, Value


async def test_what_is_parked_is_found_without_a_walk_through_all_of_it(tmp_path: Path) -> None:
    plans: list[str] = []

    class Explained:
        """Answers as the transaction does, and keeps how the database goes about it."""

        def __init__(self, tx: Transaction) -> None:
            self.tx, self.published = tx, tx.published
            self.execute, self.execute_many = tx.execute, tx.execute_many
            self.insert, self.insert_many = tx.insert, tx.insert_many
            self.dialect = tx.dialect

        def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
            plans.extend(str(row[-1]) for row in self.tx.query(f"EXPLAIN QUERY PLAN {sql}", parameters))
            return self.tx.query(sql, parameters)

    async with open_sqlite(tmp_path / "s.db", NOW) as store:
        await store.read(lambda tx: parked_heads(Explained(tx), "orders", 9))
        await store.read(lambda tx: list_parked(Explained(tx), "orders", "1", 9))
        await store.read(lambda tx: parked_keys(Explained(tx), "orders", ["1"]))
    steps = [plan for plan in plans if "parked" in plan or " p " in f"{plan} "]
    assert len(steps) == 5
    assert all("USING" in step and "parked_lane (name=?" in step for step in steps), steps


async def test_a_column_that_no_index_is_wanted_for_is_used_without_one(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "s.db", NOW) as store:
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
            execute, execute_many = tx.execute, tx.execute_many
            insert, insert_many = tx.insert, tx.insert_many

            def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
                asked.append((sql, parameters))
                return []

        list_events(Kept(), 0, 9, wanted)
        ((sql, parameters),) = asked
        return " ".join(str(row[-1]) for row in tx.query(f"EXPLAIN QUERY PLAN {sql}", parameters))

    return await store.read(unit)
