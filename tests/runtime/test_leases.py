"""Two nodes on one store: one at a time works for a shop, the other takes over when it is given up or dies."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
import pytest
from structlog.testing import capture_logs

from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Chance, Clock, rfc3339
from orchestrator.metrics import Metrics
from orchestrator.runtime.leases import Leases
from orchestrator.runtime.supervisor import Supervisor
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.testing.engine_suite.scratch import NOW
from storage.engines import open_store
from storage.errors import StaleLease, StoreUnavailable
from storage.leases import Term, acquire
from storage.shops import get_shop
from storage.store import Store
from storage.transaction import Transaction
from tests.support.committed import Committed
from tests.support.engines import store_url
from tests.support.shopfloor import SHOP, config_of

T = TypeVar("T")


class Shared:
    """A store that several nodes can have open, and that can fail."""

    is_exclusive = False

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_down = False
        self.writes = 0
        self.was_written = anyio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, unit: object) -> object:
        self.writes += 1
        self.was_written.set()
        if self.is_down:
            raise StoreUnavailable("no connection")
        return await self._store.write(unit)  # type: ignore[arg-type]

    write_bulk = write


@asynccontextmanager
async def shared(folder: Path) -> AsyncIterator[Shared]:
    async with open_store(store_url(folder), NOW) as store:
        yield Shared(store)


def node(store: Shared | Store, name: str, clock: Clock, term_seconds: float = 0.03) -> Leases:
    return Leases(cast("Store", store), name, clock, term_seconds)


def nothing(tx: Transaction) -> None:
    """No work beside the lease."""


async def test_a_shop_is_one_nodes_until_it_is_released(tmp_path: Path) -> None:
    async with shared(tmp_path) as store:
        clock = Clock(now_ms=lambda: NOW)
        first, second = node(store, "a", clock), node(store, "b", clock)
        acquired = await first.acquire("acme", "selldone", lambda tx: "done beside it")
        assert acquired is not None
        assert acquired[1] == "done beside it"
        assert await second.acquire("acme", "selldone", nothing) is None
        await first.release("acme", acquired[0].lease_epoch)
        assert await second.acquire("acme", "selldone", nothing) is not None


async def test_nothing_is_done_beside_a_lease_that_is_another_nodes(tmp_path: Path) -> None:
    async with shared(tmp_path) as store:
        clock = Clock(now_ms=lambda: NOW)
        await node(store, "a", clock).acquire("acme", "selldone", nothing)
        done: list[str] = []
        assert await node(store, "b", clock).acquire("acme", "selldone", lambda tx: done.append("b")) is None
        assert done == []


async def test_a_lease_is_renewed_for_as_long_as_it_is_kept(tmp_path: Path) -> None:
    times: Mapping[str, list[float]] = {"wall": [NOW]}
    async with shared(tmp_path) as store:
        clock = Clock(now_ms=lambda: int(times["wall"][-1]))
        leases = node(store, "a", clock, term_seconds=60.0)
        leases.pause_seconds = 0.0
        acquired = await leases.acquire("acme", "selldone", nothing)
        assert acquired is not None
        times["wall"].append(NOW + 50_000)
        store.was_written = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(leases.keep, "acme", acquired[0].lease_epoch)
            await store.was_written.wait()
            before = store.writes
            while store.writes < before + 2:  # the first of them is done then
                await anyio.lowlevel.checkpoint()
            other = node(store, "b", Clock(now_ms=lambda: NOW + 70_000), term_seconds=60.0)
            assert await other.acquire("acme", "selldone", nothing) is None
            group.cancel_scope.cancel()


async def test_a_node_whose_shop_was_taken_hears_of_it(tmp_path: Path) -> None:
    async with shared(tmp_path) as store:
        leases = node(store, "a", Clock(), term_seconds=60.0)
        leases.pause_seconds = 0.0
        acquired = await leases.acquire("acme", "selldone", nothing)
        assert acquired is not None
        await store.write(lambda tx: acquire(tx, "acme", "selldone", "b"))
        with pytest.raises(StaleLease):
            await leases.keep("acme", acquired[0].lease_epoch)


async def test_a_node_that_cannot_renew_in_time_gives_its_shop_up(tmp_path: Path) -> None:
    seconds = [0.0]

    def monotonic() -> float:
        seconds[0] += 1.0
        return seconds[0]

    async with shared(tmp_path) as store:
        leases = node(store, "a", Clock(now_ms=lambda: NOW, monotonic=monotonic), term_seconds=10.0)
        leases.pause_seconds = 0.0
        acquired = await leases.acquire("acme", "selldone", nothing)
        assert acquired is not None
        store.is_down = True
        with pytest.raises(StaleLease):
            await leases.keep("acme", acquired[0].lease_epoch)
        assert store.writes > 2, "it was tried again"


@pytest.mark.engines("sqlite")
async def test_on_a_store_of_one_node_nobody_waits_and_nothing_is_renewed(tmp_path: Path) -> None:
    async with open_store(store_url(tmp_path), NOW) as store:
        await store.write(lambda tx: acquire(tx, "acme", "selldone", "killed", Term(NOW, NOW + 15_000)))
        leases = node(store, "b", Clock(now_ms=lambda: NOW))
        acquired = await leases.acquire("acme", "selldone", nothing)
        assert acquired is not None
        await leases.keep("acme", acquired[0].lease_epoch)  # returns


async def test_a_node_that_waits_for_a_shop_hears_when_it_is_given_up(tmp_path: Path) -> None:
    async with shared(tmp_path) as store:
        clock = Clock(now_ms=lambda: NOW)
        first, second = node(store, "a", clock, term_seconds=3600.0), node(store, "b", clock, term_seconds=3600.0)
        acquired = await first.acquire("acme", "selldone", nothing)
        assert acquired is not None
        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                group.start_soon(second.freed, "acme")
                await anyio.wait_all_tasks_blocked()
                await store.notify("given_up", "another shop")
                await anyio.wait_all_tasks_blocked()
                assert await second.acquire("acme", "selldone", nothing) is None
                await first.release("acme", acquired[0].lease_epoch)
        assert await second.acquire("acme", "selldone", nothing) is not None


async def test_a_node_asks_again_after_a_while_for_what_a_dead_one_gave_nobody(tmp_path: Path) -> None:
    async with shared(tmp_path) as store:
        with anyio.fail_after(30):
            await node(store, "b", Clock(), term_seconds=0.003).freed("acme")


async def test_a_node_that_waits_for_the_lease_of_a_killed_one_says_so_once(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), open_store(store_url(tmp_path), NOW) as plain:
        store, config = cast("Store", Shared(plain)), config_of(sandbox, tmp_path)
        await plain.write(lambda tx: acquire(tx, SHOP, "selldone", "killed", Term(NOW, NOW + 10_000)))
        clock = Clock(now_ms=lambda: NOW)
        supervisor = Supervisor(store, "b", clock, Chance(random.Random(1)), Checkpoints(), Metrics(), lease_seconds=15)
        with capture_logs() as logged:
            async with anyio.create_task_group() as group:
                await supervisor.start(group, config)
                await store.notify("given_up", SHOP)  # it asks again, and still has to wait
                await anyio.wait_all_tasks_blocked()
                await supervisor.drain(5)
        [said] = [line for line in logged if line["event"] == "shop.lease_awaited"]
        assert (said["shop"], said["holder"], said["until"]) == (SHOP, "killed", rfc3339(NOW + 10_000))


async def test_the_second_of_two_nodes_takes_a_shop_over_when_the_first_leaves(tmp_path: Path) -> None:
    sandbox, committed = Sandbox(SandboxSettings(orders=1)), Committed()
    async with sandbox.running(), open_store(store_url(tmp_path), NOW, on_group=committed) as plain:
        store, config = cast("Store", Shared(plain)), config_of(sandbox, tmp_path)

        def supervisor(name: str) -> Supervisor:
            return Supervisor(store, name, Clock(), Chance(random.Random(1)), Checkpoints(), Metrics())

        first, second = supervisor("a"), supervisor("b")
        async with anyio.create_task_group() as group:
            await first.start(group, config)
            await second.start(group, config)
            assert [each.shops()[SHOP].is_leased for each in (first, second)] == [True, False]
            await first.drain(5)
            shop = await committed.until(
                lambda: plain.read(lambda tx: get_shop(tx, SHOP)), lambda found: found and found.lease_holder == "b"
            )
            assert shop is not None
            assert shop.lease_epoch == 2
            await second.drain(5)
        ended = await plain.read(lambda tx: get_shop(tx, SHOP))
        assert ended is not None
        assert ended.lease_holder is None
