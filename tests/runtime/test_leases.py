"""Two nodes on one store: one at a time works for a shop, the other takes over when it is given up or dies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar, cast

import anyio
import pytest

from orchestrator.clock import Clock
from orchestrator.runtime.leases import Leases
from orchestrator.testing.engine_suite.scratch import NOW
from storage.engines import open_store
from storage.errors import StaleLease, StoreUnavailable
from storage.leases import Term, acquire
from storage.store import Store
from storage.transaction import Transaction

T = TypeVar("T")


class Shared:
    """A store that several nodes can have open, and that can fail."""

    is_exclusive = False

    def __init__(self, store: Store) -> None:
        self._store = store
        self.read, self.gauges = store.read, store.gauges
        self.is_down = False
        self.writes = 0
        self.was_written = anyio.Event()

    async def write(self, unit: object) -> object:
        self.writes += 1
        self.was_written.set()
        if self.is_down:
            raise StoreUnavailable("no connection")
        return await self._store.write(unit)  # type: ignore[arg-type]


@asynccontextmanager
async def shared(folder: Path) -> AsyncIterator[Shared]:
    async with open_store(f"sqlite:///{folder}/s.db", NOW) as store:
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


async def test_on_a_store_of_one_node_nobody_waits_and_nothing_is_renewed(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/s.db", NOW) as store:
        await store.write(lambda tx: acquire(tx, "acme", "selldone", "killed", Term(NOW, NOW + 15_000)))
        leases = node(store, "b", Clock(now_ms=lambda: NOW))
        acquired = await leases.acquire("acme", "selldone", nothing)
        assert acquired is not None
        await leases.keep("acme", acquired[0].lease_epoch)  # returns
