"""What the simulation of a platform is made of (`orchestrator.plugin`)."""

from __future__ import annotations

from orchestrator.clock import Clock
from orchestrator.sandbox.base import (
    ORDER_IDS_PER_SHOP,
    BackOffice,
    SimulatedShops,
    answer,
    basic,
    bearer,
    encode,
    gateway_page,
    number_in,
)
from orchestrator.sandbox.faults import FaultPlan
from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.platform import (
    Incoming,
    Json,
    Move,
    Operation,
    PanelError,
    Reply,
    SimulatedPlatform,
    Stock,
    Variant,
    Walk,
    Work,
    checked_ms,
    parse_object,
)
from orchestrator.sandbox.registry import Registered, RegistrySender, WebhookRegistry
from orchestrator.sandbox.shelf import Shelf, ShelfOffice, ShelfPlatform
from orchestrator.sandbox.webhooks import Delivery, PendingWebhook, WebhookCounts, WebhookSender, sign

__all__ = [
    "ORDER_IDS_PER_SHOP",
    "BackOffice",
    "Clock",
    "Delivery",
    "FaultPlan",
    "Incoming",
    "Json",
    "Ledger",
    "Move",
    "Operation",
    "PanelError",
    "PendingWebhook",
    "Registered",
    "RegistrySender",
    "Reply",
    "Shelf",
    "ShelfOffice",
    "ShelfPlatform",
    "SimulatedPlatform",
    "SimulatedShops",
    "Stock",
    "Variant",
    "Walk",
    "WebhookCounts",
    "WebhookRegistry",
    "WebhookSender",
    "Work",
    "answer",
    "basic",
    "bearer",
    "checked_ms",
    "encode",
    "gateway_page",
    "number_in",
    "parse_object",
    "sign",
]
