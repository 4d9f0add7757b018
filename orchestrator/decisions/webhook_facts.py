"""What follows from a webhook by itself, in the transaction that marks it as worked off: rows and events."""

from __future__ import annotations

from orchestrator.clock import optional_rfc3339
from orchestrator.platforms.webhooks import OrderNews, ProductNews
from statemachines.target import Json
from storage.events import append_event
from storage.products import Version, note_shipment, save_product
from storage.transaction import Transaction
from storage.webhooks import Webhook


def settle_product(tx: Transaction, webhook: Webhook, news: ProductNews, now: int) -> None:
    """Keeps a product and tells of it, unless it is stale."""
    product = news.product
    version = save_product(tx, webhook.shop, product.id, product.title, product.updated_at_ms, webhook.payload, now)
    if version is not Version.STALE:
        type_ = "product.created" if news.is_new and version is Version.FIRST else "product.updated"
        data = {"id": product.id, "title": product.title, **_origin(webhook, news.topic, product.updated_at_ms)}
        append_event(tx, now, type_, shop=webhook.shop, data=data)


def settle_shipment(
    tx: Transaction, webhook: Webhook, news: OrderNews, now: int, *, was_looked_at: bool = False
) -> None:
    """Remembers a shipment and tells of it, unless it is stale. `was_looked_at`: as `note_shipment`."""
    told = news.shipment
    if told is None:
        return
    version = note_shipment(
        tx, webhook.shop, told.id, told.updated_at_ms, webhook.payload, now, was_looked_at=was_looked_at
    )
    if version is not Version.STALE:
        type_ = "fulfillment.created" if told.is_new and version is Version.FIRST else "fulfillment.updated"
        data = {"id": told.id, "status": told.status, **_origin(webhook, told.topic, told.updated_at_ms)}
        append_event(tx, now, type_, shop=webhook.shop, order=news.order, data=data)


def _origin(webhook: Webhook, topic: str, updated_at_ms: int | None) -> dict[str, Json]:
    """Where an event's news comes from."""
    return {"updated_at": optional_rfc3339(updated_at_ms), "topic": topic, "webhook": str(webhook.id)}
