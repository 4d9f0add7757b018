"""The rest of a plan: what a step after another need not plan again.

A plan is a pure function of where the order stands and what is asked for. Once our call has done its first step, and
has changed the order's state to the one planned and nothing else that plans depend on, the steps left are the plan,
unless the machine's guard refuses them from there: every machine is held to that by a test. Planning is most of what
deciding on a step costs.
"""

from __future__ import annotations

from typing import NamedTuple

from statemachines.machine import Chaining, OrderState, PlannedStep, PlatformMachine
from statemachines.target import TargetRequest


class Way(NamedTuple):
    """A plan (`steps`), and everything that it was made from."""

    machine: PlatformMachine
    chaining: Chaining
    request: TargetRequest
    state: OrderState
    steps: tuple[PlannedStep, ...]

    def left(
        self, machine: PlatformMachine, chaining: Chaining, request: TargetRequest, state: OrderState
    ) -> tuple[PlannedStep, ...] | None:
        """The steps left where the order is in `state` now; None where it has to be planned."""
        before = self.state
        if machine is not self.machine or chaining != self.chaining or request is not self.request:
            return None
        if state.facts is not before.facts or state.payment != before.payment or state.parcels or before.parcels:
            return None
        if state is before:
            return self.steps
        if not self.steps:
            return None
        first = self.steps[0]
        if not before.state == first.source != first.to == state.state == state.platform_state:
            return None
        wanted = machine.wanted(state, request)
        is_guarded = wanted is None or machine.guard(state, request, wanted) is not None
        return None if is_guarded else self.steps[1:]
