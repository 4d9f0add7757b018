"""Which fulfilment orders (FO) of a Shopify order a target is about: whose they are, where they lie, how they travel.

"All" means what one parcel can hold. A target without `items` is about what is the merchant's to ship, by one delivery
method: goods that wait in a store for the buyer do not travel with those that a carrier takes, and goods that a
fulfilment service has are its own to ship. The method is the first one of `_METHODS` that the order has, also among
what was shipped already: a target that is planned anew after its parcels left must not go on with the next method.

`items` and `location` name what they mean, so for them only what Shopify offers counts. All of it is pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from statemachines.items import read_items
from statemachines.shopify.facts import (
    LINE,
    SHIPS,
    Facts,
    is_carried,
    left_in,
    live,
    location_of,
    open_orders,
    orders,
    remaining,
)
from statemachines.target import Json, TargetRequest

PICKUP = "PICK_UP"
_NOTHING_TRAVELS = "NONE"
_METHODS = ("SHIPPING", "PICKUP_POINT", None, "LOCAL", PICKUP, "RETAIL", _NOTHING_TRAVELS)
"""Delivery methods (Admin schema, DeliveryMethodType; None: Shopify gives none). The first four travel: a carrier takes
goods to a pickup point as well, and the shop's own driver delivers locally."""
_TAKEN = frozenset({"SUBMITTED", "ACCEPTED", "CANCELLATION_REQUESTED", "CANCELLATION_REJECTED"})
"""What was asked of a fulfilment service and not given back (Admin schema, FulfillmentOrderRequestStatus)."""
_GIVEN_BACK = frozenset({"CLOSED", "REJECTED", "CANCELLATION_ACCEPTED"})


def is_merchants(order: Mapping[str, Json]) -> bool:
    """Whether the FO's goods are the merchant's to ship: no fulfilment service has them or is to be asked for them."""
    request = order.get("request")
    return request not in _TAKEN and (not order.get("is_service") or request in _GIVEN_BACK)


def way_of(facts: Facts, order: Mapping[str, Json]) -> str | None:
    """How an FO's goods get to the buyer; one that holds nothing which a carrier takes needs no way."""
    lines = {line for line, _ in order["lines"].values()}
    if lines and not any(is_carried(facts, line) for line in lines):
        return _NOTHING_TRAVELS
    method: str | None = order["method"]
    return method


def due_orders(facts: Facts, request: TargetRequest) -> list[Mapping[str, Json]]:
    """The open FOs with goods left that the target is about. Raises InvalidItems."""
    location = location_of(request)
    here = [each for each in open_orders(facts) if location is None or str(each["location"]) == location]
    here = [each for each in here if left_in(each)]
    if request.items is not None:
        return here
    mine = here if location is not None else [each for each in here if is_merchants(each)]
    chosen = _chosen_way(facts, mine, location)
    return [each for each in mine if _rank(way_of(facts, each)) == chosen]


def _chosen_way(facts: Facts, mine: Sequence[Mapping[str, Json]], location: str | None) -> int:
    """The rank of the one method of a target without items."""
    known = list(mine)
    if live(facts):  # what has left decides as well
        past = [each for each in orders(facts) if each["status"] == "CLOSED" and is_merchants(each)]
        known += [each for each in past if location is None or str(each["location"]) == location]
    return min((_rank(way_of(facts, each)) for each in known), default=0)


def _rank(method: str | None) -> int:
    return _METHODS.index(method) if method in _METHODS else _METHODS.index(None)


def takes(facts: Facts, request: TargetRequest, line: str, order: Mapping[str, Json]) -> bool:
    """Whether the target is about this line of an FO that it is about: without items, no gift card rides along."""
    return request.items is not None or is_carried(facts, line) or way_of(facts, order) == _NOTHING_TRAVELS


def pickups(facts: Facts, request: TargetRequest) -> list[Mapping[str, Json]]:
    """The FOs that wait for the buyer in a store, of those that the target is about. Raises InvalidItems."""
    asked = read_items(request.items, LINE)
    due = [each for each in due_orders(facts, request) if each["method"] == PICKUP]
    return [each for each in due if asked is None or set(left_in(each)) & set(asked)]


def pickup_reason(facts: Facts, request: TargetRequest) -> str | None:
    """Why just these items cannot be reported as ready: Shopify takes whole FOs. Raises InvalidItems."""
    asked = read_items(request.items, LINE)
    if asked is None:
        return None
    for each in pickups(facts, request):
        for line, count in left_in(each).items():
            if line not in asked or (asked[line] or count) < count:
                return (
                    f"all of fulfillment order {each['id']} is reported as ready for pickup, and the items"
                    f" leave out some of item {line}"
                )
    return None


def place_reason(facts: Facts, request: TargetRequest) -> str | None:
    """Why the target's location is not one of this order's; None where it is. Raises InvalidItems."""
    location = location_of(request)
    places = dict.fromkeys(str(each["location"]) for each in orders(facts))
    if location is None or not places or location in places:
        return None
    return f"nothing of this order is assigned to location {location}; its goods are at {', '.join(places)}"


def nothing_reason(facts: Facts, request: TargetRequest) -> str | None:
    """Why a target without items has nothing to ship although goods are left; None where it has, or where others'
    goods are all that is left of an order of which something was shipped. Raises InvalidItems."""
    if (reason := place_reason(facts, request)) is not None:
        return reason
    if request.items is not None or live(facts) or not remaining(facts) or due_orders(facts, request):
        return None
    names = ", ".join(
        f"{each['id']} ({each.get('request') or each['status']})" for each in open_orders(facts) if left_in(each)
    )
    return (
        f"nothing of this order is the merchant's to ship: fulfillment orders {names} are with a fulfillment"
        " service; name items or a location to ship them all the same"
    )


def offered_reason(facts: Facts, request: TargetRequest, wanted: Mapping[str, int]) -> str | None:
    """Why items that were named cannot be shipped: a fulfilment service has them, and Shopify does not offer them to
    this app. Raises InvalidItems."""
    if request.items is None:
        return None
    for line in wanted:
        holding = [each for each in due_orders(facts, request) if left_in(each).get(line)]
        if holding and all(each.get("request") in _TAKEN and SHIPS not in each["actions"] for each in holding):
            first = holding[0]
            return f"item {line} is with a fulfillment service (fulfillment order {first['id']} is {first['request']})"
    return None
