"""Vendure 3: the machine of its orders, its options, and the `Platform` itself (facts: README.md).

A parcel is a fulfilment of Vendure's: `fulfill` makes it, Pending, which leaves the order's state; `mark_shipped` and
`mark_delivered` move it on, one parcel a step, and the order's state follows from all of them. What is next is told
from the facts alone, so a fulfilment that was made before a crash, or by hand, is taken up and not made again.

Facts: `lines` {line: quantity}, `parcels` [{id, state, code, lines: {line: quantity}}] without cancelled ones, `made`
{token: [parcel]}: which parcels were shipped for a target of quantities without a tracking code, for no read tells
those from another parcel of the same goods.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from orchestrator.plugin import DefaultLimits, Platform, Secret, Section
from orchestrator.plugin.client import is_header_safe
from orchestrator.plugin.machine import (
    InvalidItems,
    Json,
    Milestone,
    OrderState,
    PlannedStep,
    PlatformMachine,
    PlatformWait,
    Refusal,
    State,
    Step,
    TargetRequest,
    Whole,
    plain,
    read_items,
)

PENDING, SHIPPED, DELIVERED = "Pending", "Shipped", "Delivered"
"""States of a fulfilment; the latter two are states of orders as well."""

_UNPAID = ("Created", "Draft", "AddingItems", "ArrangingPayment", "PaymentAuthorized")
_MODIFIED = ("Modifying", "ArrangingAdditionalPayment")
OPEN = ("PaymentSettled", "PartiallyShipped", SHIPPED, "PartiallyDelivered")
CANCELLABLE = ("PaymentAuthorized", "PaymentSettled")
_PARCEL = ("items", "tracking", "tracking.carrier")

_STATES = (
    *(State(name, settable=False) for name in (*_UNPAID, *_MODIFIED)),
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
    Step("finish_modification", _MODIFIED, "PaymentSettled", by="platform"),
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
LEADS_TO = {"mark_shipped": SHIPPED, "mark_delivered": DELIVERED}


def code_of(request: TargetRequest) -> str:
    """The tracking code that a target brings, "" where it brings none."""
    return (request.tracking.code or "").strip() if request.tracking is not None else ""


def asked_of(request: TargetRequest) -> dict[str, int | None] | None:
    """The lines that a target is about, with the quantity where it names one; None: all. Raises InvalidItems."""
    asked = read_items(request.items)
    for line, count in (asked or {}).items():
        if count is not None and count % 1:
            raise InvalidItems(f"the quantity of item {line} is {plain(count)}, not a whole number")
    return None if asked is None else {line: None if n is None else int(n) for line, n in asked.items()}


def parcels_of(facts: Mapping[str, Json]) -> list[dict[str, Json]]:
    """The fulfilments that were not cancelled, oldest first."""
    return list(facts.get("parcels") or ())


def own(facts: Mapping[str, Json], request: TargetRequest) -> list[dict[str, Json]] | None:
    """The parcels that a target is about; None: it is about the whole order. Raises InvalidItems.

    A code that is known selects its parcels. Without a code they are those that hold nothing else than it names; where
    it names quantities, another such parcel may have left before, so only what was made for it and what is Pending.
    """
    code, asked, parcels = code_of(request), asked_of(request), parcels_of(facts)
    if code:
        found = [each for each in parcels if each["code"] == code]
        return found if found or asked is not None else None
    if asked is None:
        return None
    made = (facts.get("made") or {}).get(_token(request), ())
    is_any = not any(asked.values()) or _is_delivery(request)
    return [p for p in parcels if p["id"] in made or ((is_any or p["state"] == PENDING) and _is_of(p, asked))]


def _is_delivery(request: TargetRequest) -> bool:
    return request.state.strip().casefold() == "delivered"


def _is_of(parcel: Mapping[str, Json], asked: Mapping[str, int | None]) -> bool:
    return all(line in asked and asked[line] in (None, count) for line, count in parcel["lines"].items())


def _token(request: TargetRequest) -> str:
    """What tells a target of quantities without a code from another: its key, else what it names."""
    return json.dumps([request.key, None if request.key else sorted((asked_of(request) or {}).items())])


def packed_in(facts: Mapping[str, Json]) -> Counter[str]:
    """How many of each line are in parcels."""
    return _counts(parcels_of(facts))


def _counts(parcels: list[dict[str, Json]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for each in parcels:
        counts.update(each["lines"])
    return counts


def left(facts: Mapping[str, Json], request: TargetRequest) -> dict[str, int]:
    """What the target has to have put into a parcel yet, by line. Raises InvalidItems for what cannot be."""
    packed = packed_in(facts)
    rest = {line: count - packed[line] for line, count in (facts.get("lines") or {}).items() if count > packed[line]}
    asked, mine = asked_of(request), own(facts, request)
    if asked is None:
        return rest if mine is None else {}
    done = _counts(mine or [])
    found: dict[str, int] = {}
    for line, count in asked.items():
        there = rest.get(line, 0)
        need = there if count is None else count - done[line]
        if need <= 0 or (there == 0 and packed[line] >= (count or 1)):
            continue  # in a parcel already, ours or one made by hand
        if need > there:
            raise InvalidItems(f"{need} of item {line} are asked for and {there} are left")
        found[line] = need
    return found


def due_parcel(facts: Mapping[str, Json], request: TargetRequest, step: str) -> dict[str, Json] | None:
    """The parcel that `mark_shipped` or `mark_delivered` is about next; None: there is none."""
    mine, state = own(facts, request), PENDING if step == "mark_shipped" else SHIPPED
    parcels = parcels_of(facts) if mine is None else mine
    return next((each for each in parcels if each["state"] == state), None)


def done(facts: Mapping[str, Json], request: TargetRequest, step: str, made: str = "") -> dict[str, Json]:
    """The facts after a step. `made`: the id of the fulfilment that `fulfill` made, "" where it is not known."""
    parcels = parcels_of(facts)
    if step == "fulfill":
        new = {"id": made, "state": PENDING, "code": code_of(request), "lines": left(facts, request)}
        return {**facts, "parcels": [*parcels, new]}
    if (due := due_parcel(facts, request, step)) is None:
        return dict(facts)
    moved = {**facts, "parcels": [{**p, "state": LEADS_TO[step]} if p is due else p for p in parcels]}
    if step == "mark_shipped" and not code_of(request) and any((asked_of(request) or {}).values()):
        known = facts.get("made") or {}
        moved["made"] = {**known, _token(request): [*known.get(_token(request), ()), due["id"]]}
    return moved


def state_after(state: str, facts: Mapping[str, Json]) -> str:
    """The order's state that Vendure derives from its fulfilments; one that does not follow stays."""
    lines, parcels = facts.get("lines") or {}, parcels_of(facts)
    packed = packed_in(facts)
    states = {each["state"] for each in parcels if any(lines.get(line) for line in each["lines"])}
    is_whole = all(count <= packed[line] for line, count in lines.items())
    if DELIVERED in states:
        return DELIVERED if is_whole and len(states) == 1 else "PartiallyDelivered"
    if SHIPPED not in states or state in (SHIPPED, "PartiallyDelivered"):
        return state
    return SHIPPED if is_whole and len(states) == 1 else "PartiallyShipped"


