"""A short run of `make chaos`, so that it cannot rot; and the judge itself, shown runs in which something broke."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.testing import postgres
from storage.sqlite.store import open_sqlite
from tests.chaos import arrival, judge
from tests.chaos.calm import Rest
from tests.chaos.erp import Book, Wish
from tests.chaos.readers import Feed
from tests.chaos.remains import inspect
from tests.chaos.run import run
from tests.chaos.servers import Lease
from tests.chaos.settings import Settings
from tests.chaos.tenancy import late, takeovers, tenancy, untaken
from tests.chaos.world import ChaosDaemon, Finding, Ref, World
from tests.push.erp import SECRET, Delivered, Erp
from tests.support.skips import skip
from tests.support.ways import Way, serving

NOTHING = Rest(missed=[], orders=[], events=[], targets={}, status={}, rejected=[])


@pytest.mark.e2e
@pytest.mark.crash
async def test_a_short_storm_breaks_nothing(tmp_path: Path) -> None:
    world, report = await run(Settings(seconds=20, kills=6, seed=7, orders=3), tmp_path)
    assert not world.findings, "\n".join(report)
    assert world.sandbox.ledger.summary()["effects"] > 0


@pytest.mark.e2e
@pytest.mark.crash
@pytest.mark.timeout(300)
async def test_everything_arrives_whatever_becomes_of_nodes_and_database(tmp_path: Path) -> None:
    if postgres.programs() is None:
        skip("there is no PostgreSQL", "apt-get install postgresql")
    settings = Settings(seconds=14, kills=4, seed=3, orders=9, engine="postgresql", nodes=3, shops=2)
    world, report = await arrival.run(settings, tmp_path)
    assert not world.findings, "\n".join(report)
    assert world.did["database restart"] + world.did["database fail_over"] > 0, "it had a hard time"


def test_a_takeover_is_measured_from_the_death_to_the_next_lease() -> None:
    leases = [
        Lease(0, "a", "h:1:x", 1),
        Lease(0, "b", "h:2:y", 1),
        Lease(5000, "a", None, 1),
        Lease(5100, "a", "h:2:y", 2),
    ]
    assert takeovers([(1, 3000)], leases) == [2.1]
    assert takeovers([(2, 3000), (3, 0)], leases) == []
    assert takeovers([(1, 3000)], [*leases[:2], Lease(3001, "a", "h:1:x", 1), *leases[2:]]) == [2.1]
    assert invariants(late([2.1, 5.0], 5)) == []
    assert invariants(late([2.1, 5.1], 5)) == ["a killed node's shops become another's in time"]


def test_a_shop_that_nobody_takes_from_a_dead_node_is_found() -> None:
    holders = [Lease(0, "a", "h:2:17", 3), Lease(0, "b", "h:17:2", 1), Lease(0, "c", None, 2)]
    assert [each.detail for each in untaken(holders, [(2, 0)])] == ["a is still h:2:17's", "c is still nobody's"]
    assert invariants(untaken(holders[:2], [(3, 0)])) == []


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Settings(), tmp_path, Sandbox(SandboxSettings(orders=0)), [ChaosDaemon(tmp_path)], Erp(), 0)


def invariants(findings: Iterator[Finding]) -> list[str]:
    return [finding.invariant for finding in findings]


def step(world: World, name: str, *, took_effect: bool = True) -> None:
    call = world.sandbox.ledger.begin("selldone", "12345", "1", name, "PUT", "/")
    if took_effect:
        world.sandbox.ledger.effect(call)
    world.sandbox.ledger.end(call, 200)


def event(cursor: int, kind: str, target: str | None = None, **data: Any) -> dict[str, Any]:
    return {"cursor": cursor, "type": kind, "shop": "acme", "order": "1", "target": target, "data": data}


def test_a_step_that_is_sent_again_is_found(world: World) -> None:
    step(world, "confirm")
    assert invariants(judge.effects(world)) == []
    step(world, "confirm", took_effect=False)
    assert invariants(judge.effects(world)) == ["no step is sent again once it took effect"]


def test_an_order_that_moves_after_its_cancellation_is_found(world: World) -> None:
    ref = Ref("acme", "1")
    world.edited(ref, "cancel")
    step(world, "confirm")
    before, after = (Book(world, [Wish("k", ref, {}, calls)]) for calls in (0, 1))
    assert invariants(judge.cancelled(world, before, NOTHING)) == []
    assert invariants(judge.cancelled(world, after, NOTHING)) == [
        "what was cancelled before it was wanted is left alone"
    ]
    known = [event(1, "order.drifted", to="Canceled"), event(2, "step.started", step="confirm")]
    assert invariants(judge.cancelled(world, before, replace(NOTHING, events=known))) == [
        "no step begins once we know of the cancellation"
    ]


def test_a_step_that_is_only_reported_is_found(world: World) -> None:
    rest = replace(NOTHING, events=[event(1, "step.done", step="confirm", how="called")])
    assert invariants(judge.claims(world, rest)) == ["no step is recorded as done that was not"]
    step(world, "confirm")
    assert invariants(judge.claims(world, rest)) == []


@pytest.mark.parametrize(
    ("status", "reported", "found"),
    [
        ("reached", ["target.submitted", "target.reached"], []),
        ("reached", ["target.submitted"], ["each target ends once, as the feed says"]),
        (
            "reached",
            ["target.submitted", "target.reached", "target.failed"],
            ["each target ends once, as the feed says"],
        ),
        ("reached", ["target.reached"], ["each accepted target is in the feed once"]),
        ("queued", ["target.submitted"], ["each target ends or waits for a reason"]),
        ("blocked", ["target.submitted"], ["what is blocked says why"]),
    ],
)
def test_a_target_that_is_lost_or_ends_wrong_is_found(
    world: World, status: str, reported: list[str], found: list[str]
) -> None:
    ref = Ref("acme", "1")
    order = {"shop": "acme", "id": "1", "wait": None, "problem": None, "situation": "idle"}
    rest = replace(
        NOTHING,
        orders=[order],
        targets={"t": {"status": status, "problem": None}},
        events=[event(n, kind, "t") for n, kind in enumerate(reported, 1)],
    )
    assert invariants(judge.targets(Book(world, [Wish("k", ref, {}, 0, "t")]), rest)) == found


def test_gaps_and_other_contents_of_the_feed_are_found(world: World) -> None:
    feed = Feed(world)
    feed.take("pages", event(1, "order.imported"))
    feed.take("pages", event(3, "order.held"))
    rest = replace(NOTHING, events=[event(1, "order.imported"), event(3, "order.held")])
    assert invariants(judge.readers(feed, rest)) == [
        "the feed is gapless",
        "a reader misses nothing and sees nothing twice",
    ]
    feed.take("stream", event(1, "order.held"))
    assert [finding.invariant for finding in world.findings] == ["a cursor is never another event"]


def test_events_that_are_not_pushed_or_overtake_are_found(world: World) -> None:
    events = [event(1, "order.imported"), event(2, "order.held")]
    rest = replace(NOTHING, events=events)
    world.receiver.taken = [Delivered("/orders", {}, "", each) for each in events]
    assert invariants(judge.pushes(world, rest)) == []
    world.receiver.taken.reverse()
    assert invariants(judge.pushes(world, rest)) == ["pushes keep the order of each order"]
    world.receiver.taken.pop()
    assert invariants(judge.pushes(world, rest)) == ["every event is pushed"]


def test_orders_that_were_never_imported_are_found(world: World) -> None:
    world.panel("acme", "add")
    assert invariants(judge.imports(world, NOTHING)) == ["every order is imported, once"]


async def test_secrets_and_tracebacks_in_what_is_left_are_found(world: World, tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "fulfilld.db", 0):
        pass
    world.nodes[0].errors.write_text(f"Traceback (most recent call last)\nsent with {SECRET}\n")
    assert invariants(inspect(world, NOTHING)) == ["the log has no traceback", "no secret shows"]


async def test_counts_that_are_off_are_found_in_what_is_left_and_in_the_log(world: World, tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "fulfilld.db", 0) as store:
        await store.write(lambda tx: tx.execute("INSERT INTO target_counts VALUES ('acme', 1)"))
    world.nodes[0].errors.write_text('{"event": "counts.corrected"}\n')
    assert invariants(inspect(world, NOTHING)) == ["what is counted is right"] * 2


def seen(world: World, *agents: int) -> None:
    """Steps of one shop, each by one node, a second apart."""
    for number, node in enumerate(agents, 1):
        call = world.sandbox.ledger.begin("selldone", "12345", "1", "confirm", "PUT", "/", agent=f"node/{node}")
        call.at_ms = number * 1000
        world.sandbox.ledger.end(call, 200)


@pytest.mark.parametrize(
    ("agents", "found"),
    [
        ([1, 1, 2, 2], 0),
        ([1, 2, 2, 1], 0),  # it had the shop again by then
        ([1, 2, 1, 2], 1),  # it was overtaken, and had it again later only
        ([2, 2], 2),  # too early
        ([1, 3], 1),  # it never had the shop
    ],
)
def test_a_shop_that_two_nodes_drive_at_once_is_found(world: World, agents: list[int], found: int) -> None:
    seen(world, *agents)
    begins = [(0, "host:1:a"), (None, None), (1900 if agents[0] == 1 else 2900, "host:2:b"), (3900, "host:1:a")]
    leases = [Lease(at or 0, "acme", holder, epoch) for epoch, (at, holder) in enumerate(begins, 1)]
    assert len(list(tenancy(world.sandbox.ledger.calls(), leases, world.names))) == found


async def test_a_way_that_is_cut_or_silent_says_so_or_nothing() -> None:
    async def answer(client: SocketStream) -> None:
        async with client:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    await client.send(await client.receive())

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    way = Way(lambda: anyio.connect_tcp("127.0.0.1", port))
    async with anyio.create_task_group() as group, listener, serving(way):
        group.start_soon(listener.serve, answer)
        async with await anyio.connect_tcp("127.0.0.1", way.port) as client:
            await client.send(b"a")
            assert await client.receive() == b"a"
            way.silence()
            await client.send(b"b")
            with anyio.move_on_after(0.05) as waited:
                await client.receive()
            assert waited.cancelled_caught
            way.open()
            assert await client.receive() == b"b"
            way.cut()
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await client.receive()
        group.cancel_scope.cancel()
