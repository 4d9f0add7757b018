"""The poller: sweeps a shop for orders that changed, page by page, and adopts what it finds.

The position of a sweep comes from the platform's own change times, is kept only when the sweep is complete, and looks
back far enough that nothing between two sweeps is missed.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio
import structlog

from orchestrator.platforms.failures import AccessDenied, Crashed, Inconsistent, PlatformFailure
from orchestrator.platforms.fields import stumble
from orchestrator.runtime.calls import NotAdmitted
from orchestrator.runtime.driver import ShopServices
from orchestrator.runtime.list_adoption import ListAdoption, Tally
from orchestrator.runtime.list_walk import ListWalk
from orchestrator.runtime.reports import SyncReport
from orchestrator.runtime.rereading import Rereads
from orchestrator.runtime.row_reads import RowReads
from statemachines.target import Json
from storage.errors import StoreError
from storage.events import append_event
from storage.records import Shop
from storage.shops import get_shop, save_sync, save_sync_error
from storage.transaction import Transaction

log = structlog.get_logger()


class ShopSync:
    """Sweeps one shop. `on_adopted` is called after each batch that may have made orders due."""

    def __init__(self, services: ShopServices, on_adopted: Callable[[], None], rereads: Rereads) -> None:
        self._e, self._shop, self._rereads = services, services.policy.shop, rereads
        self._adoption = ListAdoption(services, on_adopted)
        self._rows = RowReads(services, self._adoption)
        self._walk = ListWalk(services, self._adoption, self._rows)
        self._tally = Tally()  # of the last sweep
        self._one_at_a_time = anyio.Lock()
        self._is_quiet = False  # the last sweep went well and found nothing: no need to say so again
        self._last_error: str | None = None
        self._has_caught_up = False  # older orders were looked for since import_since was changed

    @property
    def got_on(self) -> bool:
        """Whether the last sweep looked at orders, however it ended."""
        return self._tally.got_on

    async def sweep(self, *, is_asked_for: bool = False, rereads_all: bool = False) -> SyncReport:
        """One whole sweep. `is_asked_for`: somebody wants to hear of it even when it finds nothing. `rereads_all`: what
        is set aside is read again whether it is due or not.

        Raises GateClosed, PlatformFailure (after it was recorded), StaleLease, StoreUnavailable.
        """
        async with self._one_at_a_time:
            started, self._tally = self._e.clock.monotonic(), Tally()
            try:
                report = await self._sweep_or_crash(is_asked_for=is_asked_for, rereads_all=rereads_all)
            except PlatformFailure as failure:
                self._walk.broke_off()
                self._measure(failure.kind, started)
                await self._record_failure(failure)
                raise
            self._measure("done", started)
            return report

    async def _sweep_or_crash(self, *, is_asked_for: bool, rereads_all: bool) -> SyncReport:
        """As `_sweep`, Crashed in place of what nobody foresaw: people are told of it as of any other failure."""
        try:
            return await self._sweep(is_asked_for=is_asked_for, rereads_all=rereads_all)
        except (PlatformFailure, NotAdmitted, StoreError):
            raise
        except Exception as error:
            log.exception("sync.crashed", shop=self._shop)
            raise Crashed(f"the sync raised {stumble(error)}") from error

    async def _sweep(self, *, is_asked_for: bool, rereads_all: bool) -> SyncReport:
        e, tally = self._e, self._tally
        shop = await e.store.read(lambda tx: get_shop(tx, self._shop))
        began_at = e.clock.now_ms()
        self._rows.begin()
        position, broken = await self._walk_lists(shop, tally)
        if e.client.rereads_open:
            await self._rows.read_open(began_at, tally)
        await self._rows.read_missed(tally)
        self._rows.turn_page()
        for result in await self._rereads.look(everything=rereads_all):
            tally.count(result)
        self._walk.begin_anew()
        if broken is not None:
            tally.got_on = False  # what the next sweep would be shown is the same: it waits longer each time
            raise broken
        self._rows.complete()
        report = tally.report()
        await self._complete(position, report, is_asked_for=is_asked_for)
        return report

    async def _walk_lists(self, shop: Shop | None, tally: Tally) -> tuple[Json, Inconsistent | None]:
        """Walks through the list of what changed, and before that through the whole list where older orders are wanted
        now. Answers the position for the next sweep, and what is wrong with a list that is no use: then what changed
        may be in the other one, and reads of known orders tell the more."""
        position = shop.sync_position if shop is not None else None
        broken: Inconsistent | None = None
        if shop is not None and not self._has_caught_up and _wants_older(shop, self._e.policy.import_since):
            try:
                await self._walk.walk(None, tally, only_new=True)
            except Inconsistent as failure:
                broken = failure
            else:
                self._has_caught_up = True
                self._walk.begin_anew()
        try:
            position = (await self._walk.walk(position, tally)).position
        except Inconsistent as failure:
            broken = failure
        return position, broken

    async def _complete(self, position: Json, report: SyncReport, *, is_asked_for: bool) -> None:
        """Keeps the position. The feed hears of sweeps that found something, were asked for, or end a trouble."""
        e = self._e
        found = report.imported + report.updated + report.drifted + report.rejected
        is_news = bool(found) or is_asked_for or not self._is_quiet

        def unit(tx: Transaction) -> None:
            now = e.clock.now_ms()
            e.fence(tx)
            save_sync(tx, self._shop, position, now, e.policy.import_since)
            if is_news:
                data = {
                    "seen": report.seen,
                    "imported": report.imported,
                    "updated": report.updated,
                    "drifted": report.drifted,
                    "rejected": report.rejected,
                    "skipped": report.skipped,
                }
                append_event(tx, now, "sync.completed", shop=self._shop, data=data)

        await e.store.write(unit)
        self._is_quiet, self._last_error = True, None

    async def _record_failure(self, failure: PlatformFailure) -> None:
        """One event when trouble begins or changes, not one a poll. A list that makes no sense is no order: nothing is
        set aside for it."""
        is_news = failure.kind != self._last_error and not isinstance(failure, AccessDenied)

        def unit(tx: Transaction) -> None:
            save_sync_error(tx, self._shop, failure.detail)
            if is_news:
                data = {"kind": failure.kind, "detail": failure.detail}
                append_event(tx, self._e.clock.now_ms(), "sync.failed", shop=self._shop, data=data)

        await self._e.store.write(unit)
        self._is_quiet, self._last_error = False, failure.kind

    def _measure(self, outcome: str, started: float) -> None:
        self._e.metrics.sync_finished(self._shop, outcome, self._e.clock.monotonic() - started)


def _wants_older(shop: Shop, import_since: int | None) -> bool:
    """Whether the last complete sweep left orders out that the config has wanted since: those are only found from the
    beginning of the list."""
    if shop.last_sync_at is None or import_since == shop.swept_since:
        return False
    return import_since is None or shop.swept_since is None or import_since < shop.swept_since
