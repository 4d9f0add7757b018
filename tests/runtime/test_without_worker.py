"""What is accepted while nobody works for the shop on this node: a worker that is started again, a shop that another
node has. It costs nothing but the wait until somebody does."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from orchestrator.backoff import Growing
from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Chance, Clock
from orchestrator.decisions.refusals import Refused
from orchestrator.metrics import Metrics
from orchestrator.operations.commands import DaemonCommands
from orchestrator.operations.feed import Feed
from orchestrator.runtime import supervisor as supervising
from orchestrator.runtime.supervisor import Supervisor
from orchestrator.runtime.worker import ShopWorker
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.testing.engine_suite.scratch import NOW
from statemachines.machine import Milestone
from statemachines.target import TargetRequest
from storage.engines import open_store
from storage.errors import StoreUnavailable
from storage.records import Target, TargetStatus
from storage.store import Store
from storage.targets import list_targets
from tests.support.committed import Committed
from tests.support.engines import store_url
from tests.support.platforms import SHOPS
from tests.support.shopfloor import SHOP, Shopfloor, config_of, working_on

PLATFORMS = tuple(SHOPS)


class Standstill:
    """Workers that cannot be started, until `end`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._run, self.is_over = ShopWorker.run, False
        monkeypatch.setattr(supervising, "_PAUSE_SECONDS", Growing(0.001, 0.001))
        monkeypatch.setattr(ShopWorker, "run", lambda worker, **task: self._start(worker, **task))

    async def _start(self, worker: ShopWorker, **task: Any) -> None:
        if not self.is_over:
            raise StoreUnavailable("a worker that cannot be started")
        await self._run(worker, **task)

    def end(self) -> None:
        self.is_over = True


@asynccontextmanager
async def standing_still(
    folder: Path, monkeypatch: pytest.MonkeyPatch, platform: str = "selldone"
) -> AsyncIterator[tuple[Shopfloor, Standstill, str, str]]:
    """A shop with one order that is known, and nobody to work for it: the floor, what ends that, shop and order."""
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        config = config_of(sandbox, folder, platform=platform)
        (shop,) = config.shops
        async with working_on(sandbox, config, folder) as floor:
            await floor.commands.sync(shop, 30)
            order = (await floor.orders())[0].id
        standstill = Standstill(monkeypatch)
        async with working_on(sandbox, config, folder) as floor:
            assert floor.supervisor.worker(shop) is None
            yield floor, standstill, shop, order


def wanted(**fields: Any) -> TargetRequest:
    return TargetRequest.from_json(fields)


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_target_is_accepted_while_the_worker_is_down_and_reached_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    async with standing_still(tmp_path, monkeypatch, platform) as (floor, standstill, shop, order):
        plan = await floor.commands.preview(shop, order, wanted(state="accepted"))
        assert plan.milestone == Milestone.ACCEPTED
        target = await floor.commands.submit(shop, order, wanted(state="accepted"))
        standstill.end()
        assert (await floor.finished(target)).status is TargetStatus.REACHED


async def test_a_target_is_accepted_before_any_worker_is_started_and_reached_then(tmp_path: Path) -> None:
    sandbox, feed, committed = Sandbox(SandboxSettings(orders=1)), Feed(), Committed()
    async with sandbox.running(), shared(tmp_path, feed, committed) as store:
        config, (order,) = config_of(sandbox, tmp_path), sandbox.selldone.order_ids()
        async with anyio.create_task_group() as group:
            before = Node(store, "a")
            await before.supervisor.start(group, config)
            await before.commands.sync(SHOP, 30)
            await before.supervisor.drain(5)
        node = Node(store, "b")
        node.supervisor.configure(config)
        await node.commands.submit(SHOP, order, wanted(state="accepted"))
        async with anyio.create_task_group() as group:
            await node.supervisor.start(group, config)
            with anyio.fail_after(60):
                assert (await finished(store, committed, order)).status is TargetStatus.REACHED
            await node.supervisor.drain(5)


async def test_a_worker_that_falls_again_and_again_is_started_after_waits_that_chance_spreads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spread: list[tuple[float, float]] = []
    enough = anyio.Event()

    def at_once(wait: float, jitter: float) -> float:
        spread.append((wait, jitter))
        if len(spread) == 4:
            enough.set()
        return 0.0

    async with standing_still(tmp_path, monkeypatch):
        monkeypatch.setattr(supervising, "_PAUSE_SECONDS", Growing(1.0, 30.0))
        monkeypatch.setattr(supervising, "equal_jitter", at_once)
        with anyio.fail_after(60):
            await enough.wait()
    waits, jitters = zip(*spread[:4], strict=True)
    assert list(waits) == sorted(waits)
    assert len(set(jitters)) == 4


