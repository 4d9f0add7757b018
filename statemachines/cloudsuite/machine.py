"""CloudSuite's order machine: confirmed → processing → sent → done, or cancel; ERP data and despatches on the way.

Facts: cloudsuite.md §5, §6, §9. The native state is composite: `sent` is `shipment_state` sent while `state`
is processing (or confirmed, for an offline order). It is also what we call an order whose final despatch went out: no
read shows despatches, so their numbers are facts that only we keep. So is that we set `shipment_state`, where the
platform takes it and shows no such member (the body of a read is not published, §4).

The platform takes any state at any time (§5.1), so the sequence is kept here, and the client looks before it writes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import ClassVar, Literal

from statemachines.cloudsuite.despatch import InvalidDespatch, is_xml_text
from statemachines.cloudsuite.lines import has_lines, has_number, lines_of, lines_reason, numbered
from statemachines.cloudsuite.parcels import as_despatch, open_lines
from statemachines.cloudsuite.sent import (
    UNANSWERED,
    has_final,
    may_be_there,
    next_despatch,
    pending_despatches,
    repeat_reason,
    sent_data,
    unanswered,
)
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
from statemachines.parcel import RecordedParcel, TargetParcel
from statemachines.parcels import Open, codes_of
from statemachines.target import Json, TargetRequest

RELEASED = frozenset({"closed_success", "paid", "account"})
"""Payment statuses with which an order may go to the ERP's processing (cloudsuite.md §5.2)."""

_STATES = (
    State("draft", settable=False),
    State("quotation", settable=False),
    State("confirmed", (Milestone.NEW,)),
    State("processing", (Milestone.ACCEPTED,)),
    State("sent", (Milestone.SHIPPED,)),
    State("done", (Milestone.DELIVERED,), is_end=True),
    State("cancel", (Milestone.CANCELLED,), is_end=True),
    State("attention", (Milestone.ATTENTION,), record_only=True),
)

_WITH_ERP = ("processing", "sent")
_STEPS = (
    Step("process", ("confirmed",), "processing"),
    Step("set_erp_number", _WITH_ERP, None, uses=("erp_order_number", "confirmation")),
    Step("set_erp_lines", _WITH_ERP, None, uses=("erp_lines", "confirmation")),
    Step("confirm_order", _WITH_ERP, None, uses=("erp_order_number", "erp_lines", "confirmation")),
    Step("send_despatch", _WITH_ERP, None, uses=("despatch", "tracking", "tracking.carrier"), is_irrevocable=True),
    Step("mark_sent", ("processing", "confirmed"), "sent", is_irrevocable=True),  # from confirmed: offline orders alone
    Step("finish", ("sent",), "done", is_irrevocable=True),
    Step("cancel", ("confirmed", "processing", "sent"), "cancel", is_irrevocable=True),
)

_MAINLINE = ("confirmed", "processing", "sent", "done")

_OURS = ("despatches", UNANSWERED)
"""Facts that no read shows."""

OnTimeout = Literal["resend_same_number", "ask"]


