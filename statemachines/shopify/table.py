"""The table of Shopify's machine: the states that orders show, and the calls that lead from one to another.

Facts: shopify.md §4-§6. Several rows share a name where the rest of the order decides where a call leads.
"""

from __future__ import annotations

from statemachines.terms import Milestone, State, Step

STATES = (
    State("UNFULFILLED", (Milestone.NEW,)),
    State("accepted", (Milestone.ACCEPTED,), record_only=True),
    State("IN_PROGRESS", (Milestone.PREPARING,)),
    State("PARTIALLY_FULFILLED"),
    State("FULFILLED", (Milestone.SHIPPED,)),
    State("DELIVERED", (Milestone.DELIVERED,)),
    State("RETURNED", (Milestone.RETURNED,), settable=False),
    State("CANCELLED", (Milestone.CANCELLED,), is_end=True),
    State("ON_HOLD", settable=False),
    State("SCHEDULED", settable=False),
    State("FULFILLMENT_NOT_REQUIRED", settable=False),
    State("attention", (Milestone.ATTENTION,), record_only=True),
)
MAINLINE = ("UNFULFILLED", "IN_PROGRESS", "PARTIALLY_FULFILLED", "FULFILLED", "DELIVERED")

WAITING = ("ON_HOLD", "SCHEDULED")
UNSHIPPED = ("UNFULFILLED", "IN_PROGRESS", *WAITING)
SHIPPED = ("PARTIALLY_FULFILLED", "FULFILLED", "DELIVERED")
RETRACKABLE = (*SHIPPED, "IN_PROGRESS", *WAITING)
"""States of orders of which something may have been shipped: where all that is left is on hold, scheduled or in
progress, Shopify may show that instead (Admin schema, OrderDisplayFulfillmentStatus)."""
PARTLY_DELIVERED = ("FULFILLED", "PARTIALLY_FULFILLED", "IN_PROGRESS", *WAITING)
"""States in which an order stays when some of its parcels arrive."""

SET_ERP_NUMBER = "set_erp_number"
NUMBERED = (*UNSHIPPED, *SHIPPED, "RETURNED", "FULFILLMENT_NOT_REQUIRED")
"""States of orders that are given the ERP's number: all but the end."""

TRACKED = ("tracking", "tracking.carrier")
_PARCEL = ("items", "location", *TRACKED, "notify_customer")
_PLACE = ("items", "location")


def _fulfill(sources: tuple[str, ...], to: str) -> Step:
    return Step("fulfill", sources, to, uses=_PARCEL, is_irrevocable=True, narrows=_PLACE, reaches_buyer=True)


def _mark_delivered(source: str, to: str) -> Step:
    return Step("mark_delivered", (source,), to, uses=("items", *TRACKED), is_irrevocable=True, narrows=("items",))


STEPS = (
    Step("report_progress", ("UNFULFILLED", *WAITING), "IN_PROGRESS", uses=("location",)),
    Step(
        "prepare_pickup",
        (*UNSHIPPED, "PARTIALLY_FULFILLED"),
        None,
        uses=_PLACE,
        is_irrevocable=True,
        narrows=_PLACE,
        reaches_buyer=True,
    ),
    _fulfill((*UNSHIPPED, "PARTIALLY_FULFILLED"), "FULFILLED"),
    _fulfill(UNSHIPPED, "PARTIALLY_FULFILLED"),
    _fulfill((*UNSHIPPED, "PARTIALLY_FULFILLED"), "DELIVERED"),  # what the buyer picked up in the store
    Step(SET_ERP_NUMBER, NUMBERED, None, uses=("erp_order_number",)),
    Step("update_tracking", RETRACKABLE, None, uses=_PARCEL, is_irrevocable=True, narrows=_PLACE),
    _mark_delivered("FULFILLED", "DELIVERED"),
    *(_mark_delivered(state, state) for state in PARTLY_DELIVERED),
    Step(
        "cancel",
        (*UNSHIPPED, "FULFILLMENT_NOT_REQUIRED"),
        "CANCELLED",
        uses=("reason", "notify_customer"),
        is_irrevocable=True,
    ),
)
