"""Calls other than steps (reads, lists): one permit of the shop's admission each, which learns of their failures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from orchestrator.platforms.failures import NotSent, PlatformFailure
from orchestrator.runtime.access import report_failure
from orchestrator.runtime.driver import ShopServices

T = TypeVar("T")


class NotAdmitted(Exception):
    """No call is admitted now: the shop is paused, waits for its platform, or is draining."""


async def ask(services: ShopServices, kind: str, call: Callable[[], Awaitable[T]]) -> T:
    """Acquires a permit and makes the call; `kind` (`read`, `list`) is for the metrics.

    Raises NotAdmitted where nothing was sent, or the call's own PlatformFailure once it is reported to the admission.
    """
    if not await services.admission.acquire():
        raise NotAdmitted
    try:
        result = await call()
    except NotSent as failure:
        services.metrics.call_finished(services.policy.shop, kind, failure.kind)
        services.admission.not_sent()
        raise NotAdmitted from failure
    except PlatformFailure as failure:
        services.metrics.call_finished(services.policy.shop, kind, failure.kind)
        await report_failure(services.store, services.admission, services.clock, services.policy.shop, failure)
        raise
    except BaseException:
        services.admission.abandoned()
        raise
    services.admission.succeeded()
    services.metrics.call_finished(services.policy.shop, kind, "done")
    return result