class CloudsuiteMachine(PlatformMachine):
    """The machine of CloudSuite's orders.

    Facts it reads: `payment_status`, `is_offline`, `erp_order_number`, `lines` (`{id: {"erp", "part", "quantity"}}`)
    and, kept by us alone, `despatches` (by number: `final` and what `sent` keeps) and `unanswered_despatches` (what was
    sent once without an answer). `hides_shipment`: reads have no `shipment_state`; `is_marked_sent`: we set it there.

    `checks_payment`: only released orders are processed. `on_timeout`: what a despatch whose answer was lost leads to.
    `has_proxy`: the shop's config has what the XML calls need.
    """

    parcel_step: ClassVar[str | None] = "send_despatch"

    def __init__(
        self,
        *,
        checks_payment: bool = True,
        on_timeout: OnTimeout = "resend_same_number",
        has_proxy: bool = True,
    ) -> None:
        super().__init__("cloudsuite", _STATES, _STEPS, _MAINLINE, "confirmed")
        self._checks_payment = checks_payment
        self._on_timeout = on_timeout
        self._has_proxy = has_proxy

    # -- planning --------------------------------------------------------------------------------------------------

    def allowed(self, current: OrderState) -> tuple[str, ...]:
        """As the base; only offline orders go from confirmed to sent."""
        found = super().allowed(current)
        is_early = current.state == "confirmed" and not current.facts.get("is_offline")
        return tuple(state for state in found if not (is_early and state == "sent"))

    def route(self, current: OrderState, wanted: str) -> tuple[PlannedStep, ...] | None:
        """As the base; only offline orders skip processing."""
        is_early = current.state == "confirmed" and not current.facts.get("is_offline")
        if is_early and wanted in ("sent", "done"):
            later = super().route(replace(current, state="processing"), wanted)
            return None if later is None else (PlannedStep("process", "confirmed", "processing"), *later)
        return super().route(current, wanted)

    def with_actions(
        self, current: OrderState, route: tuple[PlannedStep, ...], request: TargetRequest
    ) -> tuple[PlannedStep, ...]:
        """A final despatch moves the order to sent and saves mark_sent; with a parcel that leaves something behind the
        order is not sent yet."""
        waiting = iter(pending_despatches(current.facts, request))
        is_part = request.parcel is not None and any(not each["final"] for each in request.despatch or ())
        if is_part and route and route[0].source == "confirmed":
            route = (PlannedStep("process", "confirmed", "processing"), *route)
        if is_part:
            route = tuple(step for step in dict.fromkeys(route) if step.step != "mark_sent")
        steps: list[PlannedStep] = []
        here = current.state
        for step in super().with_actions(current, route, request):
            if step.step == "mark_sent" and here == "sent":
                continue
            to = step.to
            if step.source == to:
                to = here
            if step.step == "send_despatch" and next(waiting).is_final:
                to = "sent"
            steps.append(PlannedStep(step.step, here, to))
            here = to
        return tuple(steps)

    def pending_actions(self, current: OrderState, request: TargetRequest) -> tuple[str, ...]:
        """ERP number and lines, or the cXML confirmation in their place, then one step per despatch."""
        facts = current.facts
        steps: list[str] = []
        if request.confirmation == "cxml":
            if not has_number(facts, request) or not has_lines(facts, request):
                steps.append("confirm_order")
        else:
            steps += ["set_erp_number"] if not has_number(facts, request) else []
            steps += ["set_erp_lines"] if not has_lines(facts, request) else []
        return (*steps, *("send_despatch" for _ in pending_despatches(facts, request)))

    def satisfied(self, current: OrderState, request: TargetRequest) -> tuple[str, ...]:
        """ERP data that the order carries and despatches that were sent already."""
        facts = current.facts
        is_numbered, are_lines_numbered = has_number(facts, request), has_lines(facts, request)
        found = ["erp_order_number"] if request.erp_order_number is not None and is_numbered else []
        found += ["erp_lines"] if request.erp_lines and are_lines_numbered else []
        found += ["confirmation"] if is_numbered and are_lines_numbered else []
        if request.despatch and not pending_despatches(facts, request):
            found += ["despatch", "tracking", "tracking.carrier"]
        return tuple(found)

    # -- guards ----------------------------------------------------------------------------------------------------

    def whole(self, current: OrderState) -> Whole:
        """The lines of the last read; CloudSuite gives no locations."""
        return Whole({line: details.get("quantity") for line, details in lines_of(current.facts).items()})

    def guard(self, current: OrderState, request: TargetRequest, wanted: State) -> Refusal | None:
        """The payment is settled before the ERP takes the order over, and what the target brings can be sent."""
        reason = self._parcel_reason(current, request, wanted) or _repeat_reason(current.facts, request)
        if wanted.name == "cancel":
            return None if reason is None else Refusal("not-allowed", reason, reason=reason)
        if reason is None and not self.has_reached(current, wanted.name):
            reason = self._payment_reason(current)
        if reason is None and self._carries_data(current, wanted):
            reason = self._data_reason(current.facts, request)
        return None if reason is None else Refusal("not-allowed", reason, reason=reason)

    def _parcel_reason(self, current: OrderState, request: TargetRequest, wanted: State) -> str | None:
        """An order is done, or cancelled, as a whole: a code of one of its despatches does not narrow that."""
        if wanted.name not in ("done", "cancel") or self.has_reached(current, wanted.name) or request.despatch:
            return None
        codes, despatches = set(codes_of(request)), self.departed(current)
        left = [under for number, under in despatches.items() if under and codes.isdisjoint((number, *under))]
        if not codes or not left:
            return None
        sent = {code for under in despatches.values() for code in under}
        return (
            f"{wanted.name} is about the whole order, which went out under {', '.join(sorted(sent))}, and cannot be"
            f" narrowed to {', '.join(sorted(codes))}"
        )

    def _carries_data(self, current: OrderState, wanted: State) -> bool:
        states = (current.state, wanted.name)
        return current.state in ("confirmed", *_WITH_ERP) and any(state in _WITH_ERP for state in states)

    def _payment_reason(self, current: OrderState) -> str | None:
        status = current.facts.get("payment_status")
        if not self._checks_payment or current.state != "confirmed" or current.facts.get("is_offline"):
            return None
        if status in RELEASED:
            return None
        status_words = (
            "the platform gives no payment_status" if status is None else f"the order's payment_status is {status}"
        )
        return f"{status_words}, only closed_success, paid and account are released"

    def _data_reason(self, facts: Mapping[str, Json], request: TargetRequest) -> str | None:
        is_cxml = request.confirmation == "cxml"
        if request.confirmation not in (None, "json", "cxml"):
            return f"confirmation {request.confirmation!r} is neither json nor cxml"
        number = request.erp_order_number
        if number is not None and not (number.strip() and is_xml_text(number)):
            return "erp_order_number is empty or holds a character that XML cannot carry"
        try:
            despatches = pending_despatches(facts, request)
        except InvalidDespatch as error:
            return str(error)
        if (is_cxml or despatches) and not self._has_proxy:
            return "proxy_shop and proxy_user are not configured, so no despatch and no cXML can be sent"
        known = lines_of(facts)
        if foreign := [line.line for line in request.erp_lines or () if line.line not in known]:
            return f"lines {', '.join(foreign)} are not in this order, it has {', '.join(known) or 'none'}"
        return lines_reason(numbered(facts, request), facts, request, despatches)

    # -- parcels ---------------------------------------------------------------------------------------------------

    def open_lines(self, current: OrderState, parcel: TargetParcel) -> Open | None:
        """What no despatch reported yet, whether a parcel or the ERP's own despatch."""
        del parcel
        return open_lines(lines_of(current.facts), current.facts)

    def departed(self, current: OrderState) -> Mapping[str, Collection[str]]:
        """The despatches that went out, whether parcels or the ERP's own; nothing shows that one came back."""
        sent = current.facts.get("despatches", {})
        return {number: [despatch["code"]] if despatch.get("code") else [] for number, despatch in sent.items()}

    def with_parcel(self, current: OrderState, request: TargetRequest, parcel: RecordedParcel) -> TargetRequest:
        """As a despatch. A line without an ERP line number gets its position in the order for one."""
        return as_despatch(lines_of(current.facts), current.facts, request, parcel)

    # -- what calls and reads show -----------------------------------------------------------------------------------

    def observe(self, current: OrderState | None, observed: OrderState) -> str:
        """An order whose final despatch we sent is sent, whether or not the platform shows it; so is one that we marked
        sent, where the platform never shows it."""
        known = current.facts if current is not None else {}
        if observed.platform_state == "processing" and has_final(known):
            return "sent"
        is_underway = observed.platform_state == "processing" or (
            observed.platform_state == "confirmed" and observed.facts.get("is_offline") is True
        )
        is_ours = known.get("is_marked_sent") and observed.facts.get("hides_shipment")
        return "sent" if is_underway and is_ours else observed.platform_state

    def merged_facts(self, current: OrderState, observed: OrderState) -> dict[str, Json]:
        """What the platform shows, and what we did that no read shows: despatches, a shipment that it hides."""
        ours = (*_OURS, "is_marked_sent") if observed.facts.get("hides_shipment") else _OURS
        return {**observed.facts, **{name: current.facts[name] for name in ours if current.facts.get(name)}}

    def is_done(self, step: str, before: OrderState, observed: OrderState, request: TargetRequest) -> bool | None:
        """The read-backs of cloudsuite.md §9. A despatch cannot be read back: it is sent again with its own number,
        which the platform refuses if it has it, or a person looks."""
        match step:
            case "set_erp_number":
                return has_number(observed.facts, request)
            case "set_erp_lines":
                return has_lines(observed.facts, request)
            case "confirm_order":
                return has_number(observed.facts, request) and has_lines(observed.facts, request)
            case "send_despatch":
                return None if self._on_timeout == "ask" else False
            case _:
                return super().is_done(step, before, observed, request)

    def after(
        self, current: OrderState, step: str, request: TargetRequest, answered: str | None, facts: Mapping[str, Json]
    ) -> OrderState:
        """As the base; ERP data and the despatch that was sent become facts, a final despatch makes the order sent."""
        own: dict[str, Json] = {}
        is_final = False
        if step in ("set_erp_number", "confirm_order") and request.erp_order_number is not None:
            own["erp_order_number"] = request.erp_order_number
        if step in ("set_erp_lines", "confirm_order"):
            own["lines"] = numbered(current.facts, request)
        if step == "send_despatch" and (waiting := pending_despatches(current.facts, request)):
            is_final = waiting[0].is_final
            sent = {"final": is_final, **sent_data(waiting[0], request)}
            own["despatches"] = {**current.facts.get("despatches", {}), waiting[0].number: sent}
            if doubtful := unanswered(current.facts):
                own[UNANSWERED] = {number: data for number, data in doubtful.items() if number != waiting[0].number}
        if step == "mark_sent" and {**current.facts, **facts}.get("hides_shipment"):
            own["is_marked_sent"] = True
        if self.steps[step].to is None:
            answered = answered or current.platform_state
        after = super().after(current, step, request, answered, {**own, **facts})
        return replace(after, state="sent") if is_final and after.state == "processing" else after

    def after_lost_answer(self, current: OrderState, step: str, request: TargetRequest) -> Mapping[str, Json]:
        """The number of a despatch is kept: only then does "exists already" mean that it is ours (cloudsuite.md §9)."""
        despatch = next_despatch(current.facts, request) if step == "send_despatch" else None
        if despatch is None or may_be_there(current.facts, despatch):
            return current.facts
        doubtful = {**unanswered(current.facts), despatch.number: sent_data(despatch, request)}
        return {**current.facts, UNANSWERED: doubtful}

    def wait(self, current: OrderState, request: TargetRequest) -> PlatformWait | None:
        """A payment that fell back after the target was accepted: the order is looked at until it is settled again."""
        wanted = self.resolve(request.state)
        if wanted is None or wanted.record_only or wanted.name == "cancel" or self.has_reached(current, wanted.name):
            return None
        reason = self._payment_reason(current)
        return None if reason is None else PlatformWait("payment", None, reason)

    def shown_rows(self) -> tuple[Step, ...]:
        """The table, with the way of a final despatch: there the step leaves the state."""
        final = Step("send_despatch", ("processing",), "sent", uses=("despatch",))
        return tuple(row for each in self.rows for row in ((each, final) if each.name == final.name else (each,)))


def _repeat_reason(facts: Mapping[str, Json], request: TargetRequest) -> str | None:
    try:
        return repeat_reason(facts, request, numbered(facts, request).values())
    except InvalidDespatch as error:
        return str(error)


MACHINE = CloudsuiteMachine()


def build(options: Mapping[str, Json]) -> PlatformMachine:
    """The machine for a shop's options `payment_check`, `desadv_on_timeout`, `proxy_shop` and `proxy_user`."""
    return CloudsuiteMachine(
        checks_payment=options.get("payment_check", "on") == "on",
        on_timeout=options.get("desadv_on_timeout", "resend_same_number"),
        has_proxy=options.get("proxy_shop", 1) is not None and options.get("proxy_user", 1) is not None,
    )
