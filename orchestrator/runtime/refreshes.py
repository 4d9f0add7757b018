"""Reads orders again soon after our last step at them, so that the ERP is given what the platform shows after it.

The answer to a step seldom shows the order, so what is kept of it is of before. The next sync would show it, a minute
later or, where webhooks come in, an hour. Such a read must not hold a step up: it is made while the dispatcher has a
slot to spare and the admission a permit, one order at a time, and an order at which another step ends meanwhile is read
once, after that one. What a sync or a webhook showed before its turn came is not read again.

Which orders wait is in memory alone: after a restart the first sync shows them, as it does what could not be read here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anyio
import structlog

from orchestrator.decisions.adoption import Adopted
from orchestrator.platforms.failures import PlatformFailure
from orchestrator.runtime.calls import NotAdmitted
from orchestrator.runtime.driver import ShopServices
from orchestrator.runtime.rereading import Follow
from orchestrator.runtime.wakeups import Wakeup
from storage.due_orders import is_outdated

log = structlog.get_logger()

_MOST = 10_000  # orders that wait; beyond that the oldest is left to the next sync
_ATTEMPTS = 3  # at one order; then the next sync shows it
_NAP_SECONDS = 0.25  # until it is asked again whether there is room, where steps or the rate leave none


@dataclass(frozen=True, slots=True)
class Room:
    """Whether a call that can wait may go out.

    `is_there`: it may now. `seconds_until_asked`: how long it certainly may not, unless `changed` is rung; inf where
    nothing else ends that. A shop that is paused for a week must not be asked four times a second.
    """

    is_there: Callable[[], bool]
    seconds_until_asked: Callable[[], float]
    changed: Wakeup

    async def wait(self) -> None:
        """Returns when it is worth asking again."""
        with anyio.move_on_after(max(_NAP_SECONDS, self.seconds_until_asked())):
            await self.changed.wait()


class Refreshes:
    """Of the orders of one shop. `run` lasts until it is cancelled.

    `seconds`: from the last step at an order to its read; None: nothing is read here.
    """

    def __init__(self, services: ShopServices, follow: Follow, seconds: float | None, room: Room) -> None:
        self._services, self._follow, self._seconds, self._room = services, follow, seconds, room
        self._due_at: dict[str, float] = {}  # by order, the earliest first: all wait equally long
        self._failures: dict[str, int] = {}
        self._noted = Wakeup()

    def note(self, order: str) -> None:
        """The order was driven and rests."""
        if self._seconds is None:
            return
        self._due_at.pop(order, None)
        self._due_at[order] = self._services.clock.monotonic() + self._seconds
        if len(self._due_at) > _MOST:
            self._forget(next(iter(self._due_at)))
        self._noted.ring()

    async def run(self) -> None:
        """Reads what is due. Raises StaleLease, StoreUnavailable."""
        while True:
            order = next(iter(self._due_at), None)
            if order is None:
                await self._noted.wait()
                continue
            seconds = self._due_at[order] - self._services.clock.monotonic()
            if seconds > 0:
                await anyio.sleep(seconds)
            elif not self._room.is_there():
                await self._room.wait()
            else:
                await self._refresh(order)

    async def _refresh(self, order: str) -> None:
        del self._due_at[order]
        services, shop = self._services, self._services.policy.shop
        if not await services.store.read(lambda tx: is_outdated(tx, shop, order)):
            self._forget(order)
            return
        try:
            result = await self._follow(order)
        except NotAdmitted:
            self.note(order)
        except PlatformFailure as failure:
            self._failed(order, failure.detail)
        else:
            if result is not None and result[1] is Adopted.STALE:
                self._failed(order, "a step ended during the read, or our clock was set back")
            else:
                self._failures.pop(order, None)

    def _failed(self, order: str, detail: str) -> None:
        log.info("refresh.failed", shop=self._services.policy.shop, order=order, detail=detail)
        failures = self._failures.get(order, 0) + 1
        if failures >= _ATTEMPTS:
            self._forget(order)
            return
        self._failures[order] = failures
        if order not in self._due_at:  # else a step ended meanwhile, and its read is due later
            self.note(order)

    def _forget(self, order: str) -> None:
        self._due_at.pop(order, None)
        self._failures.pop(order, None)
