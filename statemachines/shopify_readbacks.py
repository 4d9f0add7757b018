"""What proves that a step of Shopify's took effect: read-backs over an order's facts before and after (shopify.md §7).

A display status proves nothing about one step of ours: an order is FULFILLED by a colleague's parcels, DELIVERED
without the one that we were to mark, and past IN_PROGRESS although nobody ever reported progress. So each read-back
looks for the very things that the step is about, by their ids. Where they do not show it, the state that was reached by
another hand is drift, which is adopted and planned from.

Facts as in `shopify_parcels`.
"""

from __future__ import annotations

from statemachines.items import SenselessItems
from statemachines.shopify_parcels import (
    REPORTS,
    Facts,
    live,
    mark,
    new_parcels,
    next_parcel,
    open_orders,
    tracking_of,
)
from statemachines.shopify_tracking import carries, retracked
from statemachines.target import TargetRequest


def has_reported(before: Facts, seen: Facts) -> bool:
    """Each fulfilment order that offers to take a progress report is in progress, and nothing was shipped meanwhile:
    that puts it in progress as well."""
    orders = [each for each in open_orders(seen) if REPORTS in each["actions"] or each["status"] == "IN_PROGRESS"]
    is_under_way = bool(orders) and all(each["status"] == "IN_PROGRESS" for each in orders)
    return is_under_way and not any(new_parcels(before, seen).values())


def has_shipped(before: Facts, seen: Facts, request: TargetRequest) -> bool:
    """The parcel that was due shows: each of its lines went out, under the target's mark where it has one."""
    try:
        parcel = next_parcel(before, request)
    except SenselessItems:
        parcel = None
    if parcel is None:
        return False
    made = new_parcels(before, seen, mark(request))
    return all(made.get(line, 0) >= count for line, count in parcel.quantities().items())


def has_retracked(before: Facts, seen: Facts, request: TargetRequest) -> bool:
    """Each fulfilment whose tracking was due is still there and carries it."""
    due = [each["id"] for each in retracked(before, request)]
    found = {each["id"]: each for each in live(seen)}
    if not due or "" in due:  # not known by their ids: then some carry it, and none is left that should
        return not retracked(seen, request) and any(carries(each, tracking_of(request)) for each in live(seen))
    return all(each in found and carries(found[each], tracking_of(request)) for each in due)


def has_delivered(before: Facts, seen: Facts) -> bool:
    """Each parcel that was under way is still there and has arrived."""
    due = [each["id"] for each in live(before) if not each["is_delivered"]]
    found = {each["id"]: each for each in live(seen)}
    if not due or "" in due:  # not known by their ids: then all that there are have arrived
        return bool(found) and all(each["is_delivered"] for each in found.values())
    return all(each in found and found[each]["is_delivered"] for each in due)
