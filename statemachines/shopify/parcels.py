"""What is still to be shipped of a Shopify order, and in which calls: pure arithmetic over an order's facts.

A target names order lines and quantities; Shopify ships fulfilment orders (FO), each at one location. One call ships a
parcel: what is left of the target at one location with one delivery method (shopify.md §5). What is left is always
derived from the facts, so a shipment of several parcels that was cut off goes on where it was:

- A tracking code (or, without code and key, its link) marks a parcel. What the order's live fulfilments carry under it
  counts. A link alone is often the carrier's page and the same for all parcels, so a key says more.
- Whole lines need no mark: what remains of them in open FOs is what is left.
- Quantities without a mark are counted by our own record: no read could distinguish them from another parcel of the
  same goods (shopify.md §7: a repeated part is a second fulfilment). A target with an idempotency key has a record of
  its own, so another key is another shipment; targets without one share a record, and the same items again are the same
  shipment.

A code that is known selects its parcel: a target without items that comes once more under it ships nothing, though
goods are left. One whose parcels have not all left yet goes on; that it was begun is our record as well (`unfinished`).

Facts: those of `facts`, `shipped_as_asked` {asked, lines: {order line: quantity}, parcels: [fulfilment id, ""
if not known]}, `shipped_by_key` {key: the same}, `unfinished`: the numbers of a target of which more is to be shipped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from statemachines.items import InvalidItems, read_items
from statemachines.numbers import plain
from statemachines.shopify.facts import (
    LINE,
    SHIPS,
    Facts,
    is_carried,
    is_marked,
    is_routed,
    live,
    location_of,
    mark,
    numbers_of,
    remaining,
    shipped,
    tracking_fields,
)
from statemachines.shopify.ways import PICKUP, due_orders, takes
from statemachines.target import Json, TargetRequest, Tracking

AS_ASKED, BY_KEY, UNFINISHED = "shipped_as_asked", "shipped_by_key", "unfinished"

MADE, MADE_DELIVERED = "made", "made_delivered"
"""What a call's answer adds to the facts seen before it: the id of the fulfilment that it made, and whether that is
with the buyer already."""

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
    """What one call ships. `method`: how it gets to the buyer."""

    portions: tuple[Portion, ...]
    method: str | None = None

    def quantities(self) -> dict[str, int]:
        """How many of each order line."""
        counts: dict[str, int] = {}
        for each in self.portions:
            counts[each.line] = counts.get(each.line, 0) + each.quantity
        return counts


def asked_items(request: TargetRequest) -> dict[str, int | None] | None:
    """Order lines that a target ships, with the quantity where it names one; None: everything.

    Raises InvalidItems.
    """
    asked = read_items(request.items, LINE)
    return None if asked is None else {line: _pieces(line, count) for line, count in asked.items()}


def _pieces(line: str, count: Decimal | None) -> int | None:
    """Shopify counts in whole pieces."""
    if count is None:
        return None
    if count < 1 or count != count.to_integral_value():
        raise InvalidItems(f"the quantity of item {line} is {plain(count)}, not a whole number from 1 on")
    return int(count)


def picks_up(request: TargetRequest) -> bool:
    """Whether the target says that the buyer has the goods: only then those that waited in a store have left."""
    return request.state.strip().casefold() == "delivered"


def counted_by(request: TargetRequest) -> tuple[Tracking, ...] | None:
    """The numbers by which the target's parcels are counted; None: by our own record."""
    marks = mark(request)
    has_code = any(each.code for each in marks or ())
    return marks if has_code or request.key is None or request.items is None else None


def taken_reason(facts: Facts, request: TargetRequest) -> str | None:
    """Why a code that a parcel carries already does not ship what is left at the target's location: it could not be
    known an export that ran again from another box under the same code. None where there is no doubt."""
    if request.items is not None or request.location is None or not _is_repeat(facts, request):
        return None
    if not (there := rest(facts, request)):
        return None
    return (
        f"a parcel of this order went out under this tracking, and items {', '.join(there)} are still to be shipped"
        f" from location {location_of(request)}: name those items, or give their parcel a code of its own"
    )


