"""Two nodes on one store: one at a time works for a shop, the other takes over when it is given up or dies."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from structlog.testing import capture_logs

from orchestrator.backoff import Growing
from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Chance, Clock
from orchestrator.config import Config
from orchestrator.metrics import Metrics
from orchestrator.runtime.leases import Hold, Leases
from orchestrator.runtime.membership import Membership
from orchestrator.runtime.node_facts import ends_described
from orchestrator.runtime.supervisor import Supervisor
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.testing.engine_suite.scratch import NOW
from storage.engines import open_store
from storage.errors import NewerStore, StaleLease, StoreUnavailable
from storage.events import EventFilter, list_events
from storage.leases import acquire, lease_of, list_leases
from storage.nodes import Presence, beat, live_nodes
from storage.shops import get_shop
from storage.store import Store
from storage.takeovers import list_takeovers
from storage.transaction import Transaction
from tests.support.committed import Committed
from tests.support.engines import store_url
from tests.support.shopfloor import SHOP, config_of

pytestmark = pytest.mark.engines("sqlite", "postgresql")

LONG = 300.0  # seconds: no lease ends by itself in a test


class Shared:
    """A store that several nodes can have open, and that can fail."""

    is_exclusive = False

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_down = False
        self.writes = self.beats = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, unit: object) -> object:
        self.writes += 1
        if self.is_down:
            raise StoreUnavailable("no connection")
        return await self._store.write(unit)  # type: ignore[arg-type]

    write_bulk = write

    async def write_first(self, unit: object) -> object:
        self.beats += 1
        return await self.write(unit)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Of a store that several nodes share; on SQLite they are in one process, which no real ones could be."""
    return store_url(tmp_path)


@asynccontextmanager
async def shared(url: str, committed: Committed | None = None) -> AsyncIterator[Shared]:
    async with open_store(url, NOW, on_group=committed or Committed()) as store:
        yield Shared(store)


class Node:
    """A node without workers: what it may take and what it holds."""

    def __init__(self, store: Shared, name: str, clock: Clock | None = None, shops: tuple[str, ...] = (SHOP,)) -> None:
        self.store, self.presence = store, Presence("1", shops)
        self.membership = Membership(
            cast("Store", store), name, clock or Clock(), lambda: self.presence, term_seconds=LONG
        )
        self.leases = Leases(cast("Store", store), self.membership, clock or Clock())
        self.holds: dict[str, Hold] = {}

    async def take(self, shop: str = SHOP) -> Hold | None:
        acquired = await self.leases.acquire(shop, "selldone", lambda tx: "done beside it")
        if acquired is None:
            return None
        self.holds[shop], done = acquired
        assert done == "done beside it"
        return self.holds[shop]

    async def round(self) -> None:
        """A heartbeat, and what follows from it."""
        await self.membership.announce()
        for shop in self.presence.shops:
            if shop not in self.holds and self.leases.is_meant(shop):
                await self.take(shop)
        for shop, hold in list(self.holds.items()):
            if hold.moved.is_set():
                await self.leases.release(self.holds.pop(shop))


async def pass_time(store: Shared, seconds: float = LONG) -> None:
    """As if so much time had passed for the database."""
    for table, column in (("shops", "lease_expires_at"), ("nodes", "expires_at")):
        sql = f"UPDATE {table} SET {column} = {column} - ?"
        await store.write(lambda tx, sql=sql: tx.execute(sql, (int(seconds * 1000),)))


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


def logged(lines: Sequence[Mapping[str, Any]], event: str) -> list[dict[str, Any]]:
    """Those lines, without what every line has."""
    return [
        {name: value for name, value in line.items() if name not in ("event", "log_level")}
        for line in lines
        if line["event"] == event
    ]


async def test_who_takes_a_shop_says_from_whom_and_why_it_could(url: str) -> None:
    async with shared(url) as store:
        first, second, third = (Node(store, name) for name in "abc")
        with capture_logs() as lines:
            hold = await first.take()
            assert hold is not None
            await first.leases.release(hold)
            assert await first.take() is not None, "it goes on with its own"
            await first.leases.release(first.holds[SHOP])
            await second.take()
            await pass_time(store)
            await third.take()
        taken = logged(lines, "shop.taken_over")
        assert [(each["node"], each["from"], each["why"], each["epoch"]) for each in taken] == [
            ("a", None, "free", 1),
            ("b", "a", "handed_over", 3),
            ("c", "b", "lease_ended", 4),
        ]
        assert [each["since"] is not None for each in taken] == [False, True, True]
        assert {each["shop"] for each in taken} == {SHOP}
        found = (await store.read(list_takeovers))[SHOP]
        assert (found.holder, found.before, found.why, found.epoch) == ("c", "b", "lease_ended", 4)
        assert found.idle_since is not None
        assert found.idle_since <= found.taken_at


