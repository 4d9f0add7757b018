"""What is still to be shipped of a Shopify order, and in which calls: pure arithmetic over an order's facts.

A target names order lines and quantities; Shopify ships fulfilment orders (FO), each at one location. One call ships a
parcel: what is left of the target at one location with one delivery method (shopify.md §5). What is left is always told
from the facts, so a shipment of several parcels that was cut off goes on where it was:

- A tracking code (or, without one, its link) marks a parcel. What the order's live fulfilments carry under it counts.
- Whole lines need no mark: what remains of them in open FOs is what is left.
- Quantities without a mark are counted by our own record, `shipped_as_asked`: no read could tell them from another
  parcel of the same goods (shopify.md §7: a repeated part is a second fulfilment).

Facts: `fulfillment_orders` [{id, status, location, method, actions, hold, fulfill_at, lines: {FO line: [order line,
remaining]}}], `fulfillments` [{id, is_live, is_delivered, codes, urls, carriers, lines: {order line: quantity}}],
`lines` {order line: quantity}, `shipped_as_asked` {asked, lines: {order line: quantity}, parcels: [fulfilment id, "" if
not known]}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from statemachines.items import SenselessItems, plain, read_items
from statemachines.target import Json, TargetRequest, Tracking

Facts: TypeAlias = Mapping[str, Json]

OPEN = frozenset({"OPEN", "IN_PROGRESS", "SCHEDULED", "ON_HOLD", "INCOMPLETE"})
"""FO states whose remaining quantity counts; a closed FO may still show some (shopify.md §6). What a fulfilment service
gave back (INCOMPLETE) has not left, whoever ships it in the end."""
SHIPS, REPORTS = "CREATE_FULFILLMENT", "REPORT_PROGRESS"
"""Actions that an FO has to list before it may be shipped, and before progress may be reported (shopify.md §6)."""

RECORD = "shipped_as_asked"

LINE = "LineItem"
"""The type that a global id of an order line has."""

MADE = "made"
"""What a call's answer adds to the facts seen before it: the id of the fulfilment that it made."""

_MAX_LINES = 512  # of one call (shopify.md §5)


@dataclass(frozen=True, slots=True)
class Portion:
    """Part of a parcel: `quantity` of one FO line, which is order line `line`."""

    fulfillment_order: str
    fulfillment_order_line: str
    line: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one call ships."""

    portions: tuple[Portion, ...]

    def quantities(self) -> dict[str, int]:
        """How many of each order line."""
        counts: dict[str, int] = {}
        for each in self.portions:
            counts[each.line] = counts.get(each.line, 0) + each.quantity
        return counts


def asked_items(request: TargetRequest) -> dict[str, int | None] | None:
    """Order lines that a target ships, with the quantity where it names one; None: everything.

    Raises SenselessItems.
    """
    asked = read_items(request.items, LINE)
    return None if asked is None else {line: _pieces(line, count) for line, count in asked.items()}


def _pieces(line: str, count: Decimal | None) -> int | None:
    """Shopify counts in whole pieces."""
    if count is None:
        return None
    if count < 1 or count != count.to_integral_value():
        raise SenselessItems(f"the quantity of item {line} is {plain(count)}, not a whole number from 1 on")
    return int(count)


def is_routed(facts: Facts) -> bool:
    """Whether the order has FOs; right after an order was made it may have none yet (shopify.md §6)."""
    return bool(facts.get("fulfillment_orders"))


def open_orders(facts: Facts) -> list[Mapping[str, Json]]:
    """The FOs that still have to be shipped."""
    return [each for each in facts.get("fulfillment_orders") or () if each["status"] in OPEN]


def remaining(facts: Facts) -> dict[str, int]:
    """What is not shipped yet, by order line."""
    counts: dict[str, int] = {}
    for order in open_orders(facts):
        for line, quantity in order["lines"].values():
            if quantity > 0:
                counts[line] = counts.get(line, 0) + quantity
    return counts


def shipped(facts: Facts, tracking: Tracking | None = None) -> dict[str, int]:
    """What live fulfilments carry, by order line; with `tracking`, those under its mark alone."""
    counts: dict[str, int] = {}
    for each in live(facts):
        if tracking is None or is_marked(each, tracking):
            for line, quantity in each["lines"].items():
                counts[line] = counts.get(line, 0) + quantity
    return counts


def live(facts: Facts) -> list[Mapping[str, Json]]:
    """The fulfilments that were not cancelled."""
    return [each for each in facts.get("fulfillments") or () if each["is_live"]]


def tracking_of(request: TargetRequest) -> Tracking:
    """The target's tracking without blanks around it, members that say nothing left out.

    What is sent and what is looked for later are both taken from here: a code that Shopify gave back trimmed would be
    missed, and its parcel sent again.
    """
    told = request.tracking or Tracking()
    return Tracking(*((text or "").strip() or None for text in (told.code, told.url, told.carrier)))


def mark(request: TargetRequest) -> Tracking | None:
    """The tracking that tells the target's parcels from others; None where it brings neither code nor link."""
    tracking = tracking_of(request)
    return tracking if tracking.code or tracking.url else None


