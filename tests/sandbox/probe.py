"""A bare client of the simulated Selldone for these tests: aiohttp and nothing of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from orchestrator.clock import Clock
from orchestrator.sandbox.selldone.shop import SelldoneOptions
from orchestrator.sandbox.server import Sandbox, SandboxSettings

START_MS = 1_790_000_000_000


class HandClock:
    """A clock that only moves when a test sets it."""

    def __init__(self) -> None:
        self.ms = START_MS

    def clock(self) -> Clock:
        return Clock(now_ms=lambda: self.ms, monotonic=lambda: self.ms / 1000)

    def pass_seconds(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


@dataclass(slots=True)
class Probe:
    """A running sandbox and a session that talks to its first Selldone shop."""

    sandbox: Sandbox
    session: aiohttp.ClientSession
    time: HandClock
    token: str = "sandbox-token"

    @property
    def order(self) -> str:
        return self.sandbox.platforms["selldone"].order_ids()[0]

    def url(self, path: str, shop: int | str = 12345) -> str:
        return f"{self.sandbox.base_url}/selldone/shops/{shop}/process-center/{path}"

    async def call(self, method: str, path: str, *, shop: int | str = 12345, **extra: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self.session.request(method, self.url(path, shop), headers=headers, **extra) as response:
            return response.status, await response.json(content_type=None)

    async def state(self, state: str, order: str | None = None, **fields: Any) -> tuple[int, Any]:
        body = {"state": state, "list": None, "delivery_info": None, **fields}
        return await self.call("POST", f"baskets/{order or self.order}/state", json=body)

    async def walk(self, *states: str) -> None:
        for state in states:
            status, answer = await self.state(state)
            assert (status, answer.get("changed")) == (200, True), answer

    async def read(self, order: str | None = None) -> Any:
        status, answer = await self.call("GET", f"baskets/{order or self.order}")
        assert status == 200
        return answer

    async def list(self, query: str = "") -> Any:
        status, answer = await self.call("GET", f"baskets-PHYSICAL?{query}")
        assert status == 200, answer
        return answer

    async def control(self, method: str, path: str, **extra: Any) -> tuple[int, Any]:
        async with self.session.request(method, f"{self.sandbox.base_url}/_sandbox/{path}", **extra) as response:
            return response.status, await response.json()


@asynccontextmanager
async def probing(**settings: Any) -> AsyncIterator[Probe]:
    """A running sandbox with these settings (keys of SandboxSettings, or of SelldoneOptions in `options`)."""
    time = HandClock()
    options = SelldoneOptions(**settings.pop("options", {}))
    sandbox = Sandbox(SandboxSettings(**{"orders": 3, **settings}, options={"selldone": options}), clock=time.clock())
    # The session outlives the server: aiohttp leaks the connection of a GET that it repeats while it is being closed.
    async with aiohttp.ClientSession() as session, sandbox.running():
        yield Probe(sandbox, session, time)
