"""Reads of single orders: an error in one read concerns that order alone, and ends nothing else.

Clients raise Unreadable for an answer that they cannot understand. Any other exception, in the mapping or when the
order is adopted, is a bug of ours which this order's data brought up: the order is set aside like any other order that
cannot be read.
"""

from __future__ import annotations

import json
from typing import Final

import anyio
import structlog

from orchestrator.clock import Clock
from orchestrator.platforms.client import OrderSnapshot, PlatformClient
from orchestrator.platforms.failures import PlatformFailure, Unreadable
from orchestrator.platforms.fields import crash_text
from storage.errors import StoreError

log = structlog.get_logger()

_TICK_SECONDS: Final = 0.001
_MOST_TICKS: Final = 3  # a timer may end early; a clock that stands still or was set back is not waited for


async def read_begins(clock: Clock) -> int:
    """When a read that goes out now begins, in Unix milliseconds.

    It is a later millisecond than that of anything recorded before the call: a read that begins within the millisecond
    of a step may show what was before the step, and is not adopted.
    """
    before = now = clock.now_ms()
    for _ in range(_MOST_TICKS):
        await anyio.sleep(_TICK_SECONDS)
        if (now := clock.now_ms()) > before:
            break
    return now


async def read_order(client: PlatformClient, order_id: str) -> OrderSnapshot:
    """As `PlatformClient.read`. Raises PlatformFailure, StoreError; Unreadable in place of any unexpected exception."""
    try:
        return await client.read(order_id)
    except (PlatformFailure, StoreError):
        raise
    except Exception as error:  # supervised: one order's data is not the others'
        log.error("read.crashed", order=order_id, error=crash_text(error))
        kept = json.dumps({"id": order_id}).encode()  # the answer is unknown; the id distinguishes two orders
        raise Unreadable(f"reading order {order_id} raised {crash_text(error)}", kept) from error


def not_adopted(snapshot: OrderSnapshot, error: Exception) -> Unreadable:
    """The failure of an order whose adoption raised an unexpected exception."""
    log.error("order.not_adopted", order=snapshot.id, error=crash_text(error))
    return Unreadable(f"adopting order {snapshot.id} raised {crash_text(error)}", snapshot.payload)
