"""Reads of single orders: whatever comes up in one is that order's own trouble, and ends nothing else.

Clients tell in their own words what of an answer they cannot understand. What they did not foresee raises something
else here, in the mapping or when the order is adopted: that is a bug of ours which this order's data brought up, and
it is set aside like any other order that cannot be read.
"""

from __future__ import annotations

import json

import structlog

from orchestrator.platforms.client import OrderSnapshot, PlatformClient
from orchestrator.platforms.failures import PlatformFailure, Unreadable
from orchestrator.platforms.fields import stumble
from storage.errors import StoreError

log = structlog.get_logger()


async def read_order(client: PlatformClient, order_id: str) -> OrderSnapshot:
    """As `PlatformClient.read`. Raises PlatformFailure, StoreError; Unreadable in place of everything unforeseen."""
    try:
        return await client.read(order_id)
    except (PlatformFailure, StoreError):
        raise
    except Exception as error:  # supervised: one order's data is not the others'
        log.error("read.crashed", order=order_id, error=stumble(error))
        kept = json.dumps({"id": order_id}).encode()  # nobody knows what was answered; two orders are told apart by it
        raise Unreadable(f"reading order {order_id} raised {stumble(error)}", kept) from error


def not_adopted(seen: OrderSnapshot, error: Exception) -> Unreadable:
    """What an order is whose adoption raised something unforeseen."""
    log.error("order.not_adopted", order=seen.id, error=stumble(error))
    return Unreadable(f"adopting order {seen.id} raised {stumble(error)}", seen.payload)
