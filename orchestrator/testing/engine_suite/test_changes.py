"""Changes: written whole where the version and the lease are those that they were decided by, and otherwise not at all,
whatever is written beside them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.testing.engine_suite.samples import FULL_ORDER, PROBLEM, order, target
from orchestrator.testing.engine_suite.scratch import NOW, Engine
from storage.changes import Change, save_change, write_changes
from storage.errors import StoreError
from storage.events import append_event, event_rows, list_events
from storage.leases import acquire
from storage.orders import SELDOM, LostUpdate, get_order, insert_order, save_order, seldom_row, step_row
from storage.records import Order, PlanEntry, TargetStatus
from storage.store import Store
from storage.targets import get_target, insert_target, progress_row, target_row
from storage.transaction import Published, Transaction

EPOCH = 1


async def keep(store: Store, *orders: Order) -> list[Order]:
    """Keeps orders of a shop whose lease is of EPOCH."""

    def unit(tx: Transaction) -> list[Order]:
        acquire(tx, "acme", "example", "here")
        return [insert_order(tx, each, b"{}") for each in orders]

    return await store.write(unit)


def change(of: Order, *types: str, epoch: int | None = EPOCH, **rows: object) -> Change:
    """What makes an order what it is here, with events of these types."""
    events = event_rows(NOW, of.shop, of.id, [(type_, "t-1", {"at": of.attempts}) for type_ in types])
    return Change(of.shop, of.id, epoch, step_row(of), events=events, **rows)  # type: ignore[arg-type]


async def at(store: Store, order_id: str = "1") -> Order:
    found = await store.read(lambda tx: get_order(tx, "acme", order_id))
    assert found is not None
    return found


@pytest.mark.parametrize("has_seldom", [False, True])
async def test_a_change_writes_all_that_it_has(engine: Engine, has_seldom: bool) -> None:
    published: list[Published] = []
    async with engine.open(published.extend) as store:
        (kept,) = await keep(store, order(FULL_ORDER.id))
        first, second = await store.write(
            lambda tx: [insert_target(tx, target(name, kept.id), None, None) for name in ("t-1", "t-2")]
        )
        wanted = replace(FULL_ORDER, seq=kept.seq, attempts=7)
        moved = replace(first, status=TargetStatus.RUNNING, steps_done=1)
        ended = replace(
            second,
            status=TargetStatus.FAILED,
            plan=(PlanEntry("x", "a", "b", ("reason",), is_taken=False),),
            unused=("reason",),
            finished_at=NOW,
            problem=PROBLEM,
        )
        written = change(
            wanted,
            "one",
            "two",
            seldom=seldom_row(wanted) if has_seldom else None,
            progress=(progress_row(moved),),
            targets=(target_row(ended),),
        )
        assert await store.change(written) is True
        left = {} if has_seldom else {name: getattr(kept, name) for name in SELDOM}
        assert await at(store, kept.id) == replace(wanted, version=2, **left)
        assert await store.read(lambda tx: get_target(tx, "t-1")) == moved
        assert await store.read(lambda tx: get_target(tx, "t-2")) == ended
        events = await store.read(lambda tx: list_events(tx, 0, 9))
        assert [(each.type, each.order, each.target, each.data) for each in events] == [
            (type_, kept.id, "t-1", {"at": 7}) for type_ in ("one", "two")
        ]
        assert published == [(each.cursor, "acme", kept.id, "t-1", each.type) for each in events]


@pytest.mark.parametrize("why", ["version", "lease", "shop", "gone"])
@pytest.mark.parametrize("beside", [0, 3])
async def test_a_stale_change_writes_nothing_and_holds_up_nobody(engine: Engine, why: str, beside: int) -> None:
    published: list[Published] = []
    async with engine.open(published.extend) as store:
        stale, *others = await keep(store, *(order(str(number)) for number in range(1 + beside)))
        (of_target,) = await store.write(lambda tx: [insert_target(tx, target("t-1", "0"), None, None)])
        match why:
            case "version":
                await store.write(lambda tx: save_order(tx, replace(stale, attempts=1)))
            case "lease":
                await store.write(lambda tx: acquire(tx, "acme", "example", "elsewhere"))
            case "shop":
                await store.write(lambda tx: tx.execute("DELETE FROM shops"))
            case _:
                await store.write(lambda tx: tx.execute("DELETE FROM orders WHERE id = '0'"))
        before = await store.read(lambda tx: get_order(tx, "acme", "0"))
        answers: dict[str, bool] = {}
        epoch = EPOCH + 1 if why == "lease" else EPOCH

        async def write(of: Order, its_epoch: int) -> None:
            moved = progress_row(replace(of_target, steps_done=1))
            rows = {"progress": (moved,), "seldom": seldom_row(replace(of, reference="R"))} if of is stale else {}
            answers[of.id] = await store.change(change(replace(of, attempts=9), "moved", epoch=its_epoch, **rows))

        async with anyio.create_task_group() as group:
            for each in (stale, *others):
                group.start_soon(write, each, EPOCH if each is stale else epoch)
        is_current = why != "shop"
        assert answers == {"0": False} | {each.id: is_current for each in others}
        assert await store.read(lambda tx: get_order(tx, "acme", "0")) == before
        kept = await store.read(lambda tx: get_target(tx, "t-1"))
        assert kept is not None
        assert kept.steps_done == 0
        events = await store.read(lambda tx: list_events(tx, 0, 99))
        assert sorted(each.order or "" for each in events) == [each.id for each in others if is_current]
        assert sorted(each.cursor for each in published) == [each.cursor for each in events]


async def test_of_two_changes_of_one_row_the_second_is_stale(engine: Engine) -> None:
    async with engine.open() as store:
        (kept,) = await keep(store, order())
        answers: list[bool] = []

        async def write(attempts: int) -> None:
            answers.append(await store.change(change(replace(kept, attempts=attempts), "moved")))

        async with anyio.create_task_group() as group:
            group.start_soon(write, 1)
            group.start_soon(write, 2)
        assert sorted(answers) == [False, True]
        assert (await at(store)).version == 2
        assert len(await store.read(lambda tx: list_events(tx, 0, 9))) == 1


async def test_a_change_that_cannot_be_written_fails_alone(engine: Engine) -> None:
    async with engine.open() as store:
        bad, good = await keep(store, order("1"), order("2"))
        answers: list[object] = []

        async def write(of: Order) -> None:
            try:
                answers.append(await store.change(change(of, "moved")))
            except StoreError:
                raise
            except Exception:  # noqa: BLE001 - whatever the database says of it
                answers.append("refused")

        async with anyio.create_task_group() as group:
            group.start_soon(write, replace(bad, attempts=2**80))
            group.start_soon(write, replace(good, attempts=5))
            group.start_soon(store.write, lambda tx: append_event(tx, NOW, "beside"))
        assert sorted(map(str, answers)) == ["True", "refused"]
        assert [(await at(store, each)).attempts for each in ("1", "2")] == [0, 5]
        assert sorted(each.type for each in await store.read(lambda tx: list_events(tx, 0, 9))) == ["beside", "moved"]


async def test_text_that_is_no_unicode_costs_a_change_its_odd_characters_alone(engine: Engine) -> None:
    odd = replace(PROBLEM, detail="cut emoji \ud83d here")
    async with engine.open() as store:
        one, two = await keep(store, order("1"), order("2"))
        names = ("t-1", "t-2")
        targets = await store.write(lambda tx: [insert_target(tx, target(name), None, None) for name in names])
        rows = tuple(target_row(replace(each, problem=odd)) for each in targets)
        events = event_rows(NOW, "acme", "1", [("failed", None, {"detail": odd.detail}), ("blocked", None, None)])
        async with anyio.create_task_group() as group:
            group.start_soon(store.change, Change("acme", "1", EPOCH, step_row(one), None, (), rows, events))
            group.start_soon(store.change, change(replace(two, attempts=1), "moved"))
        kept = [await store.read(lambda tx, name=name: get_target(tx, name)) for name in names]  # type: ignore[misc]
        assert [each and each.problem and each.problem.detail for each in kept] == ["cut emoji \ufffd here"] * 2
        found = {each.type: each.data for each in await store.read(lambda tx: list_events(tx, 0, 9))}
        assert found == {"failed": {"detail": "cut emoji \ufffd here"}, "blocked": {}, "moved": {"at": 1}}


async def test_a_cancelled_callers_change_is_written(engine: Engine) -> None:
    async with engine.open() as store:
        (kept,) = await keep(store, order())
        async with anyio.create_task_group() as group:
            group.start_soon(store.change, change(replace(kept, attempts=3), "moved"))
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        await store.write(lambda tx: None)
        assert (await at(store)).attempts == 3


async def test_changes_that_were_handed_over_are_written_when_the_store_closes(engine: Engine) -> None:
    async with engine.open() as store:
        kept = await keep(store, *(order(str(number)) for number in range(300)))
        async with anyio.create_task_group() as group:
            for each in kept:
                group.start_soon(store.change, change(replace(each, attempts=1)))
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    async with engine.open() as store:
        orders = [await at(store, each.id) for each in kept]
        assert {each.attempts for each in orders} == {1}
    with pytest.raises(StoreError):
        await store.change(change(kept[0]))


async def test_a_unit_saves_a_change_of_a_shop_that_it_has_fenced(engine: Engine) -> None:
    async with engine.open() as store:
        (kept,) = await keep(store, order())
        wanted = change(replace(kept, attempts=4), "moved", epoch=None)
        assert await store.write(lambda tx: save_change(tx, wanted)) is True
        assert await store.write(lambda tx: save_change(tx, wanted)) is False
        assert (await at(store)).attempts == 4


# -- against the plain model -------------------------------------------------------------------------------------------


@dataclass
class Attempt:
    """One of several writes at once. `behind`: how many versions too old it is; `is_unit`: a function; `fails`: one
    that raises at its end."""

    order: int
    behind: int
    is_unit: bool
    fails: bool
    number: int = field(default=0)
    answer: object = None


attempts = st.builds(
    Attempt, st.integers(0, 2), st.sampled_from([0, 0, 0, 1]), st.booleans(), st.sampled_from([False, False, True])
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=st.lists(st.lists(attempts, min_size=1, max_size=6), min_size=1, max_size=4))
def test_writes_at_once_come_to_what_one_after_another_would(engine: Engine, rounds: list[list[Attempt]]) -> None:
    """Each is done once or not at all, each version of a row comes from one of them, and the row is as the last left
    it; one that alone is up to date is always done."""
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(_compare, engine.another(Path(folder)), rounds)


async def _compare(engine: Engine, rounds: list[list[Attempt]]) -> None:
    published: list[Published] = []
    async with engine.open(published.extend) as store:
        await keep(store, *(order(str(number)) for number in range(3)))
        number = 0
        for together in rounds:
            rows = {each: await at(store, str(each)) for each in range(3)}
            for attempt in together:
                number += 1
                attempt.number = number
            async with anyio.create_task_group() as group:
                for attempt in together:
                    group.start_soon(_try, store, attempt, rows[attempt.order])
            for order_number, before in rows.items():
                await _check(store, [each for each in together if each.order == order_number], before)
        done = [each.number for together in rounds for each in together if each.answer is True]
        events = await store.read(lambda tx: list_events(tx, 0, 999))
        assert sorted(each.data["at"] for each in events) == done
        assert [each.cursor for each in published] == [each.cursor for each in events]


async def _try(store: Store, attempt: Attempt, row: Order) -> None:
    wanted = change(replace(row, attempts=attempt.number, version=row.version - attempt.behind), "moved")

    def unit(tx: Transaction) -> bool:
        is_written = save_change(tx, wanted)
        if attempt.fails:
            raise ValueError(attempt.number)
        return is_written

    if not attempt.is_unit:
        attempt.answer = await store.change(wanted)
        return
    try:
        attempt.answer = await store.write(unit)
    except ValueError as error:
        attempt.answer = error


async def _check(store: Store, together: list[Attempt], before: Order) -> None:
    after = await at(store, before.id)
    done = [each for each in together if each.answer is True]
    assert after.version == before.version + len(done)
    assert len(done) <= 1, "they were all decided on the same version"
    assert after.attempts == (done[0].number if done else before.attempts)
    assert all(isinstance(each.answer, ValueError) is (each.is_unit and each.fails) for each in together)
    able = [each for each in together if each.behind == 0 and not (each.is_unit and each.fails)]
    assert bool(done) is bool(able)


async def test_changes_of_orders_that_were_just_read_are_written_together_or_not_at_all(engine: Engine) -> None:
    async with engine.open() as store:
        one, two = await keep(store, order("1"), order("2"))
        (of_target,) = await store.write(lambda tx: [insert_target(tx, target("t-1", "1"), None, None)])
        ended = replace(of_target, status=TargetStatus.CANCELLED, finished_at=NOW)
        changes = [
            change(replace(one, attempts=1), "a", "b", epoch=None, targets=(target_row(ended),)),
            change(replace(two, attempts=2, payment="unpaid"), "c", epoch=None, seldom=seldom_row(two)),
        ]
        await store.write(lambda tx: write_changes(tx, changes))
        assert [(await at(store, each)).attempts for each in "12"] == [1, 2]
        assert await store.read(lambda tx: get_target(tx, "t-1")) == ended
        assert [event.type for event in await store.read(lambda tx: list_events(tx, 0, 9))] == ["a", "b", "c"]
        with pytest.raises(LostUpdate):
            await store.write(lambda tx: write_changes(tx, changes))
        assert (await at(store, "1")).version == one.version + 1
