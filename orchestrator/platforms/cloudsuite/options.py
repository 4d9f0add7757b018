"""CloudSuite's own config keys of a shop, and what the facts leave open as switches (cloudsuite.md §1, §11)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from orchestrator.platforms.secrets import Secret, Token

DEFAULT_BASE_URL = "https://api.cloudsuite.io"
"""The API's host (cloudsuite.md §1)."""
DEFAULT_TOKEN_URL = "https://id.cloudsuite.io/realms/CloudSuite/protocol/openid-connect/token"  # noqa: S105 - no secret
"""Where access tokens come from (cloudsuite.md §1)."""


def _web_address(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.username is None
    except ValueError:
        is_good = False
    if not is_good or not all("!" <= character <= "~" for character in url):
        raise ValueError("must be an https address without a user name")
    return url


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be a time zone such as Europe/Amsterdam or UTC") from None
    return name


def _day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a day such as 2026-01-31") from None
    return text


ProxyValue = Annotated[str, Field(min_length=1)] | int
Word = Annotated[str, Field(min_length=1)]
Parameter = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class CloudsuiteCredentials(BaseModel):
    """OAuth2 client credentials: `client_id` is the user name, `client_secret` the password (cloudsuite.md §1)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    client_id: Annotated[Secret, Field(description="The API user's name")]
    client_secret: Annotated[Secret, Field(description="The API user's password")]
    token_url: Annotated[
        str,
        AfterValidator(_web_address),
        Field(description="Where access tokens come from; the realm is CloudSuite-test for the test system"),
    ] = DEFAULT_TOKEN_URL


class CloudsuiteOptions(BaseModel):
    """A shop's access to CloudSuite (`credentials` or `token`), and what about its API nobody wrote down."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    webshop: Annotated[
        int | None, Field(gt=0, description="The webshop's number; when left out, orders of all webshops are taken")
    ] = None
    proxy_shop: Annotated[
        ProxyValue | None, Field(description="`shop` of the XML calls, as given by CloudSuite; despatches need it")
    ] = None
    proxy_user: Annotated[
        ProxyValue | None, Field(description="`user` of the XML calls, as given by CloudSuite; despatches need it")
    ] = None
    credentials: Annotated[CloudsuiteCredentials | None, Field(description="OAuth2 client credentials")] = None
    token: Annotated[
        Token | None,
        Field(description="The deprecated API key, in place of credentials"),
    ] = None
    timezone: Annotated[
        str, AfterValidator(_zone), Field(description="Zone of the platform's dates, which name none")
    ] = "Europe/Amsterdam"
    payment_check: Annotated[
        Literal["on", "off"],
        Field(description="off: for a shop without a payment option, whose orders are all released"),
    ] = "on"
    desadv_on_timeout: Annotated[
        Literal["resend_same_number", "ask"],
        Field(description="A despatch whose answer was lost is sent again with its number, or a person is asked"),
    ] = "resend_same_number"
    offline_orders: Annotated[
        Literal["skip", "import"],
        Field(description="Whether polls bring offline orders too: orders placed elsewhere, shown as history"),
    ] = "skip"
    confirmed_since: Annotated[
        Annotated[str, AfterValidator(_day)] | None,
        Field(description="Orders confirmed before this day are left out of polls"),
    ] = None
    modified_filter: Annotated[
        Parameter | None,
        Field(description="Name of the list's filter by change time, if yours has one; null: open orders are re-read"),
    ] = None
    duplicate_words: Annotated[
        tuple[Word, ...],
        Field(description="Beginnings of words: a refused despatch that says one is there already"),
    ] = ("already", "exists", "duplicate")
    proxy_error_words: Annotated[
        tuple[Word, ...],
        Field(description="Beginnings of words: an answer of the XML calls that says one is no success"),
    ] = ("error", "fault", "exception", "invalid", "failed")
    buyer_party: Annotated[
        dict[Parameter, str], Field(description="Elements of a despatch's DesadvParty/BuyerParty, by name")
    ] = Field(default_factory=dict)
    status_notes: Annotated[
        dict[Literal["processing", "sent", "done", "cancel"], dict[str, str]],
        Field(description="Lines for the order's timeline, by the state that was reached and language such as nl_NL"),
    ] = Field(default_factory=dict)
    status_note_style: Annotated[
        Literal["list", "object"], Field(description="How the texts of a timeline line are sent")
    ] = "list"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.credentials is None) == (self.token is None):
            raise ValueError("needs either credentials or the deprecated token, and not both")
        if self.status_notes and self.proxy_shop is None:
            raise ValueError("status_notes need proxy_shop")
        return self
