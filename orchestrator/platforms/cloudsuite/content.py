"""Content of a CloudSuite order (cloudsuite.md §4, §5). Pure.

Addresses, customer and product come as ids and keys: CloudSuite does not show what they hold. It gives no total either.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.platforms.content import Apart, decimal, price, rows, text
from statemachines.target import Json

APART = Apart(
    steps=("/numbers/erp",),  # set_erp_number and confirm_order
    cancel=("/cancelled",),
)
"""What our steps change beside `state`, `shipment_state` and the lines' ERP numbers."""

_STATUS = {
    "closed_success": "paid",
    "paid": "paid",
    "account": "invoice",
    "closed_canceled": "unpaid",
    "started": "unpaid",
    "none": "unpaid",
}


def content_of(order: Mapping[str, Json]) -> dict[str, Json]:
    """What the ERP is given of an order. Invalid members are null; raises nothing."""
    return {
        "ordered_on": text(order.get("order_date")),
        "numbers": {
            "order": text(order.get("reference")) or text(order.get("id")),
            "buyer": text(order.get("customer_order_number")),
            "erp": text(order.get("erp_order_number")),
            "source": text(order.get("key")),
        },
        "channel": {"id": text(order.get("webshop"))},
        "currency": text(order.get("currency")),
        "buyer": {"id": text(order.get("customer")), "user": text(order.get("user"))},
        "ship_to": _address(order, "shipment_address"),
        "bill_to": _address(order, "invoice_address"),
        "delivery": {"requested_on": text(order.get("requested_delivery_date"))},
        "payment": {
            "status": _STATUS.get(text(order.get("payment_status")) or "", "unknown"),
            "raw": text(order.get("payment_status")),
            "paid": decimal(order.get("paid_amount")),
        },
        "lines": [_line(line) for line in rows(order.get("order_lines"))],
        "cancelled": {"at": None, "by": None, "reason": None} if order.get("state") == "cancel" else None,
        "note": text(order.get("description")),
    }


def _address(order: Mapping[str, Json], name: str) -> dict[str, Json] | None:
    """By its id, or by origin and key (cloudsuite.md §4)."""
    address = text(order.get(name))
    key = order.get(f"{name}_key")
    if address is None and not key:
        return None
    origin, own = (key.get("origin"), key.get("key")) if isinstance(key, Mapping) else (None, key)
    return {"id": address, "origin": text(origin), "key": text(own)}


def _line(line: Mapping[str, Json]) -> dict[str, Json]:
    product = line.get("product")
    named: Mapping[str, Json] = product if isinstance(product, Mapping) else {}
    return {
        "id": text(line.get("id")),
        "type": text(line.get("type")),
        "sku": text(named.get("key")) if named else text(product),
        "origin": text(named.get("origin")),
        "name": text(line.get("description")),
        "quantity": decimal(line.get("quantity")),
        "unit_price": price(net=line.get("unit_price")),  # without tax, per sales unit (cloudsuite.md §4)
    }
