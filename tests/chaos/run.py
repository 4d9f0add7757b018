"""The order of a run: storm, calm, judgement."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.chaos import erp, nature, outages, people, readers
from tests.chaos.calm import settle
from tests.chaos.judge import judge
from tests.chaos.remains import inspect
from tests.chaos.report import figures, keep, verdict
from tests.chaos.servers import Servers, running_servers
from tests.chaos.settings import Settings
from tests.chaos.tenancy import names, tenancy
from tests.chaos.world import ChaosDaemon, World
from tests.push.erp import running_erp
from tests.support.shopify_sender import free_port
from tests.support.ways import Way, serving

_ERP_WORKERS = 4


async def run(settings: Settings, folder: Path) -> tuple[World, list[str]]:
    """One run in `folder`; the world with its findings, and the report."""
    async with _world(settings, folder) as world:
        storms = [nature.Nature(world, node) for node in world.nodes]
        book, feed = erp.Book(world), readers.Feed(world)
        rest = None
        try:
            world.write_config()
            await storms[0].start()
            if world.servers is not None:
                world.servers.audit()
            async with anyio.create_task_group() as group:
                for storm in storms[1:]:
                    group.start_soon(storm.start)
            await _rage(world, storms, book, feed)
            rest = await settle(world, storms, book)
            if world.servers is not None:
                calls, leases = world.sandbox.ledger.calls(), world.servers.leases()
                world.findings += tenancy(calls, leases, names(world.sandbox))
            for node in world.nodes:
                if await node.terminate() != 0:
                    world.broken("a drain ends with exit code 0", f"the last one of {node.name} did not")
            world.findings += judge(world, book, feed, rest)
            world.findings += inspect(world, rest)
        finally:
            lines = [*figures(world, book, rest), *verdict(world)]
            keep(world, rest, lines)
        return world, lines


async def _rage(world: World, storms: Sequence[nature.Nature], book: erp.Book, feed: readers.Feed) -> None:
    with anyio.move_on_after(world.settings.seconds):
        async with anyio.create_task_group() as group:
            for read in (readers.by_page, readers.by_long_poll, readers.by_stream, readers.by_consumer):
                group.start_soon(read, world, feed)
            for act in (
                people.merchants,
                people.operators,
                people.typists,
                nature.weather,
                nature.changes,
                nature.receiver_moods,
            ):
                group.start_soon(act, world)
            for number in range(_ERP_WORKERS):
                group.start_soon(erp.submit, world, book, number)
            if world.servers is not None:
                group.start_soon(outages.database, world, world.servers)
                for node in world.nodes:
                    group.start_soon(outages.network, world, node)
            async with anyio.create_task_group() as raging:
                for storm in storms:
                    raging.start_soon(storm.rage)
            group.cancel_scope.cancel()


@asynccontextmanager
async def _world(settings: Settings, folder: Path) -> AsyncIterator[World]:
    sandbox = Sandbox(
        SandboxSettings(orders=settings.orders, seed=settings.seed, latency_ms=5, stall_seconds=5, throttle_seconds=1)
    )
    async with running_erp() as receiver, sandbox.running(), _nodes(settings, folder) as (nodes, servers):
        world = World(settings, folder, sandbox, nodes, receiver, nodes[0].webhook_port, servers)
        world.balancer = settings.rng("balancer")
        async with AsyncExitStack() as stack:
            if len(nodes) > 1:
                before = Way(lambda: anyio.connect_tcp("127.0.0.1", world.any_node().webhook_port))
                await stack.enter_async_context(serving(before))
                world.webhook_port = before.port
            yield world


@asynccontextmanager
async def _nodes(settings: Settings, folder: Path) -> AsyncIterator[tuple[list[ChaosDaemon], Servers | None]]:
    """The daemons, and the database under them where it is a server."""
    async with AsyncExitStack() as stack:
        servers = None
        if settings.engine == "sqlite":
            nodes = [ChaosDaemon(folder, free_port())]
        else:
            servers = await stack.enter_async_context(running_servers(settings.nodes))
            nodes = [
                ChaosDaemon(folder / f"node{number}", free_port(), servers.storage(number), servers.ways[number])
                for number in range(settings.nodes)
            ]
        try:
            yield nodes, servers
        finally:
            for node in nodes:
                if node.is_running:
                    node.kill()
