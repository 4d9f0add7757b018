"""The words of state machines: states, steps, where an order stands, plans and refusals. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from statemachines.parcel import RecordedParcel
from statemachines.target import Json


class DefinitionError(Exception):
    """A machine's table contradicts itself: a programming error (or a wrong own flow in a shop's config)."""


class Milestone(StrEnum):
    """States that mean the same on every platform (docs/api.md)."""

    NEW = "new"
    ACCEPTED = "accepted"
    PREPARING = "preparing"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    ATTENTION = "attention"


ON_THE_WAY = (Milestone.NEW, Milestone.ACCEPTED, Milestone.PREPARING, Milestone.SHIPPED, Milestone.DELIVERED)
"""The milestones that follow one another, nearest first; the others lie beside the way."""


RECORD = "record"
"""The step of a milestone that is our record only: an event, no call, the state stays."""

Chaining = Literal["auto", "strict"]


@dataclass(frozen=True, slots=True)
class State:
    """One state of a platform's order.

    `milestones`: what it means, several where a platform gives no difference (a `completed` that is shipped and
    delivered): a target may name each (`meant`), and orders are found by each. An order is shown with the furthest,
    `milestone`. `settable`: may be a target (others are seen only). `record_only`: no platform state at all, a target
    on it is recorded. `is_end`: nothing leads on from here by anybody's doing that we follow; a step that leaves the
    state may still be made (a number that is corrected). `is_aside`: beside the way; an order goes there or leaves it
    only when that is asked for, no plan leads through it.
    """

    name: str
    milestones: tuple[Milestone, ...] = ()
    settable: bool = True
    record_only: bool = False
    is_end: bool = False
    is_aside: bool = False

    @property
    def milestone(self) -> Milestone | None:
        """The furthest of its milestones, the one that is shown outside; None where it has none."""
        return max(self.milestones, key=_FAR.__getitem__, default=None)

    def meant(self, word: str) -> Milestone | None:
        """The milestone that a target means which names this state by `word`: that one, else the furthest."""
        named = word.strip().casefold()
        return next((each for each in self.milestones if each == named), self.milestone)


_FAR = {milestone: far for far, milestone in enumerate(Milestone)}

By = Literal["daemon", "platform"]


@dataclass(frozen=True, slots=True)
class Step:
    """One external call, or a move that the platform makes. `to` None: the step leaves the state (an action such as
    set_tracking).

    Several rows may share a name when one call leads to many states (`change_status`): a row for each `to`.
    `uses`: fields of a target that it carries, for the answer's `unused`. `is_irrevocable`: nobody takes it back, or
    the buyer hears of it. `narrows`: fields of a target that make such a step be about a part of the order.
    `reaches_buyer`: by it the buyer hears that goods leave, so it is held back from an order that was withdrawn.
    `is_blind`: the client sends it without a read of its own, so the order is read before when the last read is not
    fresh any more.
    `by`: who makes it. A step by the platform (on hold → processing, once it is paid) is seen and never made: plans go
    round it where they can, and wait for it where no other way leads on.
    """

    name: str
    sources: tuple[str, ...]
    to: str | None
    uses: tuple[str, ...] = ()
    is_irrevocable: bool = False
    narrows: tuple[str, ...] = ()
    reaches_buyer: bool = False
    is_blind: bool = False
    by: By = "daemon"

    @property
    def is_seen_outside(self) -> bool:
        """Whether somebody outside hears of it, or nobody can take it back: a plan makes it only where it is meant."""
        return self.reaches_buyer or self.is_irrevocable


@dataclass(frozen=True, slots=True)
class OrderState:
    """Where an order stands, as far as machines care.

    `state` is ours, `platform_state` what the platform showed last (they differ where a state is ours
    alone). `facts` are platform facts the guards and read-backs need, plain JSON. `parcels`: those that are recorded
    with the order, first reported first.
    """

    state: str
    platform_state: str
    payment: str = "unknown"
    facts: Mapping[str, Json] = field(default_factory=dict)
    parcels: tuple[RecordedParcel, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step of a plan, with the states before and after it."""

    step: str
    source: str
    to: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The way to a target: no steps means that it is reached. `unused` names the fields that nothing here takes."""

    state: str
    milestone: str | None
    steps: tuple[PlannedStep, ...]
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a target is not accepted; `slug` is the problem type of the API.

    `blocks_as`: the type of the problem when a target that was accepted before is refused like this on its way.
    """

    slug: Literal["unknown-state", "unreachable", "not-allowed", "not-adjacent"]
    detail: str
    allowed: tuple[str, ...] = ()
    reason: str | None = None
    blocks_as: Literal["rejected", "not-allowed"] = "rejected"


@dataclass(frozen=True, slots=True)
class PlatformWait:
    """The platform itself holds the order up; `until_ms` is Unix time in milliseconds where it is known.

    `recheck_seconds`: how soon the order is worth another read.
    """

    reason: Literal["platform", "payment"]
    until_ms: int | None
    detail: str
    recheck_seconds: int = 300
