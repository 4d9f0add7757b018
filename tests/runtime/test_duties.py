"""What is to be done once among all nodes: one node at a time does it, all take their share, and one that lost a duty
writes nothing for it any more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import TaskGroup

from orchestrator.clock import Clock
from orchestrator.runtime.duties import Duties, still_held
from orchestrator.runtime.membership import Membership
from orchestrator.testing.engine_suite.scratch import NOW
from storage.engines import open_store
from storage.errors import StaleLease
from storage.events import append_event, list_events
from storage.leases import acquire_duty, depose, lease_of
from storage.nodes import Presence
from storage.store import Store
from tests.support.nodes import database, listening

TERM_SECONDS = 200.0  # no lease ends by itself here


class Mate:
    """One of several nodes. `does`: the duties that it does right now; `changed` is set whenever that changes."""

    def __init__(self, store: Store, name: str) -> None:
        self.store, self.name, self.is_draining = store, name, False
        self.ahead_seconds = 0.0
        real = Clock()
        clock = Clock(monotonic=lambda: real.monotonic() + self.ahead_seconds)
        self.membership = Membership(store, name, clock, self._presence, TERM_SECONDS)
        self.duties = Duties(store, self.membership, clock)
        self.does: dict[str, Store] = {}
        self.changed = anyio.Event()
        self.scope = anyio.CancelScope()

    def _presence(self) -> Presence:
        return Presence("1", (), self.is_draining, duties=tuple(self.duties.names))

    async def run(self, *duties: str) -> None:
        with self.scope:
            await self.membership.join()
            async with anyio.create_task_group() as group:
                group.start_soon(self.membership.run)
                for duty in duties:
                    self._begin(group, duty)
        await self.membership.leave()

    def _begin(self, group: TaskGroup, duty: str) -> None:
        async def work(store: Store) -> None:
            self.does[duty] = store
            self._change()
            try:
                await anyio.sleep_forever()
            finally:
                del self.does[duty]
                self._change()

        group.start_soon(self.duties.hold, duty, work)

    def _change(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()


@asynccontextmanager
async def mates(count: int, *duties: str) -> AsyncIterator[list[Mate]]:
    """So many nodes that all can do these duties."""
    with database() as url:
        async with AsyncExitStack() as stack:
            found = []
            for number in range(count):
                store = await stack.enter_async_context(open_store(url, NOW))
                found.append(Mate(store, f"node{number}"))
            for mate in found:
                await listening((found[-1] if mate is found[0] else found[0]).store, mate.store)
            async with anyio.create_task_group() as group:
                for mate in found:
                    group.start_soon(mate.run, *duties)
                yield found
                for mate in found:
                    mate.scope.cancel()


async def spread_as(mates: list[Mate], *shares: int) -> None:
    """Returns once so many duties are done by each."""
    with anyio.fail_after(60):
        while [len(mate.does) for mate in mates] != list(shares):
            async with anyio.create_task_group() as group:
                for mate in mates:
                    group.start_soon(_first, mate.changed, group)


async def holder_of(mates: list[Mate], duty: str, *, other_than: Store | None = None) -> tuple[Mate, Store]:
    """Which node does a duty, with which store."""
    with anyio.fail_after(60):
        while True:
            for mate in mates:
                if (store := mate.does.get(duty)) is not None and store is not other_than:
                    return mate, store
            async with anyio.create_task_group() as group:
                for mate in mates:
                    group.start_soon(_first, mate.changed, group)


async def _first(event: anyio.Event, group: TaskGroup) -> None:
    await event.wait()
    group.cancel_scope.cancel()


async def test_duties_are_spread_and_each_is_done_by_one() -> None:
    async with mates(2, "a", "b", "c", "d") as (one, two):
        await spread_as([one, two], 2, 2)
        assert one.does.keys() | two.does.keys() == {"a", "b", "c", "d"}


async def test_a_node_that_ends_or_drains_hands_its_duties_over_at_once() -> None:
    """No lease ends by itself here: whoever takes over was notified."""
    async with mates(3, "a", "b", "c") as (one, two, three):
        await spread_as([one, two, three], 1, 1, 1)
        three.scope.cancel()
        await spread_as([one, two, three], 2, 1, 0)
        two.is_draining = True
        await two.membership.announce()
        await spread_as([one, two], 3, 0)


async def test_who_lost_a_duty_writes_nothing_for_it_and_stops_while_the_other_one_begins() -> None:
    async with mates(2, "a") as (one, two):
        mate, store = await holder_of([one, two], "a")
        other = two if mate is one else one
        await store.write(lambda tx: append_event(tx, NOW, "while it was ours"))
        await other.store.write(lambda tx: depose(tx, "a", "duties"))
        for write in (store.write, store.write_bulk):
            with pytest.raises(StaleLease):
                await write(lambda tx: append_event(tx, NOW, "too late"))
        assert len(await store.read(lambda tx: list_events(tx, 0, 9))) == 1
        await other.duties.notify()
        _, now = await holder_of([one, two], "a", other_than=store)
        await now.write(lambda tx: append_event(tx, NOW, "goes on"))


async def test_who_was_frozen_knows_that_nothing_may_leave_for_its_duty_any_more() -> None:
    async with mates(1, "a") as (one,):
        _, store = await holder_of([one], "a")
        assert still_held(store)()
        one.ahead_seconds = TERM_SECONDS * 0.9
        assert not still_held(store)(), "what leaves now may arrive when the lease is over"
        one.ahead_seconds = 0.0
        assert still_held(store)()


@pytest.mark.parametrize("error", [StaleLease("a"), LookupError("a mistake")], ids=repr)
async def test_work_that_fails_is_begun_anew(error: Exception) -> None:
    async with mates(1) as (one,):
        begun: list[Store] = []
        again = anyio.Event()

        async def work(store: Store) -> None:
            begun.append(store)
            if len(begun) == 1:
                raise error
            again.set()
            await anyio.sleep_forever()

        async with anyio.create_task_group() as group:
            group.start_soon(one.duties.hold, "a", work)
            with anyio.fail_after(60):
                await again.wait()
            group.cancel_scope.cancel()


async def test_where_no_other_node_can_be_a_duty_costs_nothing(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/s.db", NOW) as store:
        mate, given = Mate(store, "alone"), []

        async def work(store: Store) -> None:
            given.append(store)

        await mate.duties.hold("a", work)
        assert given == [store]
        assert still_held(store)()
        assert mate.duties.names == set()
        assert await store.read(lambda tx: tx.query("SELECT count(*) FROM duties")) == [(0,)]


async def test_the_duty_of_a_node_that_died_is_taken_over_once_its_lease_is_over() -> None:
    """Nobody notifies of that: who waits looks when it is time."""
    with database() as url:
        async with open_store(url, NOW) as store, anyio.create_task_group() as group:
            assert await store.write(lambda tx: acquire_duty(tx, "a", "dead", 500)) == 1
            mate = Mate(store, "alive")
            group.start_soon(mate.run, "a")
            await holder_of([mate], "a")
            lease = await store.read(lambda tx: lease_of(tx, "a", "duties"))
            assert lease is not None
            assert (lease.holder, lease.epoch) == ("alive", 2)
            mate.scope.cancel()
