"""The machine of Vendure's default order process (README.md, "States").

`fulfill` makes a parcel and leaves the order's state; `mark_shipped` and `mark_delivered` move one parcel on each
(`parcels`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar

from orchestrator.plugin.machine import (
    InvalidItems,
    Json,
    Milestone,
    Open,
    OrderState,
    PlannedStep,
    PlatformMachine,
    PlatformWait,
    RecordedParcel,
    Refusal,
    State,
    Step,
    TargetParcel,
    TargetRequest,
    Whole,
)
from platform_vendure.parcels import (
    DELIVERED,
    LEADS_TO,
    PENDING,
    SHIPPED,
    Facts,
    asked_of,
    code_of,
    counts_of,
    done,
    due_parcel,
    left,
    own,
    parcels_of,
    rest_of,
    shared_reason,
    state_after,
)

_UNPAID = ("Created", "Draft", "AddingItems", "ArrangingPayment", "PaymentAuthorized")
MODIFIED = ("Modifying", "ArrangingAdditionalPayment")
OPEN = ("PaymentSettled", "PartiallyShipped", SHIPPED, "PartiallyDelivered")
CANCELLABLE = ("PaymentAuthorized", "PaymentSettled")
_PARCEL = ("items", "tracking", "tracking.carrier")

_STATES = (
    *(State(name, settable=False) for name in (*_UNPAID, *MODIFIED)),
    State("PaymentSettled", (Milestone.NEW,)),
    State("accepted", (Milestone.ACCEPTED,), record_only=True),
    State("PartiallyShipped", settable=False),
    State(SHIPPED, (Milestone.SHIPPED,)),
    State("PartiallyDelivered", settable=False),
    State(DELIVERED, (Milestone.DELIVERED,), is_end=True),
    State("Cancelled", (Milestone.CANCELLED,), is_end=True),
    State("attention", (Milestone.ATTENTION,), record_only=True),
)


def _moves(name: str, rows: Mapping[str, tuple[str, ...]], **named: Any) -> tuple[Step, ...]:
    return tuple(Step(name, sources, to, is_irrevocable=True, **named) for to, sources in rows.items())


_STEPS = (
    Step("settle_payment", _UNPAID, "PaymentSettled", by="platform"),
    Step("finish_modification", MODIFIED, "PaymentSettled", by="platform"),
    Step("fulfill", OPEN, None, uses=_PARCEL, is_irrevocable=True, narrows=("items",)),
    *_moves(
        "mark_shipped",
        {
            SHIPPED: ("PaymentSettled", "PartiallyShipped", SHIPPED),
            "PartiallyShipped": ("PaymentSettled", "PartiallyShipped"),
            "PartiallyDelivered": ("PartiallyDelivered",),
        },
        narrows=("items",),
        reaches_buyer=True,
    ),
    *_moves(
        "mark_delivered",
        {DELIVERED: (SHIPPED, "PartiallyDelivered"), "PartiallyDelivered": OPEN[1:]},
        uses=("items", "tracking"),
        narrows=("items",),
    ),
    Step("cancel", CANCELLABLE, "Cancelled", uses=("reason",), is_irrevocable=True),
)


def held_up(state: str) -> PlatformWait:
    """What is waited for while somebody modifies an order."""
    return PlatformWait("platform", None, f"it is in {state}: somebody is changing it in Vendure")


def _left(facts: Mapping[str, Json], request: TargetRequest) -> dict[str, int]:
    """As `left`; nothing, where the target names more than there is."""
    try:
        return left(facts, request)
    except InvalidItems:
        return {}


class VendureMachine(PlatformMachine):
    """The machine of Vendure's default order process (README.md, "States")."""

    parcel_step: ClassVar[str | None] = "mark_shipped"
    delivers_parcels: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__("vendure", _STATES, _STEPS, (*OPEN, DELIVERED), "PaymentSettled")

    # -- planning --------------------------------------------------------------------------------------------------

    def has_reached(self, current: OrderState, wanted: str) -> bool:
        """PartiallyDelivered hides whether everything has left."""
        if wanted == SHIPPED and current.state == "PartiallyDelivered":
            return self._next(current.facts, TargetRequest(SHIPPED)) is None
        return super().has_reached(current, wanted)

    def route(self, current: OrderState, wanted: str) -> tuple[PlannedStep, ...] | None:
        """As the base; what is left of an order in PartiallyDelivered is shipped as well."""
        if wanted == SHIPPED and current.state == "PartiallyDelivered" and not self.has_reached(current, wanted):
            return (PlannedStep("mark_shipped", current.state, current.state),)
        return super().route(current, wanted)

    def with_actions(
        self, current: OrderState, route: tuple[PlannedStep, ...], request: TargetRequest
    ) -> tuple[PlannedStep, ...]:
        """The steps that are left of the target, in place of the way of a whole order."""
        steps = [each for each in route if self.row(each).by == "platform"]
        here, facts = steps[-1].to if steps else current.state, current.facts
        while here != DELIVERED and (step := self._next(facts, request)) is not None:
            facts = done(facts, request, step)
            to = here if step == "fulfill" else state_after(here, facts)
            steps.append(PlannedStep(step, here, to))
            here = to
        return tuple(steps)

    def _next(self, facts: Facts, request: TargetRequest) -> str | None:
        wanted = self.resolve(request.state)
        if wanted is None or wanted.name not in (SHIPPED, DELIVERED):
            return None
        if left(facts, request):
            return "fulfill"
        names = ("mark_shipped", "mark_delivered") if wanted.name == DELIVERED else ("mark_shipped",)
        return next((name for name in names if due_parcel(facts, request, name) is not None), None)

    def satisfied(self, current: OrderState, request: TargetRequest) -> tuple[str, ...]:
        """What the target's own parcels carry already."""
        try:
            return _PARCEL if own(current.facts, request) else ()
        except InvalidItems:  # of a state that has no use for them
            return ()

    def wait(self, current: OrderState, request: TargetRequest) -> PlatformWait | None:
        """An order is not shipped before its payment is settled, nor while somebody modifies it."""
        wanted = self.resolve(request.state)
        if wanted is None or wanted.name not in (SHIPPED, DELIVERED):
            return None
        if current.state in _UNPAID:
            return PlatformWait("payment", None, f"it is in {current.state}: its payment has to be settled in Vendure")
        if current.state in MODIFIED:
            return held_up(current.state)
        return None

    # -- guards ----------------------------------------------------------------------------------------------------

    def whole(self, current: OrderState) -> Whole:
        """The order's lines; Vendure tells no location."""
        return Whole(current.facts.get("lines"))

    def guard(self, current: OrderState, request: TargetRequest, wanted: State) -> Refusal | None:
        """Items are the order's own and there, a code selects a parcel, nothing of a cancelled order has left."""
        try:
            reason = self._reason(current.facts, request, wanted.name)
        except InvalidItems as error:
            reason = str(error)
        return None if reason is None else Refusal("not-allowed", reason, reason=reason)

    def _reason(self, facts: Facts, request: TargetRequest, wanted: str) -> str | None:
        if wanted == "Cancelled" and any(each["state"] != PENDING for each in parcels_of(facts)):
            return "a part of the order was shipped: take it back in Vendure first"
        if wanted not in (SHIPPED, DELIVERED):
            return None
        lines = facts.get("lines") or {}
        if foreign := [line for line in asked_of(request) or () if line not in lines]:
            return f"items {', '.join(foreign)} are not in this order, it has {', '.join(lines)}"
        if reason := shared_reason(facts, request):
            return reason
        is_new, rest = code_of(request) and not own(facts, request), left(facts, request)
        if is_new and not rest and (wanted == DELIVERED or request.items is None):
            return None if self._next(facts, replace(request, tracking=None)) is None else _unknown(request)
        return None

    # -- parcels ---------------------------------------------------------------------------------------------------

    def open_lines(self, current: OrderState, parcel: TargetParcel) -> Open | None:
        """What is in no fulfilment, and what is packed for this parcel and has not left yet."""
        code = next(iter(parcel.tracking), parcel.url or "")
        packed = [each for each in parcels_of(current.facts) if each["state"] == PENDING and each["code"] == code]
        there = Counter(rest_of(current.facts)) + counts_of(packed)
        return {line: Decimal(there[line]) for line in current.facts.get("lines") or ()}

    def shows_parcel(self, current: OrderState, parcel: TargetParcel) -> bool:
        """Whether a fulfilment carries the parcel's first code."""
        return any(each["code"] in parcel.tracking[:1] for each in parcels_of(current.facts))

    def with_parcel(self, current: OrderState, request: TargetRequest, parcel: RecordedParcel) -> TargetRequest:
        """As items under the first of its codes; its number is the key by which it is distinguished without one."""
        lines = tuple({"id": line, "quantity": count} for line, count in parcel["lines"].items())
        own = super().with_parcel(current, request, parcel)
        return replace(own, items=lines or None, key=f"parcel {parcel['number']}")

    # -- what calls and reads show -----------------------------------------------------------------------------------

    def merged_facts(self, current: OrderState, observed: OrderState) -> dict[str, Json]:
        """What the platform shows, and our own record of what was made for which target."""
        made = current.facts.get("made")
        return {**observed.facts, **({"made": made} if made else {})}

    def is_done(self, step: str, before: OrderState, observed: OrderState, request: TargetRequest) -> bool | None:
        """A fulfilment is there with just what was due, or the one that was due has moved on."""
        if step == "cancel":
            return super().is_done(step, before, observed, request)
        try:
            return self._is_made(step, before.facts, observed.facts, request)
        except InvalidItems:  # the order was changed since, and has not what was due
            return False

    def _is_made(self, step: str, before: Facts, observed: Facts, request: TargetRequest) -> bool:
        now = {each["id"]: each for each in parcels_of(observed)}
        if step == "fulfill":
            known = {each["id"] for each in parcels_of(before)}
            # A person may have taken a piece out before the client looked, or since.
            due = [_left({**before, "lines": each}, request) for each in (before.get("lines"), observed.get("lines"))]
            new = [each for name, each in now.items() if name not in known]
            return any(each["lines"] in due and each["code"] == code_of(request) for each in new)
        moved = due_parcel(before, request, step) or {"id": ""}
        return moved["id"] in now and now[moved["id"]]["state"] in (LEADS_TO[step], DELIVERED)

    def destination(self, current: OrderState, step: str, request: TargetRequest) -> str | None:
        """As the base; a parcel leads to where the rest of the order says."""
        if step not in LEADS_TO:
            return super().destination(current, step, request)
        return state_after(current.state, done(current.facts, request, step)) if current.state in OPEN else None

    def after(
        self, current: OrderState, step: str, request: TargetRequest, answered: str | None, facts: Mapping[str, Json]
    ) -> OrderState:
        """`facts`: those that the client saw before its call, with `made_id` of what it made."""
        if step == "cancel":  # which takes all goods out
            none: dict[str, Json] = {"lines": dict.fromkeys(current.facts.get("lines") or (), 0), "parcels": []}
            return super().after(current, step, request, answered, {**facts, **none})
        seen = {**current.facts, **facts}
        found = done(seen, request, step, seen.pop("made_id", ""))
        state = answered or (current.state if step == "fulfill" else state_after(current.state, found))
        return replace(current, state=state, platform_state=state, facts=found)


def _unknown(request: TargetRequest) -> str:
    return f"no parcel of this order has the tracking code {code_of(request)}, and nothing is left to be put into one"