class VendureMachine(PlatformMachine):
    """The machine of Vendure's default order process (README.md, "States")."""

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

    def _next(self, facts: Mapping[str, Json], request: TargetRequest) -> str | None:
        wanted = self.resolve(request.state)
        if wanted is None or wanted.name not in (SHIPPED, DELIVERED):
            return None
        if left(facts, request):
            return "fulfill"
        names = ("mark_shipped", "mark_delivered") if wanted.name == DELIVERED else ("mark_shipped",)
        return next((name for name in names if due_parcel(facts, request, name) is not None), None)

    def satisfied(self, current: OrderState, request: TargetRequest) -> tuple[str, ...]:
        """What the target's own parcels carry already."""
        return _PARCEL if own(current.facts, request) else ()

    def wait(self, current: OrderState, request: TargetRequest) -> PlatformWait | None:
        """An order is not shipped before its payment is settled, nor while somebody modifies it."""
        wanted = self.resolve(request.state)
        if wanted is None or wanted.name not in (SHIPPED, DELIVERED):
            return None
        if current.state in _UNPAID:
            return PlatformWait("payment", None, f"it is in {current.state}: its payment has to be settled in Vendure")
        if current.state in _MODIFIED:
            return PlatformWait("platform", None, f"it is in {current.state}: somebody is changing it in Vendure")
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

    def _reason(self, facts: Mapping[str, Json], request: TargetRequest, wanted: str) -> str | None:
        if wanted == "Cancelled" and any(each["state"] != PENDING for each in parcels_of(facts)):
            return "a part of the order was shipped: take it back in Vendure first"
        if wanted not in (SHIPPED, DELIVERED):
            return None
        lines = facts.get("lines") or {}
        if foreign := [line for line in asked_of(request) or () if line not in lines]:
            return f"items {', '.join(foreign)} are not in this order, it has {', '.join(lines)}"
        if reason := _shared_reason(facts, request):
            return reason
        is_new = code_of(request) and not own(facts, request)
        if is_new and not left(facts, request) and (wanted == DELIVERED or request.items is None):
            return None if self._next(facts, replace(request, tracking=None)) is None else _unknown(request)
        return None

    # -- what calls and reads show -----------------------------------------------------------------------------------

    def merged_facts(self, current: OrderState, observed: OrderState) -> dict[str, Json]:
        """What the platform shows, and our own record of what was made for which target."""
        made = current.facts.get("made")
        return {**observed.facts, **({"made": made} if made else {})}

    def is_done(self, step: str, before: OrderState, observed: OrderState, request: TargetRequest) -> bool | None:
        """A fulfilment is there with just what was due, or the one that was due has moved on."""
        if step == "cancel":
            return super().is_done(step, before, observed, request)
        now = {each["id"]: each for each in parcels_of(observed.facts)}
        if step == "fulfill":
            known = {each["id"] for each in parcels_of(before.facts)}
            asked = left(before.facts, request), code_of(request)
            return any((each["lines"], each["code"]) == asked for name, each in now.items() if name not in known)
        due = due_parcel(before.facts, request, step) or {"id": ""}
        return due["id"] in now and now[due["id"]]["state"] in (LEADS_TO[step], DELIVERED)

    def destination(self, current: OrderState, step: str, request: TargetRequest) -> str | None:
        """As the base; a parcel leads to where the rest of the order says."""
        if step not in LEADS_TO:
            return super().destination(current, step, request)
        return state_after(current.state, done(current.facts, request, step)) if current.state in OPEN else None

    def after(
        self, current: OrderState, step: str, request: TargetRequest, answered: str | None, facts: Mapping[str, Json]
    ) -> OrderState:
        """`facts`: those that the client saw before its call, with `made_id` of what it made."""
        if step == "cancel":
            return super().after(current, step, request, answered, facts)
        seen = {**current.facts, **facts}
        found = done(seen, request, step, seen.pop("made_id", ""))
        state = answered or (current.state if step == "fulfill" else state_after(current.state, found))
        return replace(current, state=state, platform_state=state, facts=found)


