"""How SQLite goes about queries that must stay quick in a large store, in its own words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from orchestrator.testing.engine_suite.samples import order
from orchestrator.testing.engine_suite.scratch import NOW
from storage import retention
from storage.activity import KEPT_MS, MINUTE_MS, list_activity
from storage.attempts import list_attempts
from storage.counts import count_orders, count_pending, wrong_counts
from storage.deliveries import list_parked, parked_heads, parked_keys
from storage.events import EventFilter, list_events
from storage.order_search import OrderFilter, list_orders
from storage.orders import count_attention, insert_order
from storage.records import Situation
from storage.sqlite.store import open_sqlite
from storage.store import Store
from storage.targets import pending_targets, pending_targets_among, pending_targets_of
from storage.transaction import Row, Transaction, Value


class Explained:
    """Answers as the transaction does, and keeps how the database goes about it."""

    def __init__(self, tx: Transaction) -> None:
        self.tx, self.published, self.moves, self.plans = tx, tx.published, tx.moves, list[str]()
        self.execute, self.execute_many = tx.execute, tx.execute_many
        self.insert, self.insert_many = tx.insert, tx.insert_many
        self.dialect = tx.dialect

    def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        self.plans.extend(str(row[-1]) for row in self.tx.query(f"EXPLAIN QUERY PLAN {sql}", parameters))
        return self.tx.query(sql, parameters)


async def plans_of(store: Store, *asked: Callable[[Transaction], object]) -> list[str]:
    def unit(tx: Transaction) -> list[str]:
        explained = Explained(tx)
        for each in asked:
            each(explained)
        return explained.plans

    return await store.read(unit)


# An index of a part of the rows counts as COVERING only if it has the column that says which. SQLite goes to a row when
# a column of it is needed, and that one is not, so it reads the index alone all the same.
BUSY = "orders USING COVERING INDEX orders_busy (seq>?)"
REST = "orders USING INDEX orders_rest (state=? AND milestone=? AND seq>?)"
OF_SHOP = "orders USING INDEX orders_rest_of_shop (shop=? AND state=? AND milestone=? AND seq>?)"
RESTED = "orders USING INDEX orders_rested (updated_at>?)"
BY_SEQ = "orders USING INTEGER PRIMARY KEY (rowid=?)"


@pytest.mark.parametrize(
    ("wanted", "parts"),
    [
        (OrderFilter(), {"orders USING INTEGER PRIMARY KEY (rowid>?)"}),
        (OrderFilter(reference="R"), {"orders USING INDEX orders_reference (reference=? AND rowid>?)"}),
        (OrderFilter(situation="blocked"), {BUSY, BY_SEQ}),
        (OrderFilter(situation="waiting", waiting_shops=("acme", "other")), {BUSY, BY_SEQ}),
        (OrderFilter(situation="idle"), {REST, BY_SEQ}),
        (OrderFilter(milestone="new"), {BUSY, REST, BY_SEQ}),
        (OrderFilter(milestone="shipped", passed=(("acme", "CheckQueue"),)), {BUSY, REST, BY_SEQ}),
        (OrderFilter(states=("CheckQueue", "SentOrder")), {BUSY, REST, BY_SEQ}),
        (OrderFilter(shop="acme"), {BUSY, OF_SHOP, BY_SEQ}),
        (OrderFilter(shop="acme", milestone="new"), {BUSY, OF_SHOP, BY_SEQ}),
        (OrderFilter(updated_after=NOW - 1), {BUSY, RESTED, BY_SEQ}),
        (OrderFilter(updated_before=NOW + 1), {BUSY, REST, BY_SEQ}),
        (OrderFilter(is_gone=True), {"orders USING INDEX orders_gone (seq>?)", BY_SEQ}),
        (OrderFilter(problem="rejected", step="send"), {"orders USING INDEX orders_busy (seq>?)", BY_SEQ}),
    ],
    ids=lambda value: str(value) if isinstance(value, OrderFilter) else "",
)
async def test_a_page_of_orders_is_found_by_index(tmp_path: Path, wanted: OrderFilter, parts: set[str]) -> None:
    async with open_sqlite(tmp_path / "s.db", NOW) as store:
        await store.write(lambda tx: [insert_order(tx, order(each), b"") for each in "12"])
        for situation in (Situation.WAITING, Situation.BLOCKED):
            await store.write(lambda tx, each=situation: insert_order(tx, order(each, situation=each), b""))  # type: ignore[misc]
        plans = await plans_of(store, lambda tx: list_orders(tx, 0, 9, wanted))
    used = {plan.removeprefix("SEARCH ") for plan in plans if " orders " in plan}
    assert not {plan for plan in used if plan.startswith("SCAN")}
    assert used == parts


@pytest.mark.parametrize(
    "wanted",
    [
        OrderFilter(situation="blocked"),
        OrderFilter(situation="queued", waiting_shops=("acme",)),
        OrderFilter(situation="queued", shop="other"),
        OrderFilter(situation="retrying"),
        OrderFilter(situation="waiting", waiting_shops=("other",)),
        OrderFilter(situation="queued", states=("SentOrder",)),
        OrderFilter(situation="queued", milestone="shipped", passed=(("other", "CheckQueue"),)),
        OrderFilter(situation="running", updated_after=NOW - 1),
        OrderFilter(problem="rejected"),
        OrderFilter(has_problem=True, shop="acme"),
    ],
    ids=str,
)
async def test_no_order_is_walked_past_where_none_fits(tmp_path: Path, wanted: OrderFilter) -> None:
    async with open_sqlite(tmp_path / "s.db", NOW) as store:
        await store.write(lambda tx: [insert_order(tx, order(each, situation=Situation.QUEUED), b"") for each in "12"])
        plans = await plans_of(store, lambda tx: list_orders(tx, 0, 9, wanted))
    assert plans
    assert not [plan for plan in plans if " orders " in plan]


async def test_an_order_is_compared_with_the_fewest_shops(tmp_path: Path) -> None:
    paused = tuple(f"paused-{number}" for number in range(9))
    asked: list[Sequence[Value]] = []

    class Kept(Explained):
        def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
            asked.append(parameters)
            return Explained.query(self, sql, parameters)

    def unit(tx: Transaction) -> list[list[str]]:
        filters = [OrderFilter(situation=each, waiting_shops=paused) for each in ("queued", "waiting")]
        return [[found.id for found in list_orders(Kept(tx), 0, 9, each)] for each in filters]

    async with open_sqlite(tmp_path / "s.db", NOW) as store:
        queued = [order(shop, shop=shop, situation=Situation.QUEUED) for shop in ("acme", paused[3])]
        await store.write(lambda tx: [insert_order(tx, each, b"") for each in queued])
        assert await store.read(unit) == [["acme"], [paused[3]]]
    assert [sum(value in ("acme", *paused) for value in values) for values in asked[1::2]] == [1, 1]


async def test_nothing_is_counted_to_show_what_there_is(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "s.db", NOW) as store:
        plans = await plans_of(store, count_orders, count_pending, count_attention)
    read = [plan for plan in plans if " orders" in plan or " targets" in plan]
    assert sorted(read) == [
        "SEARCH orders USING COVERING INDEX orders_attention (attention_at>?)",
        "SEARCH targets USING INDEX targets_oldest (shop=?)",
    ]


async def test_the_queues_of_many_orders_are_found_one_by_one(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "s.db", NOW) as store:
        plans = await plans_of(store, lambda tx: pending_targets_among(tx, [("acme", "1"), ("other", "2")]))
        plans += await plans_of(store, lambda tx: pending_targets_of(tx, "acme", ["1", "2"]))
        plans += await plans_of(store, lambda tx: pending_targets(tx, "acme", "1"))
    assert {plan for plan in plans if " targets " in plan} == {
        "SEARCH targets USING INDEX targets_order (shop=? AND order_id=?)"
    }


async def test_a_recount_reads_indexes_alone(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "s.db", NOW) as store:
        plans = await plans_of(store, wrong_counts, lambda tx: wrong_counts(tx, "acme"))
    read = [plan for plan in plans if " orders " in plan or " targets " in plan]
    assert len(read) == 6
    assert all("USING INDEX" in plan or "USING COVERING INDEX" in plan for plan in read), read
    assert not [plan for plan in read if "sqlite_autoindex" in plan or "targets_order" in plan]


async def test_what_retention_deletes_of_orders_and_targets_is_found_by_time(tmp_path: Path) -> None:
    orders = retention.orders_duty({"acme": ["over"], "other": ["over"], "third": ["done", "over"]})
    async with open_sqlite(tmp_path / "s.db", NOW) as store:
        plans = await plans_of(
            store,
            lambda tx: orders.find(tx, NOW),
            lambda tx: retention.ORDERS.find(tx, NOW),
            lambda tx: retention.TARGETS.find(tx, NOW),
        )
    assert [plan for plan in plans if " orders " in plan] == [
        "SEARCH orders USING INDEX orders_rested (updated_at<?)"
    ] * 2
    assert "SEARCH targets USING COVERING INDEX targets_ended (finished_at<?)" in plans
    assert not [plan for plan in plans if "SCAN" in plan or "TEMP" in plan]


async def test_what_is_parked_is_found_without_a_walk_through_all_of_it(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "s.db", NOW) as store:
        plans = await plans_of(
            store,
            lambda tx: parked_heads(tx, "orders", 9),
            lambda tx: list_parked(tx, "orders", "1", 9),
            lambda tx: parked_keys(tx, "orders", ["1"]),
        )
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
            published, moves, dialect = tx.published, tx.moves, tx.dialect
            execute, execute_many = tx.execute, tx.execute_many
            insert, insert_many = tx.insert, tx.insert_many

            def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
                asked.append((sql, parameters))
                return []

        list_events(Kept(), 0, 9, wanted)
        ((sql, parameters),) = asked
        return " ".join(str(row[-1]) for row in tx.query(f"EXPLAIN QUERY PLAN {sql}", parameters))

    return await store.read(unit)


async def test_the_history_of_a_time_is_read_by_its_keys(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "s.db", NOW) as store:
        plans = await plans_of(store, lambda tx: list_activity(tx, MINUTE_MS, "acme", NOW, NOW + 1))
        assert plans == [
            "SEARCH ran USING PRIMARY KEY (span_ms=? AND shop=? AND at>? AND at<?)",
            "SEARCH own USING PRIMARY KEY (span_ms=? AND shop=? AND at=?) LEFT-JOIN",
        ]
        for duty in KEPT_MS:
            assert "SEARCH activity USING COVERING INDEX activity_age (span_ms=? AND at<?)" in await plans_of(
                store,
                lambda tx, duty=duty: duty.find(tx, NOW),  # type: ignore[misc]
            )


async def test_the_attempts_of_an_event_are_found_by_it(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "s.db", NOW) as store:
        plans = await plans_of(store, lambda tx: list_attempts(tx, "orders_url", 20, cursor=7))
        assert plans[0].startswith("SEARCH a USING INDEX push_attempts_event (cursor=?")
        plans = await plans_of(store, lambda tx: list_attempts(tx, "orders_url", 20, before_id=7))
        assert plans[0].startswith("SEARCH a USING INTEGER PRIMARY KEY (rowid<?)")
