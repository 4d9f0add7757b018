"""A machine's table: checked when it is built, held by one `transitions.Machine` without models.

Why without: docs/pitfalls.md T1-T10.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from transitions import Machine, MachineError

from statemachines.target import TargetRequest
from statemachines.terms import ON_THE_WAY, RECORD, DefinitionError, PlannedStep, State, Step


class _Token:
    """The light model that a trigger is fired on: 49 bytes, never registered with the machine (docs/pitfalls.md T8)."""

    __slots__ = ("state",)

    def __init__(self, state: str) -> None:
        self.state = state


class _Way(NamedTuple):
    """How a state is reached, by how many steps of the platform and by how many at all; shorter ways compare less."""

    waits: int
    length: int
    steps: tuple[PlannedStep, ...]

    def then(self, step: Step, planned: PlannedStep) -> _Way:
        """The way with one step more."""
        return _Way(self.waits + (step.by == "platform"), self.length + 1, (*self.steps, planned))


class Table:
    """A platform's states and steps. Immutable once built.

    `mainline` lists the states of the normal way in order: an order at or past a target on it has reached that target.
    All other states lie beside it (cancelled, returned).

    Raises DefinitionError when built from a table with unknown, unreachable or ambiguous states.
    """

    def __init__(
        self, platform: str, states: Sequence[State], steps: Sequence[Step], mainline: Sequence[str], initial: str
    ) -> None:
        self.platform = platform
        self.states: dict[str, State] = {state.name: state for state in states}
        self.rows = tuple(steps)
        self.steps: dict[str, Step] = {step.name: step for step in reversed(self.rows)}
        self.mainline = tuple(mainline)
        self.initial = initial
        self._rank = {name: rank for rank, name in enumerate(self.mainline)}
        self._names = index_names(platform, states)
        self._milestones = {state.name: state.milestone.value for state in states if state.milestone is not None}
        validate(platform, states, self.rows, self.mainline, initial)
        counts = Counter(step.name for step in steps)
        self._is_shared = {RECORD: False} | {name: count > 1 for name, count in counts.items()}
        self._machine = _build(states, self.rows, initial, self._is_shared)
        self._applied: dict[tuple[str, str, str | None], str] = {}
        self._ways: dict[tuple[str, str], tuple[PlannedStep, ...] | None] = {}

    # -- names -----------------------------------------------------------------------------------------------------

    def resolve(self, name: str) -> State | None:
        """The state meant by a native name or a milestone, without regard to case; None if the machine has neither."""
        return self._names.get(name.strip().casefold())

    def knows(self, state: str) -> bool:
        """Whether `state` is a platform state of this machine (a record-only milestone is not)."""
        found = self.states.get(state)
        return found is not None and not found.record_only

    def milestone(self, state: str) -> str | None:
        """The furthest milestone of a native state, None for unknown states and states between milestones."""
        return self._milestones.get(state)

    def names(self) -> tuple[str, ...]:
        """Every name that a target may carry here: native names of settable states, then milestones."""
        natives = [s.name for s in self.states.values() if s.settable]
        milestones = [word.value for s in self.states.values() if s.settable for word in s.milestones]
        return tuple(dict.fromkeys([*natives, *milestones]))

    def rank(self, state: str | None) -> int | None:
        """How far along the main line a state is, from 0; None beside it."""
        return None if state is None else self._rank.get(state)

    # -- steps -----------------------------------------------------------------------------------------------------

    def row(self, planned: PlannedStep) -> Step:
        """The row of a planned step; among those that share its name the one that leads where it does."""
        first = self.steps[planned.step]
        if not self._is_shared[planned.step]:
            return first
        return next((row for row in self.rows if row.name == planned.step and row.to == planned.to), first)

    def carried(self, planned: PlannedStep, request: TargetRequest) -> tuple[str, ...]:
        """The fields of a target that the step brings to the platform, named as in `TargetRequest.brings`."""
        uses = self.row(planned).uses
        is_whole = "tracking" in uses
        return tuple(name for name in request.brings() if name in uses or (is_whole and name.startswith("tracking[")))

    def moves(self, state: str) -> list[tuple[Step, str]]:
        """The steps that lead from a state to others, each with where it leads."""
        return [(row, row.to) for row in self.rows if row.to is not None and state in row.sources]

    def apply(self, state: str, step: str, to: str | None = None) -> str:
        """The state after `step` succeeded in `state`. Raises transitions.MachineError where no row says so.

        `to` distinguishes rows that share the name; a step of one row has no need of it.
        """
        if step == RECORD:
            return state
        after = self._applied.get((state, step, to))
        if after is None:  # the table never changes, so each row of it is fired once and remembered
            event = self._machine.events.get(_trigger_name(step, to)) or self._machine.events.get(step)
            if event is None:
                raise MachineError(f"{self.platform}: no step {step!r} leads from {state!r} to {to!r}")
            token = _Token(state)
            event.trigger(token)
            after = self._applied[state, step, to] = token.state
        return after

    # -- ways ------------------------------------------------------------------------------------------------------

    def shortest_way(self, start: str, wanted: str) -> tuple[PlannedStep, ...] | None:
        """Fewest steps from a state to another; None when no way leads there.

        Of several ways one with fewer steps by the platform is shorter, however long it is: those are waited for.
        **No way goes further than what is asked for:** a step that is seen outside is on it only to `wanted` itself or
        to a state before it on the main line.
        """
        key = (start, wanted)
        if key not in self._ways:
            self._ways[key] = self._search(start, wanted)
        return self._ways[key]

    def _search(self, start: str, wanted: str) -> tuple[PlannedStep, ...] | None:
        found = {start: _Way(0, 0, ())}
        nearest = deque([start])
        while nearest:
            here = min(nearest, key=lambda name: found[name][:2])
            nearest.remove(here)
            if here == wanted:
                return found[here].steps
            if self.states[here].is_aside and here != start:
                continue
            for step, to in self.moves(here):
                way = found[here].then(step, PlannedStep(step.name, here, to))
                if not self._goes_too_far(step, wanted) and (to not in found or way[:2] < found[to][:2]):
                    nearest.append(to)
                    found[to] = way
        return None

    def _goes_too_far(self, step: Step, wanted: str) -> bool:
        """Whether the outside would see more than was asked for: a shipment on the way to a return, for example."""
        if step.to == wanted or not step.is_seen_outside:
            return False
        there, most = self.rank(step.to), self.rank(wanted)
        return there is None or most is None or there > most


def index_names(platform: str, states: Iterable[State]) -> dict[str, State]:
    """Every name and milestone, without regard to case. Raises DefinitionError where one means two states."""
    names: dict[str, State] = {}
    for state in states:
        _check_milestones(platform, state)
        for name in {state.name, *(milestone.value for milestone in state.milestones)}:
            if names.setdefault(name.casefold(), state) is not state:
                raise DefinitionError(f"{platform}: the name {name!r} means two states")
    return names


def validate(
    platform: str, states: Sequence[State], steps: Sequence[Step], mainline: Sequence[str], initial: str
) -> None:
    """Finds tables that contradict themselves when they are imported, not when an order gets there.

    Raises DefinitionError.
    """
    known = {state.name: state for state in states}
    actions = {step.name for step in steps if step.to is None}
    rows = {(step.name, None if step.name in actions else step.to) for step in steps}
    if len(known) != len(states) or len(rows) != len(steps):
        raise DefinitionError(f"{platform}: a state or step is defined twice")
    for name in (initial, *mainline):
        if name not in known:
            raise DefinitionError(f"{platform}: {name!r} on the main line is not a state")
    _check_makers(platform, steps)
    for step in steps:
        for name in (*step.sources, *([step.to] if step.to is not None else [])):
            if name not in known or known[name].record_only:
                raise DefinitionError(f"{platform}: step {step.name} names {name!r}, which is not a platform state")
        if step.to is not None and any(known[source].is_end for source in step.sources):
            raise DefinitionError(f"{platform}: step {step.name} leaves a state that is marked as an end")
    reached = {initial}
    while grown := {s.to for s in steps if s.to and reached & set(s.sources)} - reached:
        reached |= grown
    for state in states:
        if state.settable and not state.record_only and state.name not in reached:
            raise DefinitionError(f"{platform}: no step leads to {state.name!r}")


def _check_milestones(platform: str, state: State) -> None:
    words = state.milestones
    if not isinstance(words, tuple):  # a milestone is a text as well, and would pass for a row of letters
        raise DefinitionError(f"{platform}: the milestones of {state.name!r} are {words!r}; give a tuple of them")
    if len(set(words)) < len(words):
        raise DefinitionError(f"{platform}: {state.name!r} has a milestone twice")
    beside = [word.value for word in words if word not in ON_THE_WAY]
    if len(words) > 1 and beside:
        raise DefinitionError(f"{platform}: {state.name!r} is {beside[0]}, which is beside the way, and more than that")


def _check_makers(platform: str, steps: Sequence[Step]) -> None:
    """What is planned, called and shown by a step's name is one maker's; what the platform makes carries nothing."""
    ours = {step.name for step in steps if step.by == "daemon"}
    for step in steps:
        if step.name == RECORD:
            raise DefinitionError(f"{platform}: {RECORD} is the step of milestones that are our record only")
        if step.by == "daemon":
            continue
        if step.name in ours:
            raise DefinitionError(f"{platform}: {step.name} is made by the daemon and by the platform")
        if step.to is None or step.uses or step.narrows or step.is_blind:
            raise DefinitionError(f"{platform}: {step.name} is made by the platform: it moves the order, by no call")


def _build(states: Sequence[State], steps: Sequence[Step], initial: str, is_shared: Mapping[str, bool]) -> Machine:
    """The rows as `transitions` holds and checks them; `is_shared`: whether several rows have the step's name."""
    rows = [
        {
            "trigger": _trigger_name(step.name, step.to if is_shared[step.name] else None),
            "source": list(step.sources),
            "dest": step.to if step.to is not None else "=",
        }
        for step in steps
    ]
    names = [s.name for s in states if not s.record_only]
    return Machine(model=None, states=names, transitions=rows, initial=initial, auto_transitions=False)


def _trigger_name(step: str, to: str | None) -> str:
    """The table's name for a row: its step's, with the destination where several rows share that."""
    return step if to is None else f"{step} to {to}"
