"""What the facts of a Shopify order say by themselves: which goods are left, which parcels went out. Pure.

Facts: `fulfillment_orders` [{id, status, location, method, actions, hold, fulfill_at, request, is_service, lines: {FO
line: [order line, remaining]}}], `fulfillments` [{id, is_live, is_delivered, codes, urls, carriers, tracking: [[code,
link]], lines: {order line: quantity}}], `lines` {order line: quantity}, `uncarried` [order line]. `request` and
`is_service` are missing in what was stored before they were read, `tracking` also in what webhooks hold.
`erp_order_number` is the ERP's number: the one that a read shows, else the one that we gave the order last.

Lines that no carrier takes (gift cards, tips: `uncarried`) are goods only where an order has nothing else: they are in
no parcel, and nothing waits for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from statemachines.items import number_of
from statemachines.target import Json, TargetRequest, Tracking

Facts: TypeAlias = Mapping[str, Json]

OPEN_STATUSES = frozenset({"OPEN", "IN_PROGRESS", "SCHEDULED", "ON_HOLD", "INCOMPLETE"})
"""FO states whose remaining quantity counts; a closed FO may still show some (shopify.md §6). What a fulfilment service
gave back (INCOMPLETE) has not left, whoever ships it in the end."""
SHIPS, REPORTS = "CREATE_FULFILLMENT", "REPORT_PROGRESS"
"""Actions that an FO has to list before it may be shipped, and before progress may be reported (shopify.md §6)."""
ERP_NUMBER = "erp_order_number"
LINE, LOCATION = "LineItem", "Location"
"""The types that global ids of an order line and of a location have."""


def is_routed(facts: Facts) -> bool:
    """Whether the order has FOs; right after an order was made it may have none yet (shopify.md §6)."""
    return bool(facts.get("fulfillment_orders"))


def orders(facts: Facts) -> list[Mapping[str, Json]]:
    """All FOs."""
    return list(facts.get("fulfillment_orders") or ())


def open_orders(facts: Facts) -> list[Mapping[str, Json]]:
    """The FOs that still have to be shipped."""
    return [each for each in orders(facts) if each["status"] in OPEN_STATUSES]


def is_carried(facts: Facts, line: str) -> bool:
    """Whether an order line is goods: a carrier takes it, or the order has nothing that a carrier takes."""
    uncarried = facts.get("uncarried") or ()
    return line not in uncarried or not set(facts.get("lines") or ()) - set(uncarried)


def left_in(each: Mapping[str, Json]) -> dict[str, int]:
    """What is not shipped yet of one FO, by order line."""
    counts: dict[str, int] = {}
    for line, quantity in each["lines"].values():
        if quantity > 0:
            counts[line] = counts.get(line, 0) + quantity
    return counts


def summed(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Quantities by order line, added up."""
    counts: dict[str, int] = {}
    for part in parts:
        for line, quantity in part.items():
            counts[line] = counts.get(line, 0) + quantity
    return counts


def remaining(facts: Facts) -> dict[str, int]:
    """The goods that are not shipped yet, by order line."""
    counts = summed(left_in(each) for each in open_orders(facts))
    return {line: quantity for line, quantity in counts.items() if is_carried(facts, line)}


def live(facts: Facts) -> list[Mapping[str, Json]]:
    """The fulfilments that were not cancelled, oldest first."""
    return [each for each in facts.get("fulfillments") or () if each["is_live"]]


def parcels(facts: Facts) -> list[Mapping[str, Json]]:
    """The live fulfilments that have goods in them: a gift card that was sent is not a parcel."""
    found = live(facts)
    carried = [each for each in found if any(is_carried(facts, line) for line in each["lines"]) or not each["lines"]]
    return carried or ([] if remaining(facts) else found)


def shipped(facts: Facts, marks: tuple[Tracking, ...] | None = None) -> dict[str, int]:
    """What live fulfilments carry, by order line; with `marks`, those under one of them alone."""
    return summed(each["lines"] for each in live(facts) if marks is None or is_marked(each, marks))


def state_of(facts: Facts) -> str:
    """The state of an order of which something was shipped."""
    if not is_routed(facts):
        return "FULFILLED"
    if remaining(facts):
        return "PARTIALLY_FULFILLED"
    sent = parcels(facts)
    return "DELIVERED" if sent and all(each["is_delivered"] for each in sent) else "FULFILLED"


def numbers_of(request: TargetRequest) -> tuple[Tracking, ...]:
    """The target's tracking without blanks around it, members and numbers that say nothing left out.

    What is sent and what is looked for later are both taken from here: a code that Shopify gave back trimmed would be
    missed, and its parcel sent again.
    """
    trackings = [
        Tracking(*((text or "").strip() or None for text in (each.code, each.url, each.carrier)))
        for each in request.trackings
    ]
    return tuple(each for each in trackings if each.code or each.url or each.carrier)


def mark(request: TargetRequest) -> tuple[Tracking, ...] | None:
    """The numbers that distinguish the target's parcel from others; None where it brings neither code nor link."""
    return tuple(each for each in numbers_of(request) if each.code or each.url) or None


def is_marked(fulfillment: Mapping[str, Json], marks: tuple[Tracking, ...]) -> bool:
    """Whether a fulfilment carries one of the codes, or one of the links where there is no code."""
    codes = [each.code for each in marks if each.code]
    if codes:
        return any(code in fulfillment["codes"] for code in codes)
    return any(each.url in fulfillment["urls"] for each in marks)


def location_of(request: TargetRequest) -> str | None:
    """The target's location as Shopify numbers it. Raises InvalidItems for a global id of anything else."""
    return None if request.location is None else number_of(request.location, LOCATION)


def name_of(fulfillment: Mapping[str, Json]) -> str:
    """What people know a parcel by: its codes, or its own number."""
    return ", ".join(fulfillment["codes"]) or f"no code (fulfillment {fulfillment['id'] or 'under way'})"


def tracking_fields(pairs: Iterable[tuple[str | None, str | None]], carrier: str | None) -> dict[str, Json]:
    """The members of a fulfilment that hold its tracking: codes with their links, and one carrier."""
    kept = [[code, url] for code, url in pairs if code or url]
    return {
        "codes": [code for code, _ in kept if code],
        "urls": [url for _, url in kept if url],
        "carriers": [carrier] if carrier else [],
        "tracking": kept,
    }