async def test_a_shop_that_a_node_of_an_older_version_had_meanwhile_was_nobodys_that_is_known(url: str) -> None:
    async with shared(url) as store:
        hold = await Node(store, "a").take()
        assert hold is not None
        await store.write(lambda tx: tx.execute("UPDATE shops SET lease_holder = NULL, lease_epoch = 7"))
        with capture_logs() as lines:
            await Node(store, "b").take()
        [taken] = logged(lines, "shop.taken_over")
        assert (taken["from"], taken["why"], taken["epoch"]) == (None, "free", 8)


async def test_who_joins_and_who_is_gone_is_logged_once_by_each_that_lives(url: str) -> None:
    async with shared(url) as store:
        first, left, dead = (Node(store, name) for name in ("a", "left", "dead"))
        for node in (left, dead):
            node.presence = Presence("1", (SHOP,), facts={SHOP: {}})
        with capture_logs() as lines:
            await first.membership.join()
            assert logged(lines, "node.joined") == []
            await left.membership.join()
            await dead.membership.join()
            await first.membership.announce()
            await first.membership.announce()
            assert [each["node"] for each in logged(lines, "node.joined")] == ["dead", "left"]
            del lines[:]
            await left.membership.leave()
            await pass_time(store)
            await first.membership.announce()
            await first.membership.announce()
        gone = logged(lines, "node.gone")
        assert [(each["node"], each["why"], each["shops"]) for each in gone] == [
            ("dead", "heartbeats_ended", (SHOP,)),
            ("left", "left", (SHOP,)),
        ]
        assert all(each["seen_at"].endswith("Z") for each in gone)
        assert logged(lines, "node.joined") == []


async def test_a_node_that_starts_when_all_are_dead_says_which_ones(url: str) -> None:
    async with shared(url) as store:
        await Node(store, "dead").membership.join()
        await pass_time(store)
        with capture_logs() as lines:
            await Node(store, "a").membership.join()
        assert [each["node"] for each in logged(lines, "node.gone")] == ["dead"]


async def test_a_node_that_an_older_version_forgot_is_gone_all_the_same(url: str) -> None:
    async with shared(url) as store:
        first, other = Node(store, "a"), Node(store, "b")
        await first.membership.join()
        await other.membership.join()
        await first.membership.announce()
        await store.write(lambda tx: tx.execute("DELETE FROM nodes WHERE name = 'b'"))
        with capture_logs() as lines:
            await first.membership.announce()
        assert [(each["node"], each["why"]) for each in logged(lines, "node.gone")] == [("b", "unknown")]


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


async def working(node: Node, shop: str) -> None:
    """As a supervisor keeps a shop: takes it whenever it is meant for this node, until it is another one's turn."""
    while True:
        await node.leases.meant(shop)
        if (hold := await node.take(shop)) is not None:
            await hold.moved.wait()
            await node.leases.release(hold)


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


# -- with workers ---------------------------------------------------------------------------------------------------


def supervisor_of(store: Shared, name: str, lease_seconds: float = LONG) -> Supervisor:
    return Supervisor(
        cast("Store", store),
        name,
        Clock(),
        Chance(random.Random(1)),
        Checkpoints(),
        Metrics(),
        lease_seconds=lease_seconds,
    )


def config_with(sandbox: Sandbox, folder: Path, shops: int) -> Config:
    """The config of several shops, all of one platform but for the last ones."""
    folder.mkdir(exist_ok=True)
    platforms = ("selldone", "cloudsuite", "xsale", "shopify", "woocommerce")[:shops]
    return config_of(sandbox, folder, platform=platforms)


async def holders(store: Shared, config: Config) -> dict[str, str | None]:
    def unit(tx: Transaction) -> dict[str, str | None]:
        found = {name: lease_of(tx, name) for name in config.shops}
        return {name: None if lease is None else lease.holder for name, lease in found.items()}

    return await store.read(unit)  # type: ignore[no-any-return]


