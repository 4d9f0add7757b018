"""How the webhooks of a platform are taken (`orchestrator.plugin`, `Platform.webhooks`)."""

from __future__ import annotations

from orchestrator.platforms.subscriptions import PushingClient, Subscription
from orchestrator.platforms.webhooks import (
    HINTS,
    Envelope,
    HintWebhooks,
    Kind,
    News,
    OrderNews,
    Product,
    ProductNews,
    ShipmentNews,
    SignedWebhooks,
    Unimportant,
    Unreadable,
    order_named_in,
    usual_topic,
)

__all__ = [
    "HINTS",
    "Envelope",
    "HintWebhooks",
    "Kind",
    "News",
    "OrderNews",
    "Product",
    "ProductNews",
    "PushingClient",
    "ShipmentNews",
    "SignedWebhooks",
    "Subscription",
    "Unimportant",
    "Unreadable",
    "order_named_in",
    "usual_topic",
]
