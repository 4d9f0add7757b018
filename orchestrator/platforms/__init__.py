"""The shop platforms: one client each, all used alike. Importing this imports no client and no HTTP library."""

from __future__ import annotations

from orchestrator.platforms.client import PlatformClient
from orchestrator.platforms.selldone_options import DEFAULT_BASE_URL as SELLDONE_URL
from orchestrator.platforms.selldone_options import SelldoneOptions
from orchestrator.platforms.spec import ClientSettings, DefaultLimits, PlatformSpec

__all__ = ["PLATFORMS", "ClientSettings", "DefaultLimits", "PlatformSpec"]


def _open_selldone(settings: ClientSettings) -> PlatformClient:
    from orchestrator.platforms.selldone import open_client

    return open_client(settings)


PLATFORMS: dict[str, PlatformSpec] = {
    "selldone": PlatformSpec(
        name="selldone",
        default_base_url=SELLDONE_URL,
        default_limits=DefaultLimits(rate_per_second=2, burst=10, concurrency=8),  # selldone.md §9
        options=SelldoneOptions,
        open=_open_selldone,
    ),
}
"""Every platform by the name that a shop's `platform` key carries; a new one is registered here."""
