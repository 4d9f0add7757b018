"""xSale's own config keys of a shop, and what the facts leave open as switches (xsale.md §1, §3, §9)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
)

from orchestrator.platforms.base.options import Section
from orchestrator.platforms.field_map import FieldMap, Path, known_names
from orchestrator.platforms.secrets import Secret
from orchestrator.platforms.xsale.content import ASSUMED, OWN_NAMES
from statemachines.machine import DefinitionError
from statemachines.xsale import DEFAULT_FLOW, build, usual_milestones
from statemachines.xsale import DEFAULT_MILESTONES as USUAL_MILESTONES

DEFAULT_BASE_URL = "https://api.xsale.ai"
"""The API's host (xsale.md §1)."""

ArrayStyle = Literal["repeat", "comma", "brackets", "indexed", "json"]
StatusFilter = Literal["statusidin", "statusnamein"]
Paging = Literal["none", "limit_offset", "page"]
StatusBody = Literal["StatusId", "statusId", "Id", "bare"]
Payment = Literal["paid", "unpaid", "invoice"]

_ORGANIZATION = re.compile(r"[^\s/?#%\\]+")


def _unified(value: Any) -> Any:
    """Polish letters in one spelling: an accent may be written apart from its letter, and looks the same."""
    if isinstance(value, list):
        return [_unified(each) for each in value]
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


def _path_safe(name: str) -> str:
    if not _ORGANIZATION.fullmatch(name) or name in (".", ".."):
        raise ValueError("an organization's name is one piece of an address: without blanks, /, ?, # and %")
    return name


def _login_address(url: str) -> str:
    """The password goes there, so it is https, or this machine. The message must not repeat the address."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("https", "http") or parts.username is not None or re.search(r"\s", url):
        raise ValueError("must be an address such as https://login.futuriti.pl/oauth/token")
    if parts.scheme == "http" and not _is_this_machine(host):
        raise ValueError("must be https: the password is sent there")
    return url


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


StatusName = Annotated[str, BeforeValidator(_unified), Field(min_length=1, pattern=r"\S")]


class XsaleCredentials(Section):
    """The API account that the vendor's helpdesk made, and where it logs in (xsale.md §1)."""

    client_id: Annotated[Secret, Field(description="Client id of the API account, which the vendor's helpdesk makes")]
    client_secret: Annotated[Secret, Field(description="Its client secret")]
    username: Annotated[Secret, Field(description="Its user name")]
    password: Annotated[Secret, Field(description="Its password")]
    login_url: Annotated[
        str, AfterValidator(_login_address), Field(description="Where tokens are asked for; https, or this machine")
    ] = "https://login.futuriti.pl/oauth/token"
    audience: Annotated[str, Field(min_length=1, description="What the tokens are for")] = "https://api.xsale.ai"
    scope: Annotated[str, Field(min_length=1, description="Scopes that are asked for")] = (
        "openid profile email xsale production"
    )


class XsaleMilestones(Section):
    """Which status means what. Those of the way name statuses in `flow`, the last two name statuses beside it."""

    new: Annotated[
        StatusName | None,
        Field(description="Where orders are imported from; the first status of the flow, also when left out"),
    ] = None
    accepted: Annotated[
        StatusName | None, Field(description="The ERP took the order over; a status of the flow, as the next three")
    ] = None
    preparing: Annotated[StatusName | None, Field(description="The order is being packed")] = None
    shipped: Annotated[StatusName | None, Field(description="The order is on its way")] = None
    delivered: Annotated[StatusName | None, Field(description="The order is completed")] = None
    attention: Annotated[
        StatusName | None,
        Field(description="The order needs a person; beside the flow. When left out, `attention` is our record only"),
    ] = None
    cancelled: Annotated[
        StatusName | None,
        Field(description="The order is cancelled; beside the flow. When left out, `cancelled` is refused"),
    ] = None


DEFAULT_MILESTONES = XsaleMilestones(**USUAL_MILESTONES)


FieldName = Annotated[str, AfterValidator(known_names(OWN_NAMES))]


_DEFAULT_PAYMENTS: dict[str, Payment] = {
    "Opłacone": "paid",
    "Nadpłacone": "paid",
    "Nieopłacone": "unpaid",
    "Niedopłacone": "unpaid",
}


