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
    wall_clock,
)
from orchestrator.sandbox.cart import Cart, Good, Person, Row, drawn, shares, standard
from orchestrator.sandbox.cart_shelf import CartOffice, CartShelf
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
from orchestrator.sandbox.rest import (
    Call,
    Parameter,
    Refused,
    RestPlatform,
    Route,
    array_page,
    one_of,
    some_of,
    whole,
)
from orchestrator.sandbox.rest_shelf import ListWords, RestShelf, order_routes, row_routes, webhook_routes
from orchestrator.sandbox.shelf import Shelf, ShelfOffice, ShelfPlatform
from orchestrator.sandbox.throttle import RAISED, Arrival, Throttle
from orchestrator.sandbox.webhooks import Delivery, PendingWebhook, WebhookCounts, WebhookSender, sign

__all__ = [
    "ORDER_IDS_PER_SHOP",
    "RAISED",
    "Arrival",
    "BackOffice",
    "Call",
    "Cart",
    "CartOffice",
    "CartShelf",
    "Clock",
    "Delivery",
    "FaultPlan",
    "Good",
    "Incoming",
    "Json",
    "Ledger",
    "ListWords",
    "Move",
    "Operation",
    "PanelError",
    "Parameter",
    "PendingWebhook",
    "Person",
    "Refused",
    "Registered",
    "RegistrySender",
    "Reply",
    "RestPlatform",
    "RestShelf",
    "Route",
    "Row",
    "Shelf",
    "ShelfOffice",
    "ShelfPlatform",
    "SimulatedPlatform",
    "SimulatedShops",
    "Stock",
    "Throttle",
    "Variant",
    "Walk",
    "WebhookCounts",
    "WebhookRegistry",
    "WebhookSender",
    "Work",
    "answer",
    "array_page",
    "basic",
    "bearer",
    "checked_ms",
    "drawn",
    "encode",
    "gateway_page",
    "number_in",
    "one_of",
    "order_routes",
    "parse_object",
    "row_routes",
    "shares",
    "sign",
    "some_of",
    "standard",
    "wall_clock",
    "webhook_routes",
    "whole",
]
