"""What proves that a step of Shopify's took effect: read-backs over an order's facts before and after (shopify.md §7).

A display status proves nothing about one step of ours: an order is FULFILLED by a colleague's parcels, DELIVERED
without the one that we were to mark, and past IN_PROGRESS although nobody ever reported progress. So each read-back
looks for the very things that the step is about, by their ids. Where they do not show it, the state that was reached by
another hand is drift, which is adopted and planned from.

Facts as in `facts`.
"""

from __future__ import annotations

from statemachines.items import InvalidItems
from statemachines.shopify.delivery import delivery_reason, to_deliver
from statemachines.shopify.facts import REPORTS, Facts, live, numbers_of, parcels
from statemachines.shopify.parcels import counted_by, new_parcels
from statemachines.shopify.plan import parcel_or_none
from statemachines.shopify.tracking import carries, retracked
from statemachines.shopify.ways import PICKUP, due_orders
from statemachines.target import TargetRequest


def has_reported(before: Facts, observed: Facts, request: TargetRequest) -> bool:
    """Each fulfilment order of the target that offers to take a progress report is in progress, and nothing was shipped
    meanwhile: that puts it in progress as well."""
    try:
        due = [each for each in due_orders(observed, request) if each["method"] != PICKUP]
    except InvalidItems:
        return False
    orders = [each for each in due if REPORTS in each["actions"] or each["status"] == "IN_PROGRESS"]
    is_under_way = bool(orders) and all(each["status"] == "IN_PROGRESS" for each in orders)
    return is_under_way and not any(new_parcels(before, observed).values())


def has_shipped(before: Facts, observed: Facts, request: TargetRequest) -> bool:
    """The parcel that was due shows: each of its lines went out, under the target's mark where it has one."""
    parcel = parcel_or_none(before, request)
    if parcel is None:
        return False
    made = new_parcels(before, observed, counted_by(request))
    return all(made.get(line, 0) >= count for line, count in parcel.quantities().items())


def has_retracked(before: Facts, observed: Facts, request: TargetRequest) -> bool:
    """Each fulfilment whose tracking was due is still there and carries it."""
    numbers = numbers_of(request)
    due = [each["id"] for each in retracked(before, request)]
    found = {each["id"]: each for each in live(observed)}
    if not due or "" in due:  # not known by their ids: then some carry it, and none is left that should
        return not retracked(observed, request) and any(carries(each, numbers) for each in live(observed))
    return all(each in found and carries(found[each], numbers) for each in due)


def has_delivered(before: Facts, observed: Facts, request: TargetRequest) -> bool:
    """Each parcel of the target that was under way is still there and has arrived."""
    due = [each["id"] for each in to_deliver(before, request)]
    found = {each["id"]: each for each in live(observed)}
    if not due or "" in due:  # not known by their ids: then all that the target selects have arrived
        return (
            bool(parcels(observed)) and delivery_reason(observed, request) is None and not to_deliver(observed, request)
        )
    return all(each in found and found[each]["is_delivered"] for each in due)
