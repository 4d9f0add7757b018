"""Vendure 3 for fulfilld: the options of a shop, and the `Platform` itself (facts: README.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from orchestrator.plugin import DefaultLimits, Platform, Secret, Section
from orchestrator.plugin.client import is_header_safe
from orchestrator.plugin.machine import Json, PlatformMachine
from platform_vendure.machine import VendureMachine


def _header_safe(value: str) -> str:
    if not is_header_safe(value):
        raise ValueError("must be visible ASCII without blanks")
    return value


class VendureCredentials(Section):
    """An administrator of the shop whose role may read and update orders."""

    username: Annotated[Secret, Field(description="administrator's identifier, mostly a mail address")]
    password: Annotated[Secret, Field(description="its password")]


class VendureOptions(Section):
    """A shop's access to its Vendure server."""

    credentials: Annotated[VendureCredentials, Field(description="administrator with ReadOrder and UpdateOrder")]
    admin_path: Annotated[
        str, Field(pattern=r"^[\w.~-]+(/[\w.~-]+)*$", description="path of the Admin API (apiOptions.adminApiPath)")
    ] = "admin-api"
    channel_token: Annotated[
        Annotated[str, AfterValidator(_header_safe)] | None,
        Field(description="token of the shop's channel; without one it is the default channel"),
    ] = None
    fulfillment_handler: Annotated[
        str, Field(min_length=1, description="code of the handler that makes fulfilments, with method and trackingCode")
    ] = "manual-fulfillment"


def build(options: Mapping[str, Json]) -> PlatformMachine:
    """The machine of a shop; nothing of it can be chosen."""
    del options
    return VendureMachine()


PLATFORM = Platform(
    name="vendure",
    title="Vendure",
    default_base_url=None,
    default_limits=DefaultLimits(rate_per_second=10, burst=20, concurrency=4),
    options=VendureOptions,
    identity=("channel_token",),
    machine=build,
    client="platform_vendure.client:VendureClient",
    sandbox="platform_vendure.sandbox.platform:VendurePlatform",
    example={
        "ven": {
            "platform": "vendure",
            "base_url": "https://shop.example",
            "credentials": {"username": {"env": "VEN_USER"}, "password": {"env": "VEN_PASSWORD"}},
            "admin_path": "admin-api",
            "channel_token": {"env": "VEN_CHANNEL"},
            "fulfillment_handler": "manual-fulfillment",
        }
    },
)
