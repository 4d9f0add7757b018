"""Keeps the slots of one shop busy with orders that are due.

A slot is a task that drives one order after another and ends when nothing is due, so an order at rest costs no task and
no memory. What is due is a question to the store, which answers with rows and queues, so that no slot asks for its
order again; memory holds only a short list of those and the set of orders that are being driven, which keeps each order
strictly in sequence. Nobody but the dispatcher touches either. An order that changed since it was listed costs one more
decision: the driver notices when it writes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial

import anyio
import structlog
from anyio.abc import TaskGroup

from orchestrator.decisions.damage import block_if_damaged
from orchestrator.decisions.draft import Draft
from orchestrator.decisions.due import due_drafts
from orchestrator.decisions.recovery import postpone_crashed
from orchestrator.platforms.fields import crash_text
from orchestrator.runtime.driver import Driver, ShopServices
from orchestrator.runtime.wakeups import Wakeup
from storage.due_orders import next_due_at
from storage.errors import StoreError
from storage.rows import DamagedRow
from storage.transaction import Transaction

log = structlog.get_logger()

_ROUNDS = 2  # so often one fetch fills every slot of a shop that is driven fast
_LONGEST_REST_SECONDS = 30.0  # a wake-up that was missed costs at most this


class Dispatcher:
    """Drives what is due. `run` lasts until it is cancelled; `due` wakes it; `on_driven` is called with each order that
    was driven and rests."""

    def __init__(
        self, services: ShopServices, due: Wakeup, on_driven: Callable[[str], None] = lambda _order: None
    ) -> None:
        self._services, self._due, self._on_driven = services, due, on_driven
        self._shop, self._admission = services.policy.shop, services.admission
        self._driver = Driver(services)
        self._listed: OrderedDict[str, Draft] = OrderedDict()
        self._driven: set[str] = set()
        self._fetching = anyio.Lock()
        self._fetches = 0
        self._slots = 0
        self._slot_ended = anyio.Event()

    def __repr__(self) -> str:
        return f"<Dispatcher of {self._shop}: {self._slots} slots, {self.running} driven, {len(self._listed)} listed>"

    @property
    def running(self) -> int:
        """Orders that are being driven right now."""
        return len(self._driven)

    @property
    def has_room(self) -> bool:
        """Whether no order waits for a slot, as far as is known: not while the store is asked for due ones."""
        return self._slots < self._admission.limits.concurrency and not self._listed and not self._fetching.locked()

    async def rested(self) -> None:
        """Returns once no slot is open."""
        while self._slots:
            self._slot_ended = anyio.Event()
            await self._slot_ended.wait()

    async def run(self) -> None:
        """Dispatches until cancelled. Raises StaleLease, StoreUnavailable."""
        async with anyio.create_task_group() as group:
            while True:
                rest_seconds = await self._dispatch_due(group)
                with anyio.move_on_after(rest_seconds):
                    await self._due.wait()

    async def _dispatch_due(self, group: TaskGroup) -> float:
        """Opens slots for what is due; returns how long nothing else will be, in seconds."""
        wait_seconds: float | None = None
        if self._admission.admits_calls:
            fetched_at = await self._fetch()
            self._open_slots(group)
            if not self._listed and fetched_at is not None:
                wait_seconds = await self._seconds_to_next(fetched_at)
        else:
            self._listed.clear()
            wait_seconds = self._admission.seconds_closed() or None
        return min(wait_seconds or _LONGEST_REST_SECONDS, _LONGEST_REST_SECONDS)

    async def _fetch(self) -> int | None:
        """Lists due orders that are not being driven, where none are listed; returns up to which instant they were due
        (Unix milliseconds), None when the store was not asked."""
        async with self._fetching:
            if self._listed:
                return None
            now = self._services.clock.now_ms()
            due, damaged = await self._due_drafts(now)
            while damaged:  # blocked, so that they are due no more, and those behind them are listed
                await self._services.store.write(partial(self._block_damaged, orders=damaged))
                due, damaged = await self._due_drafts(now)
            self._listed.update((draft.order.id, draft) for draft in due if draft.order.id not in self._driven)
            self._fetches += 1
            return now

    async def _due_drafts(self, now: int) -> tuple[list[Draft], list[str]]:
        limits = self._admission.limits
        rounds = _ROUNDS if limits.rate_per_second > limits.concurrency else 1  # there may be hundreds of slow shops
        limit = rounds * limits.concurrency + len(self._driven)  # the store may answer with those that are driven
        longest_ms = self._services.policy.longest_ms
        return await self._services.store.read(lambda tx: due_drafts(tx, self._shop, now, limit, longest_ms))

    def _block_damaged(self, tx: Transaction, orders: Iterable[str]) -> None:
        for order in orders:
            block_if_damaged(tx, self._shop, order, self._services.clock.now_ms())

    async def _seconds_to_next(self, fetched_at: int) -> float | None:
        """How long until the next order falls due, counted from the last fetch: orders that fell due since are due
        now, and a question from the present on would overlook them."""
        due_at = await self._services.store.read(lambda tx: next_due_at(tx, self._shop, fetched_at))
        return None if due_at is None else max(0.001, (due_at - self._services.clock.now_ms()) / 1000)

    # -- slots -----------------------------------------------------------------------------------------------------

    def _open_slots(self, group: TaskGroup) -> None:
        for _ in range(min(self._admission.limits.concurrency - self._slots, len(self._listed))):
            self._slots += 1
            group.start_soon(self._slot)

    async def _slot(self) -> None:
        """Drives one order after another until the list is empty or calls are no longer admitted."""
        try:
            while self._admission.admits_calls and self._listed:
                order, draft = self._listed.popitem(last=False)
                self._driven.add(order)
                try:
                    await self._drive(order, draft)
                finally:
                    self._driven.discard(order)
                if not self._listed:
                    await self._refill()
        finally:
            self._slots -= 1
            self._slot_ended.set()
            self._due.ring()

    async def _refill(self) -> None:
        """A slot that found the list empty fetches for all slots, or waits for the one that does; it ends when no order
        is due."""
        if not self._admission.admits_calls:
            return
        if self._fetching.locked():
            fetches = self._fetches
            async with self._fetching:
                if self._fetches > fetches:
                    return
        if await self._fetch() is not None and self._listed:
            self._due.ring()

    async def _drive(self, order: str, draft: Draft) -> None:
        try:
            with structlog.contextvars.bound_contextvars(shop=self._shop, order=order):
                await self._driver.drive(order, draft)
            self._on_driven(order)
        except StoreError:
            raise
        except Exception as error:  # supervised: a bug in one order's driving must not stop the shop
            log.exception("order.crashed", shop=self._shop, order=order)
            raised = crash_text(error)
            await self._services.store.write(lambda tx: self._postpone_crashed(tx, order, raised))

    def _postpone_crashed(self, tx: Transaction, order: str, raised: str) -> None:
        try:
            draft = Draft.load(tx, self._shop, order)
        except DamagedRow:  # since it was listed
            self._block_damaged(tx, [order])
            return
        if draft is not None:
            ctx = self._services.context()
            postpone_crashed(draft, ctx, raised)
            draft.save(tx, ctx.now)
