"""Jobs: what each has still to do is taken once, by whoever comes first, and its end is counted."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import anyio
import pytest

from orchestrator.testing.engine_suite.samples import order
from orchestrator.testing.engine_suite.scratch import NOW, Engine
from storage.jobs import (
    PIECE,
    Job,
    add_job,
    count_blocked_again,
    end_job,
    fail_job,
    get_job,
    keep_operated,
    list_jobs,
    next_piece,
    note_progress,
    read_job,
    shops_with_pieces,
    take_orders,
)
from storage.orders import insert_order
from storage.records import Situation
from storage.rows import DamagedRow
from storage.store import Store
from storage.transaction import Transaction

JOB = Job(
    id="j-1",
    action="retry",
    wanted={"shop": "żółw", "updated_before": NOW},
    reason='the "panel" is open',
    asked_by="user ann",
    status="running",
    orders=PIECE + 3,
    done=0,
    refused=0,
    refusals={},
    started_at=NOW,
    ended_at=None,
)
ORDERS = [*(("acme", str(each)) for each in range(PIECE + 1)), ("other", "a"), ("other", "b")]
REFUSAL = {"count": 1, "detail": "order 1 is idle", "shop": "acme", "order": "1"}


async def found(store: Store, job: str = JOB.id) -> Job:
    kept = await store.read(lambda tx: get_job(tx, job))
    assert kept is not None
    return replace(kept, seq=0)


async def test_a_job_keeps_its_orders_in_pieces_of_one_shop(engine: Engine) -> None:
    async with engine.open() as store:
        await store.write(lambda tx: add_job(tx, JOB, ORDERS))
        await store.write(lambda tx: add_job(tx, replace(JOB, id="j-2", orders=1), [("other", "c")]))
        await store.write(lambda tx: add_job(tx, replace(JOB, id="j-3", orders=0, status="done", ended_at=NOW), []))
        assert await found(store) == JOB
        assert await store.read(lambda tx: get_job(tx, "j-4")) is None
        assert [job.id for job in await store.read(lambda tx: list_jobs(tx, 0, 2))] == ["j-3", "j-2"]
        second = (await store.read(lambda tx: list_jobs(tx, 0, 2)))[-1]
        assert [job.id for job in await store.read(lambda tx: list_jobs(tx, second.seq, 2))] == ["j-1"]
        assert await store.read(shops_with_pieces) == ["acme", "other"]
        pieces = []
        while (piece := await store.read(lambda tx: next_piece(tx, "acme"))) is not None:
            pieces.append(await store.write(partial(take_orders, piece=piece.seq, most=PIECE)))
        assert pieces == [[str(each) for each in range(PIECE)], [str(PIECE)]]
        assert await store.read(shops_with_pieces) == ["other"]
        first = await store.read(lambda tx: next_piece(tx, "other"))
        assert first is not None
        assert (first.job, first.orders) == ("j-1", ["a", "b"])


async def test_orders_are_taken_once_however_many_take_them(engine: Engine) -> None:
    async with engine.open() as store:
        await store.write(lambda tx: add_job(tx, JOB, ORDERS))
        piece = await store.read(lambda tx: next_piece(tx, "acme"))
        assert piece is not None
        taken: list[str] = []

        async def take(most: int) -> None:
            taken.extend(await store.write(partial(take_orders, piece=piece.seq, most=most)))

        async with anyio.create_task_group() as group:
            for most in (1, 30, 40, 2, 50, 60):
                group.start_soon(take, most)
        assert sorted(taken, key=int) == piece.orders


async def test_orders_of_a_unit_that_fails_are_not_taken(engine: Engine) -> None:
    async with engine.open() as store:
        await store.write(lambda tx: add_job(tx, JOB, ORDERS))
        piece = await store.read(lambda tx: next_piece(tx, "other"))
        assert piece is not None

        def unit(tx: Transaction) -> None:
            take_orders(tx, piece.seq, 1)
            note_progress(tx, JOB.id, 1, {}, NOW)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await store.write(unit)
        assert await store.read(lambda tx: next_piece(tx, "other")) == piece
        assert await found(store) == JOB


async def test_a_job_is_done_when_it_came_to_all_of_its_orders(engine: Engine) -> None:
    async with engine.open() as store:
        await store.write(lambda tx: add_job(tx, JOB, ORDERS))
        await store.write(lambda tx: note_progress(tx, JOB.id, PIECE, {"not-blocked": REFUSAL}, NOW + 1))
        assert await found(store) == replace(JOB, done=PIECE, refused=1, refusals={"not-blocked": REFUSAL})
        more = {"changed": {**REFUSAL, "order": "2"}, "not-blocked": {**REFUSAL, "order": "3"}}
        await store.write(lambda tx: note_progress(tx, JOB.id, 0, more, NOW + 2))
        refusals = {"not-blocked": {**REFUSAL, "count": 2}, "changed": {**REFUSAL, "order": "2"}}
        ended = replace(JOB, status="done", done=PIECE, refused=3, refusals=refusals, ended_at=NOW + 2)
        assert await found(store) == ended
        assert not await store.write(lambda tx: end_job(tx, JOB.id, "cancelled", NOW + 3))
        await store.write(lambda tx: note_progress(tx, "j-9", 1, {}, NOW))
        assert await found(store) == ended


async def test_a_job_that_ends_early_leaves_nothing_to_take(engine: Engine) -> None:
    async with engine.open() as store:
        await store.write(lambda tx: add_job(tx, JOB, ORDERS))
        await store.write(lambda tx: add_job(tx, replace(JOB, id="j-2", orders=1), [("other", "c")]))
        piece = await store.read(lambda tx: next_piece(tx, "acme"))
        assert piece is not None
        assert await store.write(lambda tx: end_job(tx, JOB.id, "cancelled", NOW + 1))
        assert await store.write(partial(take_orders, piece=piece.seq, most=9)) == []
        assert await found(store) == replace(JOB, status="cancelled", ended_at=NOW + 1)
        assert await store.read(shops_with_pieces) == ["other"]
        await store.write(lambda tx: fail_job(tx, "j-2", "other", "a mistake", NOW + 2))
        failed = await found(store, "j-2")
        assert (failed.status, failed.refused, failed.ended_at) == ("failed", 1, NOW + 2)
        assert failed.refusals["internal-error"]["detail"] == "a mistake"
        await store.write(lambda tx: fail_job(tx, "j-2", "other", "once more", NOW + 3))
        assert await found(store, "j-2") == failed


@pytest.mark.parametrize("column", ["wanted", "refusals"])
async def test_a_damaged_job_is_read_strictly_shown_as_far_as_it_goes_and_ended(engine: Engine, column: str) -> None:
    async with engine.open() as store:
        await store.write(lambda tx: add_job(tx, JOB, ORDERS))
        await store.write(lambda tx: tx.execute(f"UPDATE jobs SET {column} = '{{'"))  # noqa: S608
        with pytest.raises(DamagedRow, match=column):
            await store.read(lambda tx: get_job(tx, JOB.id, read_job))
        assert [job.orders for job in await store.read(lambda tx: list_jobs(tx, 0, 9))] == [PIECE + 3]
        await store.write(lambda tx: fail_job(tx, JOB.id, "acme", "a mistake", NOW + 1))
        ended = await found(store)
        assert (ended.status, ended.refused) == ("failed", PIECE + 3)
        assert ended.refusals["internal-error"]["detail"] == "a mistake"


async def test_of_the_orders_that_a_job_had_go_on_those_that_are_blocked_again_are_counted(engine: Engine) -> None:
    async with engine.open() as store:

        def unit(tx: Transaction) -> None:
            for shop in ("acme", "żółw"):
                for number in range(3):
                    doing = Situation.IDLE if number == 0 else Situation.BLOCKED
                    insert_order(tx, order(str(number), shop=shop, situation=doing), b"")
            keep_operated(tx, "j-1", "acme", ["0", "1"])
            keep_operated(tx, "j-1", "acme", [])
            keep_operated(tx, "j-1", "żółw", ["0", "1", "2", "gone"])
            keep_operated(tx, "j-2", "acme", ["2"])

        await store.write(unit)
        counts = [await store.read(partial(count_blocked_again, job=job)) for job in ("j-1", "j-2", "j-3")]
        assert counts == [3, 1, 0]
        await store.write(lambda tx: tx.execute("UPDATE job_orders SET orders = '{' WHERE shop = 'acme'"))
        assert await store.read(partial(count_blocked_again, job="j-1")) == 2
