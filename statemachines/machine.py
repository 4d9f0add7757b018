"""The pure core: what states an order can have on a platform, which steps lead on, and how a target is reached.

A machine is a table (`table`). `transitions` holds and checks it (one shared `Machine`, no model registered with it, no
callbacks: docs/pitfalls.md T1-T10); beside it stands what a fulfilment platform needs: milestones that mean the same
everywhere, steps that leave the state (tracking), guards that say why they refuse (`hooks`), and the planner, here.

Nothing here does I/O, reads a clock or knows asyncio. The same functions serve the API (may this target be accepted?),
the driver (what is next?), crash recovery (did the call take effect?) and the diagrams in the docs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from statemachines.description import MachineDescription, MachineState, MachineStep, ParcelUse
from statemachines.hooks import HOOKS, Hooks
from statemachines.narrowing import NARROWING, narrowing_reason
from statemachines.parcel import RecordedParcel
from statemachines.parcel_course import course_of
from statemachines.parcels import codes_of
from statemachines.suggestion import hint
from statemachines.target import Json, TargetRequest
from statemachines.terms import (
    RECORD,
    Chaining,
    DefinitionError,
    Milestone,
    OrderState,
    Plan,
    PlannedStep,
    PlatformWait,
    Refusal,
    State,
    Step,
)

__all__ = [
    "HOOKS",
    "RECORD",
    "Chaining",
    "DefinitionError",
    "Milestone",
    "OrderState",
    "Plan",
    "PlannedStep",
    "PlatformMachine",
    "PlatformWait",
    "Refusal",
    "State",
    "Step",
]


class PlatformMachine(Hooks):
    """A platform's states and steps, and the planner over them. Immutable once built; one instance serves all orders.

    Platforms override hooks (`hooks.Hooks`) where they differ, and nothing else. `mainline` lists the states of the
    normal way in order. An order is returned, or cancelled, from where it stands or not at all; nothing is sent for the
    sake of taking it back. `ships_withdrawn`: what was withdrawn is shipped all the same.

    Raises DefinitionError when built from a table with unknown, unreachable or ambiguous states.
    """

    def __init__(
        self,
        platform: str,
        states: Sequence[State],
        steps: Sequence[Step],
        mainline: Sequence[str],
        initial: str,
        *,
        ships_withdrawn: bool = False,
    ) -> None:
        super().__init__(platform, states, steps, mainline, initial)
        self.ships_withdrawn = ships_withdrawn

    def plan(self, current: OrderState, request: TargetRequest, chaining: Chaining = "auto") -> Plan | Refusal:
        """The steps from `current` to the requested state, in sequence, or why there are none.

        A target that is reached already plans only the actions that it still brings (new tracking), mostly none. One
        that is about a parcel plans what is left to be done about that (`parcel_course`).
        """
        course = course_of(self, current, request)
        return self.plan_whole(current, request, chaining) if course is None else course.plan(chaining)

    def plan_whole(self, current: OrderState, request: TargetRequest, chaining: Chaining = "auto") -> Plan | Refusal:
        """As `plan`, by what the request brings for the platform's own steps alone."""
        wanted = self.wanted(current, request)
        if wanted is None:
            if request.state.strip().casefold() in set(Milestone):
                return Refusal("unreachable", f"{self.platform} has no {request.state}", self.names())
            detail = f"{self.platform} knows no state {request.state!r}{hint(request.state, self.names())}"
            return Refusal("unknown-state", detail, self.names())
        if wanted.record_only:
            here = current.state
            names = (*self.with_record(current, request), RECORD)
            return self._finish(wanted, tuple(PlannedStep(name, here, here) for name in names), request, current)
        if not self.knows(current.state):
            return Refusal("unreachable", f"the order is in {current.state!r}, a state that this machine does not know")
        if not wanted.settable:
            if wanted.name == current.state:
                return self._finish(wanted, (), request, current)
            detail = f"{wanted.name} can be seen but not set: do it on the platform itself; the next read finds it"
            return Refusal("unreachable", detail, self.allowed(current))
        if (refusal := self.guard(current, request, wanted)) is not None:
            return refusal
        route = self.route(current, wanted.name)
        if route is None:
            return Refusal("unreachable", self._no_way(current, wanted.name), self.allowed(current))
        if chaining == "strict" and len(route) > 1:
            detail = f"{wanted.name} is {len(route)} steps from {current.state} and this shop takes one at a time"
            return Refusal("not-adjacent", detail, self.allowed(current))
        is_beside = self.rank(wanted.name) is None
        steps = route if is_beside else self.with_actions(current, route, request)
        if (reason := self._narrowing(current, steps, request)) is not None:
            return Refusal("not-allowed", reason, reason=reason)
        if steps and (reason := self._held_back(current, request, wanted, steps)) is not None:
            return Refusal("not-allowed", reason, reason=reason, blocks_as="not-allowed")
        return self._finish(wanted, steps, request, current)

    def is_blind(self, planned: PlannedStep) -> bool:
        """Whether the client sends the step without a read at the order just before."""
        return self.row(planned).is_blind

    def awaited(self, planned: PlannedStep) -> PlatformWait | None:
        """What a planned step waits for where the platform makes it; None where it is ours."""
        if planned.step == RECORD or self.row(planned).by == "daemon":
            return None
        detail = f"{self.platform} itself takes the order from {planned.source} to {planned.to} ({planned.step})"
        return PlatformWait("platform", None, detail)

    def expected(self, current: OrderState, plan: Plan, request: TargetRequest) -> OrderState:
        """Where an order will stand once all of a plan has happened."""
        for step in plan.steps:
            if step.step == RECORD:
                current = replace(current, parcels=self.recorded(current, request))
            elif self.awaited(step) is not None:
                current = replace(current, state=step.to, platform_state=step.to)
            else:
                current = self.moved(current, step.step, self.own_request(current, request), None, {})
        return current

    # -- parcels ---------------------------------------------------------------------------------------------------

    def own_request(self, current: OrderState, request: TargetRequest) -> TargetRequest:
        """The target as hooks and clients take it: what it says of a parcel, in the platform's own fields."""
        course = course_of(self, current, request)
        return request if course is None else course.own_request()

    def recorded(self, current: OrderState, request: TargetRequest) -> tuple[RecordedParcel, ...]:
        """The order's parcels once its record says what the target says of them."""
        course = course_of(self, current, request)
        return current.parcels if course is None else course.recorded()

    def moved(
        self, current: OrderState, step: str, request: TargetRequest, answered: str | None, facts: Mapping[str, Json]
    ) -> OrderState:
        """As `after`; a parcel that the platform has by this step is recorded as well."""
        moved = self.after(current, step, request, answered, facts)
        course = course_of(self, current, request)
        return moved if course is None else replace(moved, parcels=course.recorded_by(step, moved))

    def describe(self) -> MachineDescription:
        """The machine as plain data: states, steps, milestones (docs/api.md)."""
        return {
            "platform": self.platform,
            "initial": self.initial,
            "states": [_state_view(state) for state in self.states.values()],
            "steps": [_step_view(row) for row in self.shown_rows()],
            "milestones": {word.value: s.name for s in self.states.values() for word in s.milestones},
            "mainline": list(self.mainline),
            "parcels": {
                "shipped": self._takes_parcels(Milestone.SHIPPED, is_each=self.parcel_step is not None),
                "delivered": self._takes_parcels(Milestone.DELIVERED, is_each=self.delivers_parcels),
            },
        }

    def _takes_parcels(self, milestone: Milestone, *, is_each: bool) -> ParcelUse | None:
        if self.resolve(milestone) is None:
            return None
        return "parts" if is_each else "recorded"

    # -- parts of a plan -------------------------------------------------------------------------------------------

    def _narrowing(self, current: OrderState, steps: Sequence[PlannedStep], request: TargetRequest) -> str | None:
        """Why the steps would do more than the target means."""
        if NARROWING.isdisjoint(request.brings()):
            return None
        rows = [(self.row(step), self.states[step.to].milestones) for step in steps]
        sends = any("despatch" in row.uses for row in self.rows)
        whole, location = self.whole(current), self.location_of(request)
        return narrowing_reason(rows, request, whole, location, sends_despatches=sends)

    def _held_back(
        self, current: OrderState, request: TargetRequest, wanted: State, steps: Iterable[PlannedStep]
    ) -> str | None:
        """Why a person has to say so before the steps are made. Nothing of a withdrawn order is sent; what was sent
        before goes on: it is on its way whatever we do."""
        withdrawn = None if self.ships_withdrawn else self.withdrawn_reason(current, request)
        lost = self._lost_reason(current, request, wanted)
        if withdrawn == lost:  # mostly neither, and then it does not matter what the steps are
            return lost
        return lost if self.ships_withdrawn or not any(self._sends(current, step) for step in steps) else withdrawn

    def _lost_reason(self, current: OrderState, request: TargetRequest, wanted: State) -> str | None:
        """Why the order is not cancelled: nobody takes that back, and what is on its way to the buyer would be written
        off. Who names those parcels knows of them."""
        named, parcels = set(codes_of(request)), self._departed(current, wanted)
        left = [number for number, codes in parcels.items() if named.isdisjoint((number, *codes))]
        if not left:
            return None
        back = self.resolve(Milestone.RETURNED)
        way = "" if back is None or not back.settable else "submit returned first, or "
        what = "parcel" if len(left) == 1 else "parcels"
        return (
            f"goods of the order left in {what} {', '.join(left)} and did not come back: {way}name each of them in"
            " tracking, by its number or a code, if the order is to be cancelled all the same"
        )

    def _departed(self, current: OrderState, wanted: State) -> Mapping[str, Collection[str]]:
        """What a target would write off."""
        is_cancelled = Milestone.CANCELLED in wanted.milestones and not self.delivers_parcels
        return self.departed(current) if is_cancelled else {}

    def _sends(self, current: OrderState, step: PlannedStep) -> bool:
        row = self.row(step)
        if not row.reaches_buyer or row.by == "platform":
            return False
        sent = self.resolve(Milestone.SHIPPED)
        return sent is None or not self.has_reached(replace(current, state=step.source), sent.name)

    def _no_way(self, current: OrderState, wanted: str) -> str:
        """Why there is no plan, and for a state beside the main line what has to be there first."""
        detail = f"no way leads from {current.state} to {wanted}"
        sources = dict.fromkeys(source for row in self.rows if row.to == wanted for source in row.sources)
        if self.rank(wanted) is not None or not sources or current.state in sources:
            return detail
        detail += f": an order gets there only from {', '.join(sources)}, and no plan takes it there for that"
        ahead = [name for name in sources if self.states[name].settable and self.route(current, name)]
        return f"{detail}; submit {' or '.join(ahead)} first if that is meant" if ahead else detail

    def _finish(
        self, wanted: State, steps: tuple[PlannedStep, ...], request: TargetRequest, current: OrderState
    ) -> Plan:
        milestone, brought = wanted.meant(request.state), request.brings()
        if not brought:
            return Plan(wanted.name, None if milestone is None else milestone.value, steps)
        taken = {name for step in steps if step.step != RECORD for name in self.row(step).uses}
        if wanted.record_only or Milestone.ATTENTION in wanted.milestones:
            taken.add("reason")  # it goes into the record, and is shown with the order
        taken |= set(self.satisfied(current, request))
        if self._departed(current, wanted):
            taken |= {name for name in request.brings() if name.startswith("tracking")}
        if self.takes_several_trackings and "tracking" in taken:
            taken |= {name for name in brought if name.startswith("tracking[")}
        unused = tuple(name for name in brought if name not in taken)
        return Plan(wanted.name, None if milestone is None else milestone.value, steps, unused)


def _state_view(state: State) -> MachineState:
    return {
        "name": state.name,
        "milestone": state.milestone.value if state.milestone else None,
        "settable": state.settable,
        "record_only": state.record_only,
        "end": state.is_end,
    }


def _step_view(row: Step) -> MachineStep:
    return {"step": row.name, "from": list(row.sources), "to": row.to, "uses": list(row.uses), "by": row.by}
