"""A small platform that nobody has, with all that a table can say: the platform takes orders on by itself, one state
is shipped and delivered, and tracking is a plug-in that not every shop has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.platforms.client import OrderSnapshot, StepAnswer
from orchestrator.platforms.failures import NotFound, OutOfSequence
from statemachines.machine import Milestone, OrderState, PlatformMachine, State, Step
from statemachines.target import Json, TargetRequest
from tests.support.driven import ORDER, START, ScriptedPlatform

STATES = (
    State("on-hold", settable=False),
    State("processing", (Milestone.NEW,)),
    State("packed", (Milestone.PREPARING,)),
    State("completed", (Milestone.SHIPPED, Milestone.DELIVERED)),
    State("cancelled", (Milestone.CANCELLED,), is_end=True),
    State("refunded", (Milestone.RETURNED,), settable=False, is_end=True),
    State("attention", (Milestone.ATTENTION,), record_only=True),
)
STEPS = (
    Step("settle", ("on-hold",), "processing", by="platform"),
    Step("pack", ("processing",), "packed", uses=("items",)),
    Step("track", ("processing", "packed", "completed"), None, uses=("tracking", "tracking.carrier")),
    Step("complete", ("packed",), "completed", is_irrevocable=True, reaches_buyer=True),
    Step("cancel", ("on-hold", "processing", "packed"), "cancelled", uses=("reason",), is_irrevocable=True),
    Step("refund", ("processing", "packed", "completed"), "refunded", by="platform"),
)
OURS = {step.name for step in STEPS if step.by == "daemon"}
NO_PLUGIN = "the shop has no plug-in for tracking: install one, or send no tracking"
MAINLINE = ("processing", "packed", "completed")


class MadeUpMachine(PlatformMachine):
    """Facts that it reads: `tracking`, the code that the plug-in shows."""

    def __init__(self) -> None:
        super().__init__("bazaar", STATES, STEPS, MAINLINE, "on-hold")

    def pending_actions(self, current: OrderState, request: TargetRequest) -> tuple[str, ...]:
        tracking = request.tracking
        is_current = tracking is None or current.facts.get("tracking") == tracking.code
        return () if is_current else ("track",)

    def satisfied(self, current: OrderState, request: TargetRequest) -> tuple[str, ...]:
        return () if self.pending_actions(current, request) else ("tracking", "tracking.carrier")

    def is_done(self, step: str, before: OrderState, seen: OrderState, request: TargetRequest) -> bool | None:
        if step == "track":
            return not self.pending_actions(seen, request)
        return super().is_done(step, before, seen, request)

    def after(
        self, current: OrderState, step: str, request: TargetRequest, answered: str | None, facts: Mapping[str, Json]
    ) -> OrderState:
        if step == "track" and request.tracking is not None:
            facts = {"tracking": request.tracking.code, **facts}
        return super().after(current, step, request, answered, facts)


@dataclass(slots=True)
class Bazaar(ScriptedPlatform):
    """The platform with one order. `moves` is all that became of it, by whomever; `passed_over` are steps of ours that
    it answered to have no use for."""

    state: str = "on-hold"
    tracking: str | None = None
    has_plugin: bool = True
    no_use_for: tuple[str, ...] = ()
    moves: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)

    def snapshot(self) -> OrderSnapshot:
        if self.is_gone:
            raise NotFound("no such order")
        facts = {"tracking": self.tracking}
        return OrderSnapshot(ORDER, None, self.state, "paid", facts, b"{}", "h", START + self.changes)

    def do(self, step: str, request: TargetRequest) -> None:
        row = next(row for row in STEPS if row.name == step)
        if self.state not in row.sources:
            raise OutOfSequence(f"{step} does not fit {self.state}")
        if step == "track" and not self.has_plugin:
            return
        if step == "track":
            assert request.tracking is not None
            self.tracking = request.tracking.code
        self.state = row.to or self.state
        self.changes += 1
        self.moves.append(step)

    def is_repeatable(self, step: str) -> bool:
        return step == "track" and not self.has_plugin

    def body(self, step: str, request: TargetRequest) -> object:
        assert step in OURS, f"{step} is the platform's own"
        return request.tracking if step == "track" else None

    def answer(self, step: str) -> StepAnswer:
        if step == "track" and not self.has_plugin:
            self.passed_over.append(step)
            return StepAnswer(None, unused=("tracking",), reason=NO_PLUGIN)
        return StepAnswer(None if step == "track" else self.state, unused=self.no_use_for)


def target(state: str, **brings: Any) -> TargetRequest:
    """A target as the API reads it."""
    return TargetRequest.from_json({"state": state, **brings})


def at(state: str, **facts: Json) -> OrderState:
    """An order that stands there."""
    return OrderState(state, state, "paid", facts)


MACHINE = MadeUpMachine()
