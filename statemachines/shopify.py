"""Shopify's order machine, over an order's fulfilment orders (FO): UNFULFILLED → IN_PROGRESS → FULFILLED → DELIVERED.

Facts: platforms/shopify.md §4-§7. The order's own display status names the state; `DELIVERED`, `CANCELLED` and
`RETURNED` are told from its fulfilments, `cancelledAt` and its returns. A target may ship a part of the order, then
it ends in PARTIALLY_FULFILLED. Which goods go into which call is in `shopify_parcels`, which tracking goes where in
`shopify_tracking`, what came back in `shopify_returns`. RETURNED is no end: what is sent in exchange leads on.

FOs are made after the order, asynchronously; until they are there, and while they are on hold or scheduled, the order
waits for the platform.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from statemachines.items import SenselessItems
from statemachines.machine import (
    Milestone,
    PlannedStep,
    PlatformMachine,
    PlatformWait,
    Refusal,
    Standing,
    State,
    Step,
)
from statemachines.narrowing import Whole
from statemachines.shopify_parcels import (
    LINE,
    MADE,
    RECORD,
    REPORTS,
    SHIPS,
    Facts,
    Parcel,
    after_parcel,
    asked_items,
    is_routed,
    kept_record,
    left,
    live,
    mark,
    next_parcel,
    open_orders,
    remaining,
    shipped,
)
from statemachines.shopify_readbacks import has_delivered, has_reported, has_retracked, has_shipped
from statemachines.shopify_tracking import retracked, tracking_reason, with_tracking
from statemachines.target import Json, TargetRequest

_STATES = (
    State("UNFULFILLED", Milestone.NEW),
    State("accepted", Milestone.ACCEPTED, record_only=True),
    State("IN_PROGRESS", Milestone.PREPARING),
    State("PARTIALLY_FULFILLED"),
    State("FULFILLED", Milestone.SHIPPED),
    State("DELIVERED", Milestone.DELIVERED),
    State("RETURNED", Milestone.RETURNED, settable=False),
    State("CANCELLED", Milestone.CANCELLED, is_end=True),
    State("ON_HOLD", settable=False),
    State("SCHEDULED", settable=False),
    State("FULFILLMENT_NOT_REQUIRED", settable=False),
    State("attention", Milestone.ATTENTION, record_only=True),
)

_WAITING = ("ON_HOLD", "SCHEDULED")
_UNSHIPPED = ("UNFULFILLED", "IN_PROGRESS", *_WAITING)
_SHIPPED = ("PARTIALLY_FULFILLED", "FULFILLED", "DELIVERED")
RETRACKABLE = (*_SHIPPED, "IN_PROGRESS", *_WAITING)
"""States of orders of which something may have been shipped: where all that is left is on hold, scheduled or in
progress, Shopify may show that instead (Admin schema, OrderDisplayFulfillmentStatus)."""
_TRACKED = ("tracking", "tracking.carrier")
_PARCEL = ("items", *_TRACKED, "notify_customer")
_STEPS = (
    Step("report_progress", ("UNFULFILLED", *_WAITING), "IN_PROGRESS"),
    Step(
        "fulfill",
        (*_UNSHIPPED, "PARTIALLY_FULFILLED"),
        "FULFILLED",
        uses=_PARCEL,
        is_irrevocable=True,
        narrows=("items",),
    ),
    Step("fulfill", _UNSHIPPED, "PARTIALLY_FULFILLED", uses=_PARCEL, is_irrevocable=True, narrows=("items",)),
    Step("update_tracking", RETRACKABLE, None, uses=_PARCEL, is_irrevocable=True, narrows=("items",)),
    Step("mark_delivered", ("FULFILLED",), "DELIVERED", is_irrevocable=True),
    Step(
        "cancel",
        (*_UNSHIPPED, "FULFILLMENT_NOT_REQUIRED"),
        "CANCELLED",
        uses=("reason", "notify_customer"),
        is_irrevocable=True,
    ),
)

_MAINLINE = ("UNFULFILLED", "IN_PROGRESS", "PARTIALLY_FULFILLED", "FULFILLED", "DELIVERED")

_RECHECKS = ((2, 2), (7, 5), (22, 15))
"""(age in seconds up to which, seconds to the next look) while an order has no FOs yet; later 60 s (shopify.md §9)."""
_HOLD_RECHECK_SECONDS = 60

DEFAULT_ROUTING_SECONDS = 300.0
"""How old an order without FOs has to be before a person should look (shopify.md §9)."""


class ShopifyMachine(PlatformMachine):
    """The machine of Shopify's orders. Facts it reads: those of `shopify_parcels`, and `age_seconds`.

    `routing_seconds`: how long an order may be without fulfilment orders.
    """

    def __init__(self, routing_seconds: float = DEFAULT_ROUTING_SECONDS) -> None:
        super().__init__("shopify", _STATES, _STEPS, _MAINLINE, "UNFULFILLED")
        self._routing_seconds = routing_seconds

    # -- planning --------------------------------------------------------------------------------------------------

    def _path(self, standing: Standing, wanted: str) -> tuple[PlannedStep, ...] | None:
        """As the base, for the whole order; a part is cut out of it afterwards."""
        if wanted == "PARTIALLY_FULFILLED" and not self._is_past_shipping(standing):
            wanted = "FULFILLED"
        return super()._path(standing, wanted)

    def _is_past_shipping(self, standing: Standing) -> bool:
        return super().has_passed(standing, "FULFILLED")

    def _shortest_way(self, start: str, wanted: str) -> tuple[PlannedStep, ...] | None:
        """Straight: reporting progress and shipping a part are done only where they are asked for."""
        fulfil = PlannedStep("fulfill", start, "FULFILLED")
        can_ship = start in self.steps["fulfill"].sources
        match wanted:
            case "FULFILLED":
                return (fulfil,) if can_ship else None
            case "DELIVERED":
                delivery = PlannedStep("mark_delivered", "FULFILLED", "DELIVERED")
                return (fulfil, delivery) if can_ship else (delivery,) if start == "FULFILLED" else None
            case _:
                return super()._shortest_way(start, wanted)

    def _with_actions(
        self, standing: Standing, path: tuple[PlannedStep, ...], request: TargetRequest
    ) -> tuple[PlannedStep, ...]:
        """A `fulfill` for each parcel that is left; tracking for what was shipped before, where nothing is left."""
        steps: list[PlannedStep] = []
        here, is_shipping = standing.state, False
        for step in path:
            if step.step == "fulfill":
                parcels = self._shipping(standing, request)
                is_shipping = bool(parcels)
                steps += parcels
                here = parcels[-1].to if parcels else here
            elif step.step != "mark_delivered" or here == "FULFILLED":
                steps.append(step)
        is_leaving = is_shipping or any(step.step == "cancel" for step in path)
        if not is_leaving and here in RETRACKABLE and self.pending_actions(standing, request):
            steps.insert(0, PlannedStep("update_tracking", here, here))
        return tuple(steps)

    def _shipping(self, standing: Standing, request: TargetRequest) -> list[PlannedStep]:
        facts, here = standing.facts, standing.state
        is_part = self._names_part(request)
        if is_part and request.items is None:
            return []
        if not is_routed(facts):
            return [PlannedStep("fulfill", here, "PARTIALLY_FULFILLED" if is_part else "FULFILLED")]
        steps: list[PlannedStep] = []
        while (parcel := next_parcel(facts, request)) is not None:
            facts = after_parcel(facts, parcel, request, "")
            to = _state_of(facts)
            steps.append(PlannedStep("fulfill", here, to))
            here = to
        if not steps and request.items is None:
            # Nothing is open although the order is not shipped: the call finds out, and tells a person.
            return [PlannedStep("fulfill", here, "FULFILLED")]
        return steps

    def _names_part(self, request: TargetRequest) -> bool:
        return request.state.strip().casefold() == "partially_fulfilled"

    def pending_actions(self, standing: Standing, request: TargetRequest) -> tuple[str, ...]:
        """update_tracking, when the target brings tracking that the fulfilments it is about do not carry."""
        return ("update_tracking",) if retracked(standing.facts, request) else ()

    def satisfied(self, standing: Standing, request: TargetRequest) -> tuple[str, ...]:
        """Tracking that the order's fulfilments carry already, and items that were shipped."""
        found: list[str] = []
        if standing.state in _SHIPPED or live(standing.facts):
            found += ["items"] if request.items is not None else []
            tracking = mark(request)
            if tracking is not None and shipped(standing.facts, tracking):
                found += _TRACKED
        return tuple(found)

    # -- guards ----------------------------------------------------------------------------------------------------

    def whole(self, standing: Standing) -> Whole:
        """The order's lines, and where its fulfilment orders are assigned to."""
        orders = standing.facts.get("fulfillment_orders") or ()
        places = frozenset(str(each["location"]) for each in orders if each["location"] is not None)
        return Whole(standing.facts.get("lines"), places, LINE)

    def guard(self, standing: Standing, request: TargetRequest, wanted: State) -> Refusal | None:
        """The items are the order's own and there, a tracking link is a web link, a delivered order was sent whole,
        nothing of a cancelled one was sent."""
        if wanted.name == "CANCELLED" and standing.state in _UNSHIPPED and live(standing.facts):
            words = "a part of the order was shipped: take it back in Shopify first"
            return Refusal("not-allowed", words, reason=words)
        if wanted.name not in _SHIPPED:
            return None
        reason = tracking_reason(request) or self._items_reason(standing, request, wanted.name)
        return None if reason is None else Refusal("not-allowed", reason, reason=reason)

    def _items_reason(self, standing: Standing, request: TargetRequest, wanted: str) -> str | None:
        facts = standing.facts
        if wanted == "PARTIALLY_FULFILLED" and request.items is None and standing.state in _UNSHIPPED:
            return "a part needs items: order line ids, or objects with id and quantity"
        try:
            asked = asked_items(request)
            own = facts.get("lines") or {}
            if foreign := [line for line in asked or () if own and line not in own]:
                return f"items {', '.join(foreign)} are not in this order, it has {', '.join(own)}"
            if asked is None or not is_routed(facts):
                return self._several_reason(standing, request)
            wanted_now = left(facts, request)
        except SenselessItems as error:
            return str(error)
        if wanted == "DELIVERED" and not self._is_past_shipping(standing) and wanted_now != remaining(facts):
            return "these items are not all that is left, and only whole orders are delivered: ship them first"
        return None if wanted_now else self._several_reason(standing, request)

    def _several_reason(self, standing: Standing, request: TargetRequest) -> str | None:
        """Tracking for a shipped order of several parcels has to say which one it is for."""
        is_update = standing.state in ("FULFILLED", "DELIVERED") and mark(request) is not None
        if is_update and request.items is None and not shipped(standing.facts, mark(request)):
            marks = {tuple(each["codes"]) for each in live(standing.facts)}
            if len(marks) > 1:
                return "the order went out in several parcels: name the items whose tracking this is"
        return None

    # -- what calls and reads tell -----------------------------------------------------------------------------------

    def merged_facts(self, standing: Standing, seen: Standing) -> dict[str, Json]:
        """What the platform shows, and our own record of parts that were shipped without a tracking code."""
        kept = kept_record(standing.facts, seen.facts)
        return {**seen.facts, RECORD: kept} if kept else dict(seen.facts)

    def is_done(self, step: str, before: Standing, seen: Standing, request: TargetRequest) -> bool | None:
        """The read-backs of shopify.md §7 (`shopify_readbacks`). No state but CANCELLED proves a step: what a step is
        about shows in fulfilment orders and fulfilments, told by their ids."""
        match step:
            case "fulfill":
                return has_shipped(before.facts, seen.facts, request)
            case "update_tracking":
                return has_retracked(before.facts, seen.facts, request)
            case "mark_delivered":
                return has_delivered(before.facts, seen.facts)
            case "report_progress":
                return has_reported(before.facts, seen.facts)
            case _:
                return super().is_done(step, before, seen, request)

    def destination(self, standing: Standing, step: str, request: TargetRequest) -> str | None:
        """As the base; a parcel leads to where the rest of the order says."""
        if step != "fulfill":
            return super().destination(standing, step, request)
        if standing.state not in self.steps["fulfill"].sources:
            return None
        return _state_of(_with_parcel(standing.facts, request))

    def after(
        self, standing: Standing, step: str, request: TargetRequest, answered: str | None, facts: Mapping[str, Json]
    ) -> Standing:
        """`facts` are those that the client saw just before its call (none: ours); the step's effect is put on top."""
        base = {**standing.facts, **facts}
        match step:
            case "fulfill":
                base = _with_parcel(base, request, base.pop(MADE, ""))
                state = answered or _state_of(base)
            case "update_tracking":
                base = with_tracking(base, request)
                state = standing.state
            case "mark_delivered":
                base["fulfillments"] = [{**each, "is_delivered": True} for each in base.get("fulfillments") or ()]
                state = answered or "DELIVERED"
            case "report_progress":
                state = answered or "IN_PROGRESS"
            case _:
                state = self.apply(standing.state, step)
        return replace(standing, state=state, platform_state=answered or state, facts=base)

    def wait(self, standing: Standing, request: TargetRequest) -> PlatformWait | None:
        """Fulfilment orders that are not there yet, on hold or scheduled, where the target needs them (§6)."""
        wanted = self.resolve(request.state)
        if wanted is None or wanted.record_only or wanted.name not in (*_SHIPPED, "IN_PROGRESS"):
            return None
        if self._is_past_shipping(standing) or standing.state not in (*_UNSHIPPED, "PARTIALLY_FULFILLED"):
            return None
        if wanted.name == "IN_PROGRESS" and standing.state in ("IN_PROGRESS", "PARTIALLY_FULFILLED"):
            return None
        facts = standing.facts
        if not is_routed(facts):
            return self._routing(facts)
        orders = open_orders(facts)
        if wanted.name != "IN_PROGRESS":
            try:
                parcel = next_parcel(facts, request)
            except SenselessItems:
                return None  # the guard has the words
            named = {each.fulfillment_order for each in parcel.portions} if parcel is not None else set()
            orders = [each for each in orders if each["id"] in named]
        needed = REPORTS if wanted.name == "IN_PROGRESS" else SHIPS
        if any(needed in each["actions"] for each in orders):
            return None
        return _held_up(orders)

    def _routing(self, facts: Facts) -> PlatformWait | None:
        age = facts.get("age_seconds") or 0
        if age >= self._routing_seconds:
            return None
        recheck = next((seconds for up_to, seconds in _RECHECKS if age < up_to), 60)
        detail = "Shopify has made no fulfillment orders for this order yet"
        return PlatformWait("platform", None, detail, recheck_seconds=recheck)