def is_marked(fulfillment: Mapping[str, Json], tracking: Tracking) -> bool:
    """Whether a fulfilment carries the code, or the link where there is no code."""
    if tracking.code:
        return tracking.code in fulfillment["codes"]
    return tracking.url in fulfillment["urls"]


def left(facts: Facts, request: TargetRequest) -> dict[str, int]:
    """What the target still ships, by order line. Raises SenselessItems for what the order cannot give."""
    rest = remaining(facts)
    asked = asked_items(request)
    if asked is None:
        return rest
    tracking = mark(request)
    done = _recorded(facts, request) if tracking is None else shipped(facts, tracking)
    everything = shipped(facts)
    wanted: dict[str, int] = {}
    for line, quantity in asked.items():
        there = rest.get(line, 0)
        open_quantity = there if quantity is None else quantity - done.get(line, 0)
        if quantity is not None and open_quantity <= 0:
            continue
        if there == 0:
            if everything.get(line, 0) >= (quantity or 1):
                continue  # shipped already, by us or by hand
            raise SenselessItems(
                f"nothing of item {line} is open: it was refunded or removed, or lies where this app may not see it"
            )
        if open_quantity > there:
            raise SenselessItems(f"{open_quantity} of item {line} are asked for and {there} remain")
        wanted[line] = open_quantity
    return wanted


def next_parcel(facts: Facts, request: TargetRequest) -> Parcel | None:
    """What the next call ships; None where nothing of the target is left. Raises SenselessItems.

    FOs that can be shipped now come before those that are held up.
    """
    wanted = left(facts, request)
    orders = sorted(open_orders(facts), key=lambda order: SHIPS not in order["actions"])
    portions: list[Portion] = []
    place: tuple[Json, Json, bool] | None = None
    for order in orders:
        here = (order["location"], order["method"], SHIPS in order["actions"])
        if place is not None and here != place:
            continue
        for fo_line, (line, quantity) in order["lines"].items():
            count = min(quantity, wanted.get(line, 0))
            if count > 0 and len(portions) < _MAX_LINES:
                place = here
                wanted[line] -= count
                portions.append(Portion(order["id"], fo_line, line, count))
    return Parcel(tuple(portions)) if portions else None


def can_tell(before: Facts, now: Facts, request: TargetRequest) -> bool:
    """Whether what was known before a call is enough to tell later, when its answer is lost, what it shipped `now`.

    Whole lines and parcels with a mark are told from any read. Quantities without a mark are told by the parcel that
    was due, so that has to be the one that is sent. Raises SenselessItems.
    """
    if not is_routed(before):
        return False
    if request.items is None or mark(request) is not None:
        return True
    due, sent = next_parcel(before, request), next_parcel(now, request)
    return due is not None and sent is not None and due.quantities() == sent.quantities()


