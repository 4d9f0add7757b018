"""An order in one shape for all platforms, as the outside sees it (docs/api.md, "Content").

This is the one definition: `completion` fills it in, the OpenAPI document is made from it. Every member is always
there. Clients must ignore others: what a platform has beyond the shape stands beside it under a name of its own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.json_schema import WithJsonSchema
from typing_extensions import TypedDict

Instant = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Amount = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"})]
"""A decimal as text, with the platform's own digits."""

PaymentStatus = Literal[
    "unpaid", "authorized", "partly_paid", "paid", "invoice", "partly_refunded", "refunded", "voided", "unknown"
]


class Price(TypedDict):
    """An amount of money by its basis: without tax, with tax, or `stated`, where nobody says whether tax is in it."""

    net: Amount | None
    gross: Amount | None
    stated: Amount | None


class Numbers(TypedDict):
    """What the order is called: by the shop, by the buyer, by the ERP, and by the system that it came from."""

    order: str | None
    buyer: str | None
    erp: str | None
    source: str | None


class Channel(TypedDict):
    """Where the order was placed."""

    id: str | None
    name: str | None


class Buyer(TypedDict):
    """Who ordered. `guest`: without an account."""

    id: str | None
    name: str | None
    company: str | None
    email: str | None
    phone: str | None
    tax_id: str | None
    guest: bool | None


class Address(TypedDict):
    """An address; `id` is the platform's own, where it has an address book."""

    id: str | None
    name: str | None
    company: str | None
    street: str | None
    street2: str | None
    house_number: str | None
    postal_code: str | None
    city: str | None
    region: str | None
    region_code: str | None
    country: str | None
    phone: str | None
    email: str | None


class Shipping(TypedDict):
    """How the goods reach the buyer. `tax` is that of `cost`."""

    method: Literal["shipping", "pickup", "local", "none"] | None
    name: str | None
    code: str | None
    pickup_point: str | None
    requested_on: str | None
    cost: Price
    tax: list[Tax] | None


class PaymentState(TypedDict):
    """Where the payment stands: `status` in our word, `raw` in the platform's. `on_delivery`: collected on delivery."""

    status: PaymentStatus | None
    raw: str | None
    method: str | None
    reference: str | None
    on_delivery: bool | None
    paid: Amount | None
    due: Amount | None


class Tax(TypedDict):
    """A tax of a whole line; `rate` is a fraction (`"0.19"`)."""

    name: str | None
    rate: Amount | None
    amount: Amount | None


class Article(TypedDict):
    """An article that a set is made of, with its quantity in all: stock is taken from here, the price is the line's."""

    sku: str | None
    product_id: str | None
    name: str | None
    quantity: Amount | None


class Location(TypedDict):
    """Where the goods are shipped from."""

    id: str | None
    name: str | None


class ContentLine(TypedDict):
    """A line. `id` is what `items` and `erp_lines` take, `open` what is left to be shipped, `discount` that of the
    whole line, `amount` what the whole line comes to after it."""

    id: str | None
    kind: Literal["goods", "service", "gift_card", "fee"] | None
    sku: str | None
    product_id: str | None
    variant_id: str | None
    gtin: str | None
    mpn: str | None
    name: str | None
    quantity: Amount | None
    open: Amount | None
    unit: str | None
    unit_price: Price
    discount: Price
    amount: Price
    tax: list[Tax] | None
    parts: list[Article] | None
    location: Location
    note: str | None


class Discount(TypedDict):
    """A discount of the order. What lines were allocated of it is in their `discount` as well."""

    code: str | None
    name: str | None
    amount: Price


class Sums(TypedDict):
    """The order's sums; `lines` is before discounts."""

    lines: Amount | None
    discount: Amount | None
    delivery: Amount | None
    tax: Amount | None
    total: Amount | None
    refunded: Amount | None


class LineQuantity(TypedDict):
    """How much of a line, by its id."""

    id: str | None
    quantity: Amount | None


class Parcel(TypedDict):
    """A parcel that left. `number` is the parcel's own, `numbers` are those of its tracking. Where content is shown it
    also has `reported_by`: the platform, a target of the ERP, or both."""

    id: str | None
    number: str | None
    numbers: list[str] | None
    carrier: str | None
    url: str | None
    shipped_at: Instant | None
    delivered_at: Instant | None
    lines: list[LineQuantity] | None


class ReturnedGoods(TypedDict):
    """A return, with the platform's own word for where it stands."""

    id: str | None
    state: str | None
    reason: str | None
    lines: list[LineQuantity] | None
    refund: Amount | None


class Cancellation(TypedDict):
    """When, by whom and why the order was cancelled; all null where it was not."""

    at: Instant | None
    by: str | None
    reason: str | None


class Shape(TypedDict):
    """What is known of an order itself."""

    ordered_at: Instant | None
    ordered_on: str | None
    numbers: Numbers
    channel: Channel
    language: str | None
    test: bool | None
    currency: str | None
    buyer: Buyer
    ship_to: Address
    bill_to: Address | None
    delivery: Shipping
    payment: PaymentState
    lines: list[ContentLine] | None
    discounts: list[Discount] | None
    totals: Sums
    parcels: list[Parcel] | None
    returns: list[ReturnedGoods] | None
    cancelled: Cancellation
    note: str | None
    attributes: dict[str, str] | None


class CompleteContent(Shape):
    """The shape, and how far it can be relied on."""

    balanced: Annotated[
        bool | None,
        Field(description="Whether the parts add up to the platform's own total; null where it gives none"),
    ]
    gaps: Annotated[
        list[str],
        Field(description="JSON pointers (`*`: any index) to what is null because the platform does not give it"),
    ]
    derived: Annotated[list[str], Field(description="JSON pointers (`*`: any index) to what is computed")]
    hash: Annotated[str, Field(description="Another one when, and only when, anything else but `read_at`, `stale` is")]


class Content(CompleteContent):
    """An order in one shape for all platforms, as it was read last."""

    read_at: Annotated[Instant, Field(description="When the platform showed it")]
    stale: Annotated[bool, Field(description="Something changed since: a step of ours ended, and no read followed yet")]
