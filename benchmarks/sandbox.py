"""A sandbox with shops of one platform: python -m benchmarks.sandbox --shops 200 --orders 500 [--latency 20]

It prints a config for the daemon, one line, and serves until it is ended.
"""

from __future__ import annotations

import argparse
import json

import anyio

from orchestrator.registry import PLATFORMS, load
from orchestrator.sandbox.platform import SimulatedPlatform, Stock
from orchestrator.sandbox.server import Sandbox, SandboxSettings


async def serve(platform: str, shops: int, orders: int, latency_ms: float) -> None:
    """Serves `orders` orders for each of `shops` shops of this platform."""
    sandbox = Sandbox(SandboxSettings(orders=0, latency_ms=latency_ms))
    stock = Stock(orders, 1, shops)
    simulated: type[SimulatedPlatform] = load(PLATFORMS[platform].sandbox or "")
    sandbox.platforms = {platform: simulated(sandbox.clock, sandbox.ledger, simulated.options(), stock)}
    async with sandbox.running():
        print(json.dumps(sandbox.config()), flush=True)
        await anyio.sleep_forever()


def main() -> None:
    """Serves as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", default="selldone")
    parser.add_argument("--shops", type=int, default=1)
    parser.add_argument("--orders", type=int, default=20, help="for each shop")
    parser.add_argument("--latency", type=float, default=0, help="milliseconds before each call's effect")
    given = parser.parse_args()
    anyio.run(serve, given.platform, given.shops, given.orders, given.latency, backend_options={"use_uvloop": True})


if __name__ == "__main__":
    main()
