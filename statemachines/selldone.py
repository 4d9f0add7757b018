"""Selldone's order machine: CheckQueue → OrderConfirm → PreparingOrder → SentOrder → ToCustomer, with returns.

Facts: selldone.md §5. `Returned` is ours: delivery-returned was called and accepted, by us or in the panel; what the
platform shows then (PreparingOrder, as far as known) is kept as the platform state and is not drift; sending it again
begins there. Only an order that was sent is returned: none is sent for that. `Canceled` is the payment side's status:
a rejection leads there, at once where a target asks for it, after a countdown where the panel began it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from statemachines.items import InvalidItems, foreign_reason, part_reason, read_items
from statemachines.machine import (
    Milestone,
    OrderState,
    PlannedStep,
    PlatformMachine,
    PlatformWait,
    Refusal,
    State,
    Step,
)
from statemachines.narrowing import Whole
from statemachines.numbers import decimal_of, plain
from statemachines.target import Json, TargetRequest, is_web_link

REJECT_COUNTDOWN_MS = 48 * 3600 * 1000
"""A rejected order is cancelled 48 h after `reject_at` (selldone.md §5.2, §9)."""

_RELEASED = ("Payed", "COD")
_REJECTABLE = (*_RELEASED, "Reserved")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_STATES = (
    State("CheckQueue", (Milestone.NEW,)),
    State("OrderConfirm", (Milestone.ACCEPTED,)),
    State("PreparingOrder", (Milestone.PREPARING,)),
    State("SentOrder", (Milestone.SHIPPED,)),
    State("ToCustomer", (Milestone.DELIVERED,), is_end=True),
    State("Returned", (Milestone.RETURNED,)),
    State("Canceled", (Milestone.CANCELLED,), is_end=True),
    State("attention", (Milestone.ATTENTION,), record_only=True),
)

_REJECTED_FROM = ("CheckQueue", "OrderConfirm", "PreparingOrder", "SentOrder", "Returned")
"""An order is rejected from any state but ToCustomer (selldone.md §5.2)."""

_STEPS = (
    Step("confirm", ("CheckQueue",), "OrderConfirm", uses=("items",), is_irrevocable=True, narrows=("items",)),
    Step("prepare", ("OrderConfirm",), "PreparingOrder", uses=("delivery_info",), is_irrevocable=True),
    Step(
        "set_tracking",
        ("PreparingOrder", "SentOrder", "Returned"),
        None,
        uses=("tracking",),
        reaches_buyer=True,
        is_blind=True,
    ),
    Step("send", ("PreparingOrder", "Returned"), "SentOrder", is_irrevocable=True, reaches_buyer=True, is_blind=True),
    Step("deliver", ("SentOrder",), "ToCustomer", is_irrevocable=True, reaches_buyer=True),
    Step("return_delivery", ("SentOrder",), "Returned", is_irrevocable=True),
    Step("cancel", _REJECTED_FROM, "Canceled", uses=("reason",), is_irrevocable=True, is_blind=True),
)

_RETURNING = ("Pending", "Accepted")
_BEFORE_PREPARING = ("CheckQueue", "OrderConfirm")
_COMES_BACK_TO = (*_BEFORE_PREPARING, "PreparingOrder", "Returned")
"""What an order may show after delivery-returned (selldone.md §5.2, §10)."""

_MAINLINE = ("CheckQueue", "OrderConfirm", "PreparingOrder", "SentOrder", "ToCustomer")


class SelldoneMachine(PlatformMachine):
    """The machine of Selldone's physical orders.

    Facts it reads: `status`, `type`, `reject_at`, `items`, `counts` (how many, by item), `tracking_*`,
    `delivery_info`, `withdrawn` (`withdrawal.WITHDRAWN`) and, kept by us alone, `confirmed`: the items that a target
    confirmed, where those were not all.
    """

    def __init__(self, *, ships_withdrawn: bool = False) -> None:
        super().__init__("selldone", _STATES, _STEPS, _MAINLINE, "CheckQueue", ships_withdrawn=ships_withdrawn)

    def has_reached(self, current: OrderState, wanted: str) -> bool:
        """A returned order stands where the platform put it; it can be sent again, so SentOrder lies ahead of it."""
        return current.state == wanted or super().has_reached(_on_platform(current), wanted)

    def allowed(self, current: OrderState) -> tuple[str, ...]:
        """As the base; of a returned order, what the platform takes next."""
        return super().allowed(_on_platform(current))

    def route(self, current: OrderState, wanted: str) -> tuple[PlannedStep, ...] | None:
        """As the base; of a returned order, from where the platform put it."""
        if current.state == wanted:
            return ()
        return super().route(current if self.rank(wanted) is None else _on_platform(current), wanted)

    def with_actions(
        self, current: OrderState, route: tuple[PlannedStep, ...], request: TargetRequest
    ) -> tuple[PlannedStep, ...]:
        """The way of a returned order begins in `Returned`, and with what the platform takes where it put the order."""
        there = _on_platform(current)
        steps = super().with_actions(there, route, request)
        if there.state == current.state:
            return steps
        ours = {there.state: current.state}
        return tuple(PlannedStep(s.step, ours.get(s.source, s.source), ours.get(s.to, s.to)) for s in steps)

    def guard(self, current: OrderState, request: TargetRequest, wanted: State) -> Refusal | None:
        """Only released orders of goods go on (selldone.md §1, §5.1); confirmed items must be the order's own; a
        tracking link must be a web link."""
        is_rejection = wanted.name == "Canceled"
        if self.has_reached(current, wanted.name):
            return None if is_rejection else self._tracking_guard(current, request, wanted)
        if (kind := current.facts.get("type")) not in (None, "PHYSICAL"):
            reason = f"the order's type is {kind}, only PHYSICAL orders go this way"
            return Refusal("not-allowed", reason, reason=reason)
        status = current.facts.get("status")
        if is_rejection:
            return _rejection_guard(status)
        if status is not None and status not in _RELEASED and current.state != "Canceled":
            reason = f"the order's payment status is {status}, only Payed and COD orders are released"
            return Refusal("not-allowed", reason, reason=reason)
        is_unconfirmed = _on_platform(current).state == "CheckQueue"
        if is_unconfirmed and (refusal := _items_guard(request.items, current.facts)) is not None:
            return refusal
        return self._tracking_guard(current, request, wanted)

    def whole(self, current: OrderState) -> Whole:
        """The items that go on: those that were confirmed, all where nothing was left out. No locations."""
        counts: Mapping[str, Json] = current.facts.get("counts") or {}
        items: list[str] = current.facts.get("items") or []
        is_unconfirmed = _on_platform(current).state == "CheckQueue"
        confirmed = None if is_unconfirmed else current.facts.get("confirmed")
        return Whole({item: counts.get(item) for item in items if confirmed is None or item in confirmed})

    def _tracking_guard(self, current: OrderState, request: TargetRequest, wanted: State) -> Refusal | None:
        urls = [each.url for each in request.trackings if each.url]
        if foreign := [url for url in urls if not is_web_link(url)]:
            reason = f"tracking.url {foreign[0]!r} is not an http(s) link"
            return Refusal("not-allowed", reason, reason=reason)
        codes = {each.code for each in request.trackings if each.code}
        known = current.facts.get("tracking_code")
        is_end = wanted.name in ("ToCustomer", "Returned") and current.state == "SentOrder"
        if is_end and codes and known and known not in codes:
            reason = f"the order went out under {known}, not under {', '.join(sorted(codes))}; it has one tracking"
            return Refusal("not-allowed", reason, reason=reason)
        return None

    def withdrawn_reason(self, current: OrderState, request: TargetRequest) -> str | None:
        """As the base, and a return that the buyer asked for before the order was ever sent (selldone.md §5.2). In an
        order that came back the requests are what it came back for."""
        reason = super().withdrawn_reason(current, request)
        if reason is not None or current.state == "Returned":
            return reason
        asked = [each for each in current.facts.get("returns") or () if each["state"] in _RETURNING]
        if not asked:
            return None
        listed = ", ".join(f"{each['id']} ({each['state']})" for each in asked)
        return f"the buyer asked to return items before the order was sent, requests {listed}: reject them to ship it"

    def pending_actions(self, current: OrderState, request: TargetRequest) -> tuple[str, ...]:
        """set_tracking, when the target brings a code or link that the order does not carry yet."""
        tracking = request.tracking
        if tracking is None or not (tracking.code or tracking.url) or _has_tracking(current.facts, request):
            return ()
        return ("set_tracking",)

    def satisfied(self, current: OrderState, request: TargetRequest) -> tuple[str, ...]:
        """Tracking that the order carries already."""
        return ("tracking",) if request.tracking is not None and _has_tracking(current.facts, request) else ()

    def merged_facts(self, current: OrderState, observed: OrderState) -> dict[str, Json]:
        """What the platform shows, and which items were confirmed: no read shows that. An observation that says nothing
        of returns takes none away."""
        confirmed = current.facts.get("confirmed")
        known = {name: current.facts[name] for name in ("returns",) if name in current.facts}
        return {**known, **observed.facts, **({"confirmed": confirmed} if confirmed is not None else {})}

    def observe(self, current: OrderState | None, observed: OrderState) -> str:
        """Canceled wins over the delivery state; a returned order keeps our name while the platform shows the same. One
        that was sent and can be shipped again came back, whoever called for that: nothing else takes an order back."""
        if observed.facts.get("status") == "Canceled":
            return "Canceled"
        if current is not None and current.state == "SentOrder" and observed.platform_state in _COMES_BACK_TO:
            return "Returned"
        if current is not None and current.state == "Returned" and observed.platform_state == current.platform_state:
            return "Returned"
        return observed.platform_state

    def is_done(self, step: str, before: OrderState, observed: OrderState, request: TargetRequest) -> bool | None:
        """The read-backs of selldone.md §8. Selldone itself lets no order skip a state, so one that is past the state
        that a step leads to went through it. Only delivery-returned takes an order back, to where it can be shipped
        from again: a state that nobody knows proves nothing, and neither does the end of the order.
        """
        match step:
            case "set_tracking":
                return _has_tracking(observed.facts, request)
            case "return_delivery":
                return observed.facts.get("status") != "Canceled" and observed.platform_state in _COMES_BACK_TO
            case _:
                here = _on_platform(before)
                due = self.apply(here.state, step, self.destination(here, step, request))
                return super().has_reached(replace(observed, state=self.observe(None, observed)), due)

    def is_evident(self, step: str, request: TargetRequest) -> bool:
        """No read shows which items were confirmed, nor whose delivery info an order has."""
        match step:
            case "confirm":
                return request.items is None
            case "prepare":
                return request.delivery_info is None
            case _:
                return True

    def after(
        self, current: OrderState, step: str, request: TargetRequest, answered: str | None, facts: Mapping[str, Json]
    ) -> OrderState:
        """As the base; set_tracking leaves its data in the facts, return_delivery keeps what the platform answered."""
        if step == "set_tracking" and request.tracking is not None:
            tracking = {"tracking_code": request.tracking.code, "tracking_url": request.tracking.url}
            facts = {**{k: v for k, v in tracking.items() if v}, **facts}
            answered = answered or current.platform_state
        if step == "return_delivery":
            answered = answered or "PreparingOrder"
        if step == "confirm" and request.items is not None:
            facts = {"confirmed": _ids(request.items), **facts}
        elif step == "confirm" and current.facts.get("confirmed") is not None:
            facts = {"confirmed": None, **facts}  # all of them, this time
        if step in ("confirm", "prepare"):
            current = _on_platform(current)
        return super().after(current, step, request, answered, facts)

    def came_back(self, current: OrderState) -> Mapping[str, Json]:
        """The items of the buyer's requests that the shop accepted, and all of a parcel that came back."""
        counts: dict[str, Decimal] = {}
        accepted = [each for each in current.facts.get("returns") or () if each["state"] == "Accepted"]
        for line in [line for each in accepted for line in each["lines"]]:
            counts[line["id"]] = counts.get(line["id"], Decimal(0)) + (decimal_of(line["quantity"]) or 0)
        return {**{item: plain(count) for item, count in counts.items()}, **super().came_back(current)}

    def wait(self, current: OrderState, request: TargetRequest) -> PlatformWait | None:
        """The reject countdown: writes are refused until it is undone or the order is cancelled (selldone.md §5.2)."""
        del request
        rejected_at = current.facts.get("reject_at")
        if not rejected_at or current.state in ("Canceled", "ToCustomer"):
            return None
        reason = current.facts.get("reject") or "no reason given"
        until = _ms(rejected_at)
        return PlatformWait(
            "platform",
            until + REJECT_COUNTDOWN_MS if until is not None else None,
            f"the order is being rejected on the platform ({reason})",
        )


