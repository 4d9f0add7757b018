"""Which goods of a Shopify order are not to be sent although they are open: somebody is taking them back. Pure.

- A return that was asked for or opened (`REQUESTED`, `OPEN`) over pieces that were never sent: what would leave would
  only come back. Shopify itself makes returns of shipped pieces alone (returnableFulfillments), so pieces beyond those
  are such, and so is every piece of an order of which nothing was sent.
- A fulfilment order whose fulfilment service was asked to cancel it (`CANCELLATION_REQUESTED`): its answer decides.

A cancellation of the whole order shows as `cancelledAt` once its job has run; while it runs no read shows it
(shopify.md §5), so the client looks once more right before each call.
"""

from __future__ import annotations

from statemachines.items import InvalidItems
from statemachines.shopify.facts import Facts, left_in, live, shipped
from statemachines.shopify.parcels import left
from statemachines.shopify.returns import UNDERWAY
from statemachines.shopify.ways import due_orders
from statemachines.target import TargetRequest

CANCELLATION = "CANCELLATION_REQUESTED"
_ASKED = frozenset({"RETURN_REQUESTED", "IN_PROGRESS"})
"""Summaries of returns under way, for apps that may not read the returns themselves (OrderReturnStatus)."""


def withheld_reason(facts: Facts, request: TargetRequest) -> str | None:
    """Why what the target would send now is not to be sent, for people; None if nothing stands in the way."""
    try:
        wanted = frozenset(left(facts, request))
        return _returned(facts, wanted) or _being_cancelled(facts, request, wanted)
    except InvalidItems:
        return None  # the guard has the words


def _returned(facts: Facts, wanted: frozenset[str]) -> str | None:
    underway = [each for each in facts.get("returns") or () if each["state"] in UNDERWAY]
    is_summed_up = facts.get("returns") is None and facts.get("return_status") in _ASKED
    if not live(facts) and (underway or is_summed_up):
        return "a return of the order was opened before anything was sent: close or decline it on Shopify first"
    sent, back = shipped(facts), dict[str, int]()
    for each in underway:
        for line in each["lines"]:
            back[line["id"]] = back.get(line["id"], 0) + line["quantity"]
    unsent = [line for line, quantity in back.items() if line in wanted and quantity > sent.get(line, 0)]
    if not unsent:
        return None
    return (
        f"a return of items {', '.join(unsent)} was opened before they were sent: close or decline it on Shopify first"
    )


def _being_cancelled(facts: Facts, request: TargetRequest, wanted: frozenset[str]) -> str | None:
    """Lines that lie in such fulfilment orders alone: without `items` those are left to the service in any case."""
    going: set[str] = set()
    held: dict[str, str] = {}
    for order in due_orders(facts, request):
        lines = wanted.intersection(left_in(order))
        if order.get("request") == CANCELLATION:
            held |= dict.fromkeys(lines, str(order["id"]))
        else:
            going |= lines
    stuck = {line: order for line, order in held.items() if line not in going}
    if not stuck:
        return None
    orders = ", ".join(dict.fromkeys(stuck.values()))
    return f"the cancellation of fulfillment orders {orders} was requested: the fulfilment service has not answered yet"
