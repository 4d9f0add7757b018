"""Nodes that share a store, their leases and their workers."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Chance, Clock
from orchestrator.config import Config
from orchestrator.metrics import Metrics
from orchestrator.runtime.leases import Hold, Leases
from orchestrator.runtime.membership import Membership
from orchestrator.runtime.supervisor import Supervisor
from orchestrator.sandbox.server import Sandbox
from orchestrator.testing.engine_suite.scratch import NOW
from storage.engines import open_store
from storage.errors import StoreUnavailable
from storage.leases import lease_of
from storage.nodes import Presence
from storage.store import Store
from storage.transaction import Transaction
from tests.support.committed import Committed
from tests.support.shopfloor import SHOP, config_of

LONG = 300.0  # seconds: no lease ends by itself in a test


class Shared:
    """A store that several nodes can have open, and that can fail."""

    is_exclusive = False

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_down = False
        self.writes = self.beats = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, unit: object) -> object:
        self.writes += 1
        if self.is_down:
            raise StoreUnavailable("no connection")
        return await self._store.write(unit)  # type: ignore[arg-type]

    write_bulk = write

    async def write_first(self, unit: object) -> object:
        self.beats += 1
        return await self.write(unit)


@asynccontextmanager
async def shared(url: str, committed: Committed | None = None) -> AsyncIterator[Shared]:
    async with open_store(url, NOW, on_group=committed or Committed()) as store:
        yield Shared(store)


class Node:
    """A node without workers: what it may take and what it holds."""

    def __init__(self, store: Shared, name: str, clock: Clock | None = None, shops: tuple[str, ...] = (SHOP,)) -> None:
        self.store, self.presence = store, Presence("1", shops)
        self.membership = Membership(
            cast("Store", store), name, clock or Clock(), lambda: self.presence, term_seconds=LONG
        )
        self.leases = Leases(cast("Store", store), self.membership, clock or Clock())
        self.holds: dict[str, Hold] = {}

    async def take(self, shop: str = SHOP) -> Hold | None:
        acquired = await self.leases.acquire(shop, "selldone", lambda tx: "done beside it")
        if acquired is None:
            return None
        self.holds[shop], done = acquired
        assert done == "done beside it"
        return self.holds[shop]

    async def round(self) -> None:
        """A heartbeat, and what follows from it."""
        await self.membership.announce()
        for shop in self.presence.shops:
            if shop not in self.holds and self.leases.is_meant(shop):
                await self.take(shop)
        for shop, hold in list(self.holds.items()):
            if hold.moved.is_set():
                await self.leases.release(self.holds.pop(shop))


async def pass_time(store: Shared, seconds: float = LONG) -> None:
    """As if so much time had passed for the database."""
    for table, column in (("shops", "lease_expires_at"), ("nodes", "expires_at")):
        sql = f"UPDATE {table} SET {column} = {column} - ?"
        await store.write(lambda tx, sql=sql: tx.execute(sql, (int(seconds * 1000),)))


def logged(lines: Sequence[Mapping[str, Any]], event: str) -> list[dict[str, Any]]:
    """Those lines, without what every line has."""
    return [
        {name: value for name, value in line.items() if name not in ("event", "log_level")}
        for line in lines
        if line["event"] == event
    ]


async def working(node: Node, shop: str) -> None:
    """As a supervisor keeps a shop: takes it whenever it is meant for this node, until it is another one's turn."""
    while True:
        await node.leases.meant(shop)
        if (hold := await node.take(shop)) is not None:
            await hold.moved.wait()
            await node.leases.release(hold)


def supervisor_of(store: Shared, name: str, lease_seconds: float = LONG) -> Supervisor:
    return Supervisor(
        cast("Store", store),
        name,
        Clock(),
        Chance(random.Random(1)),
        Checkpoints(),
        Metrics(),
        lease_seconds=lease_seconds,
    )


def config_with(sandbox: Sandbox, folder: Path, shops: int) -> Config:
    """The config of several shops, all of one platform but for the last ones."""
    folder.mkdir(exist_ok=True)
    platforms = ("selldone", "cloudsuite", "xsale", "shopify", "woocommerce")[:shops]
    return config_of(sandbox, folder, platform=platforms)


async def holders(store: Shared, config: Config) -> dict[str, str | None]:
    def unit(tx: Transaction) -> dict[str, str | None]:
        found = {name: lease_of(tx, name) for name in config.shops}
        return {name: None if lease is None else lease.holder for name, lease in found.items()}

    return await store.read(unit)  # type: ignore[no-any-return]
