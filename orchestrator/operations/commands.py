"""Everything that changes something, as the API and the CLI ask for it (ports.Commands)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import anyio

from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Chance, Clock
from orchestrator.decisions import interventions
from orchestrator.decisions.draft import Context, Draft
from orchestrator.decisions.problems import Help
from orchestrator.decisions.refusals import Refused
from orchestrator.decisions.rejected import set_aside
from orchestrator.decisions.submission import Submission, accept, plan_or_refuse, preview
from orchestrator.metrics import Metrics
from orchestrator.operations.closed_shop import MEND_ACCESS, why_closed
from orchestrator.operations.deliveries import DeliverySwitch, no_receiver
from orchestrator.platforms.client import OrderSnapshot
from orchestrator.platforms.failures import AccessDenied, NotFound, PlatformFailure, Transient, Unreadable
from orchestrator.platforms.json_text import is_whole
from orchestrator.runtime.accounts import resume
from orchestrator.runtime.calls import NotAdmitted
from orchestrator.runtime.reports import SyncReport
from orchestrator.runtime.supervisor import Supervisor
from orchestrator.runtime.worker import ShopWorker
from statemachines.machine import Plan
from statemachines.target import TargetRequest
from storage.events import append_event
from storage.orders import OrderFilter, list_orders
from storage.records import Order, Target
from storage.rejected import get_rejected, remove_rejected
from storage.shops import get_shop, pause_shop, save_gate
from storage.store import Store
from storage.targets import get_target, target_by_key
from storage.transaction import Transaction

Change = Callable[[Draft, Context], None]

_RETRY_SECONDS = 60  # every 503 says when to come again, also where the platform does not


class DaemonCommands:
    """Carries out commands on the shops that this node works for, and on the receivers of events (`deliveries`; None:
    nothing is pushed).

    Nothing here carries the lease's epoch, unlike what workers write: a command decides on rows that its own unit of
    work reads, so there is no older knowledge that a new holder of the shop could have overtaken.
    """

    def __init__(
        self,
        store: Store,
        supervisor: Supervisor,
        clock: Clock,
        chance: Chance,
        checkpoints: Checkpoints,
        metrics: Metrics,
        deliveries: DeliverySwitch | None = None,
    ) -> None:
        self._store = store
        self._supervisor = supervisor
        self._clock = clock
        self._chance = chance
        self._checkpoints = checkpoints
        self._metrics = metrics
        self._deliveries = deliveries

    # -- targets ---------------------------------------------------------------------------------------------------

    async def submit(self, shop: str, order: str, request: TargetRequest, *, key: str | None = None) -> Target:
        """Accepts a target: durable when this returns. An order that is unknown or gone is read first; so is one that
        nothing fresh is known of, before it refuses a target."""
        worker = await self._worker(shop)
        wanted = replace(request, key=key)
        submission = Submission(self._chance.target_id(self._clock.now_ms()), shop, order, wanted, key)
        target = await self._store.write(lambda tx: self._accept(tx, worker, submission))
        if target is None:
            known = await self._import(worker, order)
            found = submission.of(known.id)  # a platform may know the order by another name than its id
            target = await self._store.write(lambda tx: self._accept(tx, worker, found, has_read=True))
            if target is None:
                raise Refused("order-not-found", f"shop {shop} has no order {order}")
        await self._checkpoints.reach("after_submit")
        self._metrics.target_submitted(shop)
        worker.wake()
        return target

    def _accept(
        self, tx: Transaction, worker: ShopWorker, submission: Submission, *, has_read: bool = False
    ) -> Target | None:
        if submission.key is not None and (known := target_by_key(tx, submission.key)) is not None:
            if known[1] == submission.digest():
                return known[0]
            detail = f"the key {submission.key!r} was used for target {known[0].id} with another body; use a new key"
            raise Refused("idempotency-key-reused", detail)
        draft = Draft.load(tx, submission.shop, submission.order)
        if draft is None or draft.order.gone_at is not None:
            return None  # unknown, or gone when it was read last: a read tells whether the platform has it
        try:
            return accept(tx, draft, worker.context(), submission)
        except Refused:
            if has_read or draft.order.observed_at:
                raise
            return None  # what refuses it need not be so any more

    async def preview(self, shop: str, order: str, request: TargetRequest, *, key: str | None = None) -> Plan:
        """The plan that `submit` would make; changes nothing."""
        worker = await self._worker(shop)
        request = replace(request, key=key)
        draft = await self._store.read(lambda tx: Draft.load(tx, shop, order))
        if draft is not None and draft.order.gone_at is None:
            try:
                return preview(draft, worker.context(), request)
            except Refused:
                if draft.order.observed_at:
                    raise
        seen, _ = await self._ask(worker, order)
        standing, ctx = seen.standing(), worker.context()
        return plan_or_refuse(ctx, replace(standing, state=ctx.machine.observe(None, standing)), request)

    async def cancel_target(self, target: str) -> Target:
        """Cancels what has not been done of a target."""
        found = await self._store.read(lambda tx: get_target(tx, target))
        if found is None:
            raise Refused("target-not-found", f"there is no target {target}")
        if await self._has_left(found.shop):
            await self._drop(found.shop, found.order, found)
            return await self._store.read(lambda tx: get_target(tx, target)) or found
        worker = await self._worker(found.shop)

        def unit(tx: Transaction) -> Target:
            draft = self._draft(tx, found.shop, found.order)
            now_known = get_target(tx, target)
            assert now_known is not None
            interventions.cancel_target(draft, worker.context(), now_known)
            draft.save(tx, worker.context().now)
            return draft.latest(now_known)

        result = await self._store.write(unit)
        worker.wake()
        return result

    # -- orders ----------------------------------------------------------------------------------------------------

    async def retry(self, shop: str, order: str) -> Order:
        """Tries a blocked step, or one that waits, now."""
        worker = await self._worker(shop)
        known = await self._store.read(lambda tx: self._draft(tx, shop, order))
        if known.order.problem is not None and known.order.problem.type == "unknown-state":
            return await self.refresh(shop, order)  # only another look can tell a state that we know
        return await self._change(worker, order, interventions.retry)

    async def skip(self, shop: str, order: str, reason: str | None) -> Order:
        """Marks the blocked step as done by hand."""
        return await self._change(await self._worker(shop), order, lambda d, c: interventions.skip(d, c, reason))

    async def hold(self, shop: str, order: str, reason: str | None) -> Order:
        """Stops before the next step until released."""
        return await self._change(await self._worker(shop), order, lambda d, c: interventions.hold(d, c, reason))

    async def release(self, shop: str, order: str) -> Order:
        """Ends a hold."""
        return await self._change(await self._worker(shop), order, interventions.release)

    async def cancel(self, shop: str, order: str) -> Order:
        """Drops all targets of the order."""
        if await self._has_left(shop):
            return await self._drop(shop, order, None)
        return await self._change(await self._worker(shop), order, interventions.cancel)

    async def refresh(self, shop: str, order: str) -> Order:
        """Reads the order from the platform now."""
        return await self._import(await self._worker(shop), order)

    async def _has_left(self, shop: str) -> bool:
        """Whether it is a shop of the store that is not in the config any more: its orders are nobody's to drive, but
        what is wanted of them can be cancelled."""
        if self._supervisor.is_draining or self._supervisor.is_configured(shop):
            return False
        return await self._store.read(lambda tx: get_shop(tx, shop)) is not None

    async def _drop(self, shop: str, order: str, target: Target | None) -> Order:
        """Cancels a target of an order that nobody drives; None: all of them."""

        def unit(tx: Transaction) -> Order:
            draft, now = self._draft(tx, shop, order), self._clock.now_ms()
            wanted = list(draft.targets)
            if target is not None:
                known = get_target(tx, target.id)
                assert known is not None
                wanted = [known]
            interventions.drop(draft, now, wanted)
            draft.save(tx, now)
            return draft.order

        return await self._store.write(unit)

    async def _change(self, worker: ShopWorker, order: str, change: Change) -> Order:
        def unit(tx: Transaction) -> Order:
            draft, ctx = self._draft(tx, worker.name, order), worker.context()
            change(draft, ctx)
            draft.save(tx, ctx.now)
            return draft.order

        result = await self._store.write(unit)
        worker.wake()
        return result

    def _draft(self, tx: Transaction, shop: str, order: str) -> Draft:
        draft = Draft.load(tx, shop, order)
        if draft is None:
            raise Refused("order-not-found", f"no order {order} of shop {shop} is known; submit or refresh reads it")
        return draft

    async def _import(self, worker: ShopWorker, order: str) -> Order:
        async with _platform_refusals(self._store, worker, order):
            try:
                return await worker.reads.refresh(order)
            except Unreadable as failure:
                await self._set_aside(worker.name, order, failure)
                raise

    async def _set_aside(self, shop: str, order: str, failure: Unreadable) -> None:
        """Keeps what the platform shows of an order and nobody can read, unless it is no answer about an order."""
        if is_whole(failure.payload):
            now = self._clock.now_ms()
            await self._store.write(lambda tx: set_aside(tx, shop, "read", order, failure.detail, failure.payload, now))

    async def _ask(self, worker: ShopWorker, order: str) -> tuple[OrderSnapshot, int]:
        async with _platform_refusals(self._store, worker, order):
            return await worker.reads.read(order)

    # -- shops -----------------------------------------------------------------------------------------------------

    async def pause(self, shop: str, reason: str | None) -> None:
        """Stops a shop's steps and polls until it is resumed; running calls finish."""
        worker = await self._worker(shop)

        def unit(tx: Transaction) -> None:
            now = self._clock.now_ms()
            if pause_shop(tx, shop, "person", reason or "", now):
                append_event(tx, now, "shop.paused", shop=shop, data={"by": "person", "reason": reason})

        worker.pause()
        await self._store.write(unit)

    async def resume(self, shop: str) -> None:
        """Ends a pause, whoever caused it, and closes the circuit. A shop whose name means another account, of which
        that pause did not tell, waits on for that."""
        worker = await self._worker(shop)
        identity = self._supervisor.shops()[shop].identity

        def unit(tx: Transaction) -> bool:
            save_gate(tx, shop, "closed", None, None, None)
            return resume(tx, shop, identity, self._clock.now_ms())

        if not await self._store.write(unit):
            return
        worker.resume()
        worker.sweeps.ask_soon()  # a person says that it works again, and wants to know whether it does

    async def sync(self, shop: str, wait_seconds: float | None = None) -> SyncReport | None:
        """Polls now; with `wait_seconds` answers what was found, or None when time ran out."""
        worker = await self._worker(shop)
        if wait_seconds is None:
            worker.sweeps.ask_soon()
            return None
        with anyio.move_on_after(wait_seconds):
            async with _platform_refusals(self._store, worker, None):
                return await worker.sweeps.ask()
        return None

    async def pause_delivery(self, name: str) -> None:
        """Sends a receiver of events nothing until it is resumed."""
        if self._deliveries is None or not await self._deliveries.pause(name):
            raise self._no_receiver(name)

    async def resume_delivery(self, name: str) -> None:
        """Sends to it again."""
        if self._deliveries is None or not await self._deliveries.resume(name):
            raise self._no_receiver(name)

    def _no_receiver(self, name: str) -> Refused:
        return no_receiver(name, () if self._deliveries is None else self._deliveries.endpoints)

    async def retry_rejected(self, rejected_id: int) -> Order:
        """Reads a rejected payload's order again and imports it."""
        found = await self._store.read(lambda tx: get_rejected(tx, rejected_id))
        if found is None:
            raise Refused("rejected-not-found", f"there is no rejected payload {rejected_id}")
        payload, order_id = found
        if order_id is None:
            detail = (
                f"payload {rejected_id} names no order that could be read; sync {payload.shop} reads the list again"
            )
            raise Refused("not-allowed", detail, extra={"reason": payload.error})
        order = await self._import(await self._worker(payload.shop), order_id)
        await self._store.write(lambda tx: remove_rejected(tx, rejected_id))
        return order

    async def _worker(self, shop: str) -> ShopWorker:
        if self._supervisor.is_draining:
            raise Refused("draining", "the daemon is shutting down; try again when it is back")
        if not self._supervisor.is_configured(shop):
            raise await self._not_configured(shop)
        worker = self._supervisor.worker(shop)
        if worker is None:
            raise Refused("overloaded", f"shop {shop} is being started; try again in a moment", retry_after_seconds=1)
        return worker

    async def _not_configured(self, shop: str) -> Refused:
        if await self._store.read(lambda tx: get_shop(tx, shop)) is None:
            return Refused("shop-not-found", f"no shop is named {shop!r}")
        detail = (
            f"shop {shop} is not in the config any more: its orders can be read and their targets cancelled; for all"
            " else put it back into the config under its name and send SIGHUP"
        )
        return Refused("shop-not-found", detail)