async def hold(floor: Shopfloor, order: str) -> None:
    assert (await floor.commands.hold(SHOP, order, "count first")).held_at is not None


async def release_held(floor: Shopfloor, order: str) -> None:
    await floor.commands.hold(SHOP, order, None)
    assert (await floor.commands.release(SHOP, order)).held_at is None


async def cancel(floor: Shopfloor, order: str) -> None:
    target = await floor.submit(order, "accepted")
    await floor.commands.cancel(SHOP, order)
    assert (await floor.target(target.id)).status is TargetStatus.CANCELLED


async def cancel_target(floor: Shopfloor, order: str) -> None:
    target = await floor.submit(order, "accepted")
    assert (await floor.commands.cancel_target(target.id)).status is TargetStatus.CANCELLED


async def retry(floor: Shopfloor, order: str) -> None:
    target = await floor.submit(order, "accepted")
    await floor.commands.retry(SHOP, order)
    assert not (await floor.target(target.id)).status.is_end


async def skip(floor: Shopfloor, order: str) -> None:
    with pytest.raises(Refused, match="no step of it is blocked"):
        await floor.commands.skip(SHOP, order, "by hand")


@pytest.mark.parametrize("act", [hold, release_held, cancel, cancel_target, retry, skip])
async def test_an_order_is_operated_while_the_worker_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Shopfloor, str], Awaitable[None]]
) -> None:
    async with standing_still(tmp_path, monkeypatch) as (floor, _, _, order):
        await act(floor, order)


@pytest.mark.parametrize(
    "act",
    [
        lambda floor, order: floor.commands.refresh(SHOP, order),
        lambda floor, order: floor.commands.sync(SHOP, 1.0),
        lambda floor, order: floor.submit("424242", "accepted"),
        lambda floor, order: floor.commands.preview(SHOP, "424242", wanted(state="accepted")),
    ],
    ids=["refresh", "sync", "submit_unknown", "preview_unknown"],
)
async def test_what_asks_the_platform_needs_the_worker_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Shopfloor, str], Awaitable[object]]
) -> None:
    async with standing_still(tmp_path, monkeypatch) as (floor, _, _, order):
        with pytest.raises(Refused) as refused:
            await act(floor, order)
        assert (refused.value.slug, refused.value.retry_after_seconds) == ("overloaded", 1)


async def test_a_refusal_is_reported_while_the_worker_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with standing_still(tmp_path, monkeypatch) as (floor, _, _, order):
        with pytest.raises(Refused) as refused:
            await floor.submit(order, "no such state")
        assert refused.value.slug != "overloaded"


# -- another node's ------------------------------------------------------------------------------------------------


class Shared:
    """A store that several nodes can have open."""

    is_exclusive = False

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Node:
    """One of several on a store."""

    def __init__(self, store: Store, name: str) -> None:
        clock, chance, points = Clock(), Chance(random.Random(1)), Checkpoints()
        self.supervisor = Supervisor(store, name, clock, chance, points, Metrics())
        self.commands = DaemonCommands(store, self.supervisor, clock, chance, points, Metrics())


@asynccontextmanager
async def shared(folder: Path, feed: Feed, committed: Committed) -> AsyncIterator[Store]:
    async with open_store(store_url(folder), NOW, on_commit=feed.publish, on_group=committed) as plain:
        yield cast("Store", Shared(plain))


async def finished(store: Store, committed: Committed, order: str) -> Target:
    found = await committed.until(
        lambda: store.read(lambda tx: list_targets(tx, SHOP, order)),
        lambda targets: bool(targets) and targets[0].status.is_end,
    )
    return found[0]


async def test_a_target_is_accepted_where_another_node_works_for_the_shop_and_that_one_hears_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.runtime.dispatcher._LONGEST_REST_SECONDS", 3600.0)  # nothing but a wake-up helps
    sandbox, feed, committed = Sandbox(SandboxSettings(orders=1)), Feed(), Committed()
    async with sandbox.running(), shared(tmp_path, feed, committed) as store:
        config, first, second = config_of(sandbox, tmp_path), Node(store, "a"), Node(store, "b")
        async with anyio.create_task_group() as group:
            await first.supervisor.start(group, config)
            await second.supervisor.start(group, config)
            assert second.supervisor.worker(SHOP) is None
            await first.commands.sync(SHOP, 30)
            (order,) = sandbox.selldone.order_ids()
            with anyio.fail_after(60):
                await second.commands.submit(SHOP, order, wanted(state="accepted"))
                assert (await finished(store, committed, order)).status is TargetStatus.REACHED
            await first.supervisor.drain(5)
            await second.supervisor.drain(5)
