"""What Shopify's webhooks are about, for the listener and the inbox (facts: shopify.md §2, §3)."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.platforms.base.signing import verify
from orchestrator.platforms.shopify.webhook_order import order_in_webhook
from orchestrator.platforms.shopify.webhooks import (
    fulfillment_order_of,
    header,
    id_of_gid,
    order_id_of,
    product_of,
    return_of,
    time_ms,
    topic_of,
    updated_at_ms,
    whole_id,
)
from orchestrator.platforms.webhooks import (
    Envelope,
    Kind,
    Notification,
    OrderNotification,
    ProductNotification,
    ShipmentNotification,
    SignedWebhooks,
    Unimportant,
    Unreadable,
)
from statemachines.target import Json

_WHOLE_AREAS = frozenset({"orders", "fulfillments"})  # their bodies always name the order
_NO_ORDERS = frozenset({"orders/edited", "orders/delete"})  # what was edited, and an id
_PART_AREAS = frozenset({"fulfillment_orders", "fulfillment_holds"})
_ORDER_AREAS = _WHOLE_AREAS | _PART_AREAS | {"fulfillment_events", "refunds", "returns", "order_transactions"}


def envelope(headers: Mapping[str, str]) -> Envelope:
    """As `SignedWebhooks.open`."""
    return Envelope(
        signature=header(headers, "Hmac-Sha256"),
        topic=header(headers, "Topic"),
        webhook_id=header(headers, "Webhook-Id"),
        event_id=header(headers, "Event-Id"),
        triggered_at=time_ms(header(headers, "Triggered-At")),
        sender=header(headers, "Shop-Domain"),
        is_test=(header(headers, "Test") or "").lower() == "true",
    )


def kind(topic: str | None) -> Kind:
    """As `SignedWebhooks.kind`."""
    area = (topic or "").partition("/")[0]
    if area in _ORDER_AREAS:
        return Kind.ORDER
    return Kind.PRODUCT if area == "products" else Kind.OTHER


def notification(header_topic: str | None, body: Json) -> Notification:
    """As `SignedWebhooks.notification`. The topic header decides; a body without one is recognised by its shape."""
    topic = topic_of({} if header_topic is None else {"X-Shopify-Topic": header_topic}, body)
    if topic is None:
        return Unimportant(header_topic)
    area = topic.partition("/")[0]
    if area == "products" and topic != "products/delete":
        product = product_of(body)
        return (
            Unreadable("the body is not a product")
            if product is None
            else ProductNotification(topic, product, _is_new(topic))
        )
    if area not in _ORDER_AREAS:
        return Unimportant(topic)
    order = order_id_of(topic, body)
    if order is None and area in _WHOLE_AREAS:
        return Unreadable("the body names no order")
    return OrderNotification(
        order,
        part=_part(area, body) if order is None else None,
        is_whole=area == "orders" and topic not in _NO_ORDERS,
        updated_at_ms=updated_at_ms(body) if area == "orders" else None,
        shipment=_fulfillment(topic, body) if area == "fulfillments" else None,
    )


def _part(area: str, body: Json) -> str | None:
    """What a body that names no order is about."""
    if area == "returns":
        return return_of(body)
    return fulfillment_order_of(body) if area in _PART_AREAS else None


def _fulfillment(topic: str, body: Json) -> ShipmentNotification | None:
    if not isinstance(body, dict):
        return None
    found = id_of_gid(body.get("admin_graphql_api_id"), "Fulfillment") or whole_id(body.get("id"))
    if found is None:
        return None
    status = body.get("status")
    shipment_status = status if isinstance(status, str) else None
    return ShipmentNotification(topic, found, shipment_status, updated_at_ms(body), _is_new(topic))


def _is_new(topic: str) -> bool:
    return topic.endswith("/create")


SIGNED = SignedWebhooks(
    open=envelope, is_genuine=verify, kind=kind, notification=notification, order=order_in_webhook, sender_key="domain"
)
"""Shopify's webhooks."""
