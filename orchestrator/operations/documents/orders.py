"""Orders, and what they are searched and counted by."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from pydantic.json_schema import WithJsonSchema
from typing_extensions import TypedDict

from orchestrator.operations.documents.feed import Event
from orchestrator.operations.documents.parts import Instant, RecordedProblem, SituationName, Wait
from orchestrator.operations.documents.targets import Target
from orchestrator.platforms.content_document import Content, PaymentStatus

Payment = Annotated[str, WithJsonSchema({"type": "string", "enum": ["paid", "unpaid", "invoice", "unknown"]})]


class ReturnedLine(TypedDict):
    """How much of an order line a return is about."""

    id: str
    quantity: int | str


class Return(TypedDict):
    """A return: what the buyer sends back, or asks to."""

    id: str
    state: Annotated[str, Field(description="The platform's own status of the return")]
    lines: list[ReturnedLine]


class ParcelLine(TypedDict):
    """How much of an order line is in a parcel."""

    id: str
    quantity: Annotated[str | None, Field(description="Null: all of it, the platform does not say how much that is")]


class RecordedParcel(TypedDict):
    """A parcel that targets reported, as it is kept with the order."""

    number: str
    carrier: str | None
    tracking: list[str]
    url: str | None
    location: str | None
    lines: list[ParcelLine]
    last: bool
    recorded_at: Instant
    delivered_at: Annotated[Instant | None, Field(description="When a target reported that it arrived")]
    returned: Annotated[bool, Field(description="It came back with its order: its lines are to be sent anew")]


class AskedAttention(TypedDict):
    """That the ERP asks for a person: by a target `attention`, until the order moves on or is released."""

    reason: str | None
    since: Instant


class Order(TypedDict):
    """One order of one shop."""

    shop: str
    platform: str
    id: str
    reference: str | None
    state: str
    platform_state: Annotated[str, Field(description="What the platform shows; differs where a state is ours alone")]
    milestone: str | None
    situation: SituationName
    payment: Payment
    payment_status: Annotated[PaymentStatus, Field(description="Where the payment stands, in a finer word")]
    returns: Annotated[list[Return], Field(description="Empty also where the platform shows none")]
    parcels: Annotated[list[RecordedParcel], Field(description="Those that targets reported, first reported first")]
    withdrawn: Annotated[bool, Field(description="Whether the buyer withdrew the order")]
    withdrawn_at: Annotated[Instant | None, Field(description="When; null also where the platform does not say")]
    attempts: int
    next_attempt_at: Instant | None
    wait: Wait | None
    problem: RecordedProblem | None
    attention: Annotated[AskedAttention | None, Field(description="Null while the ERP asks for nobody")]
    held_at: Instant | None
    held_reason: str | None
    targets: Annotated[list[Target], Field(description="Those that have not ended, first in first")]
    allowed: Annotated[list[str], Field(description="Native names of the states one step away")]
    imported_at: Instant
    updated_at: Instant
    version: int


class OrderRow(Order):
    """One order, with what was asked for beside it."""

    payload: NotRequired[Annotated[Any, Field(description="What the platform sent; with include=payload")]]
    content: NotRequired[
        Annotated[
            Content | None,
            Field(description="The order in one shape for all platforms; with include=content; null until it is read"),
        ]
    ]


class OrderDetail(OrderRow):
    """One order, with its timeline if that was asked for."""

    timeline: NotRequired[Annotated[list[Event], Field(description="Oldest first; with include=timeline")]]


class OrderLine(OrderRow):
    """One order in the dump: `targets` are all that it ever had."""

    kind: Literal["order"]
    events: list[Event]


class OrderPage(TypedDict):
    """A page of orders."""

    orders: list[OrderRow]
    next: str | None


class CauseOrder(TypedDict):
    """One of the orders that stand still for a cause."""

    shop: str
    order: str
    detail: Annotated[str, Field(description="The platform's words about this one")]


class ProblemCause(TypedDict):
    """What the problems of several orders have alike."""

    cause: Annotated[str, Field(description="Its name, for the filter `cause`")]
    problem: Annotated[str, Field(description="The type of these problems")]
    title: str
    step: str | None
    detail: Annotated[str, Field(description="The platform's words, without what differs from order to order")]
    count: Annotated[int, Field(description="How many orders there are of it now")]
    shops: Annotated[dict[str, int], Field(description="How many in each shop")]
    since: Annotated[Instant, Field(description="Since when the first of them has it")]
    remedy: Annotated[str, Field(description="What helps, with the command for all of them")]
    sample: Annotated[list[CauseOrder], Field(description="Some of them")]


class CauseList(TypedDict):
    """Why orders wait for a person."""

    causes: Annotated[list[ProblemCause], Field(description="Those of most orders first")]
    orders: Annotated[int, Field(description="How many orders have a problem now")]
    left_out: Annotated[int, Field(description="How many causes are beyond `limit`")]


class NeedyOrder(TypedDict):
    """An order that needs a person: it is blocked, or the ERP asks for one."""

    shop: str
    order: str
    problem: Annotated[
        RecordedProblem | None, Field(description="Why the order is blocked; of type `attention` where the ERP asks")
    ]
    attention: AskedAttention | None
