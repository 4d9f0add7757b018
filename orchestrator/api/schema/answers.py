"""The answers as models, for the OpenAPI document alone: views make the JSON, tests hold the two together.

Members that are listed are always there; clients must ignore others, so none is ruled out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from pydantic.json_schema import WithJsonSchema

from storage.records import Situation, TargetStatus

Instant = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
SituationName = Annotated[str, WithJsonSchema({"type": "string", "enum": [s.value for s in Situation]})]
StatusName = Annotated[str, WithJsonSchema({"type": "string", "enum": [s.value for s in TargetStatus]})]
PausedBy = Literal["person", "access_denied", "restore", "another_account"]
Circuit = Literal["closed", "open", "half_open"]


class Document(BaseModel):
    """What all answers have in common."""


class FieldError(Document):
    """One thing that is wrong with a request."""

    path: str
    message: str


class HttpProblem(Document):
    """An RFC 9457 problem; `type` is a stable slug."""

    type: str
    title: str
    status: int
    detail: str
    errors: Annotated[list[FieldError], Field(description="Everything that is wrong with the request")] = []
    allowed: Annotated[list[str], Field(description="States one step away, or all that the shop has")] = []
    reason: Annotated[str, Field(description="What the guard misses")] = ""
    newest: Annotated[int | None, Field(description="The newest cursor of the feed")] = None
    feed: Annotated[str | None, Field(description="The id of the feed as it is now")] = None
    paused_by: Annotated[
        PausedBy | None,
        Field(description="Who paused the shop, which waits for a person then: asking again is of no use"),
    ] = None


class StandingProblem(Document):
    """Why an order or a target stands still; `detail` carries the platform's own words."""

    type: str
    title: str
    detail: str
    step: str | None
    since: Instant


class Wait(Document):
    """What an order waits for."""

    reason: Literal[
        "retry_after",
        "circuit",
        "paused",
        "payment",
        "platform",
        "access_denied",
        "not_configured",
        "restore",
        "another_account",
    ]
    until: Instant | None
    detail: str


class PlanEntry(Document):
    """One step of a plan."""

    step: str
    from_: Annotated[str, Field(alias="from")]
    to: str
    status: Literal["done", "now", "next"]


class Preview(Document):
    """What a dry run answers."""

    state: str
    milestone: str | None
    plan: list[PlanEntry]
    unused: list[str]


class Target(Preview):
    """One submitted target."""

    id: str
    shop: str
    order: str
    status: StatusName
    submitted_at: Instant
    finished_at: Instant | None
    problem: StandingProblem | None


class Event(Document):
    """One line of the feed."""

    cursor: int
    at: Instant
    type: str
    shop: str | None
    order: str | None
    target: str | None
    data: dict[str, Any]


class ReturnedLine(Document):
    """How much of an order line a return is about."""

    id: str
    quantity: int | str


class Return(Document):
    """What the buyer sends back, or wants to."""

    id: str
    state: Annotated[str, Field(description="The platform's own word for where the return stands")]
    lines: list[ReturnedLine]


class Order(Document):
    """One order of one shop."""

    shop: str
    platform: str
    id: str
    reference: str | None
    state: str
    platform_state: Annotated[str, Field(description="What the platform shows; differs where a state is ours alone")]
    milestone: str | None
    situation: SituationName
    payment: Literal["paid", "unpaid", "invoice", "unknown"]
    returns: Annotated[list[Return], Field(description="Empty also where the platform shows none")]
    withdrawn: Annotated[bool, Field(description="Whether the buyer withdrew the order")]
    withdrawn_at: Annotated[Instant | None, Field(description="When; null also where the platform does not say")]
    attempts: int
    next_attempt_at: Instant | None
    wait: Wait | None
    problem: StandingProblem | None
    held_at: Instant | None
    held_reason: str | None
    targets: Annotated[list[Target], Field(description="Those that have not ended, first in first")]
    allowed: Annotated[list[str], Field(description="Native names of the states one step away")]
    imported_at: Instant
    updated_at: Instant
    version: int


class OrderDetail(Order):
    """One order, with what was asked for beside it."""

    payload: Annotated[Any, Field(description="What the platform sent; with include=payload")] = None
    timeline: Annotated[list[Event], Field(description="Oldest first; with include=timeline")] = []


class Orders(Document):
    """A page of orders."""

    orders: list[Order]
    next: str | None


class CallWindow(Document):
    """So many calls in any stretch of so many seconds."""

    calls: int
    seconds: float


class RateLimit(Document):
    """What a shop may ask of its platform, and what the platform said last is left."""

    rate_per_second: float
    burst: int
    concurrency: int
    window: Annotated[
        CallWindow | None, Field(description="Never more calls than that; null where none is counted")
    ] = None
    available: Annotated[float | None, Field(description="Calls at hand now; null while the shop starts")]
    limit: Annotated[
        int | None, Field(description="The platform's last word: how much there is; null where none came")
    ] = None
    remaining: Annotated[int | None, Field(description="The platform's last word: how much of it is left")] = None
    unit: Annotated[Literal["calls", "points"] | None, Field(description="What the platform counts")] = None
    reset_at: Annotated[
        Instant | None, Field(description="When the platform's count starts anew, or is full again")
    ] = None
    told_at: Annotated[Instant | None, Field(description="When the platform said so")] = None


