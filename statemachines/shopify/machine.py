"""Shopify's order machine, over an order's fulfilment orders (FO): UNFULFILLED → IN_PROGRESS → FULFILLED → DELIVERED.

Facts: shopify.md §4-§7. The order's own display status names the state; `DELIVERED`, `CANCELLED` and
`RETURNED` are derived from its fulfilments, `cancelledAt` and its returns. A target may ship a part of the order, then
it ends in PARTIALLY_FULFILLED. The table is in `table`, the steps that a target takes in `plan`: which
goods go into which call in `parcels` and `ways`, which tracking goes where in `tracking`, what
is delivered in `delivery`, what came back in `returns`. RETURNED is not an end: what is sent in exchange
leads on.

FOs are made after the order, asynchronously; until they are there, and while they are on hold or scheduled, the order
waits for the platform.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar

from statemachines.items import InvalidItems
from statemachines.machine import OrderState, PlannedStep, PlatformMachine, PlatformWait, Refusal, State, Step
from statemachines.narrowing import Whole
from statemachines.parcel import RecordedParcel, TargetParcel
from statemachines.parcels import Open, trackings_of
from statemachines.shopify.facts import (
    ERP_NUMBER,
    LINE,
    is_marked,
    is_routed,
    left_in,
    live,
    location_of,
    mark,
    open_orders,
    orders,
    shipped,
    state_of,
)
from statemachines.shopify.guards import progress_reason, refusal_reason
from statemachines.shopify.parcels import MADE, MADE_DELIVERED, kept_records, rest
from statemachines.shopify.plan import (
    READY,
    announced_ready,
    delivered,
    delivered_state,
    delivering,
    preparing,
    shipping,
    with_parcel,
)
from statemachines.shopify.readbacks import has_delivered, has_reported, has_retracked, has_shipped
from statemachines.shopify.returns import came_back
from statemachines.shopify.table import (
    MAINLINE,
    NUMBERED,
    RETRACKABLE,
    SET_ERP_NUMBER,
    SHIPPED,
    STATES,
    STEPS,
    TRACKED,
    UNSHIPPED,
)
from statemachines.shopify.tracking import RETRACKING, retracked, retracking_unanswered, with_tracking
from statemachines.shopify.waits import goods_wait, routing_wait
from statemachines.shopify.ways import PICKUP
from statemachines.shopify.withheld import withheld_reason
from statemachines.target import Json, TargetRequest, Tracking

DEFAULT_ROUTING_SECONDS = 300.0
"""How old an order without FOs has to be before a person should look (shopify.md §9)."""


class ShopifyMachine(PlatformMachine):
    """The machine of Shopify's orders. Facts it reads: those of `facts`, of the modules that plan, and
    `age_seconds`.

    `routing_seconds`: how long an order may be without fulfilment orders. `has_number`: the shop has a place for the
    ERP's number.
    """

    takes_several_trackings: ClassVar[bool] = True
    parcel_step: ClassVar[str | None] = "fulfill"
    delivers_parcels: ClassVar[bool] = True

    def __init__(
        self,
        routing_seconds: float = DEFAULT_ROUTING_SECONDS,
        *,
        ships_withdrawn: bool = False,
        has_number: bool = True,
    ) -> None:
        super().__init__("shopify", STATES, STEPS, MAINLINE, "UNFULFILLED", ships_withdrawn=ships_withdrawn)
        self._routing_seconds = routing_seconds
        self._has_number = has_number

    # -- planning --------------------------------------------------------------------------------------------------

    def route(self, current: OrderState, wanted: str) -> tuple[PlannedStep, ...] | None:
        """Of the whole order; a part is cut out of it afterwards. Straight: reporting progress and shipping a part are
        done only where they are asked for."""
        if wanted == "PARTIALLY_FULFILLED" and not self._is_past_shipping(current):
            wanted = "FULFILLED"
        if self.has_reached(current, wanted):
            return ()
        start = current.state
        fulfil = PlannedStep("fulfill", start, "FULFILLED")
        can_ship = start in self.steps["fulfill"].sources
        match wanted:
            case "FULFILLED":
                return (fulfil,) if can_ship else None
            case "DELIVERED":
                delivery = PlannedStep("mark_delivered", "FULFILLED", "DELIVERED")
                return (fulfil, delivery) if can_ship else (delivery,) if start == "FULFILLED" else None
            case _:
                return super().route(current, wanted)

    def _is_past_shipping(self, current: OrderState) -> bool:
        return self.has_reached(current, "FULFILLED")

    def with_actions(
        self, current: OrderState, route: tuple[PlannedStep, ...], request: TargetRequest
    ) -> tuple[PlannedStep, ...]:
        """The steps that are left of the target, in place of the way of a whole order, behind the ERP's number."""
        names, here = self.with_record(current, request), current.state
        return (*(PlannedStep(name, here, here) for name in names), *self._left(current, route, request))

    def with_record(self, current: OrderState, request: TargetRequest) -> tuple[str, ...]:
        """The ERP's number, unless the order has this one."""
        is_new = request.erp_order_number not in (None, current.facts.get(ERP_NUMBER))
        return (SET_ERP_NUMBER,) if is_new and self._has_number and current.state in NUMBERED else ()

    def _left(
        self, current: OrderState, route: tuple[PlannedStep, ...], request: TargetRequest
    ) -> tuple[PlannedStep, ...]:
        wanted, facts, here = self.resolve(request.state), current.facts, current.state
        if wanted is None:
            return route
        if wanted.name == "DELIVERED":
            return delivering(facts, here, request, is_shipped=self._is_past_shipping(current)).steps
        if wanted.name == "IN_PROGRESS":
            return route if self._is_past_shipping(current) else preparing(facts, here, request, route)
        steps: tuple[PlannedStep, ...] = ()
        if any(step.step == "fulfill" for step in route):
            steps = shipping(facts, here, request, is_part=self._names_part(request)).steps
        if not steps and here in RETRACKABLE and retracked(facts, request):
            steps = (PlannedStep("update_tracking", here, here),)
        return steps

    def _names_part(self, request: TargetRequest) -> bool:
        return request.state.strip().casefold() == "partially_fulfilled"

    def satisfied(self, current: OrderState, request: TargetRequest) -> tuple[str, ...]:
        """Tracking that the order's fulfilments carry already, items that were shipped, a number that it has."""
        facts, found = current.facts, []
        if facts.get(ERP_NUMBER) is not None and facts[ERP_NUMBER] == request.erp_order_number:
            found.append(ERP_NUMBER)
        if current.state in SHIPPED or live(facts):
            found += [name for name in ("items", "location") if getattr(request, name) is not None]
            marks = mark(request)
            if marks is not None and shipped(facts, marks):
                found += TRACKED
        return tuple(found)

    def allowed(self, current: OrderState) -> tuple[str, ...]:
        """As the base; only what waits in a store is delivered in one step."""
        found = super().allowed(current)
        waits = current.state == "FULFILLED" or any(each["method"] == PICKUP for each in open_orders(current.facts))
        return found if waits else tuple(state for state in found if state != "DELIVERED")

    # -- guards ----------------------------------------------------------------------------------------------------

    def whole(self, current: OrderState) -> Whole:
        """The order's lines, and where its fulfilment orders are assigned to."""
        places = frozenset(str(each["location"]) for each in orders(current.facts) if each["location"] is not None)
        return Whole(current.facts.get("lines"), places, LINE)

    def withdrawn_reason(self, current: OrderState, request: TargetRequest) -> str | None:
        """What the buyer or the merchant is taking back before it was sent (`withheld`)."""
        return super().withdrawn_reason(current, request) or withheld_reason(current.facts, request)

    def location_of(self, request: TargetRequest) -> str | None:
        """By its number, also where the target brings the global id; one of another kind is not the order's."""
        try:
            return location_of(request)
        except InvalidItems:
            return request.location

    def guard(self, current: OrderState, request: TargetRequest, wanted: State) -> Refusal | None:
        """The items are the order's own and there, a tracking link is a web link, what is delivered selects whole
        parcels, nothing of a cancelled one was sent."""
        reason = None
        facts, is_shipped = current.facts, self._is_past_shipping(current)
        if wanted.name == "CANCELLED" and current.state in UNSHIPPED and live(facts):
            reason = "a part of the order was shipped: take it back in Shopify first"
        elif wanted.name in SHIPPED and current.state in (*UNSHIPPED, *SHIPPED):
            reason = refusal_reason(facts, request, wanted.name, is_shipped=is_shipped)
        elif wanted.name == "IN_PROGRESS" and not is_shipped:
            reason = progress_reason(facts, request)
        return None if reason is None else Refusal("not-allowed", reason, reason=reason)

    # -- parcels ---------------------------------------------------------------------------------------------------

    def open_lines(self, current: OrderState, parcel: TargetParcel) -> Open | None:
        """What Shopify still has open of the parcel's goods. Raises InvalidItems."""
        if not is_routed(current.facts):
            return super().open_lines(current, parcel)
        asked = TargetRequest("shipped", items=parcel.lines, location=parcel.location)
        return {line: Decimal(count) for line, count in rest(current.facts, asked).items()}

    def shows_parcel(self, current: OrderState, parcel: TargetParcel) -> bool:
        """Whether a fulfilment carries one of the parcel's codes."""
        marks = tuple(Tracking(code) for code in parcel.tracking)
        return bool(marks) and any(is_marked(each, marks) for each in live(current.facts))

    def with_parcel(self, current: OrderState, request: TargetRequest, parcel: RecordedParcel) -> TargetRequest:
        """As items under the parcel's numbers. Its number is the key, so that it is distinguished from others of the
        same goods; its quantities are those that were open when it was reported."""
        del current
        first, *further = trackings_of([parcel]) or (None,)
        lines = [{"id": line, "quantity": count} for line, count in parcel["lines"].items()]
        return replace(
            request,
            items=tuple(lines) or None,
            tracking=first,
            further_tracking=tuple(each for each in further if each is not None),
            location=parcel["location"],
            key=f"parcel {parcel['number']}",
        )

    # -- what calls and reads show -----------------------------------------------------------------------------------

    def merged_facts(self, current: OrderState, observed: OrderState) -> dict[str, Json]:
        """What the platform shows, and what no read shows: our record of parts that were shipped without a tracking
        code, what we reported as ready for pickup, parcels that are being given other tracking, a number that we gave
        the order and may not read."""
        kept = kept_records(current.facts, observed.facts)
        there = {each["id"] for each in open_orders(observed.facts) if left_in(each)}
        if ready := [each for each in current.facts.get(READY) or () if each in there]:
            kept[READY] = ready
        if (moving := current.facts.get(RETRACKING)) is not None:
            kept[RETRACKING] = moving
        if (number := observed.facts.get(ERP_NUMBER, current.facts.get(ERP_NUMBER))) is not None:
            kept[ERP_NUMBER] = number
        return {**observed.facts, **kept}

    def is_done(self, step: str, before: OrderState, observed: OrderState, request: TargetRequest) -> bool | None:
        """The read-backs of shopify.md §7 (`readbacks`). No state but CANCELLED proves a step: what a step is
        about shows in fulfilment orders and fulfilments, identified by their ids. That goods are ready for pickup shows
        nowhere; Shopify refuses a second report."""
        match step:
            case "fulfill":
                return has_shipped(before.facts, observed.facts, request)
            case "update_tracking":
                return has_retracked(before.facts, observed.facts, request)
            case "mark_delivered":
                return has_delivered(before.facts, observed.facts, request)
            case "report_progress":
                return has_reported(before.facts, observed.facts, request)
            case "set_erp_number":
                return bool(observed.facts.get(ERP_NUMBER) == request.erp_order_number)
            case "prepare_pickup":
                return False
            case _:
                return super().is_done(step, before, observed, request)

    def destination(self, current: OrderState, step: str, request: TargetRequest) -> str | None:
        """As the base; a parcel, and a delivery, lead to where the rest of the order says."""
        match step:
            case "fulfill" if current.state in self.steps["fulfill"].sources:
                return state_of(with_parcel(current.facts, request))
            case "mark_delivered":
                return delivered_state(delivered(current.facts, request), current.state)
            case "fulfill":
                return None
            case _:
                return super().destination(current, step, request)

    def after(
        self, current: OrderState, step: str, request: TargetRequest, answered: str | None, facts: Mapping[str, Json]
    ) -> OrderState:
        """`facts` are those that the client saw just before its call (none: ours); the step's effect is put on top."""
        base: dict[str, Json] = {**current.facts, **facts}
        match step:
            case "fulfill":
                made, is_delivered = base.pop(MADE, ""), base.pop(MADE_DELIVERED, None)
                base = dict(with_parcel(base, request, made, is_delivered=is_delivered))
                state = answered or state_of(base)
            case "update_tracking":
                base = with_tracking(base, request)
                state = current.state
            case "prepare_pickup":
                base = announced_ready(base, request)
                state = current.state
            case "set_erp_number":
                base[ERP_NUMBER] = request.erp_order_number
                state = current.state
            case "mark_delivered":
                base = delivered(base, request)
                state = delivered_state(base, current.state)
            case "report_progress":
                state = answered or "IN_PROGRESS"
            case _:
                state = self.apply(current.state, step)
        return replace(current, state=state, platform_state=answered or state, facts=base)

    def came_back(self, current: OrderState) -> Mapping[str, Json]:
        """By the returns themselves; where the app may not read those, all that was sent of an order in RETURNED."""
        if current.facts.get("returns") is not None:
            return came_back(current.facts)
        return shipped(current.facts) if current.state == "RETURNED" else {}

    def after_lost_answer(self, current: OrderState, step: str, request: TargetRequest) -> Mapping[str, Json]:
        """Which parcels were being given other tracking is kept: some may carry it by now."""
        return retracking_unanswered(current.facts, request) if step == "update_tracking" else current.facts

    def wait(self, current: OrderState, request: TargetRequest) -> PlatformWait | None:
        """Fulfilment orders that are not there yet, on hold or scheduled, where the target needs them (§6)."""
        wanted = self.resolve(request.state)
        if wanted is None or wanted.record_only or wanted.name not in (*SHIPPED, "IN_PROGRESS"):
            return None
        if self._is_past_shipping(current) or current.state not in (*UNSHIPPED, "PARTIALLY_FULFILLED"):
            return None
        is_progress = wanted.name == "IN_PROGRESS"
        if is_progress and current.state in ("IN_PROGRESS", "PARTIALLY_FULFILLED"):
            return None
        if not is_routed(current.facts):
            return routing_wait(current.facts, self._routing_seconds)
        return goods_wait(current.facts, request, is_progress=is_progress)

    def shown_rows(self) -> tuple[Step, ...]:
        """The table; rows that stay in their state are one that leaves it."""
        stays = [row for row in self.rows if row.sources == (row.to,)]
        moves = tuple(row for row in self.rows if row not in stays)
        return (*moves, replace(stays[0], sources=tuple(row.sources[0] for row in stays), to=None))


MACHINE = ShopifyMachine()


def build(options: Mapping[str, Json]) -> PlatformMachine:
    """The machine for a shop's options `routing_timeout_seconds` and `ship_withdrawn`."""
    seconds = float(options.get("routing_timeout_seconds", DEFAULT_ROUTING_SECONDS))
    has_number = options.get("erp_number_metafield", True) is not None
    return ShopifyMachine(seconds, ships_withdrawn=bool(options.get("ship_withdrawn")), has_number=has_number)