async def test_a_node_that_waits_for_the_lease_of_a_killed_one_says_so_once(url: str, tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), shared(url) as store:
        await store.write(lambda tx: acquire(tx, SHOP, "selldone", "killed", int(LONG * 1000)))
        supervisor = supervisor_of(store, "b")
        with capture_logs() as logged:
            async with anyio.create_task_group() as group:
                await supervisor.start(group, config_of(sandbox, tmp_path))
                await store.notify("nodes", "")  # it looks again, and still has to wait
                await anyio.wait_all_tasks_blocked()
                await supervisor.drain(5)
        [said] = [line for line in logged if line["event"] == "shop.lease_awaited"]
        assert (said["shop"], said["holder"]) == (SHOP, "killed")
        assert said["until"] is not None


async def test_a_node_that_drains_hands_its_shop_to_the_one_that_waits(url: str, tmp_path: Path) -> None:
    sandbox, committed = Sandbox(SandboxSettings(orders=1)), Committed()
    async with sandbox.running(), shared(url, committed) as store:
        config = config_of(sandbox, tmp_path)
        first, second = supervisor_of(store, "a"), supervisor_of(store, "b")
        async with anyio.create_task_group() as group:
            await first.start(group, config)
            await second.start(group, config)
            assert [each.shops()[SHOP].is_leased for each in (first, second)] == [True, False]
            await first.drain(5)
            with anyio.fail_after(60):  # no lease ends: only the notice can have woken it
                shop = await committed.until(
                    lambda: store.read(lambda tx: get_shop(tx, SHOP)), lambda found: found and found.lease_holder == "b"
                )
            assert shop is not None
            assert shop.lease_epoch == 2
            await second.drain(5)
        ended = await store.read(lambda tx: get_shop(tx, SHOP))
        assert ended is not None
        assert ended.lease_holder is None
        assert await store.read(live_nodes) == []


async def test_a_node_that_joins_gets_its_share_at_once(url: str, tmp_path: Path) -> None:
    sandbox, committed = Sandbox(SandboxSettings(orders=1)), Committed()
    async with sandbox.running(), shared(url, committed) as store:
        config = config_with(sandbox, tmp_path, 4)
        first, second = supervisor_of(store, "a"), supervisor_of(store, "b")
        async with anyio.create_task_group() as group:
            await first.start(group, config)
            assert set((await holders(store, config)).values()) == {"a"}
            await second.start(group, config)
            with anyio.fail_after(60):
                await committed.until(
                    lambda: holders(store, config),
                    lambda found: Counter(found.values()) == {"a": 2, "b": 2},
                )
            await first.drain(5)
            await second.drain(5)


async def test_a_node_knows_when_orders_are_over_of_a_shop_that_only_another_one_has(url: str, tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), shared(url) as store:
        both = config_with(sandbox, tmp_path, 2)
        one = replace(both, shops={SHOP: both.shops[SHOP]})
        (other,) = both.shops.keys() - {SHOP}
        first, second = supervisor_of(store, "a"), supervisor_of(store, "b")
        async with anyio.create_task_group() as group:
            await first.start(group, both)
            await first._membership.announce()  # it works for them now, and says of them what it knows
            await second.start(group, one)
            ends = [state.name for state in first.shops()[other].machine.states.values() if state.is_end]
            assert ends
            assert second.is_elsewhere(other)
            assert second.ends_elsewhere(other) == ends
            assert second.ends_elsewhere("nobody's") is None
            await first.drain(5)
            await second.drain(5)


@pytest.mark.parametrize("said", [{}, {"ends": None}, {"ends": [1]}, {"ends": "Delivered"}, [], None])
def test_when_orders_are_over_is_not_known_where_a_node_does_not_say_so(said: Any) -> None:
    assert ends_described(said) is None


async def test_a_daemon_that_joins_and_cannot_serve_gets_no_shop_and_is_gone_at_once(url: str, tmp_path: Path) -> None:
    sandbox, committed = Sandbox(SandboxSettings(orders=1)), Committed()
    async with sandbox.running(), shared(url, committed) as store:
        config = config_with(sandbox, tmp_path, 4)
        first, second = supervisor_of(store, "a"), supervisor_of(store, "b")
        second.configure(config)
        async with anyio.create_task_group() as group:
            await first.start(group, config)
            workers = {shop: first.worker(shop) for shop in config.shops}
            with anyio.fail_after(60), suppress(OSError):
                async with second.joined():
                    await committed.until(lambda: store.read(live_nodes), lambda found: len(found) == 2)
                    await first._membership.announce()  # which plans with both
                    raise OSError("its port is taken")
            assert {shop: first.worker(shop) for shop in config.shops} == workers
            assert not any(entry.is_leaving for entry in first._entries.values())
            assert [node.name for node in await store.read(live_nodes)] == ["a"]
            await first._membership.announce()
            assert set((await holders(store, config)).values()) == {"a"}
            await first.drain(5)


