"""Fields that narrow a target, and the steps that cannot take them: refused before anything is done.

A target may name a part of an order: some `items`, what lies at one `location`, the lines of a `despatch`. Where a step
takes such a field it is about that part alone. Where it does not and can be undone, the field is harmless and named as
unused. But nobody takes back a cancellation, a delivery, a shipment or a mail to the buyer, so a step of that kind that
would be about more than was meant is refused. A field that names everything narrows nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from statemachines.items import InvalidItems, gap, read_items
from statemachines.target import Json, TargetRequest
from statemachines.terms import Milestone, Step

NARROWING = frozenset({"items", "location", "despatch"})
"""Fields that can make a target be about a part of the order."""

_LEAVING = frozenset({Milestone.SHIPPED, Milestone.DELIVERED, Milestone.RETURNED, Milestone.CANCELLED})
"""What goods do that a despatch is about."""


@dataclass(frozen=True, slots=True)
class Whole:
    """What an order as a whole is: `lines` with their quantities (None: not known), `locations` where its goods lie
    (empty: the platform gives none). `kind`: of a line's global id."""

    lines: Mapping[str, Json] | None = None
    locations: frozenset[str] = frozenset()
    kind: str | None = None


def narrowing_reason(
    steps: Sequence[tuple[Step, Collection[Milestone]]],
    request: TargetRequest,
    whole: Whole,
    location: str | None,
    *,
    sends_despatches: bool,
) -> str | None:
    """Why a plan would do more than the target means; None where it does not. `steps` are those of the plan with the
    milestones that each leads to, `location` is the target's as the platform names it; `sends_despatches`: the platform
    has a step that takes a despatch with its lines."""
    for step, milestones in steps:
        if not step.is_irrevocable:
            continue
        if "items" not in step.narrows and (reason := _items_gap(request, whole)) is not None:
            return f"{step.name} is about the whole order and cannot be narrowed to some items: {reason}"
        if location is not None and "location" not in step.narrows and whole.locations != {location}:
            return f"{step.name} is about the whole order and cannot be narrowed to location {location}"
        if request.despatch and Milestone.CANCELLED in milestones:
            return f"a despatch says that goods leave, so {step.name} cannot come with one"
        is_leaving = not _LEAVING.isdisjoint(milestones) and not sends_despatches
        if is_leaving and any(each.get("lines") for each in request.despatch or ()):
            return f"{step.name} is about the whole order and cannot be narrowed to the lines of a despatch"
    return None


def _items_gap(request: TargetRequest, whole: Whole) -> str | None:
    try:
        asked = read_items(request.items, whole.kind)
    except InvalidItems as error:
        return str(error)
    return None if asked is None else gap(asked, whole.lines)
