"""A receiver of events on a real port, as good or bad as a test wants it, and a store with pushers that serve it."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from aiohttp import web
from standardwebhooks import Webhook

from orchestrator.clock import Chance, Clock
from orchestrator.config import DeliverySettings
from orchestrator.operations.deliveries import delivery_views
from orchestrator.push.deliveries import Deliveries, Reread, nothing_changed
from storage.engines import open_store
from storage.events import append_event
from storage.store import Commits, Store
from storage.transaction import Transaction
from tests.support.engines import store_url

SECRET = "whsec_ZXJwLXNlY3JldC0xMjM0NTY3OA=="

Judge = Callable[["Delivered"], int]
"""Which status a delivery is answered with."""


@dataclass(frozen=True)
class Delivered:
    """One POST. `body` is its JSON."""

    path: str
    headers: dict[str, str]
    raw: str
    body: Any

    @property
    def cursor(self) -> int:
        cursor: int = self.body["cursor"]
        return cursor


@dataclass
class Erp:
    """`judge` decides; `taken` is what was answered with 2xx, `seen` everything. What `hangs` has no answer until
    `release`; the answer to what `loses` never arrives."""

    port: int = 0
    judge: Judge = lambda _: 204
    seen: list[Delivered] = field(default_factory=list)
    taken: list[Delivered] = field(default_factory=list)
    silent: anyio.Event | None = None
    hangs: Callable[[Delivered], bool] = lambda _: False
    loses: Callable[[Delivered], bool] = lambda _: False
    released: anyio.Event = field(default_factory=anyio.Event)
    arrival: anyio.Event = field(default_factory=anyio.Event)

    def url(self, path: str = "/orders") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def answer(self, request: web.Request) -> web.Response:
        raw = await request.text()
        delivered = Delivered(request.path, dict(request.headers), raw, json.loads(raw))
        self.seen.append(delivered)
        if self.silent is not None:
            self._announce()
            await self.silent.wait()
        if self.hangs(delivered):
            self._announce()
            await self.released.wait()
        status = self.judge(delivered)
        if status < 300:
            self.taken.append(delivered)
        self._announce()
        if self.loses(delivered) and request.transport is not None:
            request.transport.abort()
        return web.Response(status=status, headers={"Location": "/elsewhere"} if 300 <= status < 400 else None)

    def _announce(self) -> None:
        self.arrival.set()
        self.arrival = anyio.Event()

    def release(self) -> None:
        """Answers what hung, and nothing hangs any more."""
        self.hangs = lambda _: False
        self.released.set()
        self.released = anyio.Event()

    async def until(self, condition: Callable[[Erp], bool]) -> None:
        """Waits for a delivery after which the condition holds."""
        while not condition(self):
            await self.arrival.wait()

    async def takes(self, count: int) -> list[Delivered]:
        await self.until(lambda erp: len({each.headers["webhook-id"] for each in erp.taken}) >= count)
        return self.taken


@asynccontextmanager
async def running_erp(port: int = 0, erp: Erp | None = None) -> AsyncIterator[Erp]:
    """`erp`: one that was down and comes back, with all that it remembers."""
    erp = erp or Erp()
    app = web.Application()
    app.router.add_post("/{tail:.*}", erp.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    erp.port = runner.addresses[0][1]
    try:
        yield erp
    finally:
        if erp.silent is not None:
            erp.silent.set()
        erp.release()
        with anyio.CancelScope(shield=True):
            await runner.cleanup()


@dataclass
class Dispatch:
    """A store with its pushers."""

    store: Store
    deliveries: Deliveries

    async def publish(self, *orders: str, type_: str = "order.updated", **data: Any) -> None:
        """Appends an event of each order."""

        def unit(tx: Transaction) -> None:
            for order in orders:
                append_event(tx, Clock().now_ms(), type_, shop="acme", order=order, data=data)

        await self.store.write(unit)

    async def status(self, name: str = "orders_url") -> dict[str, Any]:
        endpoints = [endpoint for endpoint in self.deliveries.endpoints if endpoint.name == name]
        return dict((await self.store.read(lambda tx: delivery_views(tx, endpoints, Clock().now_ms())))[0])

    async def until(self, condition: Callable[[dict[str, Any]], bool], name: str = "orders_url") -> dict[str, Any]:
        """Waits until the status is as wanted."""
        while not condition(found := await self.status(name)):  # noqa: ASYNC110 - nothing announces a changed status
            await anyio.sleep(0.01)
        return found


def settings(erp: Erp, **changes: Any) -> DeliverySettings:
    given = {"orders_url": erp.url(), "secret": SECRET, "timeout_seconds": 60.0, "max_wait_seconds": 0.05} | changes
    return DeliverySettings.model_validate(given)


@asynccontextmanager
async def dispatching(
    folder: Path, chosen: DeliverySettings, reread: Reread = nothing_changed, **waits: float
) -> AsyncIterator[Dispatch]:
    """May be entered again on the same folder, as a restart is."""
    clock, chance = Clock(), Chance(random.Random(1))
    commits = Commits()
    async with open_store(store_url(folder), clock.now_ms(), on_commit=commits) as store:
        deliveries = Deliveries(chosen, store, clock, chance, reread, None, **({"first_wait_seconds": 0.01} | waits))
        commits.follow(deliveries.wake)
        async with anyio.create_task_group() as group:
            group.start_soon(deliveries.run)
            try:
                yield Dispatch(store, deliveries)
            finally:
                group.cancel_scope.cancel()


def is_genuine(delivered: Delivered, secret: str = SECRET) -> bool:
    """Whether the receiver's own library takes the signature."""
    Webhook(secret).verify(delivered.raw, delivered.headers)
    return True
