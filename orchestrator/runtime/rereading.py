"""Reads orders again that were set aside: at each sync those that are due, all of them when somebody asked for the
sync, and between syncs whenever one falls due, for syncs may be an hour apart where webhooks come in.

A read that fails here fails no sync: the platform answered the list, and the order has its own pause.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import structlog

from orchestrator.decisions.adoption import Adopted
from orchestrator.decisions.rejected import LONGEST_PAUSE_MS, postponed, set_aside
from orchestrator.platforms.failures import AccessDenied, NotFound, PlatformFailure, Transient, Unreadable
from orchestrator.runtime.calls import NotAdmitted
from orchestrator.runtime.driver import ShopServices
from storage.records import Order
from storage.rejected import Aside, due_rejected, next_reread_at, postpone_rejected
from storage.transaction import Transaction
from storage.webhooks import reopen_webhook

log = structlog.get_logger()

Follow = Callable[[str], Awaitable[tuple[Order, Adopted] | None]]
"""Reads an order and adopts it, as `OrderReads.follow` does."""

_MOST = 50  # in one go: the rest waits for the next, and a sync is not held up for long
_AT_LEAST = 5  # read even when steps want the rate
_FAILURES_IN_A_ROW = 3  # then the platform is the cause: the rest waits
_SHORTEST_REST_SECONDS, _LONGEST_REST_SECONDS = 1.0, 60.0


class Rereads:
    """Rereads the orders of one shop that are set aside. `run` lasts until it is cancelled."""

    def __init__(self, services: ShopServices, follow: Follow) -> None:
        self._services, self._follow = services, follow
        self._one_at_a_time = anyio.Lock()

    async def run(self) -> None:
        """Reads what falls due. Raises StaleLease, StoreUnavailable."""
        while True:
            await anyio.sleep(await self._rest_seconds())
            if self._services.admission.admits_calls:
                await self.read_due()

    async def read_due(self, *, everything: bool = False) -> list[Adopted]:
        """Reads the orders that are due, or all, at most `_MOST`; returns what the orders that could be read were
        adopted as. Raises StaleLease, StoreUnavailable."""
        services, found, in_a_row = self._services, list[Adopted](), 0
        async with self._one_at_a_time:
            for index, aside in enumerate(await self._due(everything=everything)):
                if index >= _AT_LEAST and services.admission.is_contended:
                    break  # steps want the rate
                try:
                    adopted = await self._read(aside)
                except (NotAdmitted, AccessDenied):
                    break
                except PlatformFailure as failure:
                    is_refused = isinstance(failure, Transient) and failure.is_refused_read
                    in_a_row = (
                        0 if is_refused else in_a_row + 1
                    )  # a platform that refuses one order is up for the others
                    await self._put_off(aside, failure)
                    is_throttled = isinstance(failure, Transient) and failure.retry_after_seconds is not None
                    if is_throttled or in_a_row >= _FAILURES_IN_A_ROW:
                        break
                else:
                    in_a_row = 0
                    found += [] if adopted is None else [adopted]
        return found

    async def _due(self, *, everything: bool) -> list[Aside]:
        now = self._services.clock.now_ms()
        due_at = None if everything else now
        shop, ahead_at = self._services.policy.shop, now + LONGEST_PAUSE_MS
        return await self._services.store.read(lambda tx: due_rejected(tx, shop, due_at, ahead_at, _MOST))

    async def _read(self, aside: Aside) -> Adopted | None:
        """Tries once more; None where no order was adopted. Raises NotAdmitted and PlatformFailure."""
        if aside.order is None:
            await self._reopen(aside)
            return None
        try:
            result = await self._follow(aside.order)
        except NotFound:
            return None
        except Unreadable as failure:
            await self._keep(aside.order, failure)
            return None
        return None if result is None else result[1]

    async def _keep(self, order: str, failure: Unreadable) -> None:
        services = self._services

        def unit(tx: Transaction) -> None:
            set_aside(tx, services.policy.shop, "read", order, failure.detail, failure.payload, services.clock.now_ms())

        await services.store.write(unit)

    async def _reopen(self, aside: Aside) -> None:
        """Processes the webhook again: what was unreadable in its bytes may be readable now."""

        def unit(tx: Transaction) -> None:
            now = self._services.clock.now_ms()
            if aside.webhook is not None:
                reopen_webhook(tx, aside.webhook, now)
            postpone_rejected(tx, postponed(aside, now))

        await self._services.store.write(unit)

    async def _put_off(self, aside: Aside, failure: PlatformFailure) -> None:
        log.info("reread.failed", shop=self._services.policy.shop, order=aside.order, detail=failure.detail)
        later = postponed(aside, self._services.clock.now_ms())
        await self._services.store.write(lambda tx: postpone_rejected(tx, later))

    async def _rest_seconds(self) -> float:
        next_at = await self._services.store.read(partial(next_reread_at, shop=self._services.policy.shop))
        if next_at is None:
            return _LONGEST_REST_SECONDS
        seconds = (next_at - self._services.clock.now_ms()) / 1000
        return min(max(seconds, _SHORTEST_REST_SECONDS), _LONGEST_REST_SECONDS)
