"""An arrival: several nodes, many shops, calls that fail, nodes and databases that die; and every order is delivered.

Unlike the storm nobody disturbs what is wanted: so everything has to arrive, each effect once and in its sequence, and
what takes over has to do so in time. The ERP, the webhooks and the readers of the feed ask any node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from pathlib import Path

import anyio

from orchestrator.registry import PLATFORMS
from orchestrator.testing.stage import walk_of
from tests.chaos import judge, outages, readers
from tests.chaos.calm import Rest, read_all
from tests.chaos.desk import ENDS, Desk, customers
from tests.chaos.nature import Nature, set_mood
from tests.chaos.remains import inspect
from tests.chaos.report import keep, verdict
from tests.chaos.scene import scene
from tests.chaos.servers import LEASE_SECONDS, Servers, open_all
from tests.chaos.settings import Settings
from tests.chaos.tenancy import late, takeovers, tenancy, untaken
from tests.chaos.world import PACE, Finding, World

FAULTS = {"mixed": 0.15, "webhook_lost": 0.1, "webhook_twice": 0.1}
_CALLS_AN_ORDER = 16
_DESKS = 3
_PATIENCE_SECONDS = 90
_TAKEN_OVER_SECONDS = LEASE_SECONDS + 2.0


async def run(settings: Settings, folder: Path, *, is_timed: bool = False) -> tuple[World, list[str]]:
    """One run in `folder`; the world with its findings, and the report. `is_timed`: a takeover that is late breaks
    something, too; on a machine that others use it is only reported."""
    bought = settings.orders // 4
    async with scene(settings, folder, settings.orders - bought) as world:
        servers, storms = world.servers, [Nature(world, node) for node in world.nodes]
        assert servers is not None
        desk, feed, added = Desk(world), readers.Feed(world), Counter[str]()
        _at_ease(world)
        world.write_config()
        await storms[0].start()
        servers.audit()
        await _start(storms[1:])
        lines: list[str] = []
        rest = None
        try:
            async with anyio.create_task_group() as group:
                for read in (desk.read, *_reading(world, feed)):
                    group.start_soon(read)
                for number in range(_DESKS):
                    group.start_soon(desk.submit, number)
                world.sandbox.faults.set_rates(FAULTS)
                with anyio.move_on_after(settings.seconds):
                    await _trouble(world, servers, storms, added, bought)
                await _calm(world, storms)
                wanted = settings.orders * len(world.shops)
                await _arrive(desk, wanted)
                taken_over = await _taken_over(world, servers, storms if settings.seconds >= 60 else storms[:1])
                group.cancel_scope.cancel()
            rest = await read_all(world)
            world.findings += tenancy(world.sandbox.ledger.calls(), servers.leases(), world.names)
            lines = [*figures(world, desk, servers, taken_over)]
            for node in world.nodes:
                if await node.terminate() != 0:
                    world.broken("a drain ends with exit code 0", f"the last one of {node.name} did not")
            world.findings += judged(world, desk, feed, rest, wanted)
            if is_timed:
                world.findings += late(taken_over, _TAKEN_OVER_SECONDS)
            world.findings += inspect(world, rest)
        finally:
            lines += verdict(world, settings.arrival_command)
            keep(world, rest, lines)
        return world, lines


def _at_ease(world: World) -> None:
    """Slows the shops, so that the work lasts as long as the trouble does, and has them try as often as it takes."""
    pace = max(1.0, world.settings.orders * _CALLS_AN_ORDER / world.settings.seconds)
    limits = {"concurrency": 8, "rate_per_second": pace, "burst": 5, "window": {"calls": 0}}
    retry = {"attempts": 40, "base_seconds": 0.05, "max_seconds": 1}
    world.pace = {**PACE, "limits": limits, "retry": retry, "circuit": {"failures": 1000, "cooldown_seconds": 0.1}}
    world.own = {platform: walk_of(platform).shop for platform in PLATFORMS if platform in world.sandbox.platforms}
    set_mood(world, world.settings.rng("receiver"), "good")


def _reading(world: World, feed: readers.Feed) -> list[Callable[[], Coroutine[None, None, None]]]:
    return [partial(read, world, feed) for read in (readers.by_page, readers.by_long_poll, readers.by_stream)]


async def _start(storms: Sequence[Nature]) -> None:
    async with anyio.create_task_group() as group:
        for storm in storms:
            group.start_soon(storm.start)


async def _trouble(world: World, servers: Servers, storms: Sequence[Nature], added: Counter[str], bought: int) -> None:
    """Until all kills are spent; it is cancelled before."""
    async with anyio.create_task_group() as group:
        group.start_soon(customers, world, added, bought)
        group.start_soon(outages.database, world, servers)
        for node in world.nodes:
            group.start_soon(outages.network, world, node)
        for storm in storms:
            group.start_soon(storm.rage)


async def _calm(world: World, storms: Sequence[Nature]) -> None:
    """Calls still fail; nothing else does."""
    for node in world.nodes:
        open_all(node.ways)
    async with anyio.create_task_group() as group:
        for storm in storms:
            group.start_soon(storm.begin_again)


async def _arrive(desk: Desk, wanted: int) -> None:
    """Until all arrived, or none did for long: on a busy machine that it goes on is what counts."""
    while (reached := desk.reached) < wanted:
        with anyio.move_on_after(_PATIENCE_SECONDS) as waiting:
            while desk.reached == reached:  # noqa: ASYNC110 - the feed is read beside
                await anyio.sleep(0.2)
        if waiting.cancelled_caught:
            return


async def _taken_over(world: World, servers: Servers, storms: Sequence[Nature]) -> list[float]:
    """How long the shops of these nodes are without one, in seconds, when each is killed and all else is well. One that
    nobody takes is a finding."""
    before = len(world.deaths)
    for storm in storms:
        await storm.begin_again()
        with anyio.move_on_after(_PATIENCE_SECONDS) as patience:
            while any(untaken(servers.holders(), world.deaths[before:])):  # noqa: ASYNC110
                await anyio.sleep(0.1)
        if patience.cancelled_caught:
            world.findings += untaken(servers.holders(), world.deaths[before:])
    return takeovers(world.deaths[before:], servers.leases())


def judged(world: World, desk: Desk, feed: readers.Feed, rest: Rest, wanted: int) -> Iterator[Finding]:
    """Every broken invariant that shows in the end."""
    yield from judge.effects(world)
    yield from judge.readers(feed, rest)
    yield from judge.counts(rest)
    for order in rest.orders:
        if order["milestone"] != "delivered":
            yield Finding("everything arrives", f"{order['shop']}/{order['id']} is {order['state']}: {order}")
    if len(rest.orders) != wanted:
        yield Finding("every order is imported, once", f"{wanted} at the platforms, {len(rest.orders)} here")
    imported = Counter((e["shop"], e["order"]) for e in rest.events if e["type"] == "order.imported")
    ended = Counter((e["shop"], e["order"], e["type"]) for e in rest.events if e["type"] in ENDS)
    for ref, times in imported.items():
        if times != 1:
            yield Finding("every order is imported, once", f"{ref} {times} times")
    for (shop, order, kind), times in ended.items():
        if times != 1 or kind != "target.reached":
            yield Finding("each target ends once, reached", f"{shop}/{order} {kind} {times} times")
    if len(desk.targets) != wanted:
        left = [f"{ref}: {desk.refused.get(ref)}" for ref in desk.imported if ref not in desk.targets]
        yield Finding("every order is wanted in the end", f"{len(desk.targets)} of {wanted}: {left[:5]}")


def figures(world: World, desk: Desk, servers: Servers, taken_over: list[float]) -> Iterator[str]:
    """The run in a few lines."""
    did, ledger = world.did, world.sandbox.ledger.summary()
    moves = Counter(lease.shop for lease in servers.leases() if lease.holder is not None)
    yield (
        f"{len(world.nodes)} nodes, {len(world.shops)} shops, {desk.reached} orders arrived; {ledger['calls']} calls, "
        f"{ledger['effects']} effects, {sum(ledger['by_fault'].values())} faults, {desk.cursor} events"
    )
    yield (
        f"nodes killed {did['nature kill'] + did['nature crash']} times, frozen {did['nature freeze']}, stopped "
        f"{did['nature stop']}, cut off {did['network cut']}, in silence {did['network silence']}; database restarted "
        f"{did['database restart']}, failed over {did['database fail_over']}; leases {sum(moves.values())}"
    )
    if taken_over:
        over = list(late(taken_over, _TAKEN_OVER_SECONDS))
        yield (
            f"a killed node's shops were another's after at most {max(taken_over):.2f} s; lease {LEASE_SECONDS} s, "
            f"{len(over)} of {len(taken_over)} later than {_TAKEN_OVER_SECONDS:g} s"
        )
