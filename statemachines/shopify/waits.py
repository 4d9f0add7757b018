"""What on Shopify's side holds an order up on its way to a target (shopify.md §6): pure, derived from an order's
facts."""

from __future__ import annotations

from collections.abc import Mapping

from statemachines.items import InvalidItems
from statemachines.shopify.facts import REPORTS, SHIPS, Facts
from statemachines.shopify.parcels import next_parcel
from statemachines.shopify.plan import unready
from statemachines.shopify.ways import PICKUP, due_orders
from statemachines.target import Json, TargetRequest
from statemachines.terms import PlatformWait

_RECHECKS = ((2, 2), (7, 5), (22, 15))
"""(age in seconds up to which, seconds to the next read) while an order has no FOs yet; later 60 s (shopify.md §9)."""
_HOLD_RECHECK_SECONDS = 60
_AT_WORK = ("OPEN", "IN_PROGRESS")


def routing_wait(facts: Facts, routing_seconds: float) -> PlatformWait | None:
    """FOs that are not there yet; None where they should have been for so long that a person should look."""
    age = facts.get("age_seconds") or 0
    if age >= routing_seconds:
        return None
    recheck = next((seconds for up_to, seconds in _RECHECKS if age < up_to), 60)
    detail = "Shopify has made no fulfillment orders for this order yet"
    return PlatformWait("platform", None, detail, recheck_seconds=recheck)


def goods_wait(facts: Facts, request: TargetRequest, *, is_progress: bool) -> PlatformWait | None:
    """FOs that are on hold or scheduled, where none of those that the target needs can go on."""
    try:
        waiting = unready(facts, request)
        if is_progress:
            orders = [each for each in due_orders(facts, request) if each["method"] != PICKUP]
        else:
            parcel = next_parcel(facts, request)
            named = {each.fulfillment_order for each in parcel.portions} if parcel is not None else set()
            orders = [each for each in due_orders(facts, request) if each["id"] in named]
            waiting = [] if parcel is not None else waiting
    except InvalidItems:
        return None  # the guard has the words
    needed = REPORTS if is_progress else SHIPS
    can_go_on = any(needed in each["actions"] for each in orders) or any(each["status"] in _AT_WORK for each in waiting)
    return None if can_go_on else _held_up([*orders, *waiting])


def _held_up(orders: list[Mapping[str, Json]]) -> PlatformWait | None:
    held = [each for each in orders if each["status"] == "ON_HOLD"]
    if held:
        reason = ", ".join(sorted({each["hold"] or "no reason given" for each in held}))
        return PlatformWait("platform", None, f"on hold on Shopify ({reason})", recheck_seconds=_HOLD_RECHECK_SECONDS)
    if scheduled := [each for each in orders if each["status"] == "SCHEDULED"]:
        times = [each["fulfill_at"] for each in scheduled if each["fulfill_at"] is not None]
        detail = "scheduled on Shopify for later"
        return PlatformWait("platform", min(times, default=None), detail, recheck_seconds=300)
    return None
