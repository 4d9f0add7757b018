"""Why a target may not go on on Shopify, in words: pure, derived from an order's facts."""

from __future__ import annotations

from statemachines.items import InvalidItems, foreign_reason, read_items
from statemachines.shopify.delivery import delivery_reason, selects_shipped
from statemachines.shopify.facts import LINE, Facts, is_routed, mark, parcels, shipped
from statemachines.shopify.parcels import asked_items, left, taken_reason
from statemachines.shopify.plan import shipping
from statemachines.shopify.tracking import ambiguity, tracking_reason
from statemachines.shopify.ways import nothing_reason, offered_reason, pickup_reason, place_reason
from statemachines.target import TargetRequest


def refusal_reason(facts: Facts, request: TargetRequest, wanted: str, *, is_shipped: bool) -> str | None:
    """Why the order cannot get to `wanted` with what the target brings; None where it can. `is_shipped`: all of it went
    out already."""
    try:
        if (reason := tracking_reason(request) or _foreign(facts, request)) is not None:
            return reason
        reason = _never_had(facts, request) if is_shipped else nothing_reason(facts, request)
        if reason is not None:
            return reason
        if wanted == "DELIVERED":
            return _delivery(facts, request, is_shipped=is_shipped)
        return _shipment(facts, request, wanted, is_shipped=is_shipped)
    except InvalidItems as error:
        return str(error)


def _foreign(facts: Facts, request: TargetRequest) -> str | None:
    asked = read_items(request.items, LINE)
    return foreign_reason(asked, list(facts.get("lines") or ()))


def _never_had(facts: Facts, request: TargetRequest) -> str | None:
    """What a shipped order never had: a location, or so many of an item. What was taken out after it left counts."""
    if (reason := place_reason(facts, request)) is not None:
        return reason
    own, sent = facts.get("lines") or {}, shipped(facts)
    for line, count in (asked_items(request) or {}).items():
        most = max(own.get(line) or 0, sent.get(line, 0))
        if line in own and count is not None and count > most:
            return f"{count} of item {line} are asked for, and the order has {most}"
    return None


def _shipment(facts: Facts, request: TargetRequest, wanted: str, *, is_shipped: bool) -> str | None:
    if wanted == "PARTIALLY_FULFILLED" and request.items is None and not is_shipped:
        return "a part needs items: order line ids, or objects with id and quantity"
    if is_shipped or not is_routed(facts):
        return ambiguity(facts, request)
    wanted_now = left(facts, request)
    reason = taken_reason(facts, request) or offered_reason(facts, request, wanted_now) or pickup_reason(facts, request)
    return reason or (None if wanted_now else ambiguity(facts, request))


def _delivery(facts: Facts, request: TargetRequest, *, is_shipped: bool) -> str | None:
    if is_shipped or selects_shipped(facts, request):
        return delivery_reason(facts, request)
    if not is_routed(facts):
        return None
    wanted_now = left(facts, request)
    if (reason := offered_reason(facts, request, wanted_now)) is not None:
        return reason
    is_under_way = any(not each["is_delivered"] for each in parcels(facts))
    if mark(request) is not None and (is_under_way or not wanted_now):  # a code of what is under way, and none has it
        return delivery_reason(facts, request) or _shipped_first(facts, request)
    return _shipped_first(facts, request)


def _shipped_first(facts: Facts, request: TargetRequest) -> str | None:
    course = shipping(facts, "UNFULFILLED", request, is_part=False, is_delivery=True)
    return delivery_reason(course.facts, request)


def progress_reason(facts: Facts, request: TargetRequest) -> str | None:
    """Why what waits in a store cannot be reported as ready; None where it can."""
    try:
        return _foreign(facts, request) or nothing_reason(facts, request) or pickup_reason(facts, request)
    except InvalidItems as error:
        return str(error)
