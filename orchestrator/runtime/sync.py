"""The sync of a shop: walks through the pages of its changed orders and adopts them.

The position of a sync comes from the platform's own change times, is kept only when the sync is complete, and reaches
back far enough that nothing between two syncs is missed.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio
import structlog

from orchestrator.platforms.failures import AccessDenied, Crashed, Inconsistent, PlatformFailure
from orchestrator.platforms.fields import crash_text
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
    """The sync of one shop. `on_adopted` is called after each batch that may have made orders due."""

    def __init__(self, services: ShopServices, on_adopted: Callable[[], None], rereads: Rereads) -> None:
        self._services, self._shop, self._rereads = services, services.policy.shop, rereads
        self._adoption = ListAdoption(services, on_adopted)
        self._rows = RowReads(services, self._adoption)
        self._walk = ListWalk(services, self._adoption, self._rows)
        self._tally = Tally()  # of the last sync
        self._one_at_a_time = anyio.Lock()
        self._is_quiet = False  # the last sync succeeded: another one without changes needs no event
        self._last_error: str | None = None
        self._has_caught_up = False  # older orders were listed since import_since was changed

    @property
    def made_progress(self) -> bool:
        """Whether the last sync processed orders, however it ended."""
        return self._tally.made_progress

    async def run_once(self, *, is_asked_for: bool = False, rereads_all: bool = False) -> SyncReport:
        """One whole sync. `is_asked_for`: somebody waits for its event even when it finds nothing. `rereads_all`:
        orders that are set aside are read again whether they are due or not.

        Raises NotAdmitted, PlatformFailure (after it was recorded), StaleLease, StoreUnavailable.
        """
        async with self._one_at_a_time:
            started, self._tally = self._services.clock.monotonic(), Tally()
            try:
                report = await self._run_or_crash(is_asked_for=is_asked_for, rereads_all=rereads_all)
            except PlatformFailure as failure:
                self._walk.broke_off()
                self._measure(failure.kind, started)
                await self._record_failure(failure)
                raise
            self._measure("done", started)
            return report

    async def _run_or_crash(self, *, is_asked_for: bool, rereads_all: bool) -> SyncReport:
        """As `_run`, with Crashed in place of an unexpected exception: it is reported as any other failure is."""
        try:
            return await self._run(is_asked_for=is_asked_for, rereads_all=rereads_all)
        except (PlatformFailure, NotAdmitted, StoreError):
            raise
        except Exception as error:
            log.exception("sync.crashed", shop=self._shop)
            raise Crashed(f"the sync raised {crash_text(error)}") from error

    async def _run(self, *, is_asked_for: bool, rereads_all: bool) -> SyncReport:
        services, tally = self._services, self._tally
        shop = await services.store.read(lambda tx: get_shop(tx, self._shop))
        began_at = services.clock.now_ms()
        self._rows.begin()
        position, broken = await self._walk_lists(shop, tally)
        if services.client.rereads_open:
            await self._rows.read_open(began_at, tally)
        await self._rows.read_missed(tally)
        self._rows.turn_page()
        for result in await self._rereads.read_due(everything=rereads_all):
            tally.count(result)
        self._walk.begin_anew()
        if broken is not None:
            tally.made_progress = False  # the next sync would be shown the same list: it waits longer each time
            raise broken
        self._rows.complete()
        report = tally.report()
        await self._complete(position, report, is_asked_for=is_asked_for)
        return report

    async def _walk_lists(self, shop: Shop | None, tally: Tally) -> tuple[Json, Inconsistent | None]:
        """Walks through the list of changed orders, and before that through the whole list where the config wants older
        orders now. Returns the position for the next sync, and the failure of an inconsistent list: the other list and
        the reads of known orders may still show what changed."""
        position = shop.sync_position if shop is not None else None
        broken: Inconsistent | None = None
        if shop is not None and not self._has_caught_up and _wants_older(shop, self._services.policy.import_since):
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
        """Keeps the position. Syncs that found something, were asked for, or end a failure get an event."""
        services = self._services
        found = report.imported + report.updated + report.drifted + report.rejected
        is_notable = bool(found) or is_asked_for or not self._is_quiet

        def unit(tx: Transaction) -> None:
            now = services.clock.now_ms()
            save_sync(tx, self._shop, position, now, services.policy.import_since)
            if is_notable:
                data = {
                    "seen": report.seen,
                    "imported": report.imported,
                    "updated": report.updated,
                    "drifted": report.drifted,
                    "rejected": report.rejected,
                    "skipped": report.skipped,
                }
                append_event(tx, now, "sync.completed", shop=self._shop, data=data)

        await services.store.write(unit)
        self._is_quiet, self._last_error = True, None

    async def _record_failure(self, failure: PlatformFailure) -> None:
        """One event when a failure begins or changes, not one a sync. An inconsistent list concerns no single order:
        nothing is set aside for it."""
        is_notable = failure.kind != self._last_error and not isinstance(failure, AccessDenied)

        def unit(tx: Transaction) -> None:
            save_sync_error(tx, self._shop, failure.detail)
            if is_notable:
                data = {"kind": failure.kind, "detail": failure.detail}
                append_event(tx, self._services.clock.now_ms(), "sync.failed", shop=self._shop, data=data)

        await self._services.store.write(unit)
        self._is_quiet, self._last_error = False, failure.kind

    def _measure(self, outcome: str, started: float) -> None:
        self._services.metrics.sync_finished(self._shop, outcome, self._services.clock.monotonic() - started)


def _wants_older(shop: Shop, import_since: int | None) -> bool:
    """Whether the last complete sync left orders out that the config wants now: those are only found from the beginning
    of the list."""
    if shop.last_sync_at is None or import_since == shop.synced_since:
        return False
    return import_since is None or shop.synced_since is None or import_since < shop.synced_since