class _platform_refusals:  # noqa: N801 - reads as a block
    """Turns what the platform answered to a read into the API's refusals."""

    def __init__(self, store: Store, worker: ShopWorker, order: str | None) -> None:
        self._store, self._worker, self._shop, self._order = store, worker, worker.name, order

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case NotFound():
                raise await self._not_found() from None
            case Transient(retry_after_seconds=seconds):
                after = math.ceil(seconds) if seconds else _RETRY_SECONDS
                raise Refused("platform-unreachable", error.detail, retry_after_seconds=after) from None
            case NotAdmitted():
                raise await self._closed() from None
            case AccessDenied():
                detail = f"the platform refuses our credentials for shop {self._shop}: {error.detail}; {MEND_ACCESS}"
                extra = Help(paused_by="access_denied")
                raise Refused("platform-unreachable", detail, retry_after_seconds=_RETRY_SECONDS, extra=extra) from None
            case Unreadable(payload=payload) if self._order is None or not is_whole(payload):
                # Not an order that makes no sense, but no answer of the API at all: a page for people, half a body.
                detail = f"what the platform answers cannot be read: {error.detail}"
                raise Refused("platform-unreachable", detail, retry_after_seconds=_RETRY_SECONDS) from None
            case Unreadable():
                detail = f"what the platform shows of the order cannot be read: {error.detail}"
                raise Refused("not-allowed", detail, extra={"reason": error.detail}) from None
            case PlatformFailure():
                raise Refused("platform-unreachable", error.detail, retry_after_seconds=_RETRY_SECONDS) from None
            case _:
                return

    async def _closed(self) -> Refused:
        shop = await self._store.read(lambda tx: get_shop(tx, self._shop))
        detail = f"shop {self._shop} is not asked now: {why_closed(self._worker.gate, shop)}"
        extra = Help() if shop is None or shop.paused_by is None else Help(paused_by=shop.paused_by)
        return Refused("platform-unreachable", detail, retry_after_seconds=30, extra=extra)

    async def _not_found(self) -> Refused:
        """People know orders by their reference, which may stand where the id belongs."""
        name = self._order or ""

        def unit(tx: Transaction) -> list[Order]:
            spelt = (name, name.removeprefix("#"), f"#{name}")
            return [
                found
                for each in spelt
                if each
                for found in list_orders(tx, 0, 1, OrderFilter(self._shop, reference=each))
            ]

        known = await self._store.read(unit)
        detail = f"shop {self._shop} has no order {name}"
        if other := next((found for found in known if found.id != name), None):
            detail += f"; the order with the reference {other.reference} has the id {other.id}"
        return Refused("order-not-found", detail)
