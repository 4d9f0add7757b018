"""Supervisors of several nodes: a shop has its worker where its lease is, and one alone."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from structlog.testing import capture_logs

from orchestrator.backoff import Growing
from orchestrator.runtime.leases import Leases
from orchestrator.runtime.node_facts import ends_described
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.errors import NewerStore
from storage.events import EventFilter, list_events
from storage.leases import acquire
from storage.nodes import Presence, beat, live_nodes
from storage.shops import get_shop
from tests.support.committed import Committed
from tests.support.leasing import (
    LONG,
    Node,
    config_with,
    holders,
    pass_time,
    shared,
    supervisor_of,
)
from tests.support.shopfloor import SHOP, config_of

pytestmark = pytest.mark.engines("sqlite", "postgresql")


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
