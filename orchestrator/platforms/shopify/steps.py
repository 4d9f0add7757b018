"""The steps of Shopify's machine as GraphQL calls (shopify.md §5, §7).

Every step looks at the order first and does only what is still missing: Shopify has no idempotency keys for fulfilment,
and a part that is sent twice is shipped twice. So a step of several calls that was cut off goes on where it was, and
fulfilment orders that were split, moved or merged meanwhile are found under their new ids.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import anyio

from orchestrator.clock import Clock
from orchestrator.platforms.client import OrderSnapshot, StepAnswer, Throttle
from orchestrator.platforms.failures import (
    AccessDenied,
    NotFound,
    NotSent,
    OutOfSequence,
    PlatformFailure,
    Rejected,
    Transient,
    Unreadable,
)
from orchestrator.platforms.shopify.graphql import ALREADY_CANCELLED, ShopifyDoor
from orchestrator.platforms.shopify.inputs import gid, lines_input, tracking_input
from orchestrator.platforms.shopify.options import CANCEL_RESULT_SINCE, ShopifyOptions
from orchestrator.platforms.shopify.webhooks import id_of_gid
from orchestrator.platforms.shopify.wire import ARRIVED
from statemachines.items import InvalidItems
from statemachines.machine import OrderState, PlatformMachine
from statemachines.shopify.delivery import delivery_reason, to_deliver
from statemachines.shopify.facts import ERP_NUMBER, SHIPS, Facts, is_routed, live, numbers_of, open_orders, remaining
from statemachines.shopify.parcels import MADE, MADE_DELIVERED, Parcel, is_distinguishable, next_parcel
from statemachines.shopify.plan import unready, unreported
from statemachines.shopify.table import PARTLY_DELIVERED, RETRACKABLE
from statemachines.shopify.tracking import carries, overwritten, retracked
from statemachines.target import Json, TargetRequest

_STAFF_NOTE_LENGTH = 255  # shopify.md §5
_REASONS = frozenset({"CUSTOMER", "DECLINED", "FRAUD", "INVENTORY", "OTHER", "STAFF"})
_NOT_AS_IT_WAS = "what there is to ship is not as it was: the order is planned anew"
_PREPARED = "fulfillmentOrderLineItemsPreparedForPickup"
_NOTHING_TO_PREPARE = "NO_LINE_ITEMS_TO_PREPARE_FOR_FULFILLMENT_ORDER"
_POLL_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0)  # then every five
_SLOW_POLL_SECONDS = 5.0

Read = Callable[[str], Awaitable[OrderSnapshot]]
_Known: TypeAlias = tuple[str, OrderState, OrderState, TargetRequest]
"""A step, where its order stood when it was planned, where the read before it shows it, and the target."""


_SENDS = frozenset({"fulfill", "prepare_pickup"})
"""Steps by which goods leave, or wait for the buyer."""


@dataclass(frozen=True, slots=True)
class ShopifySteps:
    """Makes the calls of steps. `read` looks at one order and is the first HTTP call of each step."""

    door: ShopifyDoor
    machine: PlatformMachine
    options: ShopifyOptions
    read: Read
    throttle: Throttle
    clock: Clock

    async def perform(self, step: str, order_id: str, current: OrderState, request: TargetRequest) -> StepAnswer:
        """As `PlatformClient.perform`. The answer's facts are those seen before the call: `after` puts its effect on
        top of them."""
        try:
            snapshot = await self.read(order_id)
        except Unreadable as failure:  # nothing was sent yet: the read is worth another try, and says so itself
            raise Transient(failure.detail) from None
        now = replace(snapshot.order_state(), facts=self.machine.merged_facts(current, snapshot.order_state()))
        known = (step, current, now, request)
        if step in _SENDS:
            self._still_wanted(current, now, request)
        match step:
            case "report_progress":
                return await self._report_progress(order_id, now, known)
            case "prepare_pickup":
                return await self._prepare_pickup(now, request)
            case "fulfill":
                return await self._fulfill(order_id, known)
            case "update_tracking":
                return await self._update_tracking(current, now, request)
            case "mark_delivered":
                return await self._mark_delivered(now, known)
            case "set_erp_number":
                return await self._set_erp_number(order_id, now, request)
            case "cancel":
                return await self._cancel(order_id, now, request, known)
            case _:
                raise ValueError(f"shopify has no step {step!r}")

    async def _report_progress(self, order_id: str, now: OrderState, known: _Known) -> StepAnswer:
        if now.state in ("IN_PROGRESS", "PARTIALLY_FULFILLED", "FULFILLED", "DELIVERED"):
            return self._nothing_left(known)
        self._in(now, "UNFULFILLED", "ON_HOLD", "SCHEDULED")
        self._routed(now)
        orders = _checked(unreported, now.facts, known[3])
        todo = [each for each in orders if each["status"] != "IN_PROGRESS"]
        if not orders:
            raise self._held_or_rejected(open_orders(now.facts), "no progress is reported")
        for each in todo:
            variables = {"id": gid("FulfillmentOrder", each["id"])}
            await self._change(order_id, now, "report_progress", "fulfillmentOrderReportProgress", variables)
        return StepAnswer("IN_PROGRESS", _plain(now.facts))

    async def _fulfill(self, order_id: str, known: _Known) -> StepAnswer:
        _, before, now, request = known
        if now.state in ("FULFILLED", "DELIVERED"):
            return self._nothing_left(known)
        self._in(now, "UNFULFILLED", "IN_PROGRESS", "PARTIALLY_FULFILLED", "ON_HOLD", "SCHEDULED")
        self._routed(now)
        try:
            parcel = next_parcel(now.facts, request)
        except InvalidItems as error:
            raise Rejected(str(error)) from None
        if parcel is None:
            if request.items is not None:
                return self._nothing_left(known)
            if remaining(now.facts):  # what is left is somebody else's to ship, or waits for the buyer
                raise Transient(_NOT_AS_IT_WAS, is_ambiguous=True)
            raise Rejected(
                f"the order is {now.state}, but no fulfillment order that this app sees is open: what is left was"
                " refunded or closed, or its location needs a scope such as read_assigned_fulfillment_orders"
            )
        try:
            is_as_planned = is_distinguishable(before.facts, now.facts, request)
        except InvalidItems:
            is_as_planned = False
        if not is_as_planned:
            raise Transient(_NOT_AS_IT_WAS, is_ambiguous=True)
        orders = _orders_of(now.facts, parcel)
        if not all(SHIPS in each["actions"] for each in orders):
            raise self._held_or_rejected(orders, "nothing is shipped")
        notifies = self._notifies(request)
        fulfillment: dict[str, Json] = {"lineItemsByFulfillmentOrder": lines_input(parcel), "notifyCustomer": notifies}
        if tracking := tracking_input(*overwritten({"codes": [], "urls": []}, request)):
            fulfillment["trackingInfo"] = tracking
        payload = await self._change(order_id, now, "fulfill", "fulfillmentCreate", {"fulfillment": fulfillment})
        fulfillment = payload.get("fulfillment") or {}
        made = id_of_gid(fulfillment.get("id"), "Fulfillment")
        return StepAnswer(
            None, {**now.facts, MADE: made or "", MADE_DELIVERED: fulfillment.get("displayStatus") in ARRIVED}
        )

    async def _prepare_pickup(self, now: OrderState, request: TargetRequest) -> StepAnswer:
        """Each fulfilment order by itself. One that has nothing left to prepare was reported before: by a person, or by
        a call whose answer was lost (Admin schema, FulfillmentOrderLineItemsPreparedForPickupUserErrorCode)."""
        self._routed(now)
        orders = _checked(unready, now.facts, request)
        if held := [each for each in orders if each["status"] in ("ON_HOLD", "SCHEDULED")]:
            raise self._held_or_rejected(held, "nothing is reported as ready for pickup")
        for each in orders:
            await self.throttle()
            rows = {"lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": gid("FulfillmentOrder", each["id"])}]}
            await self.door.announce("prepare_pickup", _PREPARED, {"input": rows}, done_already=_NOTHING_TO_PREPARE)
        return StepAnswer(None, _plain(now.facts))

    async def _change(
        self, order_id: str, now: OrderState, name: str, field: str, variables: Mapping[str, Json]
    ) -> dict[str, Json]:
        """A mutation of fulfilment orders as they were seen `now`. One that is refused because they were closed, split
        or moved since is worth planning anew, whatever its words: they are the same as for what is final."""
        await self.throttle()
        try:
            return await self._mutate(name, field, variables)
        except (OutOfSequence, Rejected) as refusal:
            await self.throttle()
            try:
                snapshot = await self.read(order_id)
            except NotSent:
                raise  # what it would have shown, the next attempt sees
            except PlatformFailure:
                raise refusal from None
            if open_orders(snapshot.facts) == open_orders(now.facts):
                raise
            raise Transient(refusal.detail, is_ambiguous=True) from None

    async def _mutate(self, name: str, field: str, variables: Mapping[str, Json]) -> dict[str, Json]:
        """A mutation that must not be made twice. One whose answer is lost gets time to show: no key stops a call that
        was given up from taking effect after the read that follows (shopify.md §7)."""
        try:
            return await self.door.mutate(name, field, variables)
        except Transient as failure:
            if failure.is_ambiguous:
                await anyio.sleep(self.options.lost_answer_seconds)
            raise

    async def _update_tracking(self, before: OrderState, now: OrderState, request: TargetRequest) -> StepAnswer:
        """Of the parcels that were meant before the call those that do not carry the tracking yet, oldest first. When
        one has it and the next one fails, the answer is as good as lost: the parcels that are meant are kept then."""
        self._in(now, *RETRACKABLE)
        meant, numbers = {each["id"] for each in retracked(before.facts, request)}, numbers_of(request)
        todo = [each for each in live(now.facts) if each["id"] in meant and not carries(each, numbers)]
        has_announced = False
        for each in todo or retracked(now.facts, request):
            await self.throttle()
            variables = {
                "id": gid("Fulfillment", each["id"]),
                "tracking": tracking_input(*overwritten(each, request)),
                "notify": self._notifies(request),
            }
            try:
                await self.door.mutate("update_tracking", "fulfillmentTrackingInfoUpdate", variables)
            except Transient as failure:
                if has_announced and not failure.is_ambiguous:
                    raise failure.after_effect() from None
                raise
            has_announced = True
        return StepAnswer(now.state, _plain(now.facts))

    async def _mark_delivered(self, now: OrderState, known: _Known) -> StepAnswer:
        request = known[3]
        if now.state == "DELIVERED":
            return self._nothing_left(known)
        self._in(now, *PARTLY_DELIVERED)
        if (reason := delivery_reason(now.facts, request)) is not None:
            raise Rejected(reason)
        todo = to_deliver(now.facts, request)
        if not todo and live(now.facts):
            return self._nothing_left(known)
        if not todo:
            raise Rejected("the order has no fulfillment that could be delivered")
        for each in todo:
            await self.throttle()
            event = {"fulfillmentId": gid("Fulfillment", each["id"]), "status": "DELIVERED"}
            await self.door.mutate("mark_delivered", "fulfillmentEventCreate", {"event": event})
        return StepAnswer(None, _plain(now.facts))

    async def _set_erp_number(self, order_id: str, now: OrderState, request: TargetRequest) -> StepAnswer:
        """Writes a metafield, which takes the place of the one before, unless the order has the number. It does not
        wait for a place that the app may not write to, or that the shop keeps for something else (metafieldsSet: scopes
        are those of the owner)."""
        if now.facts.get(ERP_NUMBER) == request.erp_order_number:
            return StepAnswer(now.state, _plain(now.facts), is_found=True)
        namespace, key = self.options.erp_number_place
        owner = {"ownerId": gid("Order", order_id), "namespace": namespace, "key": key}
        field = {**owner, "type": "single_line_text_field", "value": request.erp_order_number}
        await self.throttle()
        try:
            await self.door.mutate("set_erp_number", "metafieldsSet", {"metafields": [field]})
        except AccessDenied as denial:
            if "metafieldsSet" not in denial.detail:
                raise
            return StepAnswer(None, unused=("erp_order_number",), reason=denial.detail)
        except Rejected as refusal:
            return StepAnswer(None, unused=("erp_order_number",), reason=refusal.detail)
        return StepAnswer(now.state, _plain(now.facts))

    # -- cancelling ------------------------------------------------------------------------------------------------

    async def _cancel(self, order_id: str, now: OrderState, request: TargetRequest, known: _Known) -> StepAnswer:
        if now.state == "CANCELLED":
            return self._nothing_left(known)
        self._in(now, "UNFULFILLED", "IN_PROGRESS", "ON_HOLD", "SCHEDULED", "FULFILLMENT_NOT_REQUIRED")
        reason = (request.reason or "").strip()
        variables = {
            "id": gid("Order", order_id),
            "reason": reason.upper() if reason.upper() in _REASONS else "OTHER",
            "restock": self.options.restock_on_cancel,
            "refundMethod": {"originalPaymentMethodsRefund": self.options.refund_on_cancel},
            "notify": self._notifies(request),
            "note": reason[:_STAFF_NOTE_LENGTH] or None,
        }
        await self.throttle()
        try:
            payload = await self._mutate(self._cancel_document, "orderCancel", variables)
            job, result, is_ours = payload.get("job"), payload.get("jobResult"), True
        except OutOfSequence as refusal:
            if ALREADY_CANCELLED not in refusal.detail:
                raise
            job, result, is_ours = None, None, False
        try:
            await self._job_done(job)
            snapshot = await (self._once_read(order_id) if is_ours else self._once_cancelled(order_id))
        except (Transient, Unreadable) as failure:  # Shopify took the cancellation, whatever went wrong since
            raise failure.after_effect() from None
        if snapshot.state != "CANCELLED":
            raise Rejected(await self._why_not_cancelled(result))
        return StepAnswer("CANCELLED", snapshot.facts)

    @property
    def _cancel_document(self) -> str:
        return "cancel_with_result" if self.options.api_version >= CANCEL_RESULT_SINCE else "cancel"

    async def _why_not_cancelled(self, result: Json) -> str:
        """Shopify's own words for a cancellation that it took and that failed afterwards, where its version has them
        (`OrderCancelJobResult`)."""
        unsaid = "Shopify carried the cancellation out, but the order is not cancelled"
        if not isinstance(result, dict):
            return unsaid
        try:
            await self.throttle()
            data, _ = await self.door.query("cancel_result", {"id": result.get("id")})
        except PlatformFailure:  # that it failed is known, only the reason is not
            return unsaid
        node = data.get("node")
        errors = node.get("errors") if isinstance(node, dict) else None
        said = self.door.words_of(errors) if isinstance(errors, list) else ""
        return f"Shopify could not cancel the order: {said}" if said else unsaid

    async def _once_read(self, order_id: str) -> OrderSnapshot:
        await self.throttle()
        return await self.read(order_id)

    async def _once_cancelled(self, order_id: str) -> OrderSnapshot:
        """The order as soon as it shows the cancellation that Shopify says it has: while the job of the first one runs
        a second one is refused, and a lost answer took the job's id with it. Raises Transient where it takes too
        long."""
        waits = iter(_POLL_SECONDS)
        give_up = self.clock.monotonic() + self.options.cancel_wait_seconds
        while (snapshot := await self._once_read(order_id)).state != "CANCELLED":
            if self.clock.monotonic() >= give_up:
                raise Transient("the order is still being cancelled")
            await anyio.sleep(next(waits, _SLOW_POLL_SECONDS))
        return snapshot

    async def _job_done(self, job: Json) -> None:
        """Waits for the job that a cancellation is (shopify.md §5). Raises Transient where it takes too long."""
        waits = iter(_POLL_SECONDS)
        give_up = self.clock.monotonic() + self.options.cancel_wait_seconds
        while isinstance(job, dict) and not job.get("done"):
            if self.clock.monotonic() >= give_up:
                raise Transient("the order is still being cancelled")
            await anyio.sleep(next(waits, _SLOW_POLL_SECONDS))
            await self.throttle()
            try:
                data, _ = await self.door.query("job", {"id": job.get("id")})
            except NotFound:  # the job, not the order: the order itself shows what came of it
                return
            job = data.get("job")

    def _still_wanted(self, before: OrderState, now: OrderState, request: TargetRequest) -> None:
        """Goods that are being taken back since the step was planned are for the planner to judge: a shop may ship
        those too, and what it knew of it planned on."""
        was_untouched = self.machine.withdrawn_reason(before, request) is None
        if was_untouched and self.machine.withdrawn_reason(now, request) is not None:
            raise Transient("what there is to ship is being taken back: the order is planned anew", is_ambiguous=True)

    # -- judging ---------------------------------------------------------------------------------------------------

    def _nothing_left(self, known: _Known) -> StepAnswer:
        """The read shows nothing to do. That the step itself is done it has to prove; what was reached another way is
        adopted and planned from: as drift where the order's state shows it, else as what there is to ship now."""
        step, before, now, request = known
        if self.machine.is_done(step, before, now, request):
            return StepAnswer(now.state, _plain(now.facts), is_found=True)
        words = f"the order is {now.state}: {step} has nothing left to do, and none of it shows"
        if now.state != before.state:
            raise OutOfSequence(words)
        raise Transient(words, is_ambiguous=True)  # no refusal, which would be a person's to look into

    def _in(self, now: OrderState, *states: str) -> None:
        if now.state not in states:
            raise OutOfSequence(f"the order is {now.state}")

    def _routed(self, now: OrderState) -> None:
        """The order has fulfilment orders. A missing scope looks the same as an order that has none (§1)."""
        if is_routed(now.facts):
            return
        if self.machine.wait(now, TargetRequest("shipped")) is not None:
            raise OutOfSequence("Shopify has made no fulfillment orders for this order yet")
        raise Rejected(
            "Shopify shows no fulfillment orders for this order: it has nothing to ship, or the app lacks a scope such"
            " as read_merchant_managed_fulfillment_orders"
        )

    def _held_or_rejected(self, orders: list[Mapping[str, Json]], what: str) -> PlatformFailure:
        listed = ", ".join(f"{each['id']} ({each['status']})" for each in orders) or "none"
        detail = f"{what}: fulfillment orders {listed} do not offer it to this app"
        is_held = any(each["status"] in ("ON_HOLD", "SCHEDULED") for each in orders)
        return OutOfSequence(detail) if is_held else Rejected(detail)

    def _notifies(self, request: TargetRequest) -> bool:
        return self.options.notify_customer if request.notify_customer is None else request.notify_customer


def _orders_of(facts: Facts, parcel: Parcel) -> list[Mapping[str, Json]]:
    named = {each.fulfillment_order for each in parcel.portions}
    return [each for each in open_orders(facts) if each["id"] in named]


def _checked(
    read: Callable[[Facts, TargetRequest], list[Mapping[str, Json]]], facts: Facts, request: TargetRequest
) -> list[Mapping[str, Json]]:
    try:
        return read(facts, request)
    except InvalidItems as error:
        raise Rejected(str(error)) from None


def _plain(facts: Facts) -> dict[str, Json]:
    return dict(facts)
