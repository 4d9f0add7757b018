"""Nodes that want what the other one has: they take turns, and neither is undone for the other one's sake."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from threading import Event
from typing import Any

import anyio
import psycopg
import pytest
from anyio import from_thread, to_thread
from structlog.testing import capture_logs

from orchestrator.testing.engine_suite.samples import order, target
from orchestrator.testing.engine_suite.scratch import NOW
from storage.changes import Change
from storage.engines import open_store
from storage.events import append_event, event_rows, list_events
from storage.leases import acquire
from storage.orders import insert_order, step_row
from storage.postgres.conflicts import Conflicts
from storage.postgres.connection import FEED_LOCK
from storage.records import Order
from storage.shops import pause_shop
from storage.store import Store
from storage.targets import insert_target, target_by_key
from storage.transaction import Transaction

_PATIENCE_SECONDS = 20
_WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"

Act = Callable[[Transaction], object]


def patient(url: str) -> str:
    """The server finds a deadlock soon, and nobody gives up a lock before that."""
    return f"{url}&options=-c%20deadlock_timeout%3D20ms%20-c%20lock_timeout%3D{_PATIENCE_SECONDS}s"


def until(ask: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while not ask():
        assert time.monotonic() < give_up_at
        time.sleep(0.002)


def until_somebody_waits(tx: Transaction) -> None:
    """As long as the transaction is asked, the server does not end it for being idle."""
    until(lambda: tx.query(_WAITING)[0][0])


def changed(number: int) -> Act:
    """Another version of an order, as an operation of a person makes it."""
    return lambda tx: tx.execute("UPDATE orders SET version = version + 1 WHERE id = ?", (str(number),))


def paused(tx: Transaction) -> None:
    pause_shop(tx, "acme", "person", "", NOW)


def published(tx: Transaction) -> None:
    append_event(tx, NOW, "one", shop="acme", order="1")


def refused(_: Transaction) -> None:
    raise LookupError


class Pair:
    """Two nodes, one of which works for a shop with some orders."""

    def __init__(self, holder: Store, other: Store, orders: list[Order]) -> None:
        self.holder, self.other, self.orders = holder, other, orders

    def change(self, number: int) -> Change:
        """What the holder decided on an order, with an event."""
        events = event_rows(NOW, "acme", str(number), [("step.done", None, {})])
        return Change("acme", str(number), 1, step_row(self.orders[number - 1]), events=events)

    @property
    def deadlocks(self) -> float:
        """That the nodes have seen."""
        return self.holder.gauges()["store_deadlocks"] + self.other.gauges()["store_deadlocks"]


@asynccontextmanager
async def paired(url: str) -> AsyncIterator[Pair]:
    def prepared(tx: Transaction) -> list[Order]:
        acquire(tx, "acme", "example", "here", 60_000)
        return [insert_order(tx, order(number), b"{}") for number in ("1", "2", "3", "4")]

    async with open_store(patient(url), NOW) as holder, open_store(patient(url), NOW) as other:
        found = Pair(holder, other, await holder.write(prepared))
        for number, store in ((3, holder), (4, other)):  # a connection's first change may take several runs
            await store.change(found.change(number))
        yield found


async def changes(pair: Pair) -> None:
    await pair.holder.change(pair.change(1))


async def changes_apart(pair: Pair) -> None:
    async def fails() -> None:
        with pytest.raises(LookupError):
            await pair.holder.write(refused)

    async with anyio.create_task_group() as group:
        group.start_soon(pair.holder.change, pair.change(1))
        group.start_soon(fails)


async def runs_a_unit(pair: Pair) -> None:
    def unit(tx: Transaction) -> None:
        changed(1)(tx)
        paused(tx)
        published(tx)

    await pair.holder.write(unit)


@pytest.mark.parametrize("wanted", [changed(1), paused], ids=["order", "shop"])
@pytest.mark.parametrize("is_beside_change", [False, True])
@pytest.mark.parametrize("holds", [changes, changes_apart, runs_a_unit])
async def test_who_has_the_feed_gets_the_row_of_who_waits_for_the_feed(
    url: str, holds: Callable[[Pair], Any], is_beside_change: bool, wanted: Act
) -> None:
    runs, has_feed = list[str](), anyio.Event()

    def unit(tx: Transaction) -> None:
        runs.append("unit")
        published(tx)
        from_thread.run_sync(has_feed.set)
        if len(runs) == 1:
            until_somebody_waits(tx)
        wanted(tx)

    async with paired(url) as pair, anyio.create_task_group() as group:
        if is_beside_change:
            group.start_soon(pair.other.change, pair.change(2))
        group.start_soon(pair.other.write, unit)
        await has_feed.wait()
        group.start_soon(holds, pair)
    assert (runs, pair.deadlocks) == (["unit"], 0)


async def test_units_that_lock_orders_in_another_sequence_take_turns(url: str) -> None:
    runs, has_first = list[str](), anyio.Event()

    def one(tx: Transaction) -> None:
        runs.append("one")
        changed(1)(tx)
        from_thread.run_sync(has_first.set)
        if runs.count("one") == 1:
            until_somebody_waits(tx)
        changed(2)(tx)

    def other(tx: Transaction) -> None:
        runs.append("other")
        changed(2)(tx)
        changed(1)(tx)

    async with paired(url) as pair, anyio.create_task_group() as group:
        group.start_soon(pair.holder.write_bulk, one)
        await has_first.wait()
        group.start_soon(pair.other.write_bulk, other)
    assert (runs, pair.deadlocks) == (["one", "other"], 0)


async def test_a_key_that_two_nodes_are_given_at_once_is_looked_for_by_one_after_the_other(url: str) -> None:
    runs, has_looked = list[str](), anyio.Event()

    def warm(tx: Transaction, name: str) -> None:
        insert_target(tx, target(name), name, "hash")

    def submitted(tx: Transaction, node: str) -> str:
        runs.append(node)
        if found := target_by_key(tx, "key"):
            return found[0].id
        from_thread.run_sync(has_looked.set)
        until_somebody_waits(tx)
        return insert_target(tx, target(node), "key", "hash").id

    answers = list[str]()

    async def submit(store: Store, node: str) -> None:
        answers.append(await store.write(lambda tx: submitted(tx, node)))

    async with paired(url) as pair:
        for name, store in (("warm-1", pair.holder), ("warm-2", pair.other)):  # a first time may take two runs
            await store.write(partial(warm, name=name))
        async with anyio.create_task_group() as group:
            group.start_soon(submit, pair.holder, "first")
            await has_looked.wait()
            group.start_soon(submit, pair.other, "second")
    assert (answers, runs) == (["first", "first"], ["first", "second"])


async def test_a_heartbeat_waits_for_no_group(url: str) -> None:
    """But for one with events, which no heartbeat has: it comes in turn."""
    async with paired(url) as pair:
        with psycopg.connect(url) as frozen:
            frozen.execute(FEED_LOCK)
            with anyio.fail_after(_PATIENCE_SECONDS):
                await pair.other.write_first(changed(1))

            def let_go() -> None:
                with psycopg.connect(url, autocommit=True) as asking:
                    until(lambda: asking.execute(_WAITING).fetchall()[0][0])
                frozen.rollback()

            async with anyio.create_task_group() as group:
                group.start_soon(pair.other.write_first, published)
                group.start_soon(to_thread.run_sync, let_go)
        assert [event.type for event in await pair.holder.read(lambda tx: list_events(tx, 0, 9))][2:] == ["one"]


async def test_a_deadlock_with_another_program_is_tried_again_and_seen(url: str) -> None:
    """As with a node of an older version: it has a row, and waits for another that a group has."""
    runs, has_row = list[str](), Event()

    def wait_for_the_other(program: psycopg.Connection) -> None:
        assert has_row.wait(_PATIENCE_SECONDS)
        program.execute("UPDATE orders SET version = version WHERE id = '2'")
        program.rollback()

    def unit(tx: Transaction) -> None:
        runs.append("unit")
        changed(2)(tx)
        has_row.set()
        if len(runs) == 1:
            until_somebody_waits(tx)
        changed(1)(tx)

    with capture_logs() as logs:
        async with paired(url) as pair:
            with psycopg.connect(url, options="-c deadlock_timeout=60s") as program:  # so that it is not undone
                program.execute("UPDATE orders SET version = version WHERE id = '1'")
                async with anyio.create_task_group() as group:
                    group.start_soon(to_thread.run_sync, wait_for_the_other, program)
                    group.start_soon(pair.other.write, unit)
    assert (len(runs), pair.deadlocks) == (2, 1)
    (said,) = [line for line in logs if line["event"] == "store.deadlock"]
    assert said["times"] == 1
    assert "deadlock detected" in said["detail"]


def test_conflicts_are_counted_and_said_once_a_minute() -> None:
    clock = iter([0.0, 1.0, 59.0, 60.0, 61.0, 62.0])
    conflicts = Conflicts("postgresql:///here", lambda: 0.5, lambda: next(clock))
    with capture_logs() as logs:
        for _ in range(5):
            conflicts.note("deadlock", RuntimeError("they met"))
        conflicts.note("lock_wait", RuntimeError("it was locked"))
    assert [(line["event"], line["times"]) for line in logs] == [
        ("store.deadlock", 1),
        ("store.deadlock", 3),
        ("store.lock_wait", 1),
    ]
    assert conflicts.counts == {"deadlock": 5, "lock_wait": 1}


def test_those_that_met_rest_for_as_long_as_chance_says() -> None:
    chance = iter([0.0, 1.0, 1.0])
    conflicts = Conflicts("postgresql:///here", lambda: next(chance))
    rests = [conflicts.rest_seconds(tries) for tries in (1, 1, 3)]
    assert rests[0] == 0 < rests[1] < rests[2]