def _rejection_guard(status: Json) -> Refusal | None:
    if status is None or status in _REJECTABLE:
        return None
    reason = f"the order's payment status is {status}, only {', '.join(_REJECTABLE)} orders can be rejected"
    return Refusal("not-allowed", reason, reason=reason)


def _on_platform(current: OrderState) -> OrderState:
    """A returned order where the platform put it, any other as it is. What the platform shows then is not documented:
    a state that is not before PreparingOrder is taken for that (selldone.md §5.2, §10)."""
    if current.state != "Returned":
        return current
    shown = current.platform_state
    return replace(current, state=shown if shown in _BEFORE_PREPARING else "PreparingOrder")


def _has_tracking(facts: Mapping[str, Json], request: TargetRequest) -> bool:
    tracking = request.tracking
    if tracking is None:
        return True
    wanted = (("tracking_code", tracking.code), ("tracking_url", tracking.url))
    return all(facts.get(name) == value for name, value in wanted if value)


def _items_guard(items: tuple[Json, ...] | None, facts: Mapping[str, Json]) -> Refusal | None:
    reason = _items_reason(items, facts)
    return None if reason is None else Refusal("not-allowed", reason, reason=reason)


def _items_reason(items: tuple[Json, ...] | None, facts: Mapping[str, Json]) -> str | None:
    if items == ():
        return "no item is confirmed; leave items out to confirm all, or reject the order in the panel"
    try:
        asked = read_items(items)
    except InvalidItems as error:
        return str(error)
    counts: Mapping[str, Json] = facts.get("counts") or {}
    if (foreign := foreign_reason(asked, facts.get("items") or [])) is not None:
        return foreign
    part = part_reason(asked, counts) if asked is not None and counts else None
    return None if part is None else f"an item is confirmed as a whole or not at all: {part}"


def _ids(items: tuple[Json, ...]) -> list[str]:
    try:
        return list(read_items(items) or ())
    except InvalidItems:  # the guard has the words
        return []


def _ms(text: str) -> int | None:
    """ISO 8601 in Unix milliseconds, UTC where it names no zone (selldone.md §4); None for anything else."""
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return ((at if at.tzinfo is not None else at.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)


MACHINE = SelldoneMachine()


def build(options: Mapping[str, Json]) -> PlatformMachine:
    """The machine for a shop's option `ship_withdrawn`."""
    return SelldoneMachine(ships_withdrawn=True) if options.get("ship_withdrawn") else MACHINE
