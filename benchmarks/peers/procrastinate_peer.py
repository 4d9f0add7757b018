"""Procrastinate: a job for each call, which queues the next one. launch.py procrastinate_peer BASE TOKEN DATABASE_URL

A job that did all four calls would forget on a crash which of them were done. A turn's first jobs are queued in bulk.
"""

from __future__ import annotations

import asyncio
import sys

from procrastinate import App, PsycopgConnector

from benchmarks.peers.turns import AT_ONCE, STATES, Shop, run, turns

SHOP = Shop(sys.argv[1], sys.argv[2])
app = App(connector=PsycopgConnector(conninfo=sys.argv[3], min_size=4, max_size=16))
_left = 0
_done = asyncio.Event()


@app.task(name="step")  # type: ignore[untyped-decorator]
async def step(order: str, index: int) -> None:
    """One call, then the next one's job."""
    global _left  # noqa: PLW0603 - one turn at a time
    await SHOP.call(order, STATES[index])
    if index + 1 < len(STATES):
        await step.defer_async(order=order, index=index + 1)
        return
    _left -= 1
    if not _left:
        _done.set()


async def turn(orders: list[str]) -> None:
    """Queues the orders' first jobs and waits for the last ones."""
    global _left  # noqa: PLW0603
    _left = len(orders)
    _done.clear()
    await step.batch_defer_async(*({"order": order, "index": 0} for order in orders))
    await _done.wait()


async def take_turns() -> None:
    """A worker, and turns beside it."""
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        worker = asyncio.create_task(app.run_worker_async(concurrency=AT_ONCE, install_signal_handlers=False))
        await turns(SHOP, turn)
        worker.cancel()
        await asyncio.wait([worker])


def main() -> None:
    """Runs it until standard input ends."""
    run(take_turns())
