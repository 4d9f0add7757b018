"""When a shop is synced: at start, every interval, and whenever somebody asks; one sync at a time. A failed sync is
repeated sooner, for the interval may be long where webhooks come in.

A request during a sync gets the next sync: the running one may have passed the order in question already.
"""

from __future__ import annotations

import math

import anyio
import structlog

from orchestrator.backoff import Growing, spread
from orchestrator.clock import Chance, Clock
from orchestrator.platforms.failures import Crashed, PlatformFailure
from orchestrator.platforms.fields import crash_text
from orchestrator.runtime.calls import NotAdmitted
from orchestrator.runtime.reports import SyncReport
from orchestrator.runtime.sync import ShopSync
from storage.errors import StaleLease, StoreError

log = structlog.get_logger()

_FIRST_REST_SECONDS = 2.0  # after a failed sync; then twice as long each time that none makes progress
_LONGEST_REST_SECONDS = 600.0  # where only hints lead to syncs: the change behind a hint must not be missed


class SyncSchedule:
    """The syncs of one shop. `run` lasts until it is cancelled; `next_at`: when the next sync begins, Unix
    milliseconds; None while one runs, and where none will."""

    def __init__(self, shop: str, sync: ShopSync, clock: Clock, chance: Chance) -> None:
        self._shop, self._sync, self._clock, self._chance = shop, sync, clock, chance
        self._now = anyio.Event()
        self._requests: list[_SyncRequest] = []
        self._running: list[_SyncRequest] = []
        self.next_at: int | None = None
        self._failures = 0  # consecutive failed syncs; one that made progress before failing counts as the first

    async def ask(self) -> SyncReport:
        """Syncs as soon as possible and returns what was found. Raises PlatformFailure, NotAdmitted, StoreError."""
        request = self._add(is_waited_for=True)
        await request.done.wait()
        if request.error is not None:
            raise request.error
        assert request.report is not None
        return request.report

    def ask_soon(self) -> None:
        """Syncs as soon as possible; nobody waits for the report."""
        self._add(is_waited_for=False)

    async def run(self, interval_seconds: float | None) -> None:
        """Syncs at once, then every interval and whenever asked; None: only when request. Raises StaleLease."""
        if interval_seconds is None:
            await self._now.wait()
        while True:
            self._now = anyio.Event()
            self._running, self._requests = self._requests, []
            self.next_at = None
            report, error = await self._run_once(
                is_asked_for=bool(self._running),
                rereads_all=any(
                    request.is_waited_for for request in self._running
                ),  # hints do not ask for that, however many there are
            )
            for request in self._running:
                request.report, request.error = report, error
                request.done.set()
            self._failures = 0 if error is None else 1 if self._sync.made_progress else self._failures + 1
            if not self._requests:
                wait_seconds = self._wait_seconds(interval_seconds)
                if wait_seconds < math.inf:
                    self.next_at = self._clock.now_ms() + int(wait_seconds * 1000)
                with anyio.move_on_after(wait_seconds):
                    await self._now.wait()

    def close(self) -> None:
        """There will be no further sync: those who wait get NotAdmitted."""
        for request in (*self._requests, *self._running):
            request.error = request.error or NotAdmitted()
            request.done.set()

    def _wait_seconds(self, interval_seconds: float | None) -> float:
        """How long to wait, with jitter: syncs of many shops began at once, at start or when their platform was
        back."""
        if self._failures:
            longest = _LONGEST_REST_SECONDS if interval_seconds is None else interval_seconds
            wait = Growing(_FIRST_REST_SECONDS, longest).after(self._failures)
        elif interval_seconds is None:
            return math.inf
        else:
            wait = interval_seconds
        return spread(wait, self._chance.jitter())

    def _add(self, *, is_waited_for: bool) -> _SyncRequest:
        request = _SyncRequest(is_waited_for=is_waited_for)
        self._requests.append(request)
        self._now.set()
        return request

    async def _run_once(self, *, is_asked_for: bool, rereads_all: bool) -> tuple[SyncReport | None, Exception | None]:
        try:
            return await self._sync.run_once(is_asked_for=is_asked_for, rereads_all=rereads_all), None
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
        except Exception as error:  # supervised: a sync that cannot even record its failure must not stop the steps
            log.exception("sync.crashed", shop=self._shop)
            return None, Crashed(f"the sync raised {crash_text(error)}")


class _SyncRequest:
    """A request for a sync. `is_waited_for`: somebody waits for its report."""

    __slots__ = ("done", "error", "is_waited_for", "report")

    def __init__(self, *, is_waited_for: bool) -> None:
        self.is_waited_for = is_waited_for
        self.done = anyio.Event()
        self.report: SyncReport | None = None
        self.error: Exception | None = None
