"""The bodies that requests carry, as models: strict, no unknown members, null allowed where a member may be absent."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.json_schema import WithJsonSchema

from orchestrator.api.schema.fields import IDEMPOTENCY_KEY, LONGEST_ID, PLAIN, check_key, check_plain
from statemachines.numbers import decimal_of, plain
from statemachines.parcel import TargetParcel
from statemachines.target import ErpLine, TargetRequest, Tracking

M = TypeVar("M", bound=BaseModel)
_MOST = 2**53 - 1
_AS_TEXT = r"^(0{0,9}[1-9][0-9]{0,14}(\.[0-9]{1,9})?|0{1,9}\.[0-9]{0,8}[1-9][0-9]{0,8})$"
_QUANTITY = re.compile(_AS_TEXT)


def _id_text(value: Any) -> Any:
    """Ids are strings; many systems hold them as numbers. A flag is not an id."""
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return str(value)
        except ValueError:
            raise ValueError(f"must have at most {LONGEST_ID} characters") from None
    return value


def _quantity(value: Any) -> Any:
    """A number above 0, or a text with one, as a whole number where it is one and as text where it is not."""
    if isinstance(value, str) and _QUANTITY.fullmatch(value) is None:
        raise ValueError('must be a number above 0, such as 2, 1.5 or "1.5"')
    number = decimal_of(value)
    if number is None:
        raise ValueError("must be a number")
    if number <= 0:
        raise ValueError("must be above 0")
    if number > _MOST:
        raise ValueError(f"must be at most {_MOST}")
    return int(number) if number == number.to_integral_value() else plain(number)


def _day(text: str) -> str:
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise ValueError("must be a day such as 2026-03-01")


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


Id = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_ID),
    AfterValidator(check_plain),
    BeforeValidator(_id_text),
    WithJsonSchema({"type": ["string", "integer"], "minLength": 1, "maxLength": LONGEST_ID, "pattern": PLAIN}),
]
Key = Annotated[str, AfterValidator(check_key), WithJsonSchema({"type": "string", "pattern": IDEMPOTENCY_KEY})]
Line = Annotated[str, Field(max_length=2000)]
Day = Annotated[str, AfterValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
LineNumber = Annotated[int, Field(ge=0, le=2**53 - 1)]
Quantity = Annotated[
    int | str,
    BeforeValidator(_quantity),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": _MOST},
                {"type": "string", "pattern": _AS_TEXT},
            ]
        }
    ),
]
"""How many: a whole number or a decimal, also as text."""


class Body(BaseModel):
    """What all bodies have in common."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


class TrackingBody(Body):
    """A parcel's tracking."""

    code: Annotated[Line | None, Field(description="The carrier's tracking code")] = None
    url: Annotated[Line | None, Field(description="An http(s) link for the buyer")] = None
    carrier: Annotated[Line | None, Field(description="The carrier's name")] = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        """An empty variable of a script or an ERP would ship without the tracking that was meant, and nobody saw it."""
        code, url, carrier = ((text or "").strip() for text in (self.code, self.url, self.carrier))
        is_meant = self.code is not None or self.url is not None or not carrier
        if is_meant and not (code or url):
            raise ValueError("code and url are blank: fill one in, or leave tracking out")
        return self


class ItemBody(Body):
    """A part of an order line."""

    id: Id
    quantity: Annotated[Quantity | None, Field(description="Null means all of the line")] = None


class ErpLineBody(Body):
    """The ERP's number for one order line."""

    line: Annotated[Id, Field(description="The platform's line id")]
    erp_line_number: LineNumber


class DespatchLineBody(Body):
    """One line of a packing slip."""

    erp_line_number: LineNumber
    quantity: Annotated[Quantity | None, Field(description="Null means all of the line")] = None
    part_number: Line | None = None


class DespatchBody(Body):
    """One packing slip (DESADV)."""

    number: Annotated[Id, Field(description="Unique for each packing slip")]
    date: Day | None = None
    planned_delivery_date: Day | None = None
    comment: Line | None = None
    carrier: Line | None = None
    tracking_code: Line | None = None
    final: Annotated[bool | None, Field(description="The last one: the order counts as sent")] = None
    lines: Annotated[
        list[DespatchLineBody] | None, Field(min_length=1, max_length=10_000, description="Null means all in full")
    ] = None


def _item_kind(value: Any) -> str:
    return "#item" if isinstance(value, dict | ItemBody) else "#id"


def _list_kind(value: Any) -> str:
    return "#many" if isinstance(value, list) else "#one"


Item = Annotated[Annotated[Id, Tag("#id")] | Annotated[ItemBody, Tag("#item")], Discriminator(_item_kind)]
Despatch = Annotated[
    Annotated[DespatchBody, Tag("#one")]
    | Annotated[Annotated[list[DespatchBody], Field(min_length=1, max_length=1000)], Tag("#many")],
    Discriminator(_list_kind),
]
Trackings = Annotated[
    Annotated[TrackingBody, Tag("#one")]
    | Annotated[Annotated[list[TrackingBody], Field(min_length=1, max_length=20)], Tag("#many")],
    Discriminator(_list_kind),
]


