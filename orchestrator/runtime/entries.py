"""A configured shop on this node: whether somebody works for it, how it is shown, how its worker comes to rest."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import structlog

from orchestrator.config import ShopConfig
from orchestrator.runtime.reports import RateLimitFacts, ShopFacts
from orchestrator.runtime.rules import Rules
from orchestrator.runtime.worker import ShopWorker
from storage.errors import StaleLease, StoreError

log = structlog.get_logger()


class ShopEntry:
    """One configured shop on this node. `is_leaving`: this node gives it up once it has stopped."""

    __slots__ = ("config", "ended", "is_leaving", "is_stopping", "rules", "scope", "started", "worker")

    def __init__(self, config: ShopConfig, rules: Rules) -> None:
        self.config = config
        self.rules = rules
        self.worker: ShopWorker | None = None
        self.scope = anyio.CancelScope()
        self.started = anyio.Event()  # the first start succeeded or failed
        self.ended = anyio.Event()
        self.is_stopping = self.is_leaving = False


async def rest(worker: ShopWorker, seconds: float) -> None:
    """Admits no new call, and returns once those that are out have finished, at most after so long."""
    worker.drain()
    with anyio.move_on_after(seconds):
        await worker.rested()


def facts_of(name: str, entry: ShopEntry, node: str) -> ShopFacts:
    """A shop as the outside may see it; `node`: this one's name."""
    limits, worker = entry.config.limits, entry.worker
    return ShopFacts(
        name=name,
        platform=entry.config.platform,
        chaining=entry.config.chaining,
        machine=entry.rules.machine,
        is_leased=worker is not None,
        running=worker.running if worker is not None else 0,
        next_sync_at=worker.sync_schedule.next_at if worker is not None else None,
        rate_limit=RateLimitFacts(limits)
        if worker is None
        else RateLimitFacts(limits, worker.admission.available, worker.admission.meter.reported),
        import_since=entry.config.import_since,
        identity=entry.config.identity(),
        holder=None if worker is None else node,
    )


def is_lease_lost(causes: Sequence[StoreError] | None) -> bool:
    """Whether a worker ended because another node has its shop by now, or may have it."""
    return causes is not None and isinstance(causes[0], StaleLease)


def log_fault(shop: str, error: Exception, causes: Sequence[StoreError] | None) -> None:
    """Logs errors of the store (`causes`) in one line; any other exception is a bug and is logged with its
    traceback. A person has to do something about each, but not about a lease that was lost."""
    if causes is not None and is_lease_lost(causes):
        log.warning("shop.lease_lost", shop=shop, detail=str(causes[0]))
    elif causes is not None:
        log.error("shop.stopped", shop=shop, detail=str(causes[0]))
    else:
        log.error("shop.crashed", shop=shop, exc_info=error)
