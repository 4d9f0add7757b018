"""Targets in the store: a queue for each order, idempotency keys, progress."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.testing.engine_suite.samples import FULL_TARGET, PLAIN_TARGET, PROBLEM, target
from orchestrator.testing.engine_suite.scratch import NOW, Engine
from storage.counts import count_pending
from storage.records import Target, TargetStatus
from storage.store import Store
from storage.targets import (
    get_target,
    insert_target,
    list_targets,
    pending_targets,
    pending_targets_among,
    pending_targets_of,
    save_progress,
    save_target,
    target_by_key,
    targets_by_keys,
)


async def keep(store: Store, *targets: Target) -> list[Target]:
    return await store.write(lambda tx: [insert_target(tx, each, None, None) for each in targets])


@pytest.mark.parametrize("record", [PLAIN_TARGET, FULL_TARGET], ids=["plain", "full"])
async def test_a_target_comes_out_as_it_went_in(engine: Engine, record: Target) -> None:
    async with engine.open() as store:
        (kept,) = await keep(store, record)
        assert kept == replace(record, seq=kept.seq)
        assert await store.read(lambda tx: get_target(tx, record.id)) == kept
        assert await store.read(lambda tx: get_target(tx, "nobody's")) is None


async def test_what_can_change_of_a_target_is_saved(engine: Engine) -> None:
    async with engine.open() as store:
        (kept,) = await keep(store, target())
        done = replace(
            kept, status=TargetStatus.FAILED, plan=FULL_TARGET.plan, steps_done=2, finished_at=NOW, problem=PROBLEM
        )
        await store.write(lambda tx: save_target(tx, done))
        assert await store.read(lambda tx: get_target(tx, kept.id)) == done


async def test_progress_leaves_the_rest_of_a_target_alone(engine: Engine) -> None:
    async with engine.open() as store:
        (kept,) = await keep(store, target())
        moved = replace(kept, status=TargetStatus.RUNNING, steps_done=1)
        await store.write(lambda tx: save_progress(tx, replace(moved, plan=())))
        assert await store.read(lambda tx: get_target(tx, kept.id)) == moved


async def test_the_queue_is_first_in_first_out_and_ends_with_its_targets(engine: Engine) -> None:
    async with engine.open() as store:
        # ids in no order, times going backwards: only the order of submission counts
        first, second, _ = await keep(
            store,
            target("z", submitted_at=NOW),
            target("a", submitted_at=NOW - 5),
            target("m", order_id="2"),
        )
        ended = replace(first, status=TargetStatus.REACHED, finished_at=NOW)
        assert await store.read(lambda tx: pending_targets(tx, "acme", "1")) == [first, second]
        await store.write(lambda tx: save_target(tx, ended))
        assert await store.read(lambda tx: pending_targets(tx, "acme", "1")) == [second]
        assert await store.read(lambda tx: list_targets(tx, "acme", "1")) == [ended, second]
        assert await store.read(lambda tx: pending_targets(tx, "other", "1")) == []


async def test_the_queues_of_several_orders_in_one_question(engine: Engine) -> None:
    async with engine.open() as store:
        one, two, three = await keep(store, target("1"), target("2", order_id="2"), target("3"))
        await keep(store, target("4", order_id="3"), target("5", shop="other"), target("6", finished_at=NOW))
        found = await store.read(lambda tx: pending_targets_of(tx, "acme", ["1", "2", "9"]))
        assert found == {"1": [one, three], "2": [two]}


async def test_the_queues_of_orders_of_several_shops_in_one_question(engine: Engine) -> None:
    async with engine.open() as store:
        one, two, three = await keep(store, target("1"), target("2", order_id="2"), target("3"))
        (other,) = await keep(store, target("4", shop="other"))
        await keep(store, target("5", order_id="3"), target("6", finished_at=NOW))
        wanted = [("acme", "1"), ("acme", "2"), ("other", "1"), ("other", "2"), ("acme", "9")]
        found = await store.read(lambda tx: pending_targets_among(tx, wanted))
        assert found == {("acme", "1"): [one, three], ("acme", "2"): [two], ("other", "1"): [other]}
        assert await store.read(lambda tx: pending_targets_among(tx, [])) == {}


async def test_a_key_finds_its_target_and_is_taken_once(engine: Engine) -> None:
    async with engine.open() as store:
        kept = await store.write(lambda tx: insert_target(tx, target("t-1"), "key", "hash"))
        assert await store.read(lambda tx: target_by_key(tx, "key")) == (kept, "hash")
        assert await store.read(lambda tx: target_by_key(tx, "KEY")) is None
        assert await store.read(lambda tx: targets_by_keys(tx, ["other", "key"])) == {"key": (kept, "hash")}
        assert await store.read(lambda tx: targets_by_keys(tx, [])) == {}
        with pytest.raises(Exception, match=r"(?i)unique"):
            await store.write(lambda tx: insert_target(tx, target("t-2"), "key", "hash"))
        await keep(store, target("t-3"), target("t-4"))  # no key: as many as there are
        assert await store.read(lambda tx: get_target(tx, "t-2")) is None


async def test_pending_targets_are_counted_with_the_oldest_of_each_shop(engine: Engine) -> None:
    async with engine.open() as store:
        assert await store.read(count_pending) == (0, {})
        await keep(
            store,
            target("1", submitted_at=NOW + 5),
            target("2", submitted_at=NOW + 3),
            target("3", submitted_at=NOW, finished_at=NOW),
            target("4", shop="other", submitted_at=NOW + 9),
        )
        assert await store.read(count_pending) == (3, {"acme": NOW + 3, "other": NOW + 9})
