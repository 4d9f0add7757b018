"""CloudSuite's own config keys of a shop, and what the facts leave open as switches (cloudsuite.md §1, §11)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from orchestrator.platforms.base.options import Section, WebAddress
from orchestrator.platforms.cloudsuite.content import ASSUMED
from orchestrator.platforms.field_map import FieldMap, Path, known_names
from orchestrator.platforms.secrets import Secret, Token

DEFAULT_BASE_URL = "https://api.cloudsuite.io"
"""The API's host (cloudsuite.md §1)."""
DEFAULT_TOKEN_URL = "https://id.cloudsuite.io/realms/CloudSuite/protocol/openid-connect/token"  # noqa: S105 - no secret
"""Where access tokens come from (cloudsuite.md §1)."""


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

FieldName = Annotated[str, AfterValidator(known_names(fixed=frozenset({"lines.id", "lines.quantity"})))]


class CloudsuiteCredentials(Section):
    """OAuth2 client credentials: `client_id` is the user name, `client_secret` the password (cloudsuite.md §1)."""

    client_id: Annotated[Secret, Field(description="The API user's name")]
    client_secret: Annotated[Secret, Field(description="The API user's password")]
    token_url: Annotated[
        WebAddress,
        Field(description="Where access tokens come from. On the test system the realm is `CloudSuite-test`"),
    ] = DEFAULT_TOKEN_URL


class CloudsuiteOptions(Section):
    """A shop's access to CloudSuite (`credentials` or `token`), and what about its API nobody wrote down."""

    webshop: Annotated[
        int | None, Field(gt=0, description="The webshop's number. Left out: orders of all webshops of the account")
    ] = None
    proxy_shop: Annotated[
        ProxyValue | None,
        Field(
            description=(
                "`shop` of the XML calls, as CloudSuite gave it. Despatches, cXML confirmations and "
                "`status_notes` need it"
            )
        ),
    ] = None
    proxy_user: Annotated[
        ProxyValue | None,
        Field(description="`user` of the XML calls, as CloudSuite gave it. Despatches and cXML confirmations need it"),
    ] = None
    credentials: Annotated[CloudsuiteCredentials | None, Field(description="OAuth2 client credentials")] = None
    token: Annotated[
        Token | None,
        Field(description="The deprecated API key, in place of `credentials`"),
    ] = None
    timezone: Annotated[
        str, AfterValidator(_zone), Field(description="The zone of the platform's dates, which name none")
    ] = "Europe/Amsterdam"
    payment_check: Annotated[
        Literal["on", "off"],
        Field(description="`off` for a shop without a payment option: its orders are all released"),
    ] = "on"
    desadv_on_timeout: Annotated[
        Literal["resend_same_number", "ask"],
        Field(
            description=(
                "A despatch whose answer was lost is sent again with its number, which the platform refuses if "
                "it has it; or a person is asked"
            )
        ),
    ] = "resend_same_number"
    offline_orders: Annotated[
        Literal["skip", "import"],
        Field(description="Whether syncs bring offline orders too: placed elsewhere, shown as history"),
    ] = "skip"
    confirmed_since: Annotated[
        Annotated[str, AfterValidator(_day)] | None,
        Field(description='Orders confirmed before this day (`"2026-01-31"`) are left out of syncs'),
    ] = None
    modified_filter: Annotated[
        Parameter | None,
        Field(
            description=(
                "The name of the list's filter by change time, if yours has one, as `modified_date__gte`. Left "
                "out: open orders are read again one by one"
            )
        ),
    ] = None
    duplicate_words: Annotated[
        tuple[Word, ...],
        Field(
            description=(
                "Beginnings of words. A refused despatch that says one of them exists already: done if an answer "
                "of ours was lost, else refused"
            )
        ),
    ] = ("already", "exists", "duplicate")
    proxy_error_words: Annotated[
        tuple[Word, ...],
        Field(
            description=(
                "Beginnings of words. An answer of the XML calls with one of them is a failure, whatever its status"
            )
        ),
    ] = ("error", "fault", "exception", "invalid", "failed")
    buyer_party: Annotated[
        dict[Parameter, str], Field(description="Elements of a despatch's `DesadvParty/BuyerParty` by name, as text")
    ] = Field(default_factory=dict)
    status_notes: Annotated[
        dict[Literal["processing", "sent", "done", "cancel"], dict[str, str]],
        Field(
            description=(
                'Lines for the order\'s timeline, by the state that was reached and language: `{"sent": {"nl_NL": '
                '"Verzonden"}}`'
            )
        ),
    ] = Field(default_factory=dict)
    status_note_style: Annotated[
        Literal["list", "object"], Field(description="How the texts of such a line are sent")
    ] = "list"

    fields: Annotated[
        dict[FieldName, Path],
        Field(
            description=(
                'Where an order says what CloudSuite does not document, by a member of its content: `{"ordered_at": '
                '"confirm_date", "buyer.email": "customer_email"}`. Adds to the names that are assumed'
            )
        ),
    ] = Field(default_factory=dict)

    @property
    def field_map(self) -> FieldMap:
        """Where an order says what: the names that are assumed, and the merchant's."""
        return FieldMap({**ASSUMED, **self.fields}, ZoneInfo(self.timezone))

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.credentials is None) == (self.token is None):
            raise ValueError("needs either credentials or the deprecated token, and not both")
        if self.status_notes and self.proxy_shop is None:
            raise ValueError("status_notes need proxy_shop")
        return self
