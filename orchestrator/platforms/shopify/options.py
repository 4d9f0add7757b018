"""Shopify's own config keys of a shop, and what the facts leave open as switches (shopify.md §1, §1.1, §5, §9)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, model_validator

from orchestrator.platforms.base.options import Section
from orchestrator.platforms.secrets import Secret, Token
from statemachines.shopify.machine import DEFAULT_ROUTING_SECONDS

DEFAULT_BASE_URL = "https://{domain}"
"""The API's host: each shop has its own, `domain` stands for it (shopify.md §1)."""

DEFAULT_API_VERSION = "2026-10"
"""The newest version whose schema the documents were held against (shopify.md §1)."""

PROGRESS_SINCE = "2026-04"
"""The first version that knows reported progress: the mutation and its webhooks. All else that we ask for is older."""

CANCEL_RESULT_SINCE = "2026-10"
"""The first version that says why a cancellation failed. `unstable` has what the newest has, and sorts behind it."""

_DOMAIN = re.compile(r"[a-z0-9][a-z0-9-]*(\.[a-z0-9-]+)+")


def _host_name(domain: str) -> str:
    if _DOMAIN.fullmatch(domain) is None:
        raise ValueError("must be the shop's own host name, such as shopy.myshopify.com")
    return domain


_OWN_DOMAIN = ".myshopify.com"


def _given(name: str) -> dict[str, Any]:
    return {"required": [name], "properties": {name: {"not": {"type": "null"}}}}


class ShopifyCredentials(Section):
    """What access tokens are asked for with (shopify.md §1.1): the app's client, and for an app that others installed
    the refresh token that its authorisation gave."""

    client_id: Annotated[
        Secret,
        Field(
            description=(
                "The client id of your app, from the Dev Dashboard. Access tokens are fetched with it and "
                "replaced in time"
            )
        ),
    ]
    client_secret: Annotated[Secret, Field(description="Its client secret. Webhooks are signed with it too")]
    refresh_token: Annotated[
        Token | None,
        Field(
            description=(
                "For an app that was authorised with expiring offline tokens: the refresh token that this gave. "
                "It starts a chain that is kept beside the store; another one starts another"
            )
        ),
    ] = None


class ShopifyOptions(Section):
    """A shop's access to Shopify (`token` or `credentials`), and how its orders are read, shipped and cancelled."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [_given("token"), _given("credentials")]})

    domain: Annotated[
        str, AfterValidator(_host_name), Field(description="The shop's own host name, such as `shopy.myshopify.com`")
    ]
    token: Annotated[
        Token | None,
        Field(
            description=(
                "The permanent Admin API access token of an app of before 2026. Exactly one of it and `credentials`"
            )
        ),
    ] = None
    credentials: Annotated[
        ShopifyCredentials | None,
        Field(description="The app's client id and secret, in place of a token: access tokens are fetched with them"),
    ] = None
    api_version: Annotated[
        str,
        Field(
            pattern=r"^(20[0-9]{2}-(01|04|07|10)|unstable)$",
            description=(
                "The version of the Admin API, as `YYYY-MM`. Before 2026-04 no progress can be reported, which "
                "is warned of"
            ),
        ),
    ] = DEFAULT_API_VERSION
    customer_data: Annotated[
        bool,
        Field(
            description="Whether orders are read with the buyer's address, email and phone; the app needs that access"
        ),
    ] = True
    notify_customer: Annotated[
        bool, Field(description="Whether Shopify mails the buyer when a target does not say `notify_customer`")
    ] = False
    restock_on_cancel: Annotated[bool, Field(description="Whether a cancelled order's goods go back to stock")] = True
    refund_on_cancel: Annotated[
        bool, Field(description="Whether a cancelled order is refunded to the original payment methods")
    ] = False
    erp_number_metafield: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9_-]{3,255}\.[A-Za-z0-9_-]{2,64}$",
            description=(
                "The order's metafield, `namespace.key`, that gets a target's `erp_order_number`; null: none does"
            ),
        ),
    ] = "custom.erp_order_number"
    cancel_wait_seconds: Annotated[
        float,
        Field(
            gt=0,
            le=600,
            description="How long a step waits for a cancellation, which Shopify carries out in its own time",
        ),
    ] = 120.0
    lost_answer_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=60,
            description=(
                "How long a shipment or cancellation whose answer was lost may take to show, before the order is read"
            ),
        ),
    ] = 2.0
    routing_timeout_seconds: Annotated[
        float,
        Field(
            gt=0, le=86_400, description="From which age on an order without fulfillment orders is blocked for a person"
        ),
    ] = DEFAULT_ROUTING_SECONDS

    @model_validator(mode="after")
    def _is_let_in(self) -> Self:
        if (self.credentials is None) == (self.token is None):
            raise ValueError(
                "needs either credentials (client_id and client_secret of the app) or a permanent token, and not both"
            )
        if self.credentials is not None and not self.domain.endswith(_OWN_DOMAIN):
            raise ValueError("needs the shop's *.myshopify.com name as domain: tokens are asked for there alone")
        return self

    @property
    def erp_number_place(self) -> tuple[str, str]:
        """Namespace and key of `erp_number_metafield`; empty where there is none."""
        namespace, _, key = (self.erp_number_metafield or "").partition(".")
        return namespace, key

    def warnings(self) -> Iterator[tuple[str, str]]:
        """What is usable but surely not meant: the key and what about it."""
        if self.api_version < PROGRESS_SINCE:
            message = (
                f"{self.api_version} has no reported progress, so no order can be made IN_PROGRESS (preparing) and no"
                f" webhook reports it - use {DEFAULT_API_VERSION}, or at least {PROGRESS_SINCE}"
            )
            yield "api_version", message

    def has_chain(self) -> bool:
        """Whether each refresh replaces the refresh token (shopify.md §1.1)."""
        return self.credentials is not None and self.credentials.refresh_token is not None

    def default_webhook_secrets(self) -> tuple[SecretStr, ...]:
        """What webhooks are signed with unless the config says otherwise: the app's client secret (shopify.md §1.1)."""
        return () if self.credentials is None else (self.credentials.client_secret,)
