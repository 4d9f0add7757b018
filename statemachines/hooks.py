"""What a platform may say of its machine beside the table: each public name of `Hooks` is a hook, with what it means
where nothing is said. The planner (`machine`) calls these; nothing else of a machine can be overridden.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import ClassVar

from statemachines.narrowing import Whole
from statemachines.parcel import RecordedParcel, TargetParcel
from statemachines.parcels import Open, left_of, trackings_of
from statemachines.table import Table
from statemachines.target import Json, TargetRequest
from statemachines.terms import (
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
from statemachines.withdrawal import withdrawn_words


class Hooks(Table):
    """The hooks of a machine. All are pure functions of what they are given.

    `takes_several_trackings`: a parcel has room for more numbers than one. `parcel_step`: the step that sends one
    parcel by itself; None: the platform sends whole orders, so parcels are recorded, and the order's own steps are made
    once nothing is left or the last one was reported. `delivers_parcels`: one parcel can be marked as delivered by
    itself.

    Raises DefinitionError when a class overrides anything else of its base.
    """

    takes_several_trackings: ClassVar[bool] = False
    parcel_step: ClassVar[str | None] = None
    delivers_parcels: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if (foreign := foreign_overrides(cls)) != ():
            raise DefinitionError(
                f"{cls.__qualname__} overrides {', '.join(foreign)}, which is the base's own;"
                f" hooks are {', '.join(sorted(HOOKS))}"
            )

    @abstractmethod
    def plan_whole(self, current: OrderState, request: TargetRequest, chaining: Chaining = "auto") -> Plan | Refusal:
        """The planner's (`machine.PlatformMachine`): no hook."""

    # -- planning --------------------------------------------------------------------------------------------------

    def wanted(self, current: OrderState, request: TargetRequest) -> State | None:
        """The state that a target names, for this order; None if the machine has none such."""
        del current
        return self.resolve(request.state)

    def has_reached(self, current: OrderState, wanted: str) -> bool:
        """Whether an order that is here is at or past `wanted` on the main line."""
        here, there = self.rank(current.state), self.rank(wanted)
        return current.state == wanted or (here is not None and there is not None and here >= there)

    def route(self, current: OrderState, wanted: str) -> tuple[PlannedStep, ...] | None:
        """The state-changing steps to `wanted`; empty when it is reached, None when no way leads there."""
        return () if self.has_reached(current, wanted) else self.shortest_way(current.state, wanted)

    def with_actions(
        self, current: OrderState, route: tuple[PlannedStep, ...], request: TargetRequest
    ) -> tuple[PlannedStep, ...]:
        """The steps of a plan: those of the route, and each action that the target brings in the first state on the way
        that allows it. Not asked for a state beside the main line: nothing is brought there."""
        pending = [self.steps[name] for name in self.pending_actions(current, request)]
        # what the platform had no use for is not brought any more: a step that carries nothing else is not asked again
        waiting = [row for row in pending if not row.uses or set(row.uses) & set(request.brings())]
        if not waiting:
            return route
        steps: list[PlannedStep] = []
        for here, move in [*((step.source, step) for step in route), (route[-1].to if route else current.state, None)]:
            for action in [a for a in waiting if here in a.sources]:
                steps.append(PlannedStep(action.name, here, here))
                waiting.remove(action)
            if move is not None:
                steps.append(move)
        return tuple(steps)

    def allowed(self, current: OrderState) -> tuple[str, ...]:
        """Native names of the states one step away that a target may ask for, whoever makes the step."""
        ways = dict.fromkeys(to for _, to in self.moves(current.state))
        return tuple(to for to in ways if to != current.state and self.states[to].settable)

    def pending_actions(self, current: OrderState, request: TargetRequest) -> tuple[str, ...]:
        """State-leaving steps that the target brings data for and that are not done yet, in sequence."""
        del current, request
        return ()

    def with_record(self, current: OrderState, request: TargetRequest) -> tuple[str, ...]:
        """State-leaving steps that go with a milestone of our record alone (the ERP's number), in sequence."""
        del current, request
        return ()

    def satisfied(self, current: OrderState, request: TargetRequest) -> tuple[str, ...]:
        """Fields of the target that the order carries already, so nothing has to be sent for them."""
        del current, request
        return ()

    def wait(self, current: OrderState, request: TargetRequest) -> PlatformWait | None:
        """What on the platform's side holds this order up right now on its way to what is asked for, or None."""
        del current, request
        return None

    # -- guards ----------------------------------------------------------------------------------------------------

    def guard(self, current: OrderState, request: TargetRequest, wanted: State) -> Refusal | None:
        """Why this order may not go to `wanted` with this data, or None. Pure."""
        del current, request, wanted
        return None

    def whole(self, current: OrderState) -> Whole:
        """The order's lines and locations, so that a field that names all of them is distinguished from one that
        narrows."""
        del current
        return Whole()

    def location_of(self, request: TargetRequest) -> str | None:
        """The target's location as the platform names it; None where it brings none."""
        return request.location

    def withdrawn_reason(self, current: OrderState, request: TargetRequest) -> str | None:
        """Why nothing of the order may be sent any more that the target would send, or None. Pure."""
        del request
        return withdrawn_words(current.facts)

    # -- parcels ---------------------------------------------------------------------------------------------------

    def open_lines(self, current: OrderState, parcel: TargetParcel) -> Open | None:
        """How much of each order line is left for a new parcel; None where the order's lines are not known.

        Raises InvalidItems.
        """
        del parcel
        return left_of(self.whole(current).lines, current.parcels)

    def shows_parcel(self, current: OrderState, parcel: TargetParcel) -> bool:
        """Whether the platform itself shows a parcel under one of these codes, whoever sent it."""
        del current, parcel
        return False

    def departed(self, current: OrderState) -> Mapping[str, Collection[str]]:
        """The parcels whose goods left and did not come back, by their numbers, with the codes that they went out
        under: such an order is not cancelled but by a target that names them. Not asked for where the platform itself
        knows its parcels (`delivers_parcels`)."""
        return {each["number"]: each["tracking"] for each in current.parcels if not each["is_back"]}

    def with_parcel(self, current: OrderState, request: TargetRequest, parcel: RecordedParcel) -> TargetRequest:
        """The target as the platform's own steps take it, for one that is about this parcel. By default, with its
        tracking: of each parcel of the order where there is room for several."""
        others = [each for each in current.parcels if each["number"] != parcel["number"] and not each["is_back"]]
        sent = [parcel, *others] if self.takes_several_trackings else [parcel]
        first, *further = trackings_of(sent) or (None,)
        return replace(request, tracking=first, further_tracking=tuple(each for each in further if each is not None))

    # -- what calls and reads show -----------------------------------------------------------------------------------

    def destination(self, current: OrderState, step: str, request: TargetRequest) -> str | None:
        """Where `step` leads from here; among rows that share its name, the one on the way to what is asked for.

        None where no row leads on from here.
        """
        if not self._is_shared[step]:
            row = self.steps.get(step)
            is_here = row is None or current.state in row.sources
            return (row and row.to) or current.state if is_here else None
        plan = self.plan_whole(current, request)
        planned = plan.steps[:1] if isinstance(plan, Plan) else ()
        return planned[0].to if planned and planned[0].step == step else None

    def observe(self, current: OrderState | None, observed: OrderState) -> str:
        """Our name for what the platform shows now, given what we knew (None: nothing)."""
        del current
        return observed.platform_state

    def merged_facts(self, current: OrderState, observed: OrderState) -> dict[str, Json]:
        """The facts after a read: the platform's own, and what only we know (numbers that we sent) where it matters."""
        del current
        return dict(observed.facts)

    def is_done(self, step: str, before: OrderState, observed: OrderState, request: TargetRequest) -> bool | None:
        """Whether `step`, begun in `before`, has taken effect according to a fresh read `observed`.

        True needs proof: the order shows what this very step does. By default that is the state that it leads to and no
        other, for a state beyond may have been reached by another hand and another way. Then the answer is False: what
        shows is adopted as drift and planned from, which reaches the target without a call where nothing is left to
        do. None: unknown, and the step must not be repeated without a person. False lets it be repeated from
        the state that shows, so a step whose effect no read shows may only answer False where the platform itself
        refuses a repeat.
        """
        expected = self.apply(before.state, step, self.destination(before, step, request))
        return self.observe(None, observed) == expected

    def is_evident(self, step: str, request: TargetRequest) -> bool:
        """Whether a read shows all that `step` carries of the target.

        Where it does not (which items were confirmed, say), an effect that shows proves the step only if a call of ours
        may have gone out and its answer was lost: after a refusal somebody else did the like of it.
        """
        del step, request
        return True

    def after(
        self, current: OrderState, step: str, request: TargetRequest, answered: str | None, facts: Mapping[str, Json]
    ) -> OrderState:
        """Where the order stands once `step` succeeded. `answered`: the platform state that the answer gave, if any;
        `facts`: facts that the answer changed."""
        state = self.apply(current.state, step, self.destination(current, step, request))
        merged = {**current.facts, **facts} if facts else current.facts
        return OrderState(state, answered or state, current.payment, merged, current.parcels)

    def came_back(self, current: OrderState) -> Mapping[str, Json]:
        """How many of each order line came back so far, in all; None: an unknown number. By default all of an order in
        a state that means returned."""
        state = self.states.get(current.state)
        is_back = state is not None and Milestone.RETURNED in state.milestones
        return (self.whole(current).lines or {}) if is_back else {}

    def after_lost_answer(self, current: OrderState, step: str, request: TargetRequest) -> Mapping[str, Json]:
        """The facts once the answer to `step` was lost and no read showed its effect: that it may have taken effect
        is remembered where the platform's answer to the next call means something else because of it."""
        del step, request
        return current.facts

    # -- for people ------------------------------------------------------------------------------------------------

    def shown_rows(self) -> tuple[Step, ...]:
        """The steps as documents and pictures show them, where the table has to say it in another way."""
        return self.rows


HOOKS = frozenset(
    name
    for name, value in vars(Hooks).items()
    if not name.startswith("_") and not getattr(value, "__isabstractmethod__", False)
)
"""The names that a platform's machine may override."""


def foreign_overrides(machine: type[Hooks]) -> tuple[str, ...]:
    """What a platform's machine overrides beside hooks: private names and what the planner relies on."""
    bases = [base for base in machine.__mro__ if base.__module__ in _OWN]
    fixed = {name for base in bases for name in vars(base) if not name.startswith("__")} - HOOKS
    own = [each for each in machine.__mro__ if each not in bases]
    return tuple(sorted({name for each in own for name in vars(each) if name in fixed}))


_OWN = frozenset({"statemachines.table", __name__, "statemachines.machine"})