class XsaleOptions(Section):
    """A shop's access to xSale, its statuses, and switches for what nobody wrote down about the API.

    `milestones` are taken as a whole: what is left out of them does not exist. Left out themselves they are the usual
    ones as far as `flow` has those statuses.
    """

    organization: Annotated[
        str, AfterValidator(_path_safe), Field(description="The organization's `Name`, as `fulfilld doctor` shows it")
    ]
    credentials: Annotated[XsaleCredentials, Field(description="The API account")]
    flow: Annotated[
        tuple[StatusName, ...],
        Field(description="The statuses that an order goes through, in sequence and spelt as in xSale; at least two"),
    ] = DEFAULT_FLOW
    milestones: Annotated[
        XsaleMilestones, Field(validate_default=True, description="Which status means what, as a whole")
    ] = DEFAULT_MILESTONES
    status_filter: Annotated[
        StatusFilter, Field(description="Whether lists are asked for by ids or by names of statuses")
    ] = "statusidin"
    array_style: Annotated[ArrayStyle, Field(description="How several values of a filter are written")] = "repeat"
    list_query: Annotated[
        dict[str, str],
        Field(description='Further parameters of every list of orders, as text: `{"integrationid": "11"}`'),
    ] = Field(default_factory=dict)
    paging: Annotated[
        Paging,
        Field(
            description="How lists are paged: not at all, by `limit` and `offset`, or by `page` (from 1) and `pageSize`"
        ),
    ] = "none"
    envelope: Annotated[
        str,
        Field(
            min_length=1,
            description="The member that holds a list's rows. `auto`: a bare array, or one of the usual names",
        ),
    ] = "auto"
    list_open: Annotated[
        bool,
        Field(
            description=(
                "Whether a sync also lists the other open statuses, so that fewer known orders are read one by one"
            )
        ),
    ] = True
    single_get: Annotated[
        bool,
        Field(
            description="Whether an order can be read by its id. Without it lists are searched, which costs more calls"
        ),
    ] = True
    status_body: Annotated[
        StatusBody, Field(description="Key of the body that changes a status; `bare`: the number alone")
    ] = "StatusId"
    look_first: Annotated[
        bool,
        Field(
            description=(
                "Whether the order is read just before its status is changed, because xSale would overwrite a "
                "person's change"
            )
        ),
    ] = True
    verify_changes: Annotated[
        bool,
        Field(description="Whether a change whose answer does not show the new status is looked at by one more call"),
    ] = True
    fields: Annotated[
        dict[FieldName, Path],
        Field(
            description=(
                'Where an order says what, by a member of its content: `{"currency": "Waluta", "buyer.email": '
                '"Buyer.Email"}`; also `reference`, `payment` and `waybill`. Adds to the names that are assumed'
            )
        ),
    ] = Field(default_factory=dict)
    payments: Annotated[
        dict[StatusName, Payment],
        Field(description="What payment statuses mean: `paid`, `unpaid` or `invoice`; every other one is `unknown`"),
    ] = _DEFAULT_PAYMENTS

    @property
    def field_map(self) -> FieldMap:
        """Where an order says what: the names that are assumed, and the merchant's."""
        return FieldMap({**ASSUMED, **self.fields})

    @field_validator("flow")
    @classmethod
    def _make_a_chain(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """A flow that is invalid by itself, whatever its statuses mean."""
        _machine_of(value, {})
        return value

    @field_validator("milestones")
    @classmethod
    def _make_a_machine(cls, value: XsaleMilestones, info: ValidationInfo) -> XsaleMilestones:
        """A flow that makes no valid machine is a mistake in the config, to be found before the daemon starts."""
        flow: tuple[str, ...] | None = info.data.get("flow")
        if flow is None:
            return value
        if value == DEFAULT_MILESTONES:
            value = XsaleMilestones(**usual_milestones(flow))
        _machine_of(flow, value.model_dump())
        return value


def _machine_of(flow: tuple[str, ...], milestones: Mapping[str, str | None]) -> None:
    try:
        build({"flow": flow, "milestones": milestones})
    except DefinitionError as error:
        raise ValueError(str(error).removeprefix("xsale: ")) from None