def _shared_reason(facts: Mapping[str, Json], request: TargetRequest) -> str | None:
    """Why the items of a delivery select no whole parcels. Raises InvalidItems."""
    asked, mine = asked_of(request), own(facts, request) or []
    if asked is None or not _is_delivery(request):
        return None
    found = _counts(mine)
    missing = [line for line in asked if not found[line] and line not in left(facts, request)]
    if not missing and all(_is_of(each, asked) for each in mine):
        return None
    return f"items {', '.join(missing or asked)} are in a parcel with others: name its tracking code alone"


def _unknown(request: TargetRequest) -> str:
    return f"no parcel of this order has the tracking code {code_of(request)}, and nothing is left to be put into one"


def _header_safe(value: str) -> str:
    if not is_header_safe(value):
        raise ValueError("must be visible ASCII without blanks")
    return value


class VendureCredentials(Section):
    """An administrator of the shop whose role may read and update orders."""

    username: Annotated[Secret, Field(description="administrator's identifier, mostly a mail address")]
    password: Annotated[Secret, Field(description="its password")]


class VendureOptions(Section):
    """A shop's access to its Vendure server."""

    credentials: Annotated[VendureCredentials, Field(description="administrator with ReadOrder and UpdateOrder")]
    admin_path: Annotated[
        str, Field(pattern=r"^[\w.~-]+(/[\w.~-]+)*$", description="path of the Admin API (apiOptions.adminApiPath)")
    ] = "admin-api"
    channel_token: Annotated[
        Annotated[str, AfterValidator(_header_safe)] | None,
        Field(description="token of the shop's channel; without one it is the default channel"),
    ] = None
    fulfillment_handler: Annotated[
        str, Field(min_length=1, description="code of the handler that makes fulfilments, with method and trackingCode")
    ] = "manual-fulfillment"


def build(options: Mapping[str, Json]) -> PlatformMachine:
    """The machine of a shop; nothing of it can be chosen."""
    del options
    return VendureMachine()


PLATFORM = Platform(
    name="vendure",
    title="Vendure",
    default_base_url="http://127.0.0.1:3000",
    default_limits=DefaultLimits(rate_per_second=10, burst=20, concurrency=4),
    options=VendureOptions,
    identity=("channel_token",),
    machine=build,
    client="platform_vendure.client:VendureClient",
    sandbox="platform_vendure.sandbox.platform:VendurePlatform",
    example={
        "ven": {
            "platform": "vendure",
            "base_url": "https://shop.example",
            "credentials": {"username": {"env": "VEN_USER"}, "password": {"env": "VEN_PASSWORD"}},
            "admin_path": "admin-api",
            "channel_token": {"env": "VEN_CHANNEL"},
            "fulfillment_handler": "manual-fulfillment",
        }
    },
)
