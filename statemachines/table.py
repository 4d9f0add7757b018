"""A machine's table: checked when it is built, held by one `transitions.Machine` without models (pitfalls T1-T10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from transitions import Machine

from statemachines.target import Json
from statemachines.terms import DefinitionError, PlannedStep, State, Step


def index_names(platform: str, states: Iterable[State]) -> dict[str, State]:
    """Every name and milestone, without regard to case. Raises DefinitionError where one means two states."""
    names: dict[str, State] = {}
    for state in states:
        for name in {state.name, state.milestone.value if state.milestone else state.name}:
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
            raise DefinitionError(f"{platform}: {name!r} on the main line is no state")
    for step in steps:
        for name in (*step.sources, *([step.to] if step.to is not None else [])):
            if name not in known or known[name].record_only:
                raise DefinitionError(f"{platform}: step {step.name} names {name!r}, which is no platform state")
        if any(known[source].is_end for source in step.sources):
            raise DefinitionError(f"{platform}: step {step.name} leaves a state that is marked as an end")
    reached = {initial}
    while grown := {s.to for s in steps if s.to and reached & set(s.sources)} - reached:
        reached |= grown
    for state in states:
        if state.settable and not state.record_only and state.name not in reached:
            raise DefinitionError(f"{platform}: no step leads to {state.name!r}")


def build_table(states: Sequence[State], steps: Sequence[Step], initial: str, is_shared: Mapping[str, bool]) -> Machine:
    """The rows as `transitions` holds and checks them; `is_shared`: whether several rows have the step's name."""
    rows = [
        {
            "trigger": trigger_name(step.name, step.to if is_shared[step.name] else None),
            "source": list(step.sources),
            "dest": step.to if step.to is not None else "=",
        }
        for step in steps
    ]
    names = [s.name for s in states if not s.record_only]
    return Machine(model=None, states=names, transitions=rows, initial=initial, auto_transitions=False)


def trigger_name(step: str, to: str | None) -> str:
    """The table's name for a row: its step's, with the destination where several rows share that."""
    return step if to is None else f"{step} to {to}"


def state_view(state: State) -> dict[str, Json]:
    """A state as plain data (docs/api.md)."""
    return {
        "name": state.name,
        "milestone": state.milestone.value if state.milestone else None,
        "settable": state.settable,
        "record_only": state.record_only,
        "end": state.is_end,
    }


def walk_back(came: Mapping[str, PlannedStep], start: str, wanted: str) -> tuple[PlannedStep, ...]:
    """The way from `start` to `wanted`; `came` holds the step that led to each state of it."""
    steps: list[PlannedStep] = []
    here = wanted
    while here != start:
        steps.append(came[here])
        here = came[here].source
    return tuple(reversed(steps))
