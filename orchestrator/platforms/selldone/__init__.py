"""Selldone: its client, and all that the rest of the program knows of it (facts: selldone.md)."""

from __future__ import annotations

from typing import Any, Final

from orchestrator.platforms.platform import DefaultLimits, Platform
from orchestrator.platforms.selldone.options import DEFAULT_BASE_URL, SelldoneOptions, auth_url
from orchestrator.platforms.webhooks import HintWebhooks, order_named_in
from orchestrator.platforms.window import WindowLimit
from statemachines.selldone import build

_EXAMPLE: Final[dict[str, dict[str, Any]]] = {
    "acme": {
        "platform": "selldone",
        "shop_id": 12345,
        "token": {"env": "ACME_TOKEN"},
        "updated_at_unit": "s",
        "reject_reason": "ShopOwnerFault",
    },
}

PLATFORM: Final = Platform(
    name="selldone",
    title="Selldone",
    default_base_url=DEFAULT_BASE_URL,
    # 80 calls in 1 minute, and others may use the account: bucket alone 76 (selldone.md §9).
    default_limits=DefaultLimits(rate_per_second=1.1, burst=10, concurrency=8, window=WindowLimit(80, 60)),
    options=SelldoneOptions,
    identity=("shop_id",),
    machine=build,
    client="orchestrator.platforms.selldone.client:open_client",
    sandbox="orchestrator.sandbox.selldone.platform:SelldonePlatform",
    example=_EXAMPLE,
    webhooks=HintWebhooks(hint=order_named_in("basket", "order")),  # selldone.md §7
    token_link=auth_url,
)
