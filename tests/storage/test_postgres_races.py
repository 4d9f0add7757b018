"""Nodes that write the same at the same time: one is first, and the others see what it wrote."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import anyio
import psycopg
import pytest

from orchestrator.testing.engine_suite.samples import order, target
from orchestrator.testing.engine_suite.scratch import NOW
from storage.changes import Change
from storage.engines import open_store
from storage.leases import acquire
from storage.orders import get_order, insert_order, save_order, step_row
from storage.records import Order, changed
from storage.store import Store
from storage.targets import insert_target
from storage.transaction import Transaction

_PATIENCE_SECONDS = 60


@pytest.mark.parametrize("is_beside_stale", [False, True])
async def test_a_key_that_two_nodes_are_given_at_once_is_one_target(url: str, is_beside_stale: bool) -> None:
    """Also where the unit runs apart from others of its group, one of which is stale. The first one does without the
    feed, as nodes of an older version do: those of this one look for the key in turn (test_postgres_deadlocks.py)."""
    looked, inserted = threading.Barrier(2), threading.Event()
    runs: dict[str, int] = {"first": 0, "second": 0}

    def prepared(tx: Transaction) -> Order:
        acquire(tx, "acme", "example", "here")
        return insert_order(tx, order(), b"{}")

    def warm(tx: Transaction, name: str) -> None:
        insert_target(tx, changed(target(), id=name), name, "hash")

    def submitted(tx: Transaction, node: str) -> str:
        runs[node] += 1
        if found := tx.query("SELECT id FROM targets WHERE idempotency_key = ?", ("key",)):
            return str(found[0][0])
        if runs[node] == 1:
            looked.wait(_PATIENCE_SECONDS)
            if node == "second":
                assert inserted.wait(_PATIENCE_SECONDS)
        insert_target(tx, changed(target(), id=node), "key", "hash")
        inserted.set()
        return node

    answers: dict[str, str] = {}
    async with open_store(url, NOW) as first, open_store(url, NOW) as second:
        known = await first.write(prepared)
        for name, store in (("warm-1", first), ("warm-2", second)):  # what a connection does first it may do twice
            await store.write(partial(warm, name=name))
        stale = Change("acme", "1", 99, step_row(known))

        async def submit(node: str) -> None:
            write = {"first": first.write_first, "second": second.write}[node]
            answers[node] = await write(lambda tx: submitted(tx, node))

        async with anyio.create_task_group() as group:
            group.start_soon(submit, "first")
            if is_beside_stale:
                group.start_soon(second.change, stale)
            group.start_soon(submit, "second")
        assert answers == {"first": "first", "second": "first"}
        assert runs["second"] == 2


async def test_no_lease_passes_on_while_changes_of_the_shop_are_written_one_by_one(url: str) -> None:
    """As where a unit of their group raises: what was decided under the lease would be committed after its end."""
    tries: list[object] = []

    def refused(_: Transaction) -> None:
        raise LookupError

    async with open_store(url, NOW) as holder, open_store(url, NOW) as other:
        await holder.write(lambda tx: acquire(tx, "acme", "example", "a", 1))
        known = await holder.write(lambda tx: insert_order(tx, order(), b"{}"))
        await other.write(lambda tx: tx.execute("UPDATE shops SET lease_expires_at = 1"))

        def meanwhile(_: Transaction) -> None:
            tries.append(
                anyio.from_thread.run(other.write_first, lambda tx: acquire(tx, "acme", "example", "b", 60_000))
            )

        async with anyio.create_task_group() as group:
            group.start_soon(holder.change, Change("acme", "1", 1, step_row(known)))
            group.start_soon(expecting, holder, refused)
            group.start_soon(holder.write, meanwhile)
    assert tries[-1] is None


async def expecting(store: Store, unit: Callable[[Transaction], None]) -> None:
    with pytest.raises(LookupError):
        await store.write(unit)


async def test_who_writes_is_known_however_long_ago_it_began(url: str) -> None:
    def count(tx: Transaction) -> int:
        return int(tx.query("SELECT count(*) FROM writers")[0][0])

    async with open_store(url, NOW) as first:
        await first.write(lambda tx: tx.execute("UPDATE writers SET began_at = 1"))
        await first.write(lambda tx: acquire(tx, "acme", "example", "a", 1))
        async with open_store(url, NOW) as second:
            assert await second.read(count) == 2


async def test_a_unit_whose_order_another_node_changes_each_time_is_run_again(url: str) -> None:
    runs = 0

    def prepared(tx: Transaction) -> Order:
        acquire(tx, "acme", "example", "here")
        return insert_order(tx, order(), b"{}")

    async with open_store(url, NOW) as store:
        known = await store.write(prepared)
        with psycopg.connect(url, autocommit=True) as other:

            def saved(tx: Transaction) -> Order:
                nonlocal runs
                runs += 1
                read = get_order(tx, "acme", known.id)
                assert read is not None
                if runs <= 4:
                    other.execute("UPDATE orders SET version = version + 1")
                return save_order(tx, changed(read, reference="ours"))

            for write in (store.write, store.write_bulk):
                runs = 0
                assert (await write(saved)).reference == "ours"
                assert runs > 4
        kept = await store.read(lambda tx: get_order(tx, "acme", known.id))
        assert kept is not None
        assert kept.version == known.version + 10
