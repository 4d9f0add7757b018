"""What happens between the nodes and their database, and to it: ways are cut or fall silent, servers are killed."""

from __future__ import annotations

import anyio

from tests.chaos.servers import LEASE_SECONDS, Servers, open_all
from tests.chaos.world import ChaosDaemon, World

_SECONDS = (0.2, 1.0, LEASE_SECONDS + 1.5)


async def network(world: World, node: ChaosDaemon) -> None:
    """A node loses the database for a moment, or for longer than its leases last."""
    rng = world.settings.rng(f"network {world.nodes.index(node)}")
    pause = _pause(world)
    while True:
        await anyio.sleep(rng.uniform(0.3, 2) * pause)
        is_told, seconds = rng.random() < 0.5, rng.choice(_SECONDS)
        world.note("network", "cut" if is_told else "silence", node=node.name, seconds=seconds)
        try:
            for way in node.ways:
                if is_told:
                    way.cut()
                else:
                    way.silence()
            await anyio.sleep(seconds)
        finally:
            open_all(node.ways)


async def database(world: World, servers: Servers) -> None:
    """The server that is written to is killed: it starts again, or its replica takes over."""
    rng = world.settings.rng("database")
    pause = _pause(world)
    while True:
        await anyio.sleep(rng.uniform(0.5, 2) * pause)
        if rng.random() < 0.5:
            world.note("database", "restart")
            with anyio.CancelScope(shield=True):
                await servers.restart()
        else:
            world.note("database", "fail_over")
            with anyio.CancelScope(shield=True):  # a pair that is half made serves nobody
                await servers.fail_over()


def _pause(world: World) -> float:
    """Between two outages of the same kind, in seconds: a storm has about six of each."""
    return max(3.0, min(20.0, world.settings.seconds / 6))
