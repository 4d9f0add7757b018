"""What every peer does: four calls for each order in sequence, and turns that are asked for on standard input.

A turn is a line of JSON with the orders' ids; the answer is a line too, once all are done.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
import uvloop

AT_ONCE = 64
STATES = ("OrderConfirm", "PreparingOrder", "SentOrder", "ToCustomer")


@dataclass
class Shop:
    """The shop of the sandbox, and the session of the process that calls it."""

    base: str
    token: str
    session: aiohttp.ClientSession | None = None

    async def call(self, order: str, state: str) -> str:
        """One step: the call that takes the order to `state`; the state that the platform answers."""
        assert self.session is not None
        body = {"state": state, "list": None, "delivery_info": None}
        async with self.session.post(f"{self.base}/{order}/state", json=body) as response:
            answer = await response.json()
            assert answer["delivery_state"] == state, answer
        return state


async def in_slots(orders: list[str], work: Callable[[str], Awaitable[object]]) -> None:
    """Does `work` for each order, 64 at once."""
    queue = iter(orders)

    async def slot() -> None:
        for order in queue:
            await work(order)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(slot())


async def turns(shop: Shop, turn: Callable[[list[str]], Awaitable[None]]) -> None:
    """Takes turns until standard input ends."""
    async with AsyncExitStack() as stack:
        headers = {"Authorization": f"Bearer {shop.token}"}
        connector = aiohttp.TCPConnector(limit=AT_ONCE)
        shop.session = await stack.enter_async_context(aiohttp.ClientSession(headers=headers, connector=connector))
        print(json.dumps({"ready": True}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            await turn(json.loads(line))
            print(json.dumps({"done": True}), flush=True)


def run(main: Awaitable[None]) -> None:
    """Runs a peer with uvloop, as the daemon does."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)  # type: ignore[arg-type]