def after_parcel(facts: Facts, parcel: Parcel, request: TargetRequest, fulfillment: str) -> dict[str, Json]:
    """The facts once a parcel was shipped. `fulfillment`: its id."""
    taken = {each.fulfillment_order_line: each.quantity for each in parcel.portions}
    orders: list[Json] = []
    for order in facts.get("fulfillment_orders") or ():
        lines = {key: [line, count - taken.get(key, 0)] for key, (line, count) in order["lines"].items()}
        is_touched = any(key in taken for key in lines)
        status = order["status"]
        if is_touched:
            status = "IN_PROGRESS" if any(count > 0 for _, count in lines.values()) else "CLOSED"
        actions = [] if is_touched and status == "CLOSED" else order["actions"]
        orders.append({**order, "status": status, "actions": actions, "lines": lines})
    tracking = tracking_of(request)
    made = {
        "id": fulfillment,
        "is_live": True,
        "is_delivered": False,
        "codes": [tracking.code] if tracking.code else [],
        "urls": [tracking.url] if tracking.url else [],
        "carriers": [tracking.carrier] if tracking.carrier else [],
        "lines": parcel.quantities(),
    }
    changed: dict[str, Json] = {
        **facts,
        "fulfillment_orders": orders,
        "fulfillments": [*(facts.get("fulfillments") or ()), made],
    }
    if mark(request) is None and request.items is not None:
        done = _recorded(facts, request)
        total = {line: done.get(line, 0) + count for line, count in parcel.quantities().items()}
        parcels = [*(_record_of(facts, request).get("parcels") or ()), fulfillment]
        changed[RECORD] = {"asked": _asked_text(request), "lines": {**done, **total}, "parcels": parcels}
    return changed


def new_parcels(before: Facts, seen: Facts, tracking: Tracking | None = None) -> dict[str, int]:
    """What live fulfilments carry that were made since `before`, by order line; with `tracking`, under its mark alone.

    Told by their ids, so what was taken back meanwhile is not set off against them. A fulfilment of ours whose id was
    never told (its answer was lost) is among the new ones and is taken off.
    """
    known = {each["id"] for each in before.get("fulfillments") or ()}
    made = [each for each in live(seen) if each["id"] not in known]
    unnamed = [each for each in live(before) if not each["id"]]
    counts = shipped({"fulfillments": made}, tracking)
    for line, quantity in shipped({"fulfillments": unnamed}, tracking).items():
        counts[line] = counts.get(line, 0) - quantity
    return counts


def kept_record(before: Facts, seen: Facts) -> Json:
    """Our own record after a read: a parcel of it whose id is not known is the new fulfilment of just its lines."""
    record = before.get(RECORD)
    if not record or "" not in record.get("parcels", ()):
        return record
    known = {each["id"] for each in before.get("fulfillments") or ()}
    unnamed = [each["lines"] for each in live(before) if not each["id"]]
    found = [each["id"] for each in live(seen) if each["id"] not in known and each["lines"] in unnamed]
    if len(found) != record["parcels"].count(""):
        return record  # nobody can tell which one it is
    return {**record, "parcels": [*filter(None, record["parcels"]), *found]}


def _record_of(facts: Facts, request: TargetRequest) -> Mapping[str, Json]:
    record = facts.get(RECORD)
    return record if record and record["asked"] == _asked_text(request) else {}


def _recorded(facts: Facts, request: TargetRequest) -> dict[str, int]:
    """What we shipped for a target of exactly these items without a mark, by our own record: its parcels that are still
    live, or its own count where the id of one is not known."""
    record = _record_of(facts, request)
    parcels = record.get("parcels") or ()
    if "" in parcels:
        return dict(record["lines"])
    return shipped({"fulfillments": [each for each in live(facts) if each["id"] in parcels]})


def _asked_text(request: TargetRequest) -> str:
    asked = asked_items(request) or {}
    return json.dumps(asked, sort_keys=True, separators=(",", ":"))
