"""Restate: a handler for each order, a `run` for each call. launch.py restate_peer BASE TOKEN ADMIN INGRESS

The orders are sent to the server's ingress, 64 at once, each with an answer when its four calls are done.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import aiohttp
import restate
from hypercorn.asyncio import serve
from hypercorn.config import Config

from benchmarks.peers.turns import AT_ONCE, STATES, Shop, in_slots, run, turns

SHOP = Shop(sys.argv[1], sys.argv[2])
ADMIN, INGRESS = sys.argv[3], sys.argv[4]
orders_service = restate.Service("Orders")


@orders_service.handler()  # type: ignore[untyped-decorator]
async def fulfil(ctx: restate.Context, order: str) -> None:
    """The whole way of an order."""
    for state in STATES:
        await ctx.run_typed(state, SHOP.call, order=order, state=state)


async def take_turns() -> None:
    """Serves the handler, registers it and takes turns."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "ERROR"
    ended = asyncio.Event()
    server = asyncio.create_task(serve(restate.app([orders_service]), config, shutdown_trigger=ended.wait))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:
        body = {"uri": f"http://127.0.0.1:{port}", "force": True}
        async with session.post(f"{ADMIN}/deployments", json=body) as response:
            assert response.status < 300, await response.text()

        async def invoke(order: str) -> None:
            async with session.post(f"{INGRESS}/Orders/fulfil", json=order) as response:
                assert response.status == 200, await response.text()

        await turns(SHOP, lambda orders: in_slots(orders, invoke))
    ended.set()
    await server


def main() -> None:
    """Runs it until standard input ends."""
    run(take_turns())
