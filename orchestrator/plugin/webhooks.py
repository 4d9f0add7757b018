"""How the webhooks of a platform are taken (`orchestrator.plugin`, `Platform.webhooks`)."""

from __future__ import annotations

from orchestrator.platforms.base.pushing import resource_webhooks
from orchestrator.platforms.subscriptions import PushingClient, Subscription
from orchestrator.platforms.webhooks import (
    HINTS,
    Envelope,
    HintWebhooks,
    Kind,
    Notification,
    OrderNotification,
    Product,
    ProductNotification,
    ShipmentNotification,
    SignedWebhooks,
    Unimportant,
    Unreadable,
    order_named_in,
    topics,
    usual_topic,
)

__all__ = [
    "HINTS",
    "Envelope",
    "HintWebhooks",
    "Kind",
    "Notification",
    "OrderNotification",
    "Product",
    "ProductNotification",
    "PushingClient",
    "ShipmentNotification",
    "SignedWebhooks",
    "Subscription",
    "Unimportant",
    "Unreadable",
    "order_named_in",
    "resource_webhooks",
    "topics",
    "usual_topic",
]