async def test_a_row_of_a_node_that_cannot_be_read_ends_nothing(url: str) -> None:
    async with shared(url) as store:
        first, second = Node(store, "a"), Node(store, "b")
        await first.membership.join()
        await store.write(lambda tx: tx.execute("UPDATE nodes SET shops = '{', facts = '7' WHERE name = 'a'"))
        await second.membership.join()
        assert [(node.name, node.shops) for node in second.membership.nodes] == [
            ("a", frozenset()),
            ("b", frozenset({SHOP})),
        ]


async def test_what_nobody_foresaw_in_a_heartbeat_that_is_asked_for_ends_nothing(url: str) -> None:
    async with shared(url) as store:
        node = Node(store, "a")
        await node.membership.join()
        node.membership.include(cast("Leases", None))
        await node.membership.announce()


async def test_a_reload_keeps_the_lease_of_a_changed_shop(url: str, tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), shared(url) as store:
        config = config_of(sandbox, tmp_path)
        supervisor = supervisor_of(store, "a")
        async with anyio.create_task_group() as group:
            await supervisor.start(group, config)
            await store.write(lambda tx: beat(tx, "b", Presence("1", (SHOP,)), int(LONG * 1000)))
            await supervisor.reload(config_of(sandbox, tmp_path, {"timeout_seconds": 6}))
            assert supervisor.shops()[SHOP].is_leased
            await supervisor.drain(5)


async def test_a_node_whose_version_the_store_has_outgrown_ends_once_it_was_taken_for_dead(url: str) -> None:
    async with shared(url) as store:
        node = Node(store, "a")
        await node.membership.join()
        await store.write(lambda tx: tx.execute("UPDATE store_identity SET least_schema = 9999"))
        await pass_time(store)
        node.membership.beat_in(0)
        with pytest.RaisesGroup(NewerStore), anyio.fail_after(60):
            await node.membership.run()


async def test_a_shop_has_left_when_no_living_nodes_config_has_it(url: str, tmp_path: Path) -> None:
    sandbox, committed = Sandbox(SandboxSettings(orders=1)), Committed()
    async with sandbox.running(), shared(url, committed) as store:
        both, one = config_with(sandbox, tmp_path / "a", 2), config_with(sandbox, tmp_path / "b", 1)
        (gone,) = both.shops.keys() - one.shops.keys()
        first, second = supervisor_of(store, "a"), supervisor_of(store, "b")

        async def left() -> list[str | None]:
            wanted = EventFilter(types=("shop.left",))
            return [event.shop for event in await store.read(lambda tx: list_events(tx, 0, 99, wanted))]

        async with anyio.create_task_group() as group:
            await first.start(group, both)
            await second.start(group, one)
            await second.reload(one)
            assert [each.is_elsewhere(gone) for each in (first, second)] == [False, True]
            assert await left() == [], "the other node has it"
            await first.drain(5)
            with anyio.fail_after(60):
                await committed.until(left, lambda found: found == [gone])
            await second.drain(5)


@pytest.mark.parametrize("what", ["the store was away", "its lease was lost"])
async def test_a_worker_is_started_again_by_the_next_heartbeat(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Not after the pause of a fault, for meanwhile nobody would work for the shop."""
    monkeypatch.setattr("orchestrator.runtime.supervisor._PAUSE_SECONDS", Growing(3600.0, 3600.0))
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), shared(url) as store:
        supervisor = supervisor_of(store, "a")
        async with anyio.create_task_group() as group:
            await supervisor.start(group, config_of(sandbox, tmp_path))
            worker = supervisor.worker(SHOP)
            assert worker is not None
            if what == "the store was away":
                store.is_down = True
            else:
                lost = "UPDATE shops SET lease_epoch = lease_epoch + 1, lease_holder = NULL"
                await store.write(lambda tx: tx.execute(lost))
            with anyio.fail_after(60):
                worker._wakeups.admission.ring()  # it writes the state of its admission
                worker.pause()
                while supervisor.worker(SHOP) is worker:  # noqa: ASYNC110 - which ends it
                    await anyio.sleep(0.01)
                store.is_down = False
                while supervisor.worker(SHOP) is None:
                    await supervisor._membership.announce()
                    await anyio.sleep(0.01)
            await supervisor.drain(5)
