"""The shop worker: all work of one shop, on the one node that holds its lease.

Its tasks run side by side and know each other by wake-ups alone: the dispatcher drives orders that are due, the sync
runs by its schedule, orders that were set aside are read again, as are those that a step of ours changed, the state of
the admission is kept in the shop's row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import structlog
from anyio.abc import TaskStatus

from orchestrator.decisions.draft import Context
from orchestrator.decisions.recovery import recover
from orchestrator.platforms.client import PlatformClient, RemembersRefusal
from orchestrator.runtime.access_watch import append_resumed, save_fingerprint, watch_access
from orchestrator.runtime.admission import Admission
from orchestrator.runtime.admission_row import AdmissionRow
from orchestrator.runtime.calls import ask
from orchestrator.runtime.dispatcher import Dispatcher
from orchestrator.runtime.driver import ShopServices
from orchestrator.runtime.order_reads import OrderReads
from orchestrator.runtime.refreshes import Refreshes, Room
from orchestrator.runtime.rereading import Rereads
from orchestrator.runtime.shop_store import ShopStore
from orchestrator.runtime.sync import ShopSync
from orchestrator.runtime.sync_schedule import SyncSchedule
from orchestrator.runtime.wakeups import Wakeups
from storage.records import Shop
from storage.rejected import hasten_rejected
from storage.shops import follow_shop, get_shop, resume_shop, save_credentials
from storage.transaction import Transaction

log = structlog.get_logger()

T = TypeVar("T")


class ShopWorker:
    """Works for one shop. `run` lasts until it is cancelled or the lease is lost; everything else may be called from
    other tasks meanwhile.

    `wakeups`: those that the admission of `services` rings. `reads`: of single orders. `sync_schedule`: of its syncs.
    `refresh_seconds`: from a step of ours to the read that shows it; None: there is none.
    """

    def __init__(
        self,
        services: ShopServices,
        wakeups: Wakeups,
        poll_seconds: float | None,
        fingerprint: str,
        *,
        refresh_seconds: float | None = None,
        is_process_start: bool = True,
    ) -> None:
        self.name = services.policy.shop
        self.reads = OrderReads(services, wakeups.due.ring)
        self._services, self._wakeups = services, wakeups
        self._rereads = Rereads(services, self.reads.follow)
        sync = ShopSync(services, wakeups.due.ring, self._rereads)
        self.sync_schedule = SyncSchedule(self.name, sync, services.clock, services.chance)
        room = Room(self._has_room, services.admission.seconds_without_spare, wakeups.spare)
        self._refreshes = Refreshes(services, self.reads.follow, refresh_seconds, room)
        self._dispatcher = Dispatcher(services, wakeups.due, self._refreshes.note)
        self._row = AdmissionRow(services, wakeups.admission)
        self._poll_seconds = poll_seconds
        self._fingerprint = fingerprint
        self._is_process_start = is_process_start

    def __repr__(self) -> str:
        return f"<ShopWorker {self.name}: {self._dispatcher!r}, {self.admission!r}>"

    # -- from outside ----------------------------------------------------------------------------------------------

    @property
    def admission(self) -> Admission:
        """The shop's admission, to be read."""
        return self._services.admission

    @property
    def epoch(self) -> int:
        """Of the lease under which it works."""
        return self._services.epoch

    @property
    def client(self) -> PlatformClient:
        """The shop's client; calls on it go through `ask`."""
        return self._services.client

    @property
    def running(self) -> int:
        """Orders that are being driven right now."""
        return self._dispatcher.running

    def context(self) -> Context:
        """The input of a decision about one of the shop's orders, now and without a permit for a call."""
        return self._services.context()

    @property
    def store(self) -> ShopStore:
        """The store: what is written to it is fenced by the shop's lease."""
        return self._services.store

    def fence(self, tx: Transaction) -> None:
        """Raises StaleLease when another node works for the shop by now."""
        self._services.store.fence(tx)

    async def ask(self, kind: str, call: Callable[[], Awaitable[T]]) -> T:
        """As `calls.ask`. Raises NotAdmitted, PlatformFailure."""
        return await ask(self._services, kind, call)

    def wake(self) -> None:
        """Something may be due."""
        self._wakeups.due.ring()

    def refresh_soon(self, order: str) -> None:
        """A step at an order ended without being driven: a person made it."""
        self._refreshes.note(order)

    def pause(self) -> None:
        """A person paused the shop."""
        self.admission.set_paused(True)

    def resume(self) -> None:
        """A person resumed the shop: what the platform asked for, the circuit and a refused login are forgotten."""
        if isinstance(self.client, RemembersRefusal):
            self.client.forget_refusal()
        self.admission.set_paused(False)
        self.admission.reset()
        self.wake()

    async def took_credentials(self, fingerprint: str) -> None:
        """The client uses these credentials from now on. Raises StaleLease, StoreUnavailable."""
        await save_fingerprint(self._services, fingerprint)

    def drain(self) -> None:
        """No new step starts; running calls finish and are recorded."""
        self.admission.drain()

    async def rested(self) -> None:
        """Returns once no order is being driven."""
        await self._dispatcher.rested()

    async def aclose(self) -> None:
        """Closes the client, and saves the counts of its meter."""
        await self.client.aclose()
        self.admission.meter.close()

    # -- life ------------------------------------------------------------------------------------------------------

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Recovers, then works until cancelled. Raises StaleLease, StoreUnavailable."""
        await self._start()
        task_status.started()
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._row.run)
                group.start_soon(watch_access, self._services, self.resume)
                group.start_soon(self.sync_schedule.run, self._poll_seconds)
                group.start_soon(self._rereads.run)
                group.start_soon(self._refreshes.run)
                group.start_soon(self._dispatcher.run)
        finally:
            self.sync_schedule.close()

    def _has_room(self) -> bool:
        """Whether a call that can wait holds no step up."""
        return self._dispatcher.has_room and self.admission.has_spare

    async def _start(self) -> None:
        """Takes up the state of the last run: pause, admission, calls that were out."""
        count, shop = await self._services.store.write(self._take_up)
        await self._row.take_over(shop)
        if count:
            log.info("shop.recovered", shop=self.name, orders=count)

    def _take_up(self, tx: Transaction) -> tuple[int, Shop]:
        ctx = self._services.context()
        follow_shop(tx, self.name, ctx.now)
        shop = self._row_of(tx)
        if shop.credentials != self._fingerprint:
            if shop.paused_by == "access_denied" and resume_shop(tx, self.name):
                append_resumed(tx, ctx.now, self.name)
            save_credentials(tx, self.name, self._fingerprint)
        hasten_rejected(tx, self.name)
        count = recover(tx, ctx, is_process_start=self._is_process_start)
        return count, self._row_of(tx)

    def _row_of(self, tx: Transaction) -> Shop:
        shop = get_shop(tx, self.name)
        assert shop is not None
        return shop
