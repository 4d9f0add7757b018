"""The steps that a target still takes on Shopify, in sequence: pure, derived from an order's facts.

A `fulfill` for each parcel that is left, `prepare_pickup` for what waits in a store, `update_tracking` for what was
shipped before, `mark_delivered` for the parcels that arrived. Made anew after each step, so all of it is derived from
what is left. Facts as in `facts`, and `ready_for_pickup` [FO]: those that were reported to Shopify as ready.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from statemachines.items import InvalidItems
from statemachines.shopify.delivery import selects_shipped, to_deliver
from statemachines.shopify.facts import REPORTS, Facts, is_routed, parcels, remaining, state_of
from statemachines.shopify.parcels import Parcel, after_parcel, next_parcel
from statemachines.shopify.table import PARTLY_DELIVERED, RETRACKABLE
from statemachines.shopify.tracking import retracked, with_tracking
from statemachines.shopify.ways import PICKUP, due_orders, pickups
from statemachines.target import Json, TargetRequest
from statemachines.terms import PlannedStep

READY = "ready_for_pickup"


@dataclass(frozen=True, slots=True)
class Course:
    """Steps, and the facts behind them."""

    steps: tuple[PlannedStep, ...]
    facts: Facts


def shipping(facts: Facts, here: str, request: TargetRequest, *, is_part: bool, is_delivery: bool = False) -> Course:
    """What is shipped, parcel by parcel, and reported as ready for pickup."""
    if is_part and request.items is None:
        return Course((), facts)
    if not is_routed(facts):
        return Course((PlannedStep("fulfill", here, "PARTIALLY_FULFILLED" if is_part else "FULFILLED"),), facts)
    steps: list[PlannedStep] = []
    while (parcel := next_parcel(facts, request)) is not None:
        facts = after_parcel(facts, parcel, request, "")
        to = state_of(facts)
        steps.append(PlannedStep("fulfill", here, to))
        here = to
    if not is_delivery and unready(facts, request):
        steps.append(PlannedStep("prepare_pickup", here, here))
    if not steps and request.items is None and not remaining(facts):
        # Nothing is open although the order is not shipped: the call finds out, and says so to a person.
        steps.append(PlannedStep("fulfill", here, "FULFILLED"))
    return Course(tuple(steps), facts)


def delivering(facts: Facts, here: str, request: TargetRequest, *, is_shipped: bool) -> Course:
    """What is left of the target is shipped, then its parcels are marked as delivered."""
    steps: tuple[PlannedStep, ...] = ()
    if not is_shipped and not selects_shipped(facts, request):
        course = shipping(facts, here, request, is_part=False, is_delivery=True)
        steps, facts = course.steps, course.facts
        here = steps[-1].to if steps else here
    if not steps and here in RETRACKABLE and retracked(facts, request):
        steps = (PlannedStep("update_tracking", here, here),)
        facts = with_tracking(facts, request)
    if here == "FULFILLED" and not parcels(facts):  # the call finds out what went out, and says so to a person
        return Course((*steps, PlannedStep("mark_delivered", here, "DELIVERED")), facts)
    if here in PARTLY_DELIVERED and to_deliver(facts, request):
        facts = delivered(facts, request)
        steps = (*steps, PlannedStep("mark_delivered", here, delivered_state(facts, here)))
    return Course(steps, facts)


def preparing(
    facts: Facts, here: str, request: TargetRequest, path: tuple[PlannedStep, ...]
) -> tuple[PlannedStep, ...]:
    """Progress is reported for what travels; what the buyer collects is ready."""
    announcement = (PlannedStep("prepare_pickup", here, here),) if unready(facts, request) else ()
    is_reported = not announcement and is_routed(facts) and bool(pickups(facts, request))
    is_pickup_alone = (announcement or is_reported) and not any(
        each["method"] != PICKUP for each in due_orders(facts, request)
    )
    return (*announcement, *(() if is_pickup_alone else path))


def unready(facts: Facts, request: TargetRequest) -> list[Mapping[str, Json]]:
    """The FOs of the target that wait in a store and are not yet reported to Shopify as ready."""
    announced = facts.get(READY) or ()
    return [each for each in pickups(facts, request) if each["id"] not in announced]


def unreported(facts: Facts, request: TargetRequest) -> list[Mapping[str, Json]]:
    """The FOs of the target whose progress may be reported. Raises InvalidItems."""
    due = [each for each in due_orders(facts, request) if each["method"] != PICKUP]
    return [each for each in due if REPORTS in each["actions"]]


def announced_ready(facts: Facts, request: TargetRequest) -> dict[str, Json]:
    """The facts once what is ready for pickup is reported."""
    announced = list(facts.get(READY) or ())
    with suppress(InvalidItems):  # the guard has the words
        announced += [each["id"] for each in unready(facts, request)]
    return {**facts, READY: announced}


def delivered(facts: Facts, request: TargetRequest) -> dict[str, Json]:
    """The facts once the target's parcels were marked as delivered."""
    marked = [id(each) for each in to_deliver(facts, request)]
    fulfillments = [
        {**each, "is_delivered": True} if id(each) in marked else each for each in facts.get("fulfillments") or ()
    ]
    return {**facts, "fulfillments": fulfillments}


def delivered_state(facts: Facts, state: str) -> str:
    """The state once parcels arrived: an order is delivered when all of it is."""
    is_whole = state in ("FULFILLED", "DELIVERED") and not remaining(facts)
    sent = parcels(facts)
    return "DELIVERED" if is_whole and sent and all(each["is_delivered"] for each in sent) else state


def with_parcel(facts: Facts, request: TargetRequest, made: str = "", *, is_delivered: bool | None = None) -> Facts:
    """The facts once the parcel that is due was shipped."""
    parcel = parcel_or_none(facts, request)
    return dict(facts) if parcel is None else after_parcel(facts, parcel, request, made, is_delivered=is_delivered)


def parcel_or_none(facts: Facts, request: TargetRequest) -> Parcel | None:
    """The parcel that is due; None also where the guard has the words."""
    try:
        return next_parcel(facts, request)
    except InvalidItems:
        return None
