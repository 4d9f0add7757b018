"""CloudSuite: its client, and all that the rest of the program knows of it (facts: cloudsuite.md)."""

from __future__ import annotations

from typing import Any, Final

from orchestrator.platforms.cloudsuite.options import DEFAULT_BASE_URL, CloudsuiteOptions
from orchestrator.platforms.platform import DefaultLimits, Platform
from statemachines.cloudsuite.machine import build

_EXAMPLE: Final[dict[str, dict[str, Any]]] = {
    "cs": {
        "platform": "cloudsuite",
        "webshop": 1,
        "proxy_shop": 1,
        "proxy_user": 10,
        "credentials": {
            "client_id": {"env": "CS_ID"},
            "client_secret": {"env": "CS_SECRET"},
            "token_url": "https://id.cloudsuite.io/realms/CloudSuite/protocol/openid-connect/token",
        },
        "timezone": "Europe/Amsterdam",
        "payment_check": "on",
        "desadv_on_timeout": "resend_same_number",
        "offline_orders": "skip",
        "confirmed_since": None,
        "modified_filter": None,
        "duplicate_words": ["already", "exists", "duplicate"],
        "proxy_error_words": ["error", "fault", "exception", "invalid", "failed"],
        "buyer_party": {},
        "status_notes": {},
        "status_note_style": "list",
        "fields": {},
    },
    "cs-by-key": {
        "platform": "cloudsuite",
        "token": {"env": "CS_KEY"},
    },
}

PLATFORM: Final = Platform(
    name="cloudsuite",
    title="CloudSuite",
    default_base_url=DEFAULT_BASE_URL,
    default_limits=DefaultLimits(rate_per_second=2, burst=4, concurrency=4),  # cloudsuite.md §10
    options=CloudsuiteOptions,
    identity=("webshop",),
    machine=build,
    client="orchestrator.platforms.cloudsuite.client:open_client",
    sandbox="orchestrator.sandbox.cloudsuite.platform:CloudsuitePlatform",
    example=_EXAMPLE,
)
