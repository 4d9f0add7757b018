"""The order of a run: storm, calm, judgement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio

from tests.chaos import erp, nature, outages, people, readers
from tests.chaos.calm import settle
from tests.chaos.judge import judge
from tests.chaos.remains import inspect
from tests.chaos.report import figures, keep, verdict
from tests.chaos.scene import scene
from tests.chaos.settings import Settings
from tests.chaos.tenancy import tenancy
from tests.chaos.world import World

_ERP_WORKERS = 4


async def run(settings: Settings, folder: Path) -> tuple[World, list[str]]:
    """One run in `folder`; the world with its findings, and the report."""
    async with scene(settings, folder) as world:
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
                world.findings += tenancy(calls, leases, world.names)
            for node in world.nodes:
                if await node.terminate() != 0:
                    world.broken("a drain ends with exit code 0", f"the last one of {node.name} did not")
            world.findings += judge(world, book, feed, rest)
            world.findings += inspect(world, rest)
        finally:
            lines = [*figures(world, book, rest), *verdict(world, settings.command)]
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
