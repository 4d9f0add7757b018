"""Bodies of a simulated Shopify's webhooks, REST-shaped (shopify.md §2.4, §3; samples `webhook_*`), cut to what is
looked at."""

from __future__ import annotations

from orchestrator.sandbox.shopify import money
from orchestrator.sandbox.shopify.events import TopicBody
from orchestrator.sandbox.shopify.orders import Fulfillment, FulfillmentOrder, Json, Line, Order, gid, rest_time

_SHIPMENTS = {"DELIVERED": "delivered", "PICKED_UP": "picked_up"}
_APP, _STAFF = "gid://shopify/App/12345", "gid://shopify/StaffMember/12345"
_FULFILLED = {"FULFILLED": "fulfilled", "PARTIALLY_FULFILLED": "partial"}


def order_body(order: Order, now: int) -> dict[str, Json]:
    """Of `orders/*`."""
    parts = money.parts_of_discount(order)
    return {
        "id": order.id,
        "admin_graphql_api_id": gid("Order", order.id),
        "name": order.name,
        "email": order.fields["email"],
        "created_at": rest_time(order.created),
        "updated_at": rest_time(order.updated),
        "cancelled_at": rest_time(order.cancelled),
        "cancel_reason": order.cancel_reason.lower() if order.cancel_reason else None,
        "closed_at": rest_time(order.ended),
        "financial_status": order.financial.lower(),
        "fulfillment_status": _FULFILLED.get(order.state(now)),
        "processed_at": rest_time(order.created if order.processed is None else order.processed),
        "test": False,
        "note": order.fields["note"],
        "note_attributes": [],
        "phone": order.fields["phone"],
        "po_number": order.fields["poNumber"],
        "tags": ", ".join(order.fields["tags"]),
        "source_name": "web",
        "source_identifier": None,
        "customer_locale": "en",
        "shipping_address": _address(order.fields["shippingAddress"]),
        "billing_address": _address(order.fields["billingAddress"]),
        **money.body_fields(order),
        "line_items": [_line(order, line, parts[line.id]) for line in order.lines],
    }


def _line(order: Order, line: Line, discount: int) -> dict[str, Json]:
    offs = [off for off in (discount, line.off) if off]
    return {
        "id": line.id,
        "admin_graphql_api_id": gid("LineItem", line.id),
        "quantity": line.quantity,
        "current_quantity": line.current,
        "sku": line.sku,
        "name": line.name,
        "price": money.amount(line.price, order.currency),
        "gift_card": False,
        "requires_shipping": True,
        "discount_allocations": [{"amount": money.amount(off, order.currency)} for off in offs],
    }


def _address(address: Json) -> Json:
    names = {"zip": "zip", "provinceCode": "province_code", "countryCodeV2": "country_code"}
    return {names.get(name, name): value for name, value in address.items()}


def fulfillment_body(order: Order, fulfillment: Fulfillment) -> dict[str, Json]:
    """Of `fulfillments/*`."""
    tracking = fulfillment.tracking or {}
    return {
        "id": fulfillment.id,
        "admin_graphql_api_id": gid("Fulfillment", fulfillment.id),
        "order_id": order.id,
        "name": fulfillment.name,
        "status": fulfillment.status.lower(),
        "shipment_status": _SHIPMENTS.get(fulfillment.display),
        "created_at": rest_time(fulfillment.created),
        "updated_at": rest_time(order.updated),
        "tracking_company": tracking.get("company"),
        "tracking_number": tracking.get("number"),
        "tracking_numbers": [each["number"] for each in fulfillment.numbers if each["number"]],
        "tracking_url": tracking.get("url"),
        "tracking_urls": [each["url"] for each in fulfillment.numbers if each["url"]],
        "line_items": [{"id": line, "quantity": count} for line, count in fulfillment.lines.items()],
    }


def fulfillment_order_body(
    topic: str, part: FulfillmentOrder, replacement: FulfillmentOrder | None = None, was: str | None = None
) -> Json:
    """Of `fulfillment_orders/*`: small, and it does not name the order. `replacement`: after a split. `was`: the status
    before progress was reported."""
    body: dict[str, Json] = {"fulfillment_order": _part(part)}
    match topic:
        case "fulfillment_orders/progress_reported":
            body["progress_report"] = {
                "reason_notes": None,
                "progress_reported_by_app": {"id": _APP},
                "progress_reported_by_user": None,
            }
            body["initial_status"] = was
        case "fulfillment_orders/manually_reported_progress_stopped":
            body |= {"progress_stopped_by_app": None, "progress_stopped_by_user": {"id": _STAFF}}
        case "fulfillment_orders/placed_on_hold":
            holds = [_hold(n, reason) for n, reason in enumerate(part.holds, start=1)]
            body["fulfillment_order"]["fulfillment_holds"] = holds
            body["remaining_fulfillment_order"] = None
            body["held_fulfillment_order_line_items"] = _lines(part)
            body["created_fulfillment_hold"] = holds[-1] if holds else None
        case "fulfillment_orders/line_items_prepared_for_pickup":
            changed = {"preparable": not part.is_prepared, "delivery_method": {"method_type": part.method.lower()}}
            body["fulfillment_order"] |= changed
        case "fulfillment_orders/split":
            body["split_line_items"] = _lines(replacement) if replacement else []
            body["remaining_fulfillment_order"] = None
            body["replacement_fulfillment_order"] = _part(replacement) if replacement else None
    return body


def topic_body(
    topic: str, part: FulfillmentOrder, replacement: FulfillmentOrder | None = None, was: str | None = None
) -> TopicBody:
    """A topic under `fulfillment_orders/` and what makes its body."""
    full = f"fulfillment_orders/{topic}"
    return full, lambda: fulfillment_order_body(full, part, replacement, was)


def _part(part: FulfillmentOrder) -> dict[str, Json]:
    return {"id": gid("FulfillmentOrder", part.id), "status": part.status.lower()}


def _lines(part: FulfillmentOrder) -> list[Json]:
    return [{"id": gid("FulfillmentOrderLineItem", line[0]), "quantity": line[3]} for line in part.lines if line[3]]


def _hold(number: int, reason: str) -> dict[str, Json]:
    return {
        "id": gid("FulfillmentHold", number),
        "reason": reason.lower(),
        "reason_notes": None,
        "held_by_requesting_app": False,
        "handle": None,
        "held_by_app": None,
    }
