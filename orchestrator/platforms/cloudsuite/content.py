"""Content of a CloudSuite order (cloudsuite.md §4, §5). Pure.

Addresses, customer and product come as ids and keys: CloudSuite does not show what they hold. It gives no total either.
The body of an order is not published as a whole: what a shop has beyond the documented members is found by paths that a
merchant gives (the option `fields`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orchestrator.platforms.content import Apart, decimal, given, rows, text
from orchestrator.platforms.field_map import FieldMap, merged
from statemachines.target import Json

APART = Apart(
    steps=("/numbers/erp",),  # set_erp_number and confirm_order
    cancel=("/cancelled",),
)
"""What our steps change beside `state`, `shipment_state` and the lines' ERP numbers."""

ASSUMED: Final[Mapping[str, str]] = {"ordered_at": "confirm_date"}
"""Members whose name or meaning nobody documents, by what they mean (cloudsuite.md §3)."""

_STATUS = {
    "closed_success": "paid",
    "paid": "paid",
    "account": "invoice",
    "closed_canceled": "unpaid",
    "started": "unpaid",
    "none": "unpaid",
}
_NOT_ON_DELIVERY = frozenset({"paid", "invoice"})


def content_of(order: Mapping[str, Json], fields: FieldMap) -> dict[str, Json]:
    """What the ERP is given of an order. What is invalid is left out; raises nothing."""
    numbers = {"buyer": "customer_order_number", "erp": "erp_order_number", "source": "key"}
    found: dict[str, Json] = {
        **given(order, {"ordered_on": "order_date", "currency": "currency", "note": "description"}),
        "numbers": {"order": text(order.get("reference")) or text(order.get("id")), **given(order, numbers)},
        "channel": given(order, {"id": "webshop"}),
        "buyer": given(order, {"id": "customer", "user": "user"}),
        "delivery": given(order, {"requested_on": "requested_delivery_date"}),
        "payment": _payment(order),
        "cancelled": {} if order.get("state") == "cancel" else None,
    }
    for name, theirs in (("ship_to", "shipment_address"), ("bill_to", "invoice_address")):
        if theirs in order or f"{theirs}_key" in order:
            found[name] = _address(order, theirs)
    if "order_lines" in order:
        found["lines"] = [_line(line, fields) for line in rows(order["order_lines"])]
    return merged(found, fields.of(order))


def _payment(order: Mapping[str, Json]) -> dict[str, Json]:
    """An order on account, or paid before, is not paid for on delivery."""
    raw = text(order.get("payment_status"))
    status = _STATUS.get(raw or "", "unknown")
    found: dict[str, Json] = {"status": status, **given(order, {"raw": "payment_status"})}
    if status in _NOT_ON_DELIVERY:
        found["on_delivery"] = False
    return found | given(order, {"paid": "paid_amount"}, decimal)


def _address(order: Mapping[str, Json], name: str) -> dict[str, Json] | None:
    """By its id, or by origin and key (cloudsuite.md §4)."""
    address, key = text(order.get(name)), order.get(f"{name}_key")
    if address is None and not key:
        return None
    found: dict[str, Json] = given(order, {"id": name})
    if key:
        origin, own = (key.get("origin"), key.get("key")) if isinstance(key, Mapping) else (None, key)
        found |= {"origin": text(origin), "key": text(own)}
    return found


def _line(line: Mapping[str, Json], fields: FieldMap) -> dict[str, Json]:
    found: dict[str, Json] = given(line, {"id": "id", "type": "type", "name": "description"})
    found |= given(line, {"quantity": "quantity"}, decimal)
    if "product" in line:
        product = line["product"]
        named: Mapping[str, Json] = product if isinstance(product, Mapping) else {"key": product}
        found |= given(named, {"sku": "key", "origin": "origin"})
    if prices := given(line, {"net": "unit_price"}, decimal):  # without tax, per sales unit (cloudsuite.md §4)
        found["unit_price"] = prices
    return merged(found, fields.of(line, "lines"))
