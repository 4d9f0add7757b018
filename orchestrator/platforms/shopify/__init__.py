"""Shopify: its client, and all that the rest of the program knows of it (facts: shopify.md)."""

from __future__ import annotations

from typing import Any, Final

from orchestrator.platforms.platform import DefaultLimits, Platform
from orchestrator.platforms.points import PointsLimit
from orchestrator.platforms.shopify.notifications import SIGNED
from orchestrator.platforms.shopify.options import DEFAULT_BASE_URL, ShopifyOptions
from statemachines.shopify.machine import build

_EXAMPLE: Final[dict[str, dict[str, Any]]] = {
    "shopy": {
        "platform": "shopify",
        "domain": "shopy.myshopify.com",
        "credentials": {"client_id": {"env": "SHOPY_ID"}, "client_secret": {"env": "SHOPY_SECRET"}},
        "api_version": "2026-10",
        "customer_data": True,
        "notify_customer": False,
        "restock_on_cancel": True,
        "erp_number_metafield": "custom.erp_order_number",
        "refund_on_cancel": False,
        "cancel_wait_seconds": 120,
        "lost_answer_seconds": 2,
        "routing_timeout_seconds": 300,
    },
    "shopy-by-refresh": {
        "platform": "shopify",
        "domain": "shopy-by-refresh.myshopify.com",
        "credentials": {
            "client_id": {"env": "APP_ID"},
            "client_secret": {"env": "APP_SECRET"},
            "refresh_token": {"env": "SHOPY_REFRESH_TOKEN"},
        },
    },
    "shopy-by-token": {
        "platform": "shopify",
        "domain": "shopy-by-token.myshopify.com",
        "token": {"env": "SHOPY_TOKEN"},
        "webhook_secret": [{"env": "SHOPY_WEBHOOK_SECRET"}],
    },
}

PLATFORM: Final = Platform(
    name="shopify",
    title="Shopify",
    default_base_url=DEFAULT_BASE_URL,
    # What a call costs differs too much for a rate alone; the points are of the smallest plan (shopify.md §8).
    default_limits=DefaultLimits(rate_per_second=5, burst=20, concurrency=8, points=PointsLimit(2000, 100)),
    options=ShopifyOptions,
    identity=("domain",),
    machine=build,
    client="orchestrator.platforms.shopify.client:open_client",
    sandbox="orchestrator.sandbox.shopify.platform:ShopifyPlatform",
    example=_EXAMPLE,
    webhooks=SIGNED,
    default_webhook_secrets=ShopifyOptions.default_webhook_secrets,
    warnings=ShopifyOptions.warnings,
    replaces_credentials=ShopifyOptions.has_chain,
)
