"""What a target that is about a parcel comes to, on any platform: planned and recorded here, sent by machines' steps.

- Where the platform sends parts (`parcel_step`), the parcel is a call of its own, recorded once the platform has it.
- Where it sends whole orders, the parcel is recorded, which is all that a part comes to. The order's own steps go out
  behind the record once nothing is left, or once the last one was reported.
- Sent under no parcel, the rest of such an order takes along the codes of the parcels that were recorded.
- A delivery is the like: a call for the one parcel (`delivers_parcels`), or a record until all of them arrived.

A number that is known changes nothing. It only goes on where it was: a parcel that closes its order, and whose order
was not sent since (a person dropped that target, say), sends it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from statemachines.items import InvalidItems
from statemachines.parcel import RecordedParcel, TargetParcel
from statemachines.parcels import (
    after,
    chosen_parcels,
    code_reason,
    codes_of,
    contradiction,
    held_by,
    is_nothing,
    known_parcel,
    link_reason,
    recorded,
    trackings_of,
    unknown_reason,
)
from statemachines.target import TargetRequest
from statemachines.terms import RECORD, Chaining, Milestone, OrderState, Plan, PlannedStep, Refusal, State

if TYPE_CHECKING:
    from statemachines.machine import PlatformMachine


def course_of(machine: PlatformMachine, current: OrderState, request: TargetRequest) -> ParcelCourse | None:
    """What a target comes to that is about a parcel; None where it is about the order."""
    if request.parcel is None and not current.parcels:
        return None
    if (wanted := machine.wanted(current, request)) is None:
        return None
    kind = _kind(machine, current, request, wanted)
    return None if kind is None else kind(machine, current, request, wanted)


def _kind(
    machine: PlatformMachine, current: OrderState, request: TargetRequest, wanted: State
) -> type[ParcelCourse] | None:
    is_delivery = _is_delivery(request, wanted)
    if is_delivery and (request.parcel is not None or (codes_of(request) and not machine.delivers_parcels)):
        return Delivery
    leads_there = any(row.name == machine.parcel_step and row.to == wanted.name for row in machine.rows)
    is_shipment = not is_delivery and (Milestone.SHIPPED in wanted.milestones or leads_there)
    if request.parcel is not None:
        return Shipment if is_shipment else Misplaced
    if is_shipment and _repeats_part(machine, current, request):
        return Shipment
    return Remainder if _sends_the_rest(machine, current, wanted) else None


def _repeats_part(machine: PlatformMachine, current: OrderState, request: TargetRequest) -> bool:
    """Whether a target comes once more under codes of parcels that left something behind: it is about these, and must
    not send the whole order. Machines that mark parcels by themselves know codes by themselves."""
    if machine.delivers_parcels or request.items is not None or request.despatch:
        return False
    chosen = chosen_parcels(current.parcels, request)
    return bool(chosen) and not any(each["closes"] for each in chosen)


def _sends_the_rest(machine: PlatformMachine, current: OrderState, wanted: State) -> bool:
    """Whether an order that is sent as a whole is sent on the way to `wanted`."""
    sent = machine.resolve(Milestone.SHIPPED)
    if sent is None or machine.parcel_step is not None or machine.has_reached(current, sent.name):
        return False
    return machine.rank(wanted.name) is not None and machine.has_reached(replace(current, state=wanted.name), sent.name)


def _is_delivery(request: TargetRequest, wanted: State) -> bool:
    """Of a state that is shipped and delivered at once, only the word `delivered` asks for a delivery."""
    if Milestone.DELIVERED not in wanted.milestones:
        return False
    return Milestone.SHIPPED not in wanted.milestones or request.state.strip().casefold() == Milestone.DELIVERED


@dataclass(frozen=True)
class ParcelCourse(ABC):
    """A target about a parcel, at an order as it stands."""

    machine: PlatformMachine
    current: OrderState
    request: TargetRequest
    wanted: State

    @abstractmethod
    def plan(self, chaining: Chaining) -> Plan | Refusal:
        """As `PlatformMachine.plan`."""

    def own_request(self) -> TargetRequest:
        """As `PlatformMachine.own_request`; without what the platform turned out to have no use for."""
        own = self._own_request()
        return own.without(self.request.dropped) if self.request.dropped else own

    def _own_request(self) -> TargetRequest:
        return self.request

    def recorded(self) -> tuple[RecordedParcel, ...]:
        """As `PlatformMachine.recorded`."""
        return self.current.parcels

    def recorded_by(self, step: str, moved: OrderState) -> tuple[RecordedParcel, ...]:
        """The order's parcels once `step` succeeded, which led to `moved`."""
        del step
        return moved.parcels

    @property
    def parcel(self) -> TargetParcel:
        """What the target says of the parcel; a selection by tracking says no more."""
        return self.request.parcel or TargetParcel(tracking=tuple(codes_of(self.request)))

    def _planned(self, steps: tuple[PlannedStep, ...], unused: tuple[str, ...] = ()) -> Plan:
        brought = [name for name in self.request.brings() if name != "parcel"]
        milestone = None if self._milestone is None else self._milestone.value
        return Plan(self.wanted.name, milestone, steps, tuple(name for name in unused if name in brought))

    @property
    def _milestone(self) -> Milestone | None:
        """What the target means."""
        return self.wanted.meant(self.request.state)

    def _record(self) -> PlannedStep:
        return PlannedStep(RECORD, self.current.state, self.current.state)

    def _refused(self, reason: str, chaining: Chaining) -> Refusal:
        """Why the parcel is not taken; where the order cannot get there at all, that."""
        whole = self.machine.plan_whole(self.current, replace(self.request, parcel=None), chaining)
        if isinstance(whole, Refusal) and whole.slug != "not-allowed":
            return whole
        return Refusal("not-allowed", reason, reason=reason)