def _is_repeat(facts: Facts, request: TargetRequest) -> bool:
    """Whether a target without items comes once more under tracking that a parcel carries."""
    marks = mark(request)
    is_known = marks is not None and any(is_marked(each, marks) for each in live(facts))
    return is_known and facts.get(UNFINISHED) != _numbers_text(request)


def left(facts: Facts, request: TargetRequest) -> dict[str, int]:
    """What the target still ships, by order line. Raises InvalidItems for what the order cannot give."""
    here = rest(facts, request)
    asked = asked_items(request)
    if asked is None:
        return {} if _is_repeat(facts, request) else here
    marks = counted_by(request)
    done = _recorded(facts, request) if marks is None else shipped(facts, marks)
    everything = shipped(facts)
    wanted: dict[str, int] = {}
    for line, quantity in asked.items():
        there = here.get(line, 0)
        open_quantity = there if quantity is None else quantity - done.get(line, 0)
        if quantity is not None and open_quantity <= 0:
            continue
        if there == 0:
            if everything.get(line, 0) >= (quantity or 1) or not is_carried(facts, line):
                continue  # shipped already, by us or by hand
            raise InvalidItems(_not_open(line, request))
        if open_quantity > there:
            raise InvalidItems(f"{open_quantity} of item {line} are asked for and {there} remain")
        wanted[line] = open_quantity
    return wanted


def _not_open(line: str, request: TargetRequest) -> str:
    if (location := location_of(request)) is not None:
        return f"nothing of item {line} is to be shipped from location {location}"
    return f"nothing of item {line} is open: it was refunded or removed, or lies where this app may not see it"


def rest(facts: Facts, request: TargetRequest) -> dict[str, int]:
    """What is there of the target's goods, by order line. Raises InvalidItems."""
    counts: dict[str, int] = {}
    for order in due_orders(facts, request):
        for line, quantity in order["lines"].values():
            if quantity > 0 and takes(facts, request, line, order):
                counts[line] = counts.get(line, 0) + quantity
    return counts


def next_parcel(facts: Facts, request: TargetRequest) -> Parcel | None:
    """What the next call ships; None where nothing of the target is left. Raises InvalidItems.

    FOs that can be shipped now come before those that are held up. A gift card is in no parcel with goods.
    """
    wanted = left(facts, request)
    orders = sorted(due_orders(facts, request), key=lambda order: SHIPS not in order["actions"])
    portions: list[Portion] = []
    place: tuple[Json, ...] | None = None
    for order in orders:
        if order["method"] == PICKUP and not picks_up(request):
            continue
        for fo_line, (line, quantity) in order["lines"].items():
            here = (order["location"], order["method"], SHIPS in order["actions"], is_carried(facts, line))
            count = min(quantity, wanted.get(line, 0)) if takes(facts, request, line, order) else 0
            if count > 0 and place in (None, here) and len(portions) < _MAX_LINES:
                place = here
                wanted[line] -= count
                portions.append(Portion(order["id"], fo_line, line, count))
    if place is None:
        return None
    method: str | None = place[1]
    return Parcel(tuple(portions), method)


def is_distinguishable(before: Facts, now: Facts, request: TargetRequest) -> bool:
    """Whether what was known before a call is enough to decide later, when its answer is lost, what it shipped `now`.

    Whole lines and parcels with a mark show in any read. Quantities without a mark show by the parcel that
    was due, so that has to be the one that is sent. Raises InvalidItems.
    """
    if not is_routed(before):
        return False
    if request.items is None or counted_by(request) is not None:
        return True
    due, sent = next_parcel(before, request), next_parcel(now, request)
    return due is not None and sent is not None and due.quantities() == sent.quantities()


