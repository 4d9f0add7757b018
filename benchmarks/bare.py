"""The bare client: a session of aiohttp that drives orders and promises nothing. What it needs is what a call costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
import anyio

AT_ONCE = 64
STATES = ("OrderConfirm", "PreparingOrder", "SentOrder", "ToCustomer")


def orders_url(shop: Mapping[str, Any]) -> str:
    """Where the orders of a simulated Selldone shop are, by its config."""
    return f"{shop['base_url']}/shops/{shop['shop_id']}/process-center/baskets"


async def drive(shop: Mapping[str, Any], orders: list[str]) -> None:
    """Does each order's four calls in sequence, 64 orders at once."""
    headers = {"Authorization": f"Bearer {shop['token']}"}
    base = orders_url(shop)
    queue = iter(orders)
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as session:

        async def slot() -> None:
            for order in queue:
                for state in STATES:
                    body = {"state": state, "list": None, "delivery_info": None}
                    async with session.post(f"{base}/{order}/state", json=body) as response:
                        answer = await response.json()
                        assert answer["delivery_state"] == state, answer

        async with anyio.create_task_group() as group:
            for _ in range(AT_ONCE):
                group.start_soon(slot)
