"""`calls.py` for asyncio."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from fulfilld import Problem, Unreachable, path_of
from fulfilld_async import AsyncClient


async def main() -> None:
    erp, order = AsyncClient(url=sys.argv[1]), "a/ä 1"
    submitted = await erp.submit("acme", order, {"state": "preparing"}, "k-1")
    print((await erp.target(submitted["id"], wait_seconds=0.01))["status"])
    print(*[each["id"] async for each in erp.orders(shop="acme", limit=2)], sep=", ")
    print((await erp.order("acme", order, include=["timeline"]))["timeline"][0]["type"])
    page = await erp.call("GET", "/v1/consumers/erp/events", {"limit": 1})
    print((await erp.ack("erp", page["next"], feed=page["feed"]))["cursor"])
    print((await erp.seek("erp", 0))["cursor"])
    attempts: list[Callable[[], Awaitable[Any]]] = [
        lambda: erp.seek("erp", 10**6),
        lambda: erp.ack("erp", 1, feed="another"),
        lambda: erp.submit("acme", order, {"state": "shipped"}, "k-1"),
        lambda: erp.order("nobody", "1"),
    ]
    for attempt in attempts:
        try:
            print(await attempt())
        except Problem as problem:
            print(problem.status, problem.code, "detail" in problem.body and problem.is_final)
    try:
        await AsyncClient(socket="no.sock").call("GET", "/v1/health")
    except Unreachable:
        print("unreachable")
    print((await erp.call("POST", "/v1/shops/acme/pause", body={}))["name"])
    path = path_of("shops", "acme", "orders", "1", "targets")
    planned = await erp.call("POST", path, {"dry_run": True}, {"state": "preparing"})
    print("planned", len(planned["plan"]) > 0)


asyncio.run(main())
