"""Jobs: orders operated in bulk by a real shop floor, gently, each once, with a line in its history."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from orchestrator.config import load
from orchestrator.decisions.bulk import Action, Pace
from orchestrator.decisions.refusals import Refused
from orchestrator.operations.commands import job_runner, jobs
from orchestrator.operations.commands.job_runner import JobRunner
from orchestrator.operations.order_filter import Wanted
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.testing.engine_suite.samples import order as sample
from orchestrator.testing.engine_suite.scratch import NOW
from statemachines.target import TargetRequest
from storage.jobs import Job, get_job, next_piece
from storage.orders import insert_order
from storage.records import Situation, TargetStatus
from storage.transaction import Transaction
from tests.runtime.test_leaving import with_shops
from tests.support.asking import queries
from tests.support.platforms import SHOPS
from tests.support.shopfloor import SHOP, Shopfloor, config_of, shopfloor, working_on

pytestmark = pytest.mark.engines("sqlite", "postgresql")

REFUSAL = b'{"message": "The given data was invalid.", "errors": {"list": ["No."]}}'
BLOCKED = Wanted(situation="blocked")


@asynccontextmanager
async def at_work(floor: Shopfloor) -> AsyncIterator[None]:
    """Jobs are carried out for as long as the block lasts."""
    async with anyio.create_task_group() as group:
        group.start_soon(floor.commands.jobs.run)
        yield
        group.cancel_scope.cancel()


async def job_of(floor: Shopfloor, job: str) -> Job:
    found = await floor.store.read(lambda tx: get_job(tx, job))
    assert found is not None
    return found


async def ended(floor: Shopfloor, job: Job) -> Job:
    """Waits for the end of a job."""
    with anyio.fail_after(60):
        return await floor.committed.until(lambda: job_of(floor, job.id), lambda now: now.status != "running")


async def block_all(floor: Shopfloor, state: str = "shipped") -> list[str]:
    """Every order is blocked in its first step."""
    ids = [order.id for order in await floor.orders()]
    floor.sandbox.faults.script_answer(422, REFUSAL, step="confirm", times=len(ids))
    for order in ids:
        assert (await floor.reach(order, state)).status is TargetStatus.BLOCKED
    return ids


async def start(floor: Shopfloor, action: str, wanted: Wanted = BLOCKED, **more: Any) -> Job:
    given = {"limit": None, "reason": "the panel is open again", "by": "user ann", **more}
    return await floor.commands.start_job(Action(action), wanted, given["limit"], given["reason"], given["by"])


async def test_blocked_orders_are_retried_once_each_and_their_history_says_who_and_why(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=7))
    async with shopfloor(sandbox, tmp_path) as floor, at_work(floor):
        ids = await block_all(floor)
        job = await ended(floor, await start(floor, "retry"))
        assert (job.status, job.orders, job.done, job.refused, job.refusals) == ("done", 7, 7, 0, {})
        assert job.ended_at is not None
        for order in ids:
            await floor.until(order, lambda found: found.situation is Situation.IDLE and found.milestone == "shipped")
            assert sandbox.ledger.effects(order) == ["confirm", "prepare", "send"]
            (told,) = await floor.events("order.operated", order=order)
            assert told.data == {
                "action": "retry",
                "job": job.id,
                "by": "user ann",
                "reason": "the panel is open again",
            }


async def test_a_job_says_how_many_of_its_orders_are_blocked_again(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=3))
    async with shopfloor(sandbox, tmp_path) as floor, at_work(floor):
        first, *_ = await block_all(floor)
        sandbox.faults.script_answer(422, REFUSAL, step="confirm", order=first)
        job = await ended(floor, await start(floor, "retry"))
        still = Wanted(situation="blocked")

        async def blocked_again() -> int | None:
            return (await queries(floor).job(job.id))["blocked_again"]

        await floor.until(first, lambda found: found.situation is Situation.BLOCKED)
        assert await blocked_again() == 1
        retried = await ended(floor, await start(floor, "retry", still))
        await floor.until(first, lambda found: found.milestone == "shipped")
        assert await blocked_again() == 0
        assert (await queries(floor).job(retried.id))["blocked_again"] == 0


async def test_hold_release_skip_and_cancel_do_what_they_do_to_one_order(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=3))
    async with shopfloor(sandbox, tmp_path) as floor, at_work(floor):
        ids = await block_all(floor)
        assert (await ended(floor, await start(floor, "hold", Wanted(shop=SHOP)))).done == 3
        assert {order.situation for order in await floor.orders()} == {Situation.HELD}
        assert {order.held_reason for order in await floor.orders()} == {"the panel is open again"}
        assert (await ended(floor, await start(floor, "release", Wanted(situation="held")))).done == 3
        assert {order.situation for order in await floor.orders()} == {Situation.BLOCKED}
        for order in ids:
            sandbox.selldone.panel.move(order, "OrderConfirm")
        assert (await ended(floor, await start(floor, "skip", Wanted(step="confirm"), limit=2))).done == 2
        for order in ids[:2]:
            await floor.until(order, lambda found: found.milestone == "shipped")
            assert sandbox.ledger.effects(order) == ["prepare", "send"]
        assert (await ended(floor, await start(floor, "cancel"))).done == 1
        assert (await floor.order(ids[2])).situation is Situation.IDLE
        assert [event.order for event in await floor.events("target.cancelled")] == ids[2:]


async def test_orders_that_changed_since_they_were_selected_are_left_alone(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=4))
    async with shopfloor(sandbox, tmp_path) as floor:
        ids = await block_all(floor)
        job = await start(floor, "cancel")
        sandbox.faults.script_answer(422, REFUSAL, step="prepare")
        await floor.commands.retry(SHOP, ids[0])  # goes on, and is blocked in another step
        await floor.until(ids[0], lambda order: order.problem is not None and order.problem.step == "prepare")
        await floor.commands.hold(SHOP, ids[1], None)
        async with at_work(floor):
            job = await ended(floor, job)
        assert (job.done, job.refused) == (3, 1)
        assert job.refusals["changed"]["order"] == ids[1]
        assert (await floor.order(ids[1])).situation is Situation.HELD
        assert len(await floor.events("target.cancelled")) == 3


async def test_what_cannot_be_done_to_an_order_is_counted_by_its_reason(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=5))
    async with shopfloor(sandbox, tmp_path) as floor, at_work(floor):
        first = (await floor.orders())[0].id
        job = await ended(floor, await start(floor, "retry", Wanted(shop=SHOP)))
        assert (job.status, job.orders, job.done, job.refused) == ("done", 5, 0, 5)
        assert {type_: each["count"] for type_, each in job.refusals.items()} == {"not-blocked": 5}
        assert job.refusals["not-blocked"]["order"] == first
        assert await floor.events("order.operated") == []


async def test_a_job_that_was_begun_goes_on_after_a_restart_and_repeats_nothing(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=6))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path)
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync(SHOP, 30)
            await block_all(floor)
            job = await start(floor, "hold")
            few = JobRunner(floor.commands._services, Pace(calls_per_order=10**6, horizon_ms=1))
            assert await few._work(SHOP) == 0
            assert (await job_of(floor, job.id)).done == 2
        async with working_on(sandbox, config, tmp_path) as floor, at_work(floor):
            job = await ended(floor, job)
            assert (job.status, job.done, job.refused) == ("done", 6, 0)
            assert len(await floor.events("order.operated")) == 6
            assert len(await floor.events("order.held")) == 6


async def test_a_cancelled_job_leaves_the_orders_that_it_did_not_come_to(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=3))
    async with shopfloor(sandbox, tmp_path) as floor:
        await block_all(floor)
        job = await start(floor, "hold")
        few = JobRunner(floor.commands._services, Pace(calls_per_order=10**6, horizon_ms=1))
        await few._work(SHOP)
        cancelled = await floor.commands.cancel_job(job.id)
        assert (cancelled.status, cancelled.done) == ("cancelled", 2)
        assert await few._work(SHOP) > 1
        assert [order.situation for order in await floor.orders()].count(Situation.HELD) == 2
        assert await floor.store.read(lambda tx: next_piece(tx, SHOP)) is None


async def test_jobs_of_one_shop_after_another_are_begun_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_REST_SECONDS", "_LOOK_SECONDS"):
        monkeypatch.setattr(job_runner, name, 3600.0)  # nobody finds by looking what the runner did not hear of
    sandbox = Sandbox(SandboxSettings(orders=2))
    async with shopfloor(sandbox, tmp_path) as floor, at_work(floor):
        with anyio.fail_after(60):
            for turn in range(30):
                job = await start(floor, "hold" if turn % 2 == 0 else "release", Wanted(shop=SHOP))
                assert (await ended(floor, job)).done == 2


async def test_a_large_job_is_done_in_units_that_a_step_can_wait_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=1)), tmp_path) as floor:
        many = [sample(f"x{number}", updated_at=NOW - 1) for number in range(1_050)]
        await floor.store.write(lambda tx: [insert_order(tx, each, b"{}") for each in many] and None)
        done: list[int] = []
        write_bulk = floor.store.write_bulk

        async def counted(unit: Callable[[Transaction], Any]) -> Any:
            outcome = await write_bulk(unit)
            done.append(len(outcome.operated))
            return outcome

        monkeypatch.setattr(floor.store, "write_bulk", counted)
        async with at_work(floor):
            job = await ended(floor, await start(floor, "hold", Wanted(state="new", updated_before=NOW)))
        assert (job.orders, job.done, job.refused) == (1_050, 1_050, 0)
        assert done == [100] * 10 + [50]


async def test_a_job_has_so_many_orders_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MOST_ORDERS", 3)
    async with shopfloor(Sandbox(SandboxSettings(orders=4)), tmp_path) as floor:
        with pytest.raises(Refused) as refused:
            await start(floor, "hold", Wanted(shop=SHOP))
        assert refused.value.slug == "invalid-request"
        assert "narrow it, or give a limit" in refused.value.detail
        assert (await start(floor, "hold", Wanted(shop=SHOP), limit=3)).orders == 3


async def test_a_paused_shop_s_orders_go_on_when_it_is_resumed(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=3))
    async with shopfloor(sandbox, tmp_path) as floor, at_work(floor):
        ids = await block_all(floor)
        calls = sandbox.ledger.effects
        await floor.commands.pause(SHOP, "stocktaking")
        job = await ended(floor, await start(floor, "retry"))
        assert (job.status, job.done) == ("done", 3)
        assert [calls(order) for order in ids] == [[], [], []]
        await floor.commands.resume(SHOP)
        for order in ids:
            await floor.until(order, lambda found: found.milestone == "shipped")


async def test_orders_go_on_at_the_pace_of_their_shop_behind_what_is_new(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=5))
    slow = {"limits": {"concurrency": 4, "rate_per_second": 0.2, "burst": 500}}
    async with shopfloor(sandbox, tmp_path, slow) as floor, at_work(floor):
        ids = await block_all(floor)
        now = floor.commands._services.clock.now_ms()
        job = await ended(floor, await start(floor, "retry", limit=4))
        assert job.done == 4
        due = [order.due_at - now for order in await floor.orders() if order.due_at is not None]
        # one call in five seconds and two calls an order: the first is driven at once, the others every ten seconds
        assert sorted(round(each / 10_000) for each in due if each > 5_000) == [1, 2, 3]
        target = await floor.commands.submit(SHOP, ids[3], TargetRequest("delivered"))
        await floor.until(ids[3], lambda order: order.due_at is None or order.due_at < now + 20_000)
        assert target.status in (TargetStatus.QUEUED, TargetStatus.RUNNING)


@pytest.mark.parametrize(("first", "is_overtaken"), [("retry", True), ("release", False)])
async def test_what_stops_orders_overtakes_what_waits_for_the_pace_of_its_shop(
    tmp_path: Path, first: str, is_overtaken: bool
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=3))
    async with shopfloor(sandbox, tmp_path) as floor:
        ids = await block_all(floor)
        for order in ids if first == "release" else ():
            await floor.commands.hold(SHOP, order, None)
        slow = await start(floor, first, Wanted(shop=SHOP))
        stop = await start(floor, "hold", Wanted(shop=SHOP))
        pace = Pace()
        pace.reached(SHOP, floor.commands._services.clock.now_ms() + 200_000)  # there is no room for a while
        runner = JobRunner(floor.commands._services, pace)
        await runner._work(SHOP)
        assert (await job_of(floor, stop.id)).done == (3 if is_overtaken else 0)
        assert (await job_of(floor, slow.id)).status == "running"


async def test_orders_in_a_state_that_is_not_known_are_read_again(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=3))
    async with shopfloor(sandbox, tmp_path) as floor, at_work(floor):
        ids = [order.id for order in await floor.orders()]
        for order in ids:
            sandbox.selldone.panel.move(order, "Mystery")
            await floor.commands.refresh(SHOP, order)
        assert {order.situation for order in await floor.orders()} == {Situation.BLOCKED}
        for order in ids[:2]:
            sandbox.selldone.panel.move(order, "OrderConfirm")
        job = await ended(floor, await start(floor, "retry", Wanted(problem="unknown-state")))
        assert (job.done, job.refused) == (3, 0)
        assert [(await floor.order(order)).situation.value for order in ids] == ["idle", "idle", "blocked"]
        assert len(await floor.events("order.operated")) == 3


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("job_pieces", "orders", "{"),
        ("jobs", "wanted", "[1]"),
        ("jobs", "wanted", '{"no such": 1}'),
        ("jobs", "refusals", "{"),
        ("jobs", "refusals", '{"not-held": 7}'),
        ("jobs", "action", "no such"),
    ],
)
async def test_a_job_that_cannot_go_on_fails_and_the_next_one_does_not(
    tmp_path: Path, table: str, column: str, value: str
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=2))
    async with shopfloor(sandbox, tmp_path) as floor:
        await block_all(floor)
        broken = await start(floor, "hold")
        await floor.store.write(lambda tx: tx.execute(f"UPDATE {table} SET {column} = ?", (value,)) and None)
        async with at_work(floor):
            job = await ended(floor, broken)
            assert (job.done, job.refused) == (0, 2)
            assert job.refusals["internal-error"]["count"] == 2
            assert (await ended(floor, await start(floor, "hold"))).done == 2


async def test_a_mistake_beside_the_jobs_stops_no_more_than_its_shop_and_not_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, failed = Sandbox(SandboxSettings(orders=2)), threading.Event()

    def mistaken(*_: Any, **__: Any) -> Any:
        failed.set()
        raise RuntimeError

    async with shopfloor(sandbox, tmp_path) as floor:
        await block_all(floor)
        job = await start(floor, "hold")
        monkeypatch.setattr(job_runner, "_next", mistaken)
        async with at_work(floor):
            with anyio.fail_after(60):
                await anyio.to_thread.run_sync(failed.wait, abandon_on_cancel=True)
            monkeypatch.undo()
            await start(floor, "release")  # which wakes it, and finds none that is held
            assert (await ended(floor, job)).done == 2


def test_the_pace_gives_each_order_its_time_and_no_more_orders_than_fit_ahead() -> None:
    pace = Pace(calls_per_order=2, horizon_ms=60_000)
    spacing = pace.spacing_ms(10)
    assert spacing == 200
    assert pace.room("acme", 1_000, spacing) == 301
    pace.reached("acme", 1_000 + 61_000)
    assert pace.room("acme", 1_000, spacing) == 0
    assert pace.seconds_to_room("acme", 1_000) == 1
    assert pace.room("acme", 3_000, spacing) == 6
    assert pace.room("other", 3_000, spacing) == 301
    assert pace.next_at("acme", 100_000) == 100_000
    assert pace.spacing_ms(0.001) == 60_000, "no order is put off beyond what the clock is believed"
    assert pace.next_at("acme", -(10**9)) == -(10**9), "a clock that was ahead holds nothing up"


@pytest.mark.parametrize("platform", list(SHOPS))
async def test_of_a_shop_that_left_the_config_only_targets_are_dropped(tmp_path: Path, platform: str) -> None:
    sandbox = Sandbox(SandboxSettings(orders=2))
    async with shopfloor(sandbox, tmp_path, platform=platform) as floor, at_work(floor):
        shop = next(iter(floor.supervisor.shops()))
        await floor.commands.pause(shop, None)
        state = "shipped" if platform in ("shopify", "woocommerce") else "accepted"
        targets = [await floor.submit(order.id, state, shop) for order in await floor.orders()]
        await floor.supervisor.reload(with_shops(load(tmp_path / "config.json"), {}))
        refused = await ended(floor, await start(floor, "retry", Wanted(shop=shop)))
        assert (refused.done, refused.refusals["shop-not-found"]["count"]) == (0, 2)
        cancelled = await ended(floor, await start(floor, "cancel", Wanted(situation="waiting")))
        assert (cancelled.done, cancelled.refusals) == (2, {})
        assert [(await floor.target(each.id)).status for each in targets] == [TargetStatus.CANCELLED] * 2
        assert [event.data["action"] for event in await floor.events("order.operated")] == ["cancel"] * 2


async def test_each_shop_s_orders_are_operated_whatever_the_others_do(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=2))
    platforms = tuple(SHOPS)
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, platform=platforms)
        async with working_on(sandbox, config, tmp_path) as floor, at_work(floor):
            for shop in floor.supervisor.shops():
                await floor.commands.sync(shop, 30)
            orders = await floor.orders()
            assert len({order.shop for order in orders}) == len(platforms)
            job = await ended(floor, await start(floor, "hold", Wanted(milestone="new")))
            assert (job.done, job.refused) == (job.orders, 0)
            assert {order.shop for order in await floor.orders() if order.situation is Situation.HELD} == {
                order.shop for order in orders
            }
            job = await ended(floor, await start(floor, "release", Wanted(situation="held")))
            assert (job.done, job.refused) == (job.orders, 0)
