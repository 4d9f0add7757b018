"""Rows and events that follow from a webhook by itself, in the transaction that marks it as processed."""

from __future__ import annotations

from orchestrator.clock import optional_rfc3339
from orchestrator.platforms.webhooks import OrderNotification, ProductNotification
from statemachines.target import Json
from storage.events import append_event
from storage.products import Version, note_shipment, save_product
from storage.transaction import Transaction
from storage.webhooks import Webhook


def settle_product(tx: Transaction, webhook: Webhook, notification: ProductNotification, now: int) -> None:
    """Saves a product with an event, unless it is stale."""
    product = notification.product
    version = save_product(tx, webhook.shop, product.id, product.title, product.updated_at_ms, webhook.payload, now)
    if version is not Version.STALE:
        type_ = "product.created" if notification.is_new and version is Version.FIRST else "product.updated"
        data = {"id": product.id, "title": product.title, **_origin(webhook, notification.topic, product.updated_at_ms)}
        append_event(tx, now, type_, shop=webhook.shop, data=data)


def settle_shipment(
    tx: Transaction, webhook: Webhook, notification: OrderNotification, now: int, *, was_looked_at: bool = False
) -> None:
    """Notes a shipment with an event, unless it is stale. `was_looked_at`: as in `note_shipment`."""
    shipment = notification.shipment
    if shipment is None:
        return
    version = note_shipment(
        tx, webhook.shop, shipment.id, shipment.updated_at_ms, webhook.payload, now, was_looked_at=was_looked_at
    )
    if version is not Version.STALE:
        type_ = "fulfillment.created" if shipment.is_new and version is Version.FIRST else "fulfillment.updated"
        data = {
            "id": shipment.id,
            "status": shipment.status,
            **_origin(webhook, shipment.topic, shipment.updated_at_ms),
        }
        append_event(tx, now, type_, shop=webhook.shop, order=notification.order, data=data)


def _origin(webhook: Webhook, topic: str, updated_at_ms: int | None) -> dict[str, Json]:
    """The origin of an event: topic, webhook and change time."""
    return {"updated_at": optional_rfc3339(updated_at_ms), "topic": topic, "webhook": str(webhook.id)}