def after_parcel(
    facts: Facts, parcel: Parcel, request: TargetRequest, fulfillment: str, *, is_delivered: bool | None = None
) -> dict[str, Json]:
    """The facts once a parcel was shipped. `fulfillment`: its id. `is_delivered`: whether the buyer has it, None where
    no answer gave: then that is so of what was picked up."""
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
    numbers = numbers_of(request)
    made = {
        "id": fulfillment,
        "is_live": True,
        "is_delivered": parcel.method == PICKUP if is_delivered is None else is_delivered,
        **tracking_fields(
            [(each.code, each.url) for each in numbers], next((n.carrier for n in numbers if n.carrier), None)
        ),
        "lines": parcel.quantities(),
    }
    changed: dict[str, Json] = {
        **facts,
        "fulfillment_orders": orders,
        "fulfillments": [*(facts.get("fulfillments") or ()), made],
        UNFINISHED: _numbers_text(request),
    }
    if request.items is not None or mark(request) is None or not left(changed, request):
        del changed[UNFINISHED]
    if request.items is not None and (counted_by(request) is None or request.parcel is not None):
        done = _recorded(facts, request)
        counts = {line: done.get(line, 0) + count for line, count in parcel.quantities().items()}
        ids = [*(_record_of(facts, request).get("parcels") or ()), fulfillment]
        record = {"asked": _asked_text(request), "lines": {**done, **counts}, "parcels": ids}
        if request.key is None:
            changed[AS_ASKED] = record
        else:
            changed[BY_KEY] = {**(facts.get(BY_KEY) or {}), request.key: record}
    return changed


def new_parcels(before: Facts, observed: Facts, marks: tuple[Tracking, ...] | None = None) -> dict[str, int]:
    """What live fulfilments carry that were made since `before`, by order line; with `marks`, under one of them alone.

    Identified by their ids, so what was taken back meanwhile is not set off against them. A fulfilment of ours whose id
    was never given (its answer was lost) is among the new ones and is taken off.
    """
    known = {each["id"] for each in before.get("fulfillments") or ()}
    made = [each for each in live(observed) if each["id"] not in known]
    unnamed = [each for each in live(before) if not each["id"]]
    counts = shipped({"fulfillments": made}, marks)
    for line, quantity in shipped({"fulfillments": unnamed}, marks).items():
        counts[line] = counts.get(line, 0) - quantity
    return counts


def kept_records(before: Facts, observed: Facts) -> dict[str, Json]:
    """Our own records after a read: a parcel whose id is not known is the new fulfilment of just its lines."""
    kept: dict[str, Json] = {}
    if record := before.get(AS_ASKED):
        kept[AS_ASKED] = _named(record, before, observed)
    if records := before.get(BY_KEY):
        kept[BY_KEY] = {key: _named(record, before, observed) for key, record in records.items()}
    if (unfinished := before.get(UNFINISHED)) and remaining(observed):
        kept[UNFINISHED] = unfinished
    return kept


def _named(record: Mapping[str, Json], before: Facts, observed: Facts) -> Mapping[str, Json]:
    if "" not in record.get("parcels", ()):
        return record
    known = {each["id"] for each in before.get("fulfillments") or ()}
    unnamed = [each["lines"] for each in live(before) if not each["id"]]
    found = [each["id"] for each in live(observed) if each["id"] not in known and each["lines"] in unnamed]
    if len(found) != record["parcels"].count(""):
        return record  # which one it is cannot be known
    return {**record, "parcels": [*filter(None, record["parcels"]), *found]}


def parcel_ids(facts: Facts, request: TargetRequest) -> list[str]:
    """The fulfilments that we made for the target's parcel; none where one of them is not known by its id."""
    record = (facts.get(BY_KEY) or {}).get(request.key) if request.parcel is not None else None
    ids: list[str] = list((record or {}).get("parcels") or ())
    return [] if "" in ids else ids


def _record_of(facts: Facts, request: TargetRequest) -> Mapping[str, Json]:
    record = facts.get(AS_ASKED) if request.key is None else (facts.get(BY_KEY) or {}).get(request.key)
    return record if record and record["asked"] == _asked_text(request) else {}


def _recorded(facts: Facts, request: TargetRequest) -> dict[str, int]:
    """What we shipped for this target of items without a mark, by our own record: its parcels that are still live, or
    its own count where the id of one is not known."""
    record = _record_of(facts, request)
    ids = record.get("parcels") or ()
    if "" in ids:
        return dict(record["lines"])
    return shipped({"fulfillments": [each for each in live(facts) if each["id"] in ids]})


def _numbers_text(request: TargetRequest) -> str:
    """What distinguishes a target without items from another one."""
    marks = [request.location, *(each.code or each.url for each in mark(request) or ())]
    return json.dumps(marks, separators=(",", ":"))


def _asked_text(request: TargetRequest) -> str:
    asked = asked_items(request) or {}
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return text if request.location is None else f"{location_of(request)} {text}"