class Misplaced(ParcelCourse):
    """A parcel with a state that no parcel leads to."""

    def plan(self, chaining: Chaining) -> Plan | Refusal:
        """Refused: nothing of it may be passed over."""
        reason = f"a parcel leaves with shipped and arrives with delivered; it cannot come with {self.wanted.name}"
        return self._refused(reason, chaining)


class Shipment(ParcelCourse):
    """This box left."""

    def plan(self, chaining: Chaining) -> Plan | Refusal:
        """The record, the steps that are due with it, or neither for a parcel that is known."""
        if (entry := self._entry) is None:
            return self._refused(self._reason, chaining)
        is_known = entry in self.current.parcels
        is_recorded = self.machine.parcel_step is None
        if is_known and (not self._goes_out if is_recorded else entry["is_done"]):
            return self._planned(())
        whole = self.machine.plan_whole(self.current, self.own_request(), chaining)
        if isinstance(whole, Refusal):
            return whole
        steps = whole.steps if not is_recorded or self._goes_out else ()
        return self._planned(((self._record(),) if is_recorded and not is_known else ()) + steps, whole.unused)

    def _own_request(self) -> TargetRequest:
        """With the parcel in the platform's own fields."""
        if (entry := self._entry) is None:
            return self.request
        return self.machine.with_parcel(self.current, self.request, entry)

    def recorded(self) -> tuple[RecordedParcel, ...]:
        """With the new parcel."""
        return self._with_entry(is_done=True)

    def recorded_by(self, step: str, moved: OrderState) -> tuple[RecordedParcel, ...]:
        """With the parcel once the platform has it; it may take several calls until it has all of it."""
        if step != self.machine.parcel_step:
            return moved.parcels
        begun = replace(moved, parcels=self._with_entry(is_done=False))
        rest = self.machine.plan(begun, self.request)
        is_done = isinstance(rest, Plan) and all(each.step != step for each in rest.steps)
        return self._with_entry(is_done=is_done)

    def _with_entry(self, *, is_done: bool) -> tuple[RecordedParcel, ...]:
        if (entry := self._entry) is None:
            return self.current.parcels
        others = [each for each in self.current.parcels if each["number"] != entry["number"]]
        return (*others, {**entry, "is_done": entry["is_done"] or is_done})

    @property
    def _milestone(self) -> Milestone | None:
        """That it left, also where the state that it leads to is called delivered as well."""
        has_left = Milestone.SHIPPED in self.wanted.milestones
        return Milestone.SHIPPED if has_left else super()._milestone

    @property
    def _entry(self) -> RecordedParcel | None:
        return None if isinstance(self._found, str) else self._found

    @property
    def _reason(self) -> str:
        return self._found if isinstance(self._found, str) else ""

    @cached_property
    def _found(self) -> RecordedParcel | str:
        """The parcel as it is recorded or is to be, or why it cannot be."""
        machine, current, parcel = self.machine, self.current, self.parcel
        if parcel.name is None:
            return "a parcel needs a number, or a tracking code to be known by"
        whole = machine.whole(current)
        try:
            if (known := known_parcel(current.parcels, parcel)) is not None:
                is_over = machine.has_reached(current, self.wanted.name)
                return contradiction(known, parcel, whole.kind, is_over=is_over) or known
            if (reason := link_reason(parcel) or code_reason(current.parcels, parcel)) is not None:
                return reason
            is_shown = machine.shows_parcel(current, parcel)
            left = None if is_shown else machine.open_lines(current, parcel)
            held = held_by(parcel, left, whole.lines, whole.kind)
        except InvalidItems as error:
            return str(error)
        is_all = parcel.lines is None if left is None else is_nothing(after(left, held))
        return recorded(parcel, held, closes=parcel.is_last or is_all)

    @property
    def _goes_out(self) -> bool:
        """Whether the order is sent as a whole with this parcel: it closes the order, now as ever."""
        entry = self._entry
        if entry is None or not entry["closes"] or entry["is_back"]:
            return False
        if entry["last"]:
            return True
        left = self.machine.open_lines(self.current, self.parcel)
        is_new = entry not in self.current.parcels
        return left is None or is_nothing(after(left, entry["lines"]) if is_new else left)