class ParcelBody(Body):
    """A parcel that left or arrived, the same on every platform."""

    number: Annotated[
        Id | None,
        Field(description="Its number in the ERP; without one it is known by its first code"),
    ] = None
    carrier: Annotated[Line | None, Field(description="The carrier's name")] = None
    tracking: Annotated[
        list[Annotated[Line, AfterValidator(_not_blank)]] | None,
        Field(max_length=20, description="The carrier's tracking codes"),
    ] = None
    url: Annotated[Line | None, Field(description="An http(s) link for the buyer")] = None
    location: Annotated[Id | None, Field(description="Where it left from")] = None
    lines: Annotated[
        list[Item] | None,
        Field(min_length=1, max_length=10_000, description="What is in it; null: all that is left"),
    ] = None
    last: Annotated[bool | None, Field(description="Nothing follows: the order is sent although lines are left")] = None

    @model_validator(mode="after")
    def _has_a_name(self) -> Self:
        """A parcel that is known by nothing could not be distinguished from the next one."""
        if _filled(self.number) is None and not self.tracking:
            raise ValueError("number and tracking are missing: give one of them, the parcel is known by it")
        return self

    def to_parcel(self) -> TargetParcel:
        """As the machines take it."""
        codes = dict.fromkeys(code.strip() for code in self.tracking or ())
        return TargetParcel(
            number=_filled(self.number),
            carrier=_filled(self.carrier),
            tracking=tuple(codes),
            url=_filled(self.url),
            location=self.location,
            lines=None if self.lines is None else tuple(_plain(item) for item in self.lines),
            is_last=bool(self.last),
        )


def _filled(text: str | None) -> str | None:
    """A text, None for one that is blank."""
    return (text or "").strip() or None


class TargetBody(Body):
    """The state that the order is to reach, and the data for its steps."""

    state: Annotated[str, Field(min_length=1, max_length=200, description="A native state or a milestone")]
    items: Annotated[
        list[Item] | None, Field(max_length=10_000, description="Items confirmed or shipped; null means all")
    ] = None
    delivery_info: Annotated[
        dict[str, Any] | None,
        Field(description="Passed on to the platform; what it does not name stays as it is there"),
    ] = None
    tracking: Annotated[
        Trackings | None,
        Field(description="A parcel's number, or its several; platforms may take one alone"),
    ] = None
    erp_order_number: Annotated[Line | None, Field(description="The order's number in the ERP")] = None
    erp_lines: Annotated[list[ErpLineBody] | None, Field(max_length=10_000)] = None
    despatch: Annotated[Despatch | None, Field(description="One packing slip or a list of them")] = None
    confirmation: Literal["json", "cxml"] | None = None
    reason: Line | None = None
    notify_customer: bool | None = None
    location: Annotated[Id | None, Field(description="Only what is to be shipped from there")] = None
    parcel: Annotated[
        ParcelBody | None, Field(description="With shipped: this parcel left; with delivered: it arrived")
    ] = None
    platform_data: Annotated[
        dict[str, Any] | None, Field(description="What the order's platform alone has, in its own members")
    ] = None
    replace: Annotated[
        bool | None, Field(description="Takes the place of what is queued and not begun; default only for cancelled")
    ] = None

    @field_validator("parcel")
    @classmethod
    def _is_alone(cls, parcel: ParcelBody | None, info: ValidationInfo) -> ParcelBody | None:
        """A parcel brings its own lines, tracking and place; nobody could say which of two were meant."""
        beside = ("items", "tracking", "despatch", "location")
        if parcel is not None and (twice := [name for name in beside if info.data.get(name) is not None]):
            raise ValueError(f"cannot come with {', '.join(twice)}: say it in parcel alone")
        return parcel

    def to_request(self) -> TargetRequest:
        """As the machines take it."""
        trackings = [Tracking(**each.model_dump()) for each in _several(self.tracking)]
        return TargetRequest(
            state=self.state,
            items=None if self.items is None else tuple(_plain(item) for item in self.items),
            delivery_info=self.delivery_info,
            tracking=trackings[0] if trackings else None,
            further_tracking=tuple(trackings[1:]),
            erp_order_number=self.erp_order_number,
            erp_lines=None if self.erp_lines is None else tuple(ErpLine(**e.model_dump()) for e in self.erp_lines),
            despatch=None if self.despatch is None else tuple(_plain(slip) for slip in _several(self.despatch)),
            confirmation=self.confirmation,
            reason=self.reason,
            notify_customer=self.notify_customer,
            replace=self.replace,
            location=self.location,
            platform_data=self.platform_data,
            parcel=None if self.parcel is None else self.parcel.to_parcel(),
        )


def _plain(value: str | ItemBody | DespatchBody) -> Any:
    return value if isinstance(value, str) else value.model_dump(exclude_none=True)


def _several(value: M | list[M] | None) -> list[M]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


class BulkLine(TargetBody):
    """One line of a bulk submission: a target, and of which order."""

    shop: Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
    order: Id
    key: Annotated[Key | None, Field(description="Idempotency key: the same key and body, the same target")] = None


class ReasonBody(Body):
    """Why it is done."""

    reason: Line | None = None


class LoginBody(Body):
    """What a browser logs in with."""

    token: Annotated[str, Field(min_length=1, max_length=4096, description="The token of api.tcp")]


class SkipBody(Body):
    """How the step was done by hand."""

    reason: Annotated[
        str,
        Field(max_length=2000, description="How the step was done by hand", json_schema_extra={"pattern": r"\S"}),
        AfterValidator(_not_blank),
    ]


class AckBody(Body):
    """How far a consumer has come, or where it is to go on."""

    cursor: Annotated[int, Field(ge=0, le=10**18 - 1)]
    feed: Annotated[Line | None, Field(description="The id of the feed that the cursor is of")] = None


class EventBody(Body):
    """Which event is meant."""

    cursor: Annotated[int, Field(ge=1, le=10**18 - 1, description="The event's")]
