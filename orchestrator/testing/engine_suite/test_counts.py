"""Counts are kept by what changes them: with it or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import anyio
import pytest

from orchestrator.testing.engine_suite.samples import FULL_ORDER, order, target
from orchestrator.testing.engine_suite.scratch import NOW, Engine
from storage import retention
from storage.changes import Change
from storage.counts import correct_counts, count_orders, count_pending, count_pending_of, wrong_counts
from storage.due_orders import due_orders, orders_with_intent
from storage.leases import acquire
from storage.order_search import list_orders
from storage.orders import attention_orders, blocked_orders, get_order, get_orders, insert_order, save_order, step_row
from storage.records import Order, Situation, Target, TargetStatus, changed
from storage.shops import queue_running
from storage.store import Store
from storage.targets import get_target, insert_target, save_target, target_row
from storage.transaction import Transaction


async def counts(store: Store) -> dict[tuple[str, str, str], int]:
    """As they are kept, and right."""
    assert (await store.read(wrong_counts)).shops == []
    return {row[:3]: row[3] for row in await store.read(count_orders)}


async def known(store: Store, order_id: str = "1") -> Order:
    found = await store.read(lambda tx: get_order(tx, "acme", order_id))
    assert found is not None
    return found


async def test_an_order_is_counted_where_it_stands(engine: Engine) -> None:
    async with engine.open() as store:
        await store.write(lambda tx: [insert_order(tx, order(each), b"") for each in "12"])
        assert await counts(store) == {("acme", "idle", "CheckQueue"): 2}
        moved = changed(await known(store), situation=Situation.RUNNING, state="SentOrder", milestone=None)
        saved = await store.write(lambda tx: save_order(tx, moved))
        assert await counts(store) == {("acme", "idle", "CheckQueue"): 1, ("acme", "running", "SentOrder"): 1}
        await store.write(lambda tx: save_order(tx, changed(saved, situation=Situation.BLOCKED)))
        assert await counts(store) == {("acme", "idle", "CheckQueue"): 1, ("acme", "blocked", "SentOrder"): 1}


async def test_what_is_undone_is_not_counted(engine: Engine) -> None:
    def refused(tx: Transaction) -> None:
        insert_order(tx, order("2"), b"")
        insert_target(tx, target("t-2", "2"), None, None)
        raise ValueError("no")

    async with engine.open() as store:
        await store.write(lambda tx: insert_order(tx, order(), b""))
        with pytest.raises(ValueError, match="no"):
            await store.write(refused)
        assert await counts(store) == {("acme", "idle", "CheckQueue"): 1}
        assert await store.read(count_pending) == (0, {})


async def test_an_order_that_was_saved_twice_in_one_unit_moved_once_each(engine: Engine) -> None:
    def unit(tx: Transaction) -> None:
        first = save_order(tx, changed(insert_order(tx, order(), b""), situation=Situation.QUEUED))
        save_order(tx, replace(first, situation=Situation.RUNNING))

    async with engine.open() as store:
        await store.write(unit)
        assert await counts(store) == {("acme", "running", "CheckQueue"): 1}


async def test_orders_of_a_worker_that_is_gone_are_counted_as_queued(engine: Engine) -> None:
    async with engine.open() as store:
        await store.write(lambda tx: insert_order(tx, order(situation=Situation.RUNNING), b""))
        before = await known(store)
        await store.write(lambda tx: queue_running(tx, "acme"))
        assert await counts(store) == {("acme", "queued", "CheckQueue"): 1}
        assert (await known(store)).version > before.version  # whoever read it as running cannot save it


async def test_forgotten_orders_are_not_counted(engine: Engine) -> None:
    async with engine.open() as store:
        await store.write(lambda tx: [insert_order(tx, order(each, updated_at=NOW - 9), b"") for each in "12"])
        keys = await store.read(lambda tx: retention.ORDERS.find(tx, NOW))
        assert await store.write(lambda tx: retention.ORDERS.forget(tx, keys, NOW)) == 2
        assert await counts(store) == {}


async def test_a_target_pends_until_it_ends_however_often_it_is_written(engine: Engine) -> None:
    async with engine.open() as store:
        await store.write(lambda tx: insert_target(tx, target("t-0", finished_at=NOW), None, None))
        await store.write(lambda tx: insert_target(tx, target(submitted_at=NOW + 5), None, None))
        assert await store.read(count_pending) == (1, {"acme": NOW + 5})
        found = await store.read(lambda tx: get_target(tx, "t-1"))
        assert found is not None
        ended = replace(found, status=TargetStatus.REACHED, finished_at=NOW)
        for _ in range(2):
            await store.write(lambda tx: save_target(tx, ended))
        assert await store.read(count_pending) == (0, {})
        await store.write(lambda tx: save_target(tx, found))
        assert await store.read(lambda tx: count_pending_of(tx, "acme")) == 1
        assert await store.read(lambda tx: count_pending_of(tx, "nobody")) == 0
        assert (await store.read(wrong_counts)).shops == []


async def test_counts_that_are_wrong_are_found_and_put_right(engine: Engine) -> None:
    def spoil(tx: Transaction) -> None:
        tx.execute("UPDATE order_counts SET orders = 7 WHERE shop = 'acme'")
        tx.execute("INSERT INTO order_counts VALUES ('acme', 'blocked', 'Nowhere', '', 3)")
        tx.execute("DELETE FROM target_counts")

    async with engine.open() as store:
        for shop in ("acme", "other"):
            await store.write(lambda tx, shop=shop: insert_order(tx, order(shop=shop), b""))  # type: ignore[misc]
        await store.write(lambda tx: insert_target(tx, target(), None, None))
        await store.write(spoil)
        off = await store.read(wrong_counts)
        assert off.shops == ["acme"]
        assert off.orders == {("acme", "idle", "CheckQueue", "new"): -6, ("acme", "blocked", "Nowhere", ""): -3}
        assert off.pending == {"acme": 1}
        corrected = await store.write(lambda tx: correct_counts(tx, "acme"))
        assert corrected.orders == off.orders
        assert await counts(store) == {(shop, "idle", "CheckQueue"): 1 for shop in ("acme", "other")}


async def test_counts_are_put_right_beside_a_change_of_the_same_transaction(engine: Engine) -> None:
    def unit(tx: Transaction) -> None:
        insert_order(tx, order(), b"")
        correct_counts(tx, "acme")
        insert_order(tx, order("2"), b"")

    async with engine.open() as store:
        await store.write(unit)
        assert await counts(store) == {("acme", "idle", "CheckQueue"): 2}


def change(before: Order, *targets: Target, **fields: Any) -> Change:
    after = changed(before, **fields)
    rows = tuple(map(target_row, targets))
    return Change("acme", before.id, 1, step_row(after), targets=rows, moved=(before.counted, after.place))


async def test_changes_move_the_counts_that_they_say_and_stale_ones_none(engine: Engine) -> None:
    def unit(tx: Transaction) -> tuple[list[Order], list[Target]]:
        acquire(tx, "acme", "example", "here")
        orders = [insert_order(tx, order(each, situation=Situation.QUEUED), b"") for each in "123"]
        return orders, [insert_target(tx, target(f"t-{each}", each), None, None) for each in "123"]

    async with engine.open() as store:
        (first, second, third), (pending, other, left) = await store.write(unit)
        written: list[bool] = []

        async def write(each: Change) -> None:
            written.append(await store.change(each))

        ended = [replace(each, status=TargetStatus.REACHED, finished_at=NOW) for each in (pending, other)]
        async with anyio.create_task_group() as group:
            group.start_soon(write, change(first, ended[0], situation=Situation.IDLE, state="SentOrder"))
            group.start_soon(write, change(second, ended[1], situation=Situation.RUNNING))
            group.start_soon(write, change(changed(third, version=9), left, situation=Situation.BLOCKED))
        assert sorted(written) == [False, True, True]
        kept = {("acme", "idle", "SentOrder"): 1, ("acme", "queued", "CheckQueue"): 1}
        assert await counts(store) == {**kept, ("acme", "running", "CheckQueue"): 1}
        assert (await store.read(count_pending))[0] == 1
        async with anyio.create_task_group() as group:  # with a target that had ended
            group.start_soon(write, change(await known(store, "2"), ended[1], situation=Situation.BLOCKED))
            group.start_soon(write, change(await known(store, "3"), situation=Situation.RUNNING))
        assert written[3:] == [True, True]
        moved = {("acme", "blocked", "CheckQueue"): 1, ("acme", "running", "CheckQueue"): 1}
        assert await counts(store) == {("acme", "idle", "SentOrder"): 1, **moved}
        assert (await store.read(count_pending))[0] == 1


READS: dict[str, Callable[[Transaction], Iterable[Order | None]]] = {
    "one": lambda tx: [get_order(tx, "acme", "1")],
    "several": lambda tx: get_orders(tx, "acme", ["1"]).values(),
    "due": lambda tx: due_orders(tx, "acme", NOW, 9),
    "with an intent": lambda tx: orders_with_intent(tx, "acme"),
    "blocked": lambda tx: blocked_orders(tx, 9),
    "in attention": lambda tx: attention_orders(tx, 9),
    "listed": lambda tx: list_orders(tx, 0, 9),
}


@pytest.mark.parametrize("read", READS)
async def test_an_order_moves_from_where_it_was_however_it_was_read(engine: Engine, read: str) -> None:
    full = replace(FULL_ORDER, id="1", due_at=NOW, situation=Situation.BLOCKED)

    def move(tx: Transaction) -> None:
        (found,) = READS[read](tx)
        assert found is not None
        save_order(tx, changed(found, situation=Situation.IDLE, state="SentOrder"))

    async with engine.open() as store:
        await store.write(lambda tx: insert_order(tx, full, b""))
        await store.write(move)
        assert await counts(store) == {("acme", "idle", "SentOrder"): 1}


async def test_a_state_that_no_database_takes_is_counted_as_it_is_kept(engine: Engine) -> None:
    async with engine.open() as store:
        inserted = await store.write(lambda tx: insert_order(tx, order(state="cut \ud83d"), b""))
        assert await counts(store) == {("acme", "idle", "cut \ufffd"): 1}
        await store.write(lambda tx: save_order(tx, changed(inserted, situation=Situation.QUEUED)))
        await store.write(lambda tx: insert_order(tx, order("2"), b""))
        before = await known(store)
        await store.write(lambda tx: save_order(tx, changed(before, state="SentOrder")))
        assert await counts(store) == {("acme", "queued", "SentOrder"): 1, ("acme", "idle", "CheckQueue"): 1}
