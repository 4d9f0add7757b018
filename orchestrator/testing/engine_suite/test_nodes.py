"""Nodes: who works on the store right now, each for as long as it says so."""

from __future__ import annotations

import pytest

from orchestrator.testing.engine_suite.scratch import Engine
from storage.errors import NewerStore
from storage.gone_nodes import gone_nodes, note_gone
from storage.migrations import newest_schema
from storage.nodes import Node, Presence, StoreInUse, StoreMoving, beat, join, leave, live_nodes, older_nodes
from storage.store import Store
from storage.transaction import Transaction

TERM_MS = 300_000
PLAIN = Presence("1")


async def joined(store: Store, name: str, presence: Presence = PLAIN, *, is_mover: bool = False) -> None:
    await store.write(lambda tx: join(tx, name, presence, TERM_MS, is_mover=is_mover))


async def lives(store: Store, name: str, presence: Presence = PLAIN) -> None:
    await store.write(lambda tx: beat(tx, name, presence, TERM_MS))


async def names(store: Store) -> list[str]:
    return [node.name for node in await store.read(live_nodes)]


async def pass_time(store: Store, ms: int = TERM_MS) -> None:
    """As if so much time had passed."""
    await store.write(lambda tx: tx.execute("UPDATE nodes SET expires_at = expires_at - ?", (ms,)))


async def test_a_node_is_seen_as_it_described_itself_last(engine: Engine) -> None:
    async with engine.open() as store:
        await joined(store, "a", Presence("1", ("xs", "acme")))
        first = (await store.read(live_nodes))[0]
        await lives(store, "a", Presence("1", ("acme",), True, {"acme": {"running": 2}}))
        [node] = await store.read(live_nodes)
        assert node == Node(
            "a", "1", first.started_at, node.seen_at, True, False, frozenset({"acme"}), {"acme": {"running": 2}}
        )
        assert first.shops == {"acme", "xs"}
        assert node.seen_at >= first.seen_at


async def test_a_node_that_says_nothing_for_a_term_is_forgotten_by_the_others(engine: Engine) -> None:
    async with engine.open() as store:
        await joined(store, "a")
        await pass_time(store)
        await joined(store, "b")
        assert await names(store) == ["b"]
        await lives(store, "b")
        assert await store.read(lambda tx: tx.query("SELECT name FROM nodes")) == [("b",)]
        await lives(store, "a", Presence("1", ("acme",)))  # it was frozen
        assert await names(store) == ["a", "b"]


async def test_a_node_that_died_before_the_clock_was_set_back_is_forgotten_after_a_term(engine: Engine) -> None:
    async with engine.open() as store:
        await joined(store, "dead")
        await pass_time(store, -3_600_000)
        assert await names(store) == []
        await joined(store, "a")
        await lives(store, "a")
        assert await names(store) == ["a", "dead"], "it may have been seen a moment ago"
        await pass_time(store)
        await lives(store, "a")
        assert await names(store) == ["a"]


async def test_a_node_that_leaves_is_gone_at_once(engine: Engine) -> None:
    async with engine.open() as store:
        await joined(store, "a")
        await store.write(lambda tx: leave(tx, "a"))
        assert await names(store) == []


async def test_who_is_gone_is_remembered_for_an_hour_with_its_shops(engine: Engine) -> None:
    async with engine.open() as store:
        described = Presence("1", ("acme", "xs"), facts={"xs": {}, "acme": {}})
        for name in ("dead", "left"):
            await joined(store, name, described)
        await joined(store, "mover")
        await store.write(lambda tx: leave(tx, "left"))
        await store.write(lambda tx: tx.execute("UPDATE nodes SET is_mover = 1 WHERE name = 'mover'"))
        await pass_time(store)
        assert await store.write(lambda tx: beat(tx, "a", PLAIN, TERM_MS)) == ["dead"]
        assert await store.write(lambda tx: beat(tx, "a", PLAIN, TERM_MS)) == [], "one of the others does it"
        found = {each.name: (each.is_lost, each.shops, each.version) for each in await store.read(gone_nodes)}
        assert found == {"dead": (True, ("acme", "xs"), "1"), "left": (False, ("acme", "xs"), "1")}
        await joined(store, "dead", described)
        assert [each.name for each in await store.read(gone_nodes)] == ["left"], "it was frozen, and is back"
        await store.write(lambda tx: tx.execute("UPDATE gone_nodes SET gone_at = gone_at - 3600001"))
        assert await store.read(gone_nodes) == []
        await store.write(lambda tx: leave(tx, "dead"))
        assert await store.read(lambda tx: tx.query("SELECT name FROM gone_nodes")) == [("dead",)]


async def test_not_more_nodes_are_remembered_than_anybody_can_look_at(engine: Engine) -> None:
    async with engine.open() as store:

        def unit(tx: Transaction) -> None:
            for number in range(150):
                note_gone(tx, f"n{number}", "1", number, (), is_lost=True)

        await store.write(unit)
        assert len(await store.read(lambda tx: tx.query("SELECT name FROM gone_nodes"))) == 100


async def test_a_node_that_misses_a_heartbeat_is_silent(engine: Engine) -> None:
    async with engine.open() as store:
        await joined(store, "a")
        [node] = await store.read(live_nodes)
        assert not node.is_silent
        moved = "UPDATE nodes SET seen_at = seen_at - 125000, expires_at = expires_at - 125000"
        await store.write(lambda tx: tx.execute(moved))
        [node] = await store.read(live_nodes)
        assert node.is_silent
        assert 125_000 <= node.silent_ms < 300_000
        assert node.term_ms == TERM_MS


async def test_a_store_that_is_used_is_not_moved(engine: Engine) -> None:
    async with engine.open() as store:
        await joined(store, "a")
        with pytest.raises(StoreInUse, match="in use by a: stop every daemon on it first") as refused:
            await joined(store, "mover", is_mover=True)
        assert not refused.value.is_by_movers
        assert await names(store) == ["a"]


async def test_nobody_works_on_a_store_that_is_being_moved(engine: Engine) -> None:
    async with engine.open() as store:
        await joined(store, "a")
        await pass_time(store)
        await joined(store, "mover", is_mover=True)
        for late in (joined, lives):
            with pytest.raises(StoreMoving, match="mover"):
                await late(store, "a")
        with pytest.raises(StoreInUse) as refused:
            await joined(store, "another", is_mover=True)
        assert refused.value.is_by_movers
        await joined(store, "mover", is_mover=True)  # it goes on
        await pass_time(store)  # it was killed
        await joined(store, "a")
        with pytest.raises(StoreInUse):
            await joined(store, "mover", is_mover=True)


async def test_who_knows_too_little_of_the_schema_is_seen_and_joins_no_more(engine: Engine) -> None:
    async with engine.open() as store:
        await joined(store, "a")
        newest = newest_schema()
        assert await store.read(lambda tx: older_nodes(tx, newest)) == []
        assert await store.read(lambda tx: older_nodes(tx, newest + 1)) == ["a"]
        await store.write(lambda tx: tx.execute("UPDATE store_identity SET least_schema = ?", (newest + 1,)))
        await lives(store, "a")  # nobody takes away what it needs while it lives
        await pass_time(store)
        assert await store.read(lambda tx: older_nodes(tx, newest + 1)) == []
        for attempt in (joined, lives):
            with pytest.raises(NewerStore, match=f"needs a fulfilld that knows at least {newest + 1}"):
                await attempt(store, "a")
