"""How PostgreSQL goes about what must stay quick in a large store: by an index, whether it plans a statement anew for
each value or once for all, as it does with one that is sent often; and how it is told to look after the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import anyio
import pytest

from orchestrator.testing import postgres
from orchestrator.testing.engine_suite.samples import order, target
from orchestrator.testing.engine_suite.scratch import NOW
from storage import retention
from storage.activity import MINUTE_MS, list_activity
from storage.attempts import list_attempts
from storage.counts import count_orders, count_pending
from storage.deliveries import parked_heads
from storage.due_orders import due_orders, next_due_at, orders_with_intent, shops_with_due_orders
from storage.engines import open_store
from storage.events import EventFilter, append_event, list_events
from storage.order_search import OrderFilter, list_orders
from storage.orders import count_attention, get_order, insert_order
from storage.payloads import get_payload
from storage.postgres.care import CARE
from storage.targets import insert_target, pending_targets_among
from storage.transaction import Row, Transaction, Value

MANY: Final = 20_000
COPIES: Final = {
    "orders": {
        "id": "n::text",
        "due_at": "NULL",
        "situation": "'idle'",
        "intent": "NULL",
        "updated_at": "updated_at + n",
    },
    "targets": {"id": "'t' || n", "order_id": "n::text", "finished_at": "submitted_at + n", "idempotency_key": "NULL"},
    "events": {"order_id": "n::text", "at": "at + n"},
    "payloads": {"id": "n::text"},
}
LARGE: Final = (*COPIES, "webhooks")


async def _made(url: str) -> None:
    async with open_store(url, NOW) as store:

        def unit(tx: Transaction) -> None:
            insert_order(tx, replace(order("one"), due_at=NOW), b"{}")
            insert_target(tx, target("t", "one"), None, None)
            append_event(tx, NOW, "order.imported", shop="acme", order="one")

        await store.write(unit)


@pytest.fixture(scope="module")
def large() -> Iterator[str]:
    """A store with one order that is busy and thousands that rest."""
    server = postgres.server()
    url = server.store()
    anyio.run(_made, url)
    name = postgres.name_of(url)
    with server.asked(name) as connection:
        for table, changed in COPIES.items():
            columns = [
                column
                for (column,) in connection.execute(
                    "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_identity = 'NO'",
                    (table,),
                )
            ]
            values = ", ".join(changed.get(column, column) for column in columns)
            connection.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values}"
                f" FROM {table}, generate_series(1, {MANY}) AS n"
            )
        connection.execute("ANALYZE")
    yield url
    server.forget()


class Explained:
    """Answers as the transaction does, and keeps how the server goes about it."""

    def __init__(self, tx: Transaction) -> None:
        self.tx, self.published, self.moves, self.plans = tx, tx.published, tx.moves, list[str]()
        self.execute, self.execute_many = tx.execute, tx.execute_many
        self.insert, self.insert_many = tx.insert, tx.insert_many
        self.dialect = tx.dialect

    def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        self.plans.append("\n".join(str(row[0]) for row in self.tx.query(f"EXPLAIN {sql}", parameters)))
        return self.tx.query(sql, parameters)


ASKED: Final[dict[str, Callable[[Transaction], object]]] = {
    "an order": lambda tx: get_order(tx, "acme", "one"),
    "its payload": lambda tx: get_payload(tx, "acme", "one"),
    "due orders": lambda tx: due_orders(tx, "acme", NOW, 50),
    "the next due": lambda tx: next_due_at(tx, "acme", 0),
    "shops with due orders": lambda tx: shops_with_due_orders(tx, ["acme"], NOW),
    "orders with an intent": lambda tx: orders_with_intent(tx, "acme"),
    "queues": lambda tx: pending_targets_among(tx, [("acme", "one"), ("acme", "7")]),
    "a page": lambda tx: list_orders(tx, 0, 50, OrderFilter()),
    "a page of busy ones": lambda tx: list_orders(tx, 0, 50, OrderFilter(situation="queued")),
    "a page of one reference": lambda tx: list_orders(tx, 0, 50, OrderFilter(reference="R")),
    "a page of a shop": lambda tx: list_orders(tx, 0, 50, OrderFilter(shop="acme", milestone="shipped")),
    "a page of what changed": lambda tx: list_orders(tx, 0, 50, OrderFilter(updated_after=NOW + MANY - 5)),
    "a page of what is gone": lambda tx: list_orders(tx, 0, 50, OrderFilter(is_gone=True)),
    "what counts show": lambda tx: (count_orders(tx), count_pending(tx), count_attention(tx)),
    "the feed": lambda tx: list_events(tx, MANY - 50, 100, EventFilter()),
    "the feed of an order": lambda tx: list_events(tx, 0, 100, EventFilter(shop="acme", order="one")),
    "what is parked": lambda tx: parked_heads(tx, "orders", 9),
    "the history": lambda tx: list_activity(tx, MINUTE_MS, "acme", NOW, NOW + 1),
    "attempts of an event": lambda tx: list_attempts(tx, "orders_url", 20, cursor=7),
    "old targets": lambda tx: retention.TARGETS.find(tx, NOW),
    "old events": lambda tx: retention.EVENTS.find(tx, NOW),
    "old orders": lambda tx: retention.orders_duty({"acme": ["over"], "other": ["over", "done"]}).find(tx, NOW),
}


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("what", ASKED)
async def test_no_large_table_is_read_from_end_to_end(large: str, what: str, mode: str) -> None:
    def unit(tx: Transaction) -> list[str]:
        tx.query(f"SELECT set_config('plan_cache_mode', '{mode}', true)")
        explained = Explained(tx)
        ASKED[what](explained)
        return explained.plans

    async with open_store(large, NOW) as store:
        plans = await store.read(unit)
    assert plans, "it asked nothing"
    assert not [plan for plan in plans for table in LARGE if f"Seq Scan on {table}" in plan], "\n\n".join(plans)


def _options(url: str) -> dict[str, set[str]]:
    with postgres.server().asked(postgres.name_of(url)) as connection:
        found = connection.execute("SELECT relname, reloptions FROM pg_class WHERE reloptions IS NOT NULL").fetchall()
    return {table: set(options) for table, options in found if table in CARE}


@pytest.fixture
def url() -> Iterator[str]:
    """A store of its own; `large` stays."""
    server = postgres.server()
    yield server.store()
    server.forget_last()


async def test_the_tables_that_change_most_are_looked_after_and_what_somebody_set_stays(url: str) -> None:
    wanted = {table: {f"{name}={value}" for name, value in options.items()} for table, options in CARE.items()}
    assert _options(url) == wanted
    with postgres.server().asked(postgres.name_of(url)) as connection:
        connection.execute("ALTER TABLE orders RESET (autovacuum_vacuum_scale_factor)")
        connection.execute("ALTER TABLE orders SET (fillfactor = 90)")
        connection.execute("ALTER TABLE events RESET (autovacuum_analyze_scale_factor)")
    async with open_store(url, NOW):
        wanted["orders"] = wanted["orders"] - {"fillfactor=70"} | {"fillfactor=90"}
        assert _options(url) == wanted


async def test_who_holds_a_table_up_delays_no_start(url: str) -> None:
    with postgres.server().asked(postgres.name_of(url)) as connection:
        connection.execute("ALTER TABLE orders RESET (fillfactor)")
        connection.execute("BEGIN")
        connection.execute("LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE")  # as a VACUUM does
        async with open_store(url, NOW) as store:
            assert await store.read(lambda tx: get_order(tx, "acme", "one")) is None
        connection.execute("COMMIT")
