"""The pure core: what states an order can have on a platform, which steps lead on, and how a target is reached.

A machine is a table. `transitions` holds and checks the table (one shared `Machine`, no model registered with it, no
callbacks: pitfalls T1-T10); this module adds what a fulfilment platform needs beside a table: milestones that mean the
same everywhere, steps that leave the state (tracking), guards that say why they refuse, and the planner.

Nothing here does I/O, reads a clock or knows asyncio. The same functions serve the API (may this target be accepted?),
the driver (what is next?), crash recovery (did the call take effect?) and the diagrams in the docs.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from transitions import MachineError

from statemachines.narrowing import Whole, narrowing_reason
from statemachines.table import build_table, index_names, state_view, trigger_name, validate, walk_back
from statemachines.target import Json, TargetRequest
from statemachines.terms import (
    RECORD,
    Chaining,
    DefinitionError,
    Milestone,
    Plan,
    PlannedStep,
    PlatformWait,
    Refusal,
    Standing,
    State,
    Step,
)
from statemachines.withdrawal import withdrawn_words

__all__ = [
    "RECORD",
    "Chaining",
    "DefinitionError",
    "Milestone",
    "Plan",
    "PlannedStep",
    "PlatformMachine",
    "PlatformWait",
    "Refusal",
    "Standing",
    "State",
    "Step",
]


class _Token:
    """The light model that a trigger is fired on: 49 bytes, never registered with the machine (pitfalls T8)."""

    __slots__ = ("state",)

    def __init__(self, state: str) -> None:
        self.state = state


class PlatformMachine:
    """A platform's states and steps, and the planner over them. Immutable once built; one instance serves all orders.

    `mainline` lists the states of the normal way in order: an order at or past a target on it has reached that target.
    All other states lie beside it (cancelled, returned). **No plan goes further than what is asked for:** a step that
    is seen outside is on the way only to the target itself or to a state before it on the main line. So an order is
    returned, or cancelled, from where it stands or not at all; nothing is sent for the sake of taking it back.
    Platforms override the hooks `guard`, `observe`, `is_done`, `after`, `pending_actions` and `wait` where they differ.
    `ships_withdrawn`: what was withdrawn is shipped all the same.

    `takes_several_trackings`: a parcel has room for more numbers than one.

    Raises DefinitionError when built from a table with unknown, unreachable or ambiguous states.
    """

    takes_several_trackings: ClassVar[bool] = False

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
        self.platform = platform
        self.ships_withdrawn = ships_withdrawn
        self.states: dict[str, State] = {state.name: state for state in states}
        self.rows = tuple(steps)
        self.steps: dict[str, Step] = {step.name: step for step in reversed(self.rows)}
        self.mainline = tuple(mainline)
        self.initial = initial
        self._rank = {name: rank for rank, name in enumerate(self.mainline)}
        self._names = index_names(platform, states)
        validate(platform, states, self.rows, self.mainline, initial)
        self._moves: dict[str, list[Step]] = {name: [] for name in self.states}
        for step in steps:
            for source in step.sources:
                if step.to is not None:
                    self._moves[source].append(step)
        counts = Counter(step.name for step in steps)
        self._is_shared = {RECORD: False} | {name: count > 1 for name, count in counts.items()}
        self._table = build_table(states, self.rows, initial, self._is_shared)
        self._applied: dict[tuple[str, str, str | None], str] = {}
        self._ways: dict[tuple[str, str], tuple[PlannedStep, ...] | None] = {}

    # -- names -----------------------------------------------------------------------------------------------------

    def resolve(self, name: str) -> State | None:
        """The state meant by a native name or a milestone, without regard to case; None if the machine has neither."""
        return self._names.get(name.strip().casefold())

    def knows(self, state: str) -> bool:
        """Whether `state` is a platform state of this machine (a record-only milestone is none)."""
        found = self.states.get(state)
        return found is not None and not found.record_only

    def milestone(self, state: str) -> str | None:
        """The milestone of a native state, None for unknown states and states between milestones."""
        found = self.states.get(state)
        return found.milestone.value if found is not None and found.milestone is not None else None

    def names(self) -> tuple[str, ...]:
        """Every name that a target may carry here: native names of settable states, then milestones."""
        natives = [s.name for s in self.states.values() if s.settable]
        milestones = [s.milestone.value for s in self.states.values() if s.settable and s.milestone is not None]
        return tuple(dict.fromkeys([*natives, *milestones]))

    # -- moving ----------------------------------------------------------------------------------------------------

    def apply(self, state: str, step: str, to: str | None = None) -> str:
        """The state after `step` succeeded in `state`. Raises transitions.MachineError where no row says so.

        `to` tells rows that share the name apart; a step of one row has no need of it.
        """
        if step == RECORD:
            return state
        after = self._applied.get((state, step, to))
        if after is None:  # the table never changes, so each row of it is fired once and remembered
            event = self._table.events.get(trigger_name(step, to)) or self._table.events.get(step)
            if event is None:
                raise MachineError(f"{self.platform}: no step {step!r} leads from {state!r} to {to!r}")
            token = _Token(state)
            event.trigger(token)
            after = self._applied[state, step, to] = token.state
        return after

    def destination(self, standing: Standing, step: str, request: TargetRequest) -> str | None:
        """Where `step` leads from here; among rows that share its name, the one on the way to what is asked for.

        None where no row leads on from here.
        """
        if not self._is_shared[step]:
            row = self.steps.get(step)
            is_here = row is None or standing.state in row.sources
            return (row and row.to) or standing.state if is_here else None
        plan = self.plan(standing, request)
        planned = plan.steps[:1] if isinstance(plan, Plan) else ()
        return planned[0].to if planned and planned[0].step == step else None

    def allowed(self, standing: Standing) -> tuple[str, ...]:
        """Native names of the states one step away that a target may ask for."""
        ways = [step.to for step in self._moves.get(standing.state, []) if step.to is not None]
        return tuple(dict.fromkeys(to for to in ways if to != standing.state and self.states[to].settable))

    def plan(self, standing: Standing, request: TargetRequest, chaining: Chaining = "auto") -> Plan | Refusal:
        """The steps from `standing` to the requested state, in sequence, or why there are none.

        A target that is reached already plans only the actions that it still brings (new tracking), mostly none.
        """
        wanted = self.wanted(standing, request)
        if wanted is None:
            if request.state.strip().casefold() in set(Milestone):
                return Refusal("unreachable", f"{self.platform} has no {request.state}", self.names())
            return Refusal("unknown-state", f"{self.platform} knows no state {request.state!r}", self.names())
        if wanted.record_only:
            return self._finish(wanted, (PlannedStep(RECORD, standing.state, standing.state),), request, standing)
        if not self.knows(standing.state):
            return Refusal(
                "unreachable", f"the order is in {standing.state!r}, a state that this machine does not know"
            )
        if not wanted.settable:
            if wanted.name == standing.state:
                return self._finish(wanted, (), request, standing)
            detail = f"{wanted.name} can be seen but not set: do it on the platform itself; the next look finds it"
            return Refusal("unreachable", detail, self.allowed(standing))
        if (refusal := self.guard(standing, request, wanted)) is not None:
            return refusal
        path = self._path(standing, wanted.name)
        if path is None:
            return Refusal("unreachable", self._no_way(standing, wanted.name), self.allowed(standing))
        if chaining == "strict" and len(path) > 1:
            detail = f"{wanted.name} is {len(path)} steps from {standing.state} and this shop takes one at a time"
            return Refusal("not-adjacent", detail, self.allowed(standing))
        is_beside = wanted.name not in self._rank
        steps = path if is_beside else self._with_actions(standing, path, request)
        if (reason := self._narrowing(standing, steps, request)) is not None:
            return Refusal("not-allowed", reason, reason=reason)
        if (refusal := self._held_back(standing, request, steps)) is not None:
            return refusal
        return self._finish(wanted, steps, request, standing)

    def _narrowing(self, standing: Standing, steps: Sequence[PlannedStep], request: TargetRequest) -> str | None:
        """Why the steps would do more than the target means."""
        rows = [(self._row(step), self.states[step.to].milestone) for step in steps]
        sends = any("despatch" in row.uses for row in self.rows)
        whole, location = self.whole(standing), self.location_of(request)
        return narrowing_reason(rows, request, whole, location, sends_despatches=sends)

    def _row(self, planned: PlannedStep) -> Step:
        if not self._is_shared[planned.step]:
            return self.steps[planned.step]
        return next(row for row in self.rows if row.name == planned.step and row.to == planned.to)

    def _held_back(self, standing: Standing, request: TargetRequest, steps: Iterable[PlannedStep]) -> Refusal | None:
        """Nothing of a withdrawn order is sent. What was sent before goes on: it is on its way whatever we do."""
        if self.ships_withdrawn or not any(self._sends(standing, step) for step in steps):
            return None
        reason = self.withdrawn_reason(standing, request)
        if reason is None:
            return None
        return Refusal("not-allowed", reason, reason=reason, blocks_as="not-allowed")

    def _sends(self, standing: Standing, step: PlannedStep) -> bool:
        row = self.steps.get(step.step)
        if row is None or not row.reaches_buyer:
            return False
        sent = self._names.get(Milestone.SHIPPED)
        return sent is None or not self.has_passed(replace(standing, state=step.source), sent.name)

    def is_blind(self, step: str) -> bool:
        """Whether the client sends `step` without a look at the order just before."""
        row = self.steps.get(step)
        return row is not None and row.is_blind

    def has_passed(self, standing: Standing, wanted: str) -> bool:
        """Whether an order standing here is at or past `wanted` on the main line."""
        here, there = self._rank.get(standing.state), self._rank.get(wanted)
        return standing.state == wanted or (here is not None and there is not None and here >= there)

    def _path(self, standing: Standing, wanted: str) -> tuple[PlannedStep, ...] | None:
        """Fewest state-changing steps to `wanted`; empty when it is reached, None when no way leads there."""
        if self.has_passed(standing, wanted):
            return ()
        key = (standing.state, wanted)
        if key not in self._ways:
            self._ways[key] = self._shortest_way(*key)
        return self._ways[key]

    def _shortest_way(self, start: str, wanted: str) -> tuple[PlannedStep, ...] | None:
        came: dict[str, PlannedStep] = {}
        queue = deque([start])
        while queue:
            here = queue.popleft()
            for step in self._moves.get(here, []):
                assert step.to is not None
                if step.to in came or step.to == start or self._goes_too_far(step, wanted):
                    continue
                came[step.to] = PlannedStep(step.name, here, step.to)
                if step.to == wanted:
                    return walk_back(came, start, wanted)
                if not self.states[step.to].is_aside:
                    queue.append(step.to)
        return None

    def _goes_too_far(self, step: Step, wanted: str) -> bool:
        """Whether the outside would see more than was asked for: a shipment on the way to a return, for example."""
        if step.to == wanted or not step.is_seen_outside:
            return False
        there, most = self._rank.get(step.to or ""), self._rank.get(wanted)
        return there is None or most is None or there > most

    def _no_way(self, standing: Standing, wanted: str) -> str:
        """Why there is no plan, and for a state beside the main line what has to be there first."""
        detail = f"no way leads from {standing.state} to {wanted}"
        sources = dict.fromkeys(source for row in self.rows if row.to == wanted for source in row.sources)
        if wanted in self._rank or not sources or standing.state in sources:
            return detail
        detail += f": an order gets there only from {', '.join(sources)}, and no plan takes it there for that"
        ahead = [name for name in sources if self.states[name].settable and self._path(standing, name)]
        return f"{detail}; submit {' or '.join(ahead)} first if that is meant" if ahead else detail

    def _with_actions(
        self, standing: Standing, path: tuple[PlannedStep, ...], request: TargetRequest
    ) -> tuple[PlannedStep, ...]:
        """Puts each action that the target brings into the first state on the way that allows it."""
        waiting = [self.steps[name] for name in self.pending_actions(standing, request)]
        steps: list[PlannedStep] = []
        for here, move in [*((step.source, step) for step in path), (path[-1].to if path else standing.state, None)]:
            for action in [a for a in waiting if here in a.sources]:
                steps.append(PlannedStep(action.name, here, here))
                waiting.remove(action)
            if move is not None:
                steps.append(move)
        return tuple(steps)

    def _finish(
        self, wanted: State, steps: tuple[PlannedStep, ...], request: TargetRequest, standing: Standing
    ) -> Plan:
        milestone = wanted.milestone.value if wanted.milestone is not None else None
        taken = {name for step in steps if step.step in self.steps for name in self.steps[step.step].uses}
        if wanted.record_only:
            taken.add("reason")  # it goes into the record
        taken |= set(self.satisfied(standing, request))
        if self.takes_several_trackings and "tracking" in taken:
            taken |= {name for name in request.brings() if name.startswith("tracking[")}
        unused = tuple(name for name in request.brings() if name not in taken)
        return Plan(wanted.name, milestone, steps, unused)

    # -- hooks -----------------------------------------------------------------------------------------------------

    def wanted(self, standing: Standing, request: TargetRequest) -> State | None:
        """The state that a target names, for this order; None if the machine has none such."""
        del standing
        return self.resolve(request.state)

    def guard(self, standing: Standing, request: TargetRequest, wanted: State) -> Refusal | None:
        """Why this order may not go to `wanted` with this data, or None. Pure."""
        del standing, request, wanted
        return None

    def whole(self, standing: Standing) -> Whole:
        """The order's lines and locations, so that a field that names all of them is told from one that narrows."""
        del standing
        return Whole()

    def location_of(self, request: TargetRequest) -> str | None:
        """The target's location as the platform names it; None where it brings none."""
        return request.location

    def withdrawn_reason(self, standing: Standing, request: TargetRequest) -> str | None:
        """Why nothing of the order may be sent any more that the target would send, or None. Pure."""
        del request
        return withdrawn_words(standing.facts)

    def pending_actions(self, standing: Standing, request: TargetRequest) -> tuple[str, ...]:
        """State-leaving steps that the target brings data for and that are not done yet, in sequence."""
        del standing, request
        return ()

    def satisfied(self, standing: Standing, request: TargetRequest) -> tuple[str, ...]:
        """Fields of the target that the order carries already, so nothing has to be sent for them."""
        del standing, request
        return ()

    def observe(self, standing: Standing | None, seen: Standing) -> str:
        """Our name for what the platform shows now, given what we knew (None: nothing)."""
        del standing
        return seen.platform_state

    def merged_facts(self, standing: Standing, seen: Standing) -> dict[str, Json]:
        """The facts after a read: the platform's own, and what only we know (numbers that we sent) where it matters."""
        del standing
        return dict(seen.facts)

    def is_done(self, step: str, before: Standing, seen: Standing, request: TargetRequest) -> bool | None:
        """Whether `step`, begun in `before`, has taken effect according to a fresh read `seen`.

        True needs proof: the order shows what this very step does. By default that is the state that it leads to and no
        other, for a state beyond may have been reached by another hand and another way. Then the answer is False: what
        shows is adopted as drift and planned from, which reaches the target without a call where nothing is left to
        do. None: nobody can tell, and the step must not be repeated without a person. False lets it be repeated from
        the state that shows, so a step whose effect no read shows may only answer False where the platform itself
        refuses a repeat.
        """
        expected = self.apply(before.state, step, self.destination(before, step, request))
        return self.observe(None, seen) == expected

    def is_evident(self, step: str, request: TargetRequest) -> bool:
        """Whether a read shows all that `step` carries of the target.

        Where it does not (which items were confirmed, say), an effect that shows proves the step only if a call of ours
        may have gone out and nobody heard its answer: after a refusal somebody else did the like of it.
        """
        del step, request
        return True

    def after(
        self, standing: Standing, step: str, request: TargetRequest, answered: str | None, facts: Mapping[str, Json]
    ) -> Standing:
        """Where the order stands once `step` succeeded. `answered`: the platform state that the answer told, if any;
        `facts`: facts that the answer changed."""
        state = self.apply(standing.state, step, self.destination(standing, step, request))
        merged = {**standing.facts, **facts} if facts else standing.facts
        return replace(standing, state=state, platform_state=answered or state, facts=merged)

    def after_lost_answer(self, standing: Standing, step: str, request: TargetRequest) -> Mapping[str, Json]:
        """The facts once the answer to `step` was lost and no read showed its effect: that it may have taken effect
        is remembered where the platform's answer to the next call means something else because of it."""
        del step, request
        return standing.facts

    def wait(self, standing: Standing, request: TargetRequest) -> PlatformWait | None:
        """What on the platform's side holds this order up right now on its way to what is asked for, or None."""
        del standing, request
        return None

    def describe(self) -> dict[str, Any]:
        """The machine as plain data: states, steps, milestones (docs/api.md)."""
        return {
            "platform": self.platform,
            "initial": self.initial,
            "states": [state_view(state) for state in self.states.values()],
            "steps": [{"step": s.name, "from": list(s.sources), "to": s.to, "uses": list(s.uses)} for s in self.rows],
            "milestones": {s.milestone.value: s.name for s in self.states.values() if s.milestone},
            "mainline": list(self.mainline),
        }
