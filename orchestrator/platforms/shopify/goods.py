"""Where the goods of a Shopify order's lines lie, and how many are left to be shipped: by its fulfillment orders. Pure.

They are made after the order, so until they show nothing is known of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.platforms.content import rows, text
from orchestrator.platforms.shopify.webhooks import id_of_gid
from statemachines.shopify.facts import OPEN_STATUSES
from statemachines.target import Json

_CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True)
class Goods:
    """Of one line. `open`: the quantity left to be shipped; `location`: where all of it lies, None for several."""

    open: str
    location: Mapping[str, Json] | None


def goods_by_line(fulfillment_orders: Iterable[Mapping[str, Json]]) -> dict[str, Goods]:
    """By the id of the order line."""
    left: dict[str, int] = {}
    places: dict[str, list[dict[str, Json]]] = {}
    for each in fulfillment_orders:
        place, is_open = _place(each), each.get("status") in OPEN_STATUSES
        for row in rows(_object(each.get("lineItems")).get("nodes")):
            line, quantity = id_of_gid(_object(row.get("lineItem")).get("id"), "LineItem"), row.get("remainingQuantity")
            if line is None or not isinstance(quantity, int):
                continue
            left[line] = left.get(line, 0) + (quantity if is_open else 0)
            if each.get("status") != _CANCELLED and place not in places.setdefault(line, []):
                places[line].append(place)
    return {
        line: Goods(str(quantity), found[0] if len(found := places.get(line, [])) == 1 else None)
        for line, quantity in left.items()
    }


def _place(order: Mapping[str, Json]) -> dict[str, Json]:
    """Its name stays what it was when the goods were assigned; the location itself may be gone."""
    assigned = _object(order.get("assignedLocation"))
    number = id_of_gid(_object(assigned.get("location")).get("id"), "Location")
    return {"id": number, "name": text(assigned.get("name"))}


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}
