"""xSale: its client, and all that the rest of the program knows of it (facts: xsale.md)."""

from __future__ import annotations

from typing import Any, Final

from orchestrator.platforms.platform import DefaultLimits, Platform
from orchestrator.platforms.xsale.options import DEFAULT_BASE_URL, XsaleOptions
from statemachines.xsale import DEFAULT_FLOW, DEFAULT_MILESTONES, build

_EXAMPLE: Final[dict[str, dict[str, Any]]] = {
    "xs": {
        "platform": "xsale",
        "organization": "myorg_1234",
        "credentials": {
            "client_id": {"env": "XS_ID"},
            "client_secret": {"env": "XS_SECRET"},
            "username": {"env": "XS_USER"},
            "password": {"env": "XS_PASSWORD"},
            "login_url": "https://login.futuriti.pl/oauth/token",
            "audience": "https://api.xsale.ai",
            "scope": "openid profile email xsale production",
        },
        "flow": list(DEFAULT_FLOW),
        "milestones": dict(DEFAULT_MILESTONES),
        "status_filter": "statusidin",
        "array_style": "repeat",
        "list_query": {},
        "paging": "none",
        "envelope": "auto",
        "list_open": True,
        "single_get": True,
        "status_body": "StatusId",
        "look_first": True,
        "verify_changes": True,
        "fields": {},
        "payments": {
            "Opłacone": "paid",
            "Nadpłacone": "paid",
            "Nieopłacone": "unpaid",
            "Niedopłacone": "unpaid",
        },
    },
}

PLATFORM: Final = Platform(
    name="xsale",
    title="xSale",
    default_base_url=DEFAULT_BASE_URL,
    default_limits=DefaultLimits(rate_per_second=1, burst=2, concurrency=2),  # xsale.md §8
    options=XsaleOptions,
    identity=("organization",),
    machine=build,
    client="orchestrator.platforms.xsale.client:open_client",
    sandbox="orchestrator.sandbox.xsale.platform:XsalePlatform",
    example=_EXAMPLE,
)