def _state_of(facts: Facts) -> str:
    if not is_routed(facts):
        return "FULFILLED"
    return "PARTIALLY_FULFILLED" if remaining(facts) else "FULFILLED"


def _parcel_or_none(facts: Facts, request: TargetRequest) -> Parcel | None:
    try:
        return next_parcel(facts, request)
    except SenselessItems:
        return None


def _with_parcel(facts: Facts, request: TargetRequest, made: str = "") -> dict[str, Json]:
    parcel = _parcel_or_none(facts, request)
    return dict(facts) if parcel is None else after_parcel(facts, parcel, request, made)


def _held_up(orders: list[Mapping[str, Json]]) -> PlatformWait | None:
    held = [each for each in orders if each["status"] == "ON_HOLD"]
    if held:
        reason = ", ".join(sorted({each["hold"] or "no reason given" for each in held}))
        return PlatformWait("platform", None, f"on hold on Shopify ({reason})", recheck_seconds=_HOLD_RECHECK_SECONDS)
    if scheduled := [each for each in orders if each["status"] == "SCHEDULED"]:
        times = [each["fulfill_at"] for each in scheduled if each["fulfill_at"] is not None]
        detail = "scheduled on Shopify for later"
        return PlatformWait("platform", min(times, default=None), detail, recheck_seconds=300)
    return None


MACHINE = ShopifyMachine()


def build(options: Mapping[str, Json]) -> PlatformMachine:
    """The machine for a shop's option `routing_timeout_seconds`."""
    return ShopifyMachine(float(options.get("routing_timeout_seconds", DEFAULT_ROUTING_SECONDS)))