class Remainder(ParcelCourse):
    """All of an order leaves under no parcel, and parts of it were reported in parcels: it goes out with their codes,
    which the buyer was not given yet."""

    def plan(self, chaining: Chaining) -> Plan | Refusal:
        """That of the whole order."""
        whole = self.machine.plan_whole(self.current, self.own_request(), chaining)
        return whole if isinstance(whole, Refusal) else self._planned(whole.steps, whole.unused)

    def _own_request(self) -> TargetRequest:
        """With the codes of the parcels: of all where there is room for several, else of the last one, if the target
        brings none of its own."""
        parcels = [each for each in self.current.parcels if not each["is_back"]]
        sent = [*self.request.trackings]
        if self.machine.takes_several_trackings:
            sent += [each for each in trackings_of(parcels) if each.code not in codes_of(self.request)]
        if not sent:
            sent = list(trackings_of([each for each in parcels if trackings_of([each])][-1:]))
        return replace(self.request, tracking=sent[0] if sent else None, further_tracking=tuple(sent[1:]))


class Delivery(ParcelCourse):
    """This box arrived."""

    def plan(self, chaining: Chaining) -> Plan | Refusal:
        """The one parcel by itself where the platform can mark it, else a record until all have arrived."""
        chosen = self._chosen
        if self.machine.delivers_parcels:
            if not chosen and not self.machine.shows_parcel(self.current, self.parcel):
                return self._refused(unknown_reason(self.current.parcels, self.request), chaining)
            whole = self.machine.plan_whole(self.current, self.own_request(), chaining)
            return whole if isinstance(whole, Refusal) else self._planned(whole.steps, whole.unused)
        if not chosen:
            return self._refused(unknown_reason(self.current.parcels, self.request), chaining)
        is_known = all(each["is_delivered"] for each in chosen)
        if is_known and not self._have_all_arrived:
            return self._planned(())
        own_chaining: Chaining = chaining if self._have_all_arrived else "auto"
        whole = self.machine.plan_whole(self.current, self.own_request(), own_chaining)
        if isinstance(whole, Refusal):
            return whole
        steps = whole.steps if self._have_all_arrived else ()
        return self._planned((() if is_known else (self._record(),)) + steps, whole.unused)

    def _own_request(self) -> TargetRequest:
        """With the parcel selected in the platform's own fields, or about the whole order once all have arrived."""
        if not self.machine.delivers_parcels:
            return replace(self.request, tracking=None, further_tracking=())
        chosen = self._chosen
        entry = chosen[0] if len(chosen) == 1 else recorded(self.parcel, {}, closes=False)
        return self.machine.with_parcel(self.current, self.request, {**entry, "location": None})

    def recorded(self) -> tuple[RecordedParcel, ...]:
        """With what arrived."""
        chosen = [each["number"] for each in self._chosen]
        return tuple(
            {**each, "is_delivered": True} if each["number"] in chosen else each for each in self.current.parcels
        )

    def recorded_by(self, step: str, moved: OrderState) -> tuple[RecordedParcel, ...]:
        """With what arrived, once nothing of it is left to be marked."""
        del step
        if not self.machine.delivers_parcels or not self._chosen:
            return moved.parcels
        rest = self.machine.plan(moved, self.request)
        return self.recorded() if isinstance(rest, Plan) and not rest.steps else moved.parcels

    @cached_property
    def _chosen(self) -> list[RecordedParcel]:
        return chosen_parcels(self.current.parcels, self.request)

    @cached_property
    def _have_all_arrived(self) -> bool:
        """Whether with these all of the order has arrived, so that its own step is due."""
        parcels = [each for each in self.recorded() if not each["is_back"]]
        if not parcels or not all(each["is_delivered"] for each in parcels):
            return False
        return any(each["closes"] for each in parcels) or is_nothing(self.machine.open_lines(self.current, self.parcel))
