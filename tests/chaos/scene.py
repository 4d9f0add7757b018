"""What a run stands on: platforms, daemons, the database under them, a balancer before them, the ERP's receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.chaos.servers import Servers, running_servers
from tests.chaos.settings import Settings
from tests.chaos.world import ChaosDaemon, World
from tests.push.erp import running_erp
from tests.support.ports import free_port
from tests.support.ways import Way, serving


@asynccontextmanager
async def scene(settings: Settings, folder: Path, orders: int | None = None) -> AsyncIterator[World]:
    """What a run needs, for as long as the block lasts. `orders`: of each shop, where the settings do not say it."""
    sandbox = Sandbox(
        SandboxSettings(
            orders=settings.orders if orders is None else orders,
            seed=settings.seed,
            latency_ms=5,
            shops=settings.shops,
            stall_seconds=5,
            throttle_seconds=1,
        )
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
