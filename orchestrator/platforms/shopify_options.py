"""Shopify's own config keys of a shop, and what the facts leave open as switches (shopify.md §1, §5, §9)."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from statemachines.shopify import DEFAULT_ROUTING_SECONDS

DEFAULT_BASE_URL = "https://{domain}"
"""The API's host: each shop has its own, `domain` stands for it (shopify.md §1)."""

DEFAULT_API_VERSION = "2026-10"
"""The newest version whose schema the documents were held against (shopify.md §1)."""

_DOMAIN = re.compile(r"[a-z0-9][a-z0-9-]*(\.[a-z0-9-]+)+")


def _host_name(domain: str) -> str:
    if _DOMAIN.fullmatch(domain) is None:
        raise ValueError("must be the shop's own host name, such as shopy.myshopify.com")
    return domain


def _header_safe(token: SecretStr) -> SecretStr:
    """A token goes into a header as it is; the message must not repeat it."""
    text = token.get_secret_value()
    if not text or not all("!" <= character <= "~" for character in text):
        raise ValueError("a token is visible ASCII without blanks")
    return token


class ShopifyOptions(BaseModel):
    """A shop's access to Shopify, and how its orders are read, shipped and cancelled."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    domain: Annotated[
        str, AfterValidator(_host_name), Field(description="The shop's own host name, as *.myshopify.com")
    ]
    token: Annotated[SecretStr, AfterValidator(_header_safe), Field(description="Admin API access token of the app")]
    api_version: Annotated[
        str, Field(pattern=r"^(20[0-9]{2}-(01|04|07|10)|unstable)$", description="Version of the Admin API")
    ] = DEFAULT_API_VERSION
    customer_data: Annotated[
        bool, Field(description="Whether orders are read with the buyer's address, email and phone; needs that access")
    ] = True
    notify_customer: Annotated[
        bool, Field(description="Whether Shopify mails the buyer when a target does not say notify_customer")
    ] = False
    restock_on_cancel: Annotated[bool, Field(description="Whether a cancelled order's goods go back to stock")] = True
    refund_on_cancel: Annotated[
        bool, Field(description="Whether a cancelled order is refunded to the original payment methods")
    ] = False
    cancel_wait_seconds: Annotated[
        float, Field(gt=0, le=600, description="How long a cancellation, which takes its time, is waited for")
    ] = 120.0
    lost_answer_seconds: Annotated[
        float,
        Field(ge=0, le=60, description="How long a shipment or cancellation whose answer was lost may take to show"),
    ] = 2.0
    routing_timeout_seconds: Annotated[
        float, Field(gt=0, le=86_400, description="Age of an order without fulfillment orders that needs a person")
    ] = DEFAULT_ROUTING_SECONDS