class WebhooksOfShop(Document):
    """What the last look at a platform's webhooks showed."""

    checked_at: Instant
    missing: Annotated[dict[str, str], Field(description="Topics that are not sent to us, and why")]
    error: Annotated[str | None, Field(description="Why there was no look")]


class Shop(Document):
    """A configured shop."""

    name: str
    platform: str
    chaining: Literal["auto", "strict"]
    configured: Annotated[bool, Field(description="It is in the config; one that is not is shown while targets wait")]
    held: Annotated[bool, Field(description="This node works for it")]
    paused: bool
    paused_at: Instant | None
    paused_by: PausedBy | None
    paused_reason: str | None
    wait: Annotated[Wait | None, Field(description="Why nothing of the shop goes on right now")]
    circuit: Circuit
    last_sync_at: Instant | None
    last_sync_error: str | None
    next_sync_at: Annotated[Instant | None, Field(description="When it is polled next; null while it is, or is not")]
    import_since: Annotated[Instant | None, Field(description="Orders made before are left out, by the config")]
    skipped: Annotated[int, Field(ge=0, description="How many orders are left out now as history, each counted once")]
    rejected: Annotated[int, Field(ge=0, description="How many payloads are set aside now because they cannot be read")]
    rate_limit: Annotated[RateLimit | None, Field(description="null where it is not configured")]
    webhooks: Annotated[
        WebhooksOfShop | None, Field(description="Null where the platform is not asked for webhooks, or not yet")
    ]


class Shops(Document):
    """Every configured shop."""

    shops: list[Shop]


class SyncStarted(Document):
    """A sweep will begin, or goes on."""

    shop: str


class SyncFound(SyncStarted):
    """What a sweep found."""

    imported: int
    updated: int
    drifted: int
    rejected: int
    seen: int
    skipped: Annotated[int, Field(description="Orders left out as history for the first time")]


class EventPage(Document):
    """A page of the feed; `next` is where to go on, in this feed."""

    events: list[Event]
    next: int
    feed: Annotated[str, Field(description="The feed's id; send it with `after`")]


class Consumer(Document):
    """A consumer and up to where it has acknowledged."""

    name: str
    cursor: int
    feed: str


class RejectedPayload(Document):
    """A payload that could not be read."""

    id: str
    shop: str
    source: str
    at: Instant
    error: str
    payload: str
    payload_encoding: Literal["utf-8", "base64"]


class Rejected(Document):
    """A page of rejected payloads."""

    rejected: list[RejectedPayload]
    next: str | None


class Product(Document):
    """A product as a webhook showed it last."""

    shop: str
    id: str
    title: str | None
    updated_at: Instant | None
    payload: Any


class Products(Document):
    """A page of products."""

    products: list[Product]
    next: str | None


class Delivery(Document):
    """A receiver of events, and how far it is behind."""

    name: str
    lag_events: int
    lag_seconds: float
    last_error: str | None
    paused: bool


class MachineState(Document):
    """A state of a machine."""

    name: str
    milestone: str | None
    settable: bool
    record_only: bool
    end: bool


class MachineStep(Document):
    """A step of a machine; `to` null leaves the state. One by the platform is seen and waited for, never made."""

    step: str
    from_: Annotated[list[str], Field(alias="from")]
    to: str | None
    uses: list[str]
    by: Literal["daemon", "platform"]


class Machine(Document):
    """A platform's state machine."""

    platform: str
    initial: str
    states: list[MachineState]
    steps: list[MachineStep]
    milestones: dict[str, str]
    mainline: list[str]
    package: Annotated[str | None, Field(description="What brings the platform, where that is another package")] = None


class Machines(Document):
    """Every platform's machine."""

    machines: list[Machine]


class Health(Document):
    """The daemon lives."""

    status: Literal["ok"]


class Ready(Document):
    """The daemon works."""

    status: Literal["ready"]


class DaemonStatus(Document):
    """The daemon about itself."""

    version: str
    node: str
    pid: int
    started_at: Instant
    storage: str
    draining: bool
    feed: Annotated[str, Field(description="The feed's id; another one means that its cursors mean other events")]


class Totals(Document):
    """Everything that is kept, counted."""

    orders: int
    by_situation: dict[str, int]
    targets_pending: int
    events_last_cursor: int


class ShopStatus(Shop):
    """A shop with what its orders are doing."""

    by_state: dict[str, int]
    by_situation: dict[str, int]
    queued: int
    running: int
    retrying: int
    waiting: int
    blocked: int
    oldest_pending_seconds: float | None


class Attention(Document):
    """An order that waits for a person."""

    shop: str
    order: str
    problem: StandingProblem | None


class ConsumerStatus(Document):
    """A consumer that pulls, and how far it is behind."""

    name: str
    cursor: int
    lag_events: Annotated[int, Field(description="Events beyond its cursor, of all types; counted up to 100,000")]
    lag_seconds: Annotated[float, Field(description="Age of the oldest of them")]
    last_seen_at: Annotated[Instant, Field(description="When it last acknowledged")]


class Consumers(Document):
    """The consumers whose cursor is kept here, by name."""

    consumers: list[ConsumerStatus]


class Status(Document):
    """The status dump."""

    daemon: DaemonStatus
    totals: Totals
    shops: list[ShopStatus]
    attention: list[Attention]
    delivery: list[Delivery]
    consumers: Annotated[list[ConsumerStatus], Field(description="Those that pull the feed with a cursor kept here")]
