"""A receiver of webhooks for these tests: plain aiohttp on loopback that keeps what comes and answers as tests say."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from aiohttp import web


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def topic(self) -> str:
        return self.headers["X-Shopify-Topic"]

    @property
    def ids(self) -> tuple[str, str]:
        return self.headers["X-Shopify-Webhook-Id"], self.headers["X-Shopify-Event-Id"]

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


@dataclass(slots=True)
class Receiver:
    """What came in, in sequence. `answer` decides each status; a path under `/hang` is not answered until `let_go`."""

    port: int = 0
    got: list[Received] = field(default_factory=list)
    answer: Callable[[Received], int] = lambda _: 200
    open: int = 0
    most_open: int = 0
    _arrival: anyio.Event = field(default_factory=anyio.Event)
    _released: anyio.Event = field(default_factory=anyio.Event)

    def url(self, path: str = "/orders") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def let_go(self) -> None:
        self._released.set()

    def of(self, topic: str) -> list[Received]:
        return [each for each in self.got if each.topic == topic]

    async def until(self, is_enough: Callable[[], bool]) -> None:
        """Waits for requests until it is so."""
        while not is_enough():
            await self._arrival.wait()

    async def first(self, topic: str) -> Received:
        await self.until(lambda: bool(self.of(topic)))
        return self.of(topic)[0]

    async def handle(self, request: web.Request) -> web.Response:
        received = Received(request.path, request.headers, await request.read())
        self.got.append(received)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self._arrival.set()
        self._arrival = anyio.Event()
        if received.path.startswith("/hang"):
            await self._released.wait()
        self.open -= 1
        status = self.answer(received)
        headers = {"Location": self.url("/elsewhere")} if 300 <= status < 400 else {}
        return web.Response(status=status, headers=headers)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver()
    application = web.Application()
    application.router.add_post("/{path:.*}", receiver.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.port = runner.addresses[0][1]
        yield receiver
    finally:
        receiver.let_go()
        await runner.cleanup()
