"""The order of a run: storm, calm, judgement."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.chaos import erp, nature, people, readers
from tests.chaos.calm import settle
from tests.chaos.judge import judge
from tests.chaos.remains import inspect
from tests.chaos.report import figures, keep, verdict
from tests.chaos.settings import Settings
from tests.chaos.world import ChaosDaemon, World
from tests.push.erp import running_erp
from tests.support.shopify_sender import free_port

_ERP_WORKERS = 4


async def run(settings: Settings, folder: Path) -> tuple[World, list[str]]:
    """One run in `folder`; the world with its findings, and the report."""
    async with _world(settings, folder) as world:
        storm, book, feed = nature.Nature(world), erp.Book(world), readers.Feed(world)
        rest = None
        try:
            world.write_config()
            await storm.start()
            await _rage(world, storm, book, feed)
            rest = await settle(world, storm, book)
            if await world.daemon.terminate() != 0:
                world.broken("a drain ends with exit code 0", "the last one did not")
            world.findings += judge(world, book, feed, rest)
            world.findings += inspect(world, rest)
        finally:
            lines = [*figures(world, book, rest), *verdict(world)]
            keep(world, rest, lines)
        return world, lines


async def _rage(world: World, storm: nature.Nature, book: erp.Book, feed: readers.Feed) -> None:
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
            await storm.rage()
            group.cancel_scope.cancel()


@asynccontextmanager
async def _world(settings: Settings, folder: Path) -> AsyncIterator[World]:
    sandbox = Sandbox(
        SandboxSettings(orders=settings.orders, seed=settings.seed, latency_ms=5, stall_seconds=5, throttle_seconds=1)
    )
    async with running_erp() as receiver, sandbox.running():
        daemon = ChaosDaemon(folder)
        try:
            yield World(settings, folder, sandbox, daemon, receiver, free_port())
        finally:
            if daemon.is_running:
                daemon.kill()
