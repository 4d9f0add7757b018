"""The shop platforms: one client each, all used alike. Importing this imports no client and no HTTP library."""

from __future__ import annotations

from orchestrator.platforms.client import PlatformClient
from orchestrator.platforms.cloudsuite.options import DEFAULT_BASE_URL as CLOUDSUITE_URL
from orchestrator.platforms.cloudsuite.options import CloudsuiteOptions
from orchestrator.platforms.platform import ClientSettings, DefaultLimits, PlatformSpec
from orchestrator.platforms.points import PointsLimit
from orchestrator.platforms.selldone.options import DEFAULT_BASE_URL as SELLDONE_URL
from orchestrator.platforms.selldone.options import SelldoneOptions
from orchestrator.platforms.shopify.news import SIGNED as SHOPIFY_WEBHOOKS
from orchestrator.platforms.shopify.options import DEFAULT_BASE_URL as SHOPIFY_URL
from orchestrator.platforms.shopify.options import ShopifyOptions
from orchestrator.platforms.window import WindowLimit
from orchestrator.platforms.xsale.options import DEFAULT_BASE_URL as XSALE_URL
from orchestrator.platforms.xsale.options import XsaleOptions

__all__ = ["PLATFORMS", "ClientSettings", "DefaultLimits", "PlatformSpec"]


def _open_selldone(settings: ClientSettings) -> PlatformClient:
    from orchestrator.platforms.selldone.client import open_client

    return open_client(settings)


def _open_xsale(settings: ClientSettings) -> PlatformClient:
    from orchestrator.platforms.xsale.client import open_client

    return open_client(settings)


def _open_cloudsuite(settings: ClientSettings) -> PlatformClient:
    from orchestrator.platforms.cloudsuite.client import open_client

    return open_client(settings)


def _open_shopify(settings: ClientSettings) -> PlatformClient:
    from orchestrator.platforms.shopify.client import open_client

    return open_client(settings)


PLATFORMS: dict[str, PlatformSpec] = {
    "selldone": PlatformSpec(
        name="selldone",
        default_base_url=SELLDONE_URL,
        # 80 calls in 1 minute, and others may use the account: bucket alone 76 (selldone.md §9).
        default_limits=DefaultLimits(rate_per_second=1.1, burst=10, concurrency=8, window=WindowLimit(80, 60)),
        options=SelldoneOptions,
        identity=("shop_id",),
        open=_open_selldone,
    ),
    "cloudsuite": PlatformSpec(
        name="cloudsuite",
        default_base_url=CLOUDSUITE_URL,
        default_limits=DefaultLimits(rate_per_second=2, burst=4, concurrency=4),  # cloudsuite.md §10
        options=CloudsuiteOptions,
        identity=("webshop",),
        open=_open_cloudsuite,
    ),
    "xsale": PlatformSpec(
        name="xsale",
        default_base_url=XSALE_URL,
        default_limits=DefaultLimits(rate_per_second=1, burst=2, concurrency=2),  # xsale.md §8
        options=XsaleOptions,
        identity=("organization",),
        open=_open_xsale,
    ),
    "shopify": PlatformSpec(
        name="shopify",
        default_base_url=SHOPIFY_URL,
        # What a call costs differs too much for a rate alone; the points are of the smallest plan (shopify.md §8).
        default_limits=DefaultLimits(rate_per_second=5, burst=20, concurrency=8, points=PointsLimit(2000, 100)),
        options=ShopifyOptions,
        identity=("domain",),
        open=_open_shopify,
        webhooks=SHOPIFY_WEBHOOKS,
        default_webhook_secrets=ShopifyOptions.default_webhook_secrets,
        warnings=ShopifyOptions.warnings,
    ),
}
"""Every platform by the name that a shop's `platform` key carries; a new one is registered here."""
