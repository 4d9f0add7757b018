"""DBOS: a workflow for each order, a step for each call. launch.py dbos_peer BASE TOKEN DATABASE_URL

The workflows are called in the process, 64 at once: a queue would look for work once a second.
"""

from __future__ import annotations

import sys

from dbos import DBOS, DBOSConfig

from benchmarks.peers.turns import STATES, Shop, in_slots, run, turns

SHOP = Shop(sys.argv[1], sys.argv[2])


@DBOS.step()  # type: ignore[untyped-decorator]
async def call(order: str, state: str) -> str:
    """One call, its outcome kept."""
    return await SHOP.call(order, state)


@DBOS.workflow()  # type: ignore[untyped-decorator]
async def fulfil(order: str) -> None:
    """The whole way of an order."""
    for state in STATES:
        await call(order, state)


async def take_turns() -> None:
    """Takes turns until standard input ends."""
    await turns(SHOP, lambda orders: in_slots(orders, fulfil))


def main() -> None:
    """Runs it until standard input ends."""
    config: DBOSConfig = {"name": "peer", "system_database_url": sys.argv[3], "log_level": "WARNING"}
    DBOS(config=config)
    DBOS.launch()
    run(take_turns())
    DBOS.destroy()
