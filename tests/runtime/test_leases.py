"""Two nodes on one store: one at a time works for a shop, the other takes over when it is given up or dies."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

import anyio
import pytest

from orchestrator.clock import Clock
from orchestrator.testing.engine_suite.scratch import NOW
from storage.engines import open_store
from storage.errors import StaleLease, StoreUnavailable
from storage.leases import acquire, lease_of, list_leases
from storage.nodes import Presence, live_nodes
from tests.support.committed import Committed
from tests.support.engines import store_url
from tests.support.leasing import (
    LONG,
    Node,
    Shared,
    pass_time,
    shared,
    working,
)
from tests.support.shopfloor import SHOP

pytestmark = pytest.mark.engines("sqlite", "postgresql")


async def test_a_shop_is_one_nodes_until_it_is_released(url: str) -> None:
    async with shared(url) as store:
        first, second = Node(store, "a"), Node(store, "b")
        hold = await first.take()
        assert hold is not None
        assert await second.take() is None
        await first.leases.release(hold)
        taken = await second.take()
        assert taken is not None
        assert taken.before is None, "nobody died in its midst"


async def test_nothing_is_done_beside_a_lease_that_is_another_nodes(url: str) -> None:
    async with shared(url) as store:
        await Node(store, "a").take()
        done: list[str] = []
        assert await Node(store, "b").leases.acquire(SHOP, "selldone", lambda tx: done.append("b")) is None
        assert done == []


async def test_a_heartbeat_renews_what_a_node_holds(url: str) -> None:
    async with shared(url) as store:
        first, second = Node(store, "a"), Node(store, "b")
        await first.membership.join()
        assert await first.take() is not None
        await pass_time(store, LONG - 10)
        await first.membership.announce()
        await pass_time(store, LONG - 10)
        assert await second.take() is None
        await pass_time(store, 10)
        taken = await second.take()
        assert taken is not None
        assert taken.before == "a"


async def test_a_node_whose_shop_was_taken_hears_of_it_at_its_next_heartbeat(url: str) -> None:
    async with shared(url) as store:
        first = Node(store, "a")
        hold = await first.take()
        assert hold is not None
        await pass_time(store)
        assert await Node(store, "b").take() is not None
        await first.membership.announce()
        assert not first.leases.is_good(hold)
        with pytest.raises(StaleLease):
            await first.leases.keep(hold)


async def test_a_node_that_cannot_renew_in_time_gives_its_shop_up(url: str) -> None:
    seconds = [0.0]
    async with shared(url) as store:
        clock = Clock(monotonic=lambda: seconds[0])
        node = Node(store, "a", clock)
        hold = await node.take()
        assert hold is not None
        seconds[0] = LONG - 1
        assert node.leases.is_good(hold)
        await node.membership.announce()
        store.is_down = True
        seconds[0] += LONG - 1
        await node.membership.announce()
        assert node.leases.is_good(hold), "the last heartbeat that came through counts from its begin"
        seconds[0] += 1
        await node.membership.announce()
        assert not node.leases.is_good(hold)
        with pytest.raises(StaleLease):
            await node.leases.keep(hold)


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="its clocks all go on while the machine sleeps")
async def test_a_node_whose_machine_slept_sends_nothing_under_leases_that_are_over(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shared(url) as store:
        node = Node(store, "a", Clock())
        hold = await node.take()
        assert hold is not None
        assert node.leases.may_send(hold)
        awake = time.clock_gettime
        slept = {time.CLOCK_BOOTTIME: 3600.0}
        monkeypatch.setattr(time, "clock_gettime", lambda clock: awake(clock) + slept.get(clock, 0.0))
        assert not node.leases.may_send(hold)
        assert not node.leases.is_good(hold)


@pytest.mark.engines("sqlite")
async def test_on_a_store_of_one_node_nobody_waits_and_nothing_is_renewed(tmp_path: Path) -> None:
    async with open_store(store_url(tmp_path), NOW) as store:
        await store.write(lambda tx: acquire(tx, SHOP, "selldone", "killed", 15_000))
        node = Node(cast("Shared", store), "b")
        await node.membership.join()
        await node.membership.run()  # returns
        await node.leases.meant(SHOP)
        hold = await node.take()
        assert hold is not None
        assert hold.good_until is None
        assert await store.read(live_nodes) == []


@pytest.mark.parametrize("nodes", [2, 3])
async def test_shops_are_spread_over_the_nodes_that_join_and_go(url: str, nodes: int) -> None:
    async with shared(url) as store:
        shops = tuple(f"shop-{number}" for number in range(6))
        every = [Node(store, name, shops=shops) for name in "abc"[:nodes]]

        async def settled(living: list[Node]) -> list[int]:
            for _ in range(3):
                for each in living:
                    await each.round()
            held = [shop for each in living for shop in each.holds]
            assert sorted(held) == list(shops), "each has one taker"
            return [len(each.holds) for each in living]

        assert await settled(every[:1]) == [6]
        assert await settled(every) == [6 // nodes] * nodes
        before = [set(each.holds) for each in every]
        await settled(every)
        assert [set(each.holds) for each in every] == before, "nothing moves without a reason"
        every[0].presence = Presence("1", shops, is_draining=True)
        assert (await settled(every))[0] == 0
        await pass_time(store)  # the draining one ended, and another died
        assert await settled(every[-1:]) == [6]


async def test_a_shop_goes_to_a_node_whose_config_has_it(url: str) -> None:
    async with shared(url) as store:
        first, second = Node(store, "a", shops=("one", "two")), Node(store, "b", shops=("two", "three", "four"))
        for _ in range(3):
            await first.round()
            await second.round()
        assert "one" in first.holds
        assert {"three", "four"} <= second.holds.keys()


@pytest.mark.parametrize("way", ["its worker failed", "its release failed", "it was cancelled while it took it"])
async def test_a_lease_that_nobody_works_under_goes_to_whom_the_shop_is_meant_for(url: str, way: str) -> None:
    async with shared(url) as store:
        shops = ("one", "two")
        first, second = Node(store, "a", shops=shops), Node(store, "b", shops=shops)
        await first.round()
        assert first.holds.keys() == set(shops)
        await second.membership.announce()
        if way == "its release failed":
            store.is_down = True
        for hold in first.holds.values():
            if way == "its worker failed":
                first.leases.retake(hold)
            elif way == "its release failed":
                with pytest.raises(StoreUnavailable):
                    await first.leases.release(hold)
            else:
                first.leases._forget(hold)
        store.is_down = False
        for _ in range(3):  # nobody of the first takes its shops again: its workers pause
            await first.membership.announce()
            await second.round()
        assert len(second.holds) == 1
        (left,) = set(shops) - second.holds.keys()
        lease = await store.read(lambda tx: lease_of(tx, left))
        assert lease.holder == "a", "what is meant for it is kept for its worker"
        assert first.leases.is_meant(left)


async def test_the_lease_of_a_shop_that_no_config_has_any_more_ends_with_the_next_heartbeat(url: str) -> None:
    async with shared(url) as store:
        node = Node(store, "a", shops=("one", "two"))
        await node.round()
        node.presence = Presence("1", ("one",))
        store.is_down = True
        with pytest.raises(StoreUnavailable):
            await node.leases.release(node.holds.pop("two"))
        store.is_down = False
        for _ in range(2):
            await node.membership.announce()
        leases = await store.read(list_leases)
        assert {lease.name: lease.holder for lease in leases} == {"one": "a", "two": None}


async def test_a_node_that_leaves_leaves_no_lease(url: str) -> None:
    async with shared(url) as store:
        node = Node(store, "a")
        await node.membership.join()
        hold = await node.take()
        assert hold is not None
        node.leases.retake(hold)  # its worker paused when the shutdown began
        await node.membership.leave()
        assert await Node(store, "b").take() is not None


async def test_a_frozen_node_that_comes_back_joins_anew(url: str) -> None:
    async with shared(url) as store:
        frozen, other = Node(store, "a"), Node(store, "b")
        await frozen.round()
        assert frozen.holds
        await pass_time(store)
        await other.round()
        assert other.holds
        await frozen.membership.announce()
        assert [node.name for node in await store.read(live_nodes)] == ["a", "b"]
        assert not frozen.leases.is_good(frozen.holds[SHOP])


async def test_a_node_that_drains_many_shops_causes_no_heartbeats(url: str) -> None:
    """Each release is noticed by all: they look, and write nothing but the leases that they acquire."""
    shops, committed = tuple(f"shop-{number}" for number in range(60)), Committed()
    async with open_store(url, NOW, on_group=committed) as store, anyio.create_task_group() as group:
        nodes = [Node(Shared(store), name, shops=shops) for name in "abc"]
        for node in nodes[:1]:
            await node.membership.join()
            for shop in shops:
                assert await node.take(shop) is not None
        for node in nodes[1:]:
            await node.membership.join()
        for node in nodes:
            group.start_soon(node.membership.run)
        await anyio.wait_all_tasks_blocked()
        first, *others = nodes
        first.presence = Presence("1", shops, is_draining=True)
        for node in nodes:
            node.store.writes = node.store.beats = 0
        for shop in shops:
            for node in others:
                group.start_soon(working, node, shop)

        async def release(shop: str) -> None:
            hold = first.holds[shop]
            await hold.moved.wait()
            await first.leases.release(hold)

        for shop in shops:
            group.start_soon(release, shop)
        await first.membership.announce()
        with anyio.fail_after(60):
            await committed.until(
                lambda: store.read(list_leases), lambda found: {lease.holder for lease in found} == {"b", "c"}
            )
        assert [node.store.beats for node in nodes] == [1, 0, 0], "the first said that it drains"
        assert first.store.writes == 1 + len(shops)
        written = sum(node.store.writes for node in others)
        assert len(shops) <= written <= 3 * len(shops), "some try for one that the other has by then"
        group.cancel_scope.cancel()
