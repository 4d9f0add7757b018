"""Calls that are no steps (reads, lists) through the shop's gate: one turn each, their failure told to the gate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from orchestrator.platforms.failures import PlatformFailure
from orchestrator.runtime.access import tell_gate
from orchestrator.runtime.driver import ShopServices

T = TypeVar("T")


class NotAdmitted(Exception):
    """The shop stands still (paused, waiting for its platform, draining), so it is not asked now."""


async def ask(e: ShopServices, kind: str, call: Callable[[], Awaitable[T]]) -> T:
    """Takes a turn and makes the call; `kind` (`read`, `list`) is for the metrics.

    Raises GateClosed without calling, or the call's own PlatformFailure once the gate knows of it.
    """
    if not await e.gate.acquire():
        raise NotAdmitted
    try:
        result = await call()
    except PlatformFailure as failure:
        e.metrics.call_finished(e.policy.shop, kind, failure.kind)
        await tell_gate(e.store, e.gate, e.clock, e.policy.shop, failure)
        raise
    except BaseException:
        e.gate.abandoned()
        raise
    e.gate.succeeded()
    e.metrics.call_finished(e.policy.shop, kind, "done")
    return result
