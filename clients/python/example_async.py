"""`example.py` for asyncio.

FULFILLD_SOCKET=fulfilld.sock python example_async.py [COUNT]
"""

import asyncio
import sys
from typing import Any

from fulfilld import Problem
from fulfilld_async import AsyncClient


async def handle(erp: AsyncClient, event: Any) -> bool:
    """Does what an event calls for; whether that was the last of its order."""
    shop, order = event["shop"], event["order"]
    try:
        if event["type"] == "order.imported":
            await erp.submit(shop, order, {"state": "accepted"}, key=f"sale-{shop}-{order}")
            parcel = {"number": f"B-{order}", "carrier": "DHL", "tracking": [f"3S{order}"]}
            await erp.submit(shop, order, {"state": "shipped", "parcel": parcel}, key=f"box-{shop}-{order}")
            return False
        target = await erp.target(event["target"])
        if target["milestone"] != "shipped":
            return False
        print(shop, order, target["status"], flush=True)
    except Problem as problem:
        if not problem.is_final:
            raise
        print(shop, order, "refused", problem.code, flush=True)
    return True


async def main(most: float) -> None:
    erp, ended = AsyncClient(), 0
    types = ["order.imported", "target.reached", "target.failed"]
    async for event in erp.consume("erp", types=types, is_endless=most > 0):
        ended += await handle(erp, event)
        if 0 < most <= ended:
            break


asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else float("inf")))
