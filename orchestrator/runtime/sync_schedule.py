"""When a shop is swept: at start, every interval, and whenever somebody asks; one sweep at a time. One that came to
nothing is made again sooner, for the interval may be long where webhooks come in.

Who asks while a sweep runs gets the next one: the one that runs may have passed what they want to see.
"""

from __future__ import annotations

import math

import anyio
import structlog

from orchestrator.backoff import Growing, spread
from orchestrator.clock import Chance, Clock
from orchestrator.platforms.failures import Crashed, PlatformFailure
from orchestrator.platforms.fields import stumble
from orchestrator.runtime.calls import NotAdmitted
from orchestrator.runtime.reports import SyncReport
from orchestrator.runtime.sync import ShopSync
from storage.errors import StaleLease, StoreError

log = structlog.get_logger()

_FIRST_REST_SECONDS = 2.0  # after a sweep that failed; then twice as long each time that none gets on
_LONGEST_REST_SECONDS = 600.0  # where nothing but a hint leads to sweeps: what it told of must not be missed


class SyncSchedule:
    """The sweeps of one shop. `run` lasts until it is cancelled; `next_at`: when the next one begins, Unix
    milliseconds; None while one runs, and where none will."""

    def __init__(self, shop: str, sync: ShopSync, clock: Clock, chance: Chance) -> None:
        self._shop, self._sync, self._clock, self._chance = shop, sync, clock, chance
        self._now = anyio.Event()
        self._asked: list[_Asked] = []
        self._served: list[_Asked] = []
        self.next_at: int | None = None
        self._failures = 0  # sweeps in a row that failed; one that got on a while is the first of a new row

    async def ask(self) -> SyncReport:
        """Sweeps as soon as possible and answers what was found. Raises PlatformFailure, GateClosed, StoreError."""
        asked = self._add(is_waited_for=True)
        await asked.done.wait()
        if asked.error is not None:
            raise asked.error
        assert asked.report is not None
        return asked.report

    def ask_soon(self) -> None:
        """Sweeps as soon as possible; nobody waits for it."""
        self._add(is_waited_for=False)

    async def run(self, interval_seconds: float | None) -> None:
        """Sweeps at once, then every interval and whenever asked; None: only when asked. Raises StaleLease."""
        if interval_seconds is None:
            await self._now.wait()
        while True:
            self._now = anyio.Event()
            self._served, self._asked = self._asked, []
            self.next_at = None
            report, error = await self._sweep(
                is_asked_for=bool(self._served),
                rereads_all=any(asked.is_waited_for for asked in self._served),  # a flood of hints is no such wish
            )
            for asked in self._served:
                asked.report, asked.error = report, error
                asked.done.set()
            self._failures = 0 if error is None else 1 if self._sync.got_on else self._failures + 1
            if not self._asked:
                wait_seconds = self._wait_seconds(interval_seconds)
                if wait_seconds < math.inf:
                    self.next_at = self._clock.now_ms() + int(wait_seconds * 1000)
                with anyio.move_on_after(wait_seconds):
                    await self._now.wait()

    def close(self) -> None:
        """Nobody sweeps any more: whoever waits is told so."""
        for asked in (*self._asked, *self._served):
            asked.error = asked.error or NotAdmitted()
            asked.done.set()

    def _wait_seconds(self, interval_seconds: float | None) -> float:
        """Shops whose sweeps began in step, at the start of the daemon or when their platform was back, part."""
        if self._failures:
            longest = _LONGEST_REST_SECONDS if interval_seconds is None else interval_seconds
            wait = Growing(_FIRST_REST_SECONDS, longest).after(self._failures)
        elif interval_seconds is None:
            return math.inf
        else:
            wait = interval_seconds
        return spread(wait, self._chance.jitter())

    def _add(self, *, is_waited_for: bool) -> _Asked:
        asked = _Asked(is_waited_for=is_waited_for)
        self._asked.append(asked)
        self._now.set()
        return asked

    async def _sweep(self, *, is_asked_for: bool, rereads_all: bool) -> tuple[SyncReport | None, Exception | None]:
        try:
            return await self._sync.sweep(is_asked_for=is_asked_for, rereads_all=rereads_all), None
        except NotAdmitted as closed:
            return None, closed
        except PlatformFailure as failure:
            log.warning("sync.failed", shop=self._shop, kind=failure.kind, detail=failure.detail)
            return None, failure
        except StaleLease:
            raise
        except StoreError as error:
            log.error("sync.failed", shop=self._shop, kind="storage", detail=str(error))
            return None, error
        except Exception as error:  # supervised: what breaks even the poller's own record must not stop the steps
            log.exception("sync.crashed", shop=self._shop)
            return None, Crashed(f"the sync raised {stumble(error)}")


class _Asked:
    """Somebody who asked for a sweep and waits for its report."""

    __slots__ = ("done", "error", "is_waited_for", "report")

    def __init__(self, *, is_waited_for: bool) -> None:
        self.is_waited_for = is_waited_for
        self.done = anyio.Event()
        self.report: SyncReport | None = None
        self.error: Exception | None = None
