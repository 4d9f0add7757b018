"""A whole shop floor in one process: sandbox over real HTTP, store, supervisor, commands. No API, no processes."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Chance, Clock
from orchestrator.config import Config, ShopConfig, load
from orchestrator.metrics import Metrics
from orchestrator.operations.commands import DaemonCommands
from orchestrator.operations.feed import Feed
from orchestrator.runtime.supervisor import Supervisor
from orchestrator.sandbox.server import Sandbox
from statemachines.target import TargetRequest
from storage.counts import wrong_counts
from storage.engines import open_store
from storage.events import EventFilter, list_events
from storage.order_search import list_orders
from storage.orders import get_order
from storage.records import Event, Order, Situation, Target
from storage.store import Store
from storage.targets import get_target
from storage.webhooks import shops_with_webhooks
from tests.support.committed import Committed
from tests.support.engines import storage_section, store_url

SHOP = "acme"
PLATFORM = "selldone"

#: quick enough for tests; a test that is about waiting sets its own
QUICK: dict[str, Any] = {
    "limits": {"concurrency": 16, "rate_per_second": 10000, "burst": 10000, "window": {"calls": 0}},
    "retry": {"attempts": 8, "base_seconds": 0.01, "max_seconds": 0.05},
    "circuit": {"failures": 1000, "cooldown_seconds": 0.05},
    "poll": {"interval_seconds": 3600, "after_step_seconds": None},
    "timeout_seconds": 60,
}


class Shopfloor:
    """What a test works with."""

    def __init__(
        self,
        sandbox: Sandbox,
        store: Store,
        supervisor: Supervisor,
        commands: DaemonCommands,
        feed: Feed,
        committed: Committed,
        checkpoints: Checkpoints,
    ) -> None:
        self.sandbox, self.store, self.supervisor, self.commands = sandbox, store, supervisor, commands
        self.feed, self.committed, self.checkpoints = feed, committed, checkpoints

    async def orders(self) -> list[Order]:
        return await self.store.read(lambda tx: list_orders(tx, 0, 100_000))

    async def order(self, order: str, shop: str = SHOP) -> Order:
        found = await self.store.read(lambda tx: get_order(tx, shop, order))
        assert found is not None, f"order {order} is not known"
        return found

    async def target(self, target: str) -> Target:
        found = await self.store.read(lambda tx: get_target(tx, target))
        assert found is not None
        return found

    async def events(self, *types: str, order: str | None = None) -> list[Event]:
        wanted = EventFilter(order=order, types=types)
        return await self.store.read(lambda tx: list_events(tx, 0, 1_000_000, wanted))

    async def submit(self, order: str, state: str, shop: str = SHOP, **fields: Any) -> Target:
        return await self.commands.submit(shop, order, TargetRequest.from_json({"state": state, **fields}))

    async def finished(self, target: Target) -> Target:
        """Waits until the target has ended or is blocked."""
        with self.feed.watching(target.id) as watch:
            while True:
                now = await self.target(target.id)
                if now.status.is_end or now.status.value == "blocked":
                    return now
                await watch.changed()

    async def reach(self, order: str, state: str, shop: str = SHOP, **fields: Any) -> Target:
        return await self.finished(await self.submit(order, state, shop, **fields))

    async def until(self, order: str, condition: Callable[[Order], bool], shop: str = SHOP) -> Order:
        """Waits until an order is as wanted."""
        return await self.committed.until(lambda: self.order(order, shop), condition)

    async def in_situation(self, order: str, situation: Situation) -> Order:
        return await self.until(order, lambda found: found.situation is situation)

    async def event(self, type_: str, order: str | None = None, count: int = 1) -> list[Event]:
        """Waits until the feed has `count` events of a type."""
        while True:
            cursor = self.feed.last_cursor
            found = await self.events(type_, order=order)
            if len(found) >= count:
                return found
            await self.feed.wait_beyond(cursor)


def config_of(
    sandbox: Sandbox,
    folder: Path,
    changes: Mapping[str, Any] | None = None,
    *,
    platform: str | Sequence[str] = PLATFORM,
) -> Config:
    """A checked config for the sandbox's shops of one platform or several, quick, with `changes` for every shop."""
    import json

    wanted = (platform,) if isinstance(platform, str) else platform
    raw = sandbox.config()
    raw["storage"] = storage_section(folder)
    raw["shops"] = {name: shop for name, shop in raw["shops"].items() if shop["platform"] in wanted}
    for shop in raw["shops"].values():
        shop.update(QUICK)
        shop.update(changes or {})
    path = folder / "config.json"
    path.write_text(json.dumps(raw))
    return load(path)


@asynccontextmanager
async def working_on(
    sandbox: Sandbox,
    config: Config,
    folder: Path,
    *,
    seed: int = 1,
    clock: Clock | None = None,
    on_secrets: Callable[[ShopConfig], None] = lambda _shop: None,
) -> AsyncIterator[Shopfloor]:
    """Store and workers over a running sandbox; may be entered again on the same folder, as a restart is. Whatever was
    done, what is counted at the end is right."""
    clock, chance = clock or Clock(), Chance(random.Random(seed))
    feed, committed, points = Feed(), Committed(), Checkpoints()
    async with open_store(store_url(folder), clock.now_ms(), on_commit=feed.publish, on_group=committed) as store:
        store.state_directory.mkdir(mode=0o700, exist_ok=True)
        supervisor = Supervisor(store, "test", clock, chance, points, Metrics(), on_secrets)
        commands = DaemonCommands(store, supervisor, clock, chance, points, Metrics())
        floor = Shopfloor(sandbox, store, supervisor, commands, feed, committed, points)
        async with anyio.create_task_group() as group:
            await supervisor.start(group, config)
            try:
                yield floor
            finally:
                with anyio.CancelScope(shield=True):
                    await supervisor.drain(5)
        off = await store.read(wrong_counts)
        assert not off.shops, (off.orders, off.pending)


@asynccontextmanager
async def shopfloor(
    sandbox: Sandbox,
    folder: Path,
    changes: Mapping[str, Any] | None = None,
    *,
    platform: str = PLATFORM,
    clock: Clock | None = None,
) -> AsyncIterator[Shopfloor]:
    """A running sandbox with its shops of one platform at work, all orders imported."""
    async with (
        sandbox.running(),
        working_on(sandbox, config_of(sandbox, folder, changes, platform=platform), folder, clock=clock) as floor,
    ):
        for shop in floor.supervisor.shops():
            await floor.commands.sync(shop, 30)
        yield floor


async def worked_off(floor: Shopfloor) -> None:
    """Returns once nothing waits in the inbox."""
    await floor.committed.until(lambda: floor.store.read(shops_with_webhooks), lambda waiting: not waiting)
