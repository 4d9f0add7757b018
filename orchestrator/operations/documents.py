"""What the daemon shows to the outside, as typed JSON: views return these, the OpenAPI document is made from them.

Members that are listed are always there, unless they are `NotRequired`; clients must ignore others, so none is ruled
out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from pydantic.json_schema import WithJsonSchema
from typing_extensions import TypedDict

from orchestrator.platforms.content_document import Content, PaymentStatus
from statemachines.description import MachineDescription
from storage.records import Circuit, PausedBy, Situation, TargetStatus, WaitReason

Instant = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
SituationName = Annotated[str, WithJsonSchema({"type": "string", "enum": [s.value for s in Situation]})]
Payment = Annotated[str, WithJsonSchema({"type": "string", "enum": ["paid", "unpaid", "invoice", "unknown"]})]
StatusName = Annotated[str, WithJsonSchema({"type": "string", "enum": [s.value for s in TargetStatus]})]


class RecordedProblem(TypedDict):
    """Why an order or a target stands still; `detail` carries the platform's own message."""

    type: str
    title: str
    detail: str
    step: str | None
    since: Instant


class Wait(TypedDict):
    """What an order waits for."""

    reason: WaitReason
    until: Instant | None
    detail: str


_From = TypedDict("_From", {"from": str})  # no name that a class could have


class PlanEntry(_From):
    """One step of a plan."""

    step: str
    to: str
    status: Literal["done", "now", "next"]


class Preview(TypedDict):
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
    problem: RecordedProblem | None


class Event(TypedDict):
    """One line of the feed."""

    cursor: int
    at: Instant
    type: str
    shop: str | None
    order: str | None
    target: str | None
    data: Annotated[
        dict[str, Any],
        Field(
            description="What there is to say; with include also the order's `payload` and `content` as they are now"
        ),
    ]


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


class BulkPreview(TypedDict):
    """What a dry run in bulk answers."""

    count: Annotated[int, Field(description="How many orders the filter finds")]
    refused: Annotated[int, Field(description="How many of them would be left alone as they are now, refused")]
    sample: Annotated[list[Order], Field(description="The first of them")]


class JobStarted(TypedDict):
    """A job was accepted."""

    job: Annotated[str, Field(description="Its id")]
    count: Annotated[int, Field(description="How many orders it has")]


class JobRefusal(TypedDict):
    """Why some orders of a job were left as they are."""

    type: Annotated[str, Field(description="As in a problem; `changed`: the filter did not find it any more")]
    count: int
    detail: Annotated[str, Field(description="In words, about one of them")]
    shop: str
    order: Annotated[str | None, Field(description="Which one that is")]


class Job(TypedDict):
    """What was asked for in bulk, and how far it is."""

    id: str
    action: Literal["retry", "skip", "hold", "release", "cancel"]
    filter: Annotated[dict[str, str], Field(description="What selected its orders when it was asked for")]
    status: Annotated[
        Literal["running", "done", "failed", "cancelled"],
        Field(description="`failed`: it could not go on; `cancelled`: a person ended it"),
    ]
    count: Annotated[int, Field(description="How many orders it has")]
    done: Annotated[int, Field(description="How many were operated")]
    refused: Annotated[int, Field(description="How many were left as they are")]
    refusals: Annotated[list[JobRefusal], Field(description="Why, what concerns most orders first")]
    reason: str | None
    by: Annotated[str, Field(description="Who asked for it")]
    started_at: Instant
    ended_at: Instant | None


class JobPage(TypedDict):
    """A page of jobs."""

    jobs: list[Job]
    next: str | None


class CallWindow(TypedDict):
    """So many calls in any stretch of so many seconds."""

    calls: int
    seconds: float


class RateLimit(TypedDict):
    """What a shop may ask of its platform, and what the platform said last is left."""

    rate_per_second: float
    burst: int
    concurrency: int
    window: Annotated[CallWindow | None, Field(description="Never more calls than that; null where none is counted")]
    available: Annotated[float | None, Field(description="Calls at hand now; null while the shop starts")]
    limit: Annotated[int | None, Field(description="The platform's latest rate limit; null where it gave none")]
    remaining: Annotated[int | None, Field(description="How much of it was left, by the platform's latest answer")]
    unit: Annotated[Literal["calls", "points"] | None, Field(description="What the platform counts")]
    reset_at: Annotated[Instant | None, Field(description="When the platform's count starts anew, or is full again")]
    reported_at: Annotated[Instant | None, Field(description="When the platform said so")]


class WebhooksOfShop(TypedDict):
    """The last check of a platform's webhooks."""

    checked_at: Instant
    missing: Annotated[dict[str, str], Field(description="Topics that are not sent to us, and why")]
    error: Annotated[str | None, Field(description="Why the check failed")]


class Shop(TypedDict):
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
    next_sync_at: Annotated[Instant | None, Field(description="When it is synced next; null while it is, or is not")]
    import_since: Annotated[Instant | None, Field(description="Orders made before are left out, by the config")]
    skipped: Annotated[int, Field(ge=0, description="How many orders are left out now as history, each counted once")]
    rejected: Annotated[int, Field(ge=0, description="How many payloads are set aside now because they cannot be read")]
    rate_limit: Annotated[RateLimit | None, Field(description="null where it is not configured")]
    webhooks: Annotated[
        WebhooksOfShop | None, Field(description="Null where the platform is not asked for webhooks, or not yet")
    ]


class ShopLine(Shop):
    """A shop in the dump."""

    kind: Literal["shop"]


class ShopList(TypedDict):
    """Every configured shop."""

    shops: list[Shop]


class SyncStarted(TypedDict):
    """A sync will begin, or goes on."""

    shop: str


class SyncFound(SyncStarted):
    """What a sync found."""

    imported: int
    updated: int
    drifted: int
    rejected: int
    seen: int
    skipped: Annotated[int, Field(description="Orders left out as history for the first time")]


class EventPage(TypedDict):
    """A page of the feed; `next` is where to go on, in this feed."""

    events: list[Event]
    next: int
    feed: Annotated[str, Field(description="The feed's id; send it with `after`")]


class Consumer(TypedDict):
    """A consumer and up to where it has acknowledged."""

    name: str
    cursor: int
    feed: str


class RejectedPayload(TypedDict):
    """A payload that could not be read."""

    id: str
    shop: str
    source: str
    at: Instant
    error: str
    payload: str
    payload_encoding: Literal["utf-8", "base64"]


class RejectedPage(TypedDict):
    """A page of rejected payloads."""

    rejected: list[RejectedPayload]
    next: str | None


class ProductRow(TypedDict):
    """A product without its payload, which joins it as text."""

    shop: str
    id: str
    title: str | None
    updated_at: Instant | None


class Product(ProductRow):
    """A product as a webhook showed it last."""

    payload: Any


class ProductPage(TypedDict):
    """A page of products."""

    products: list[Product]
    next: str | None


class Delivery(TypedDict):
    """A receiver of events, and how far it is behind."""

    name: str
    lag_events: int
    lag_seconds: float
    last_error: str | None
    paused: bool


class Receiver(Delivery):
    """A receiver of events with more than the status dump has."""

    cursor: Annotated[int, Field(description="It has got what it gets up to here, but for what is parked")]
    parked: Annotated[int, Field(description="Events that wait for their next attempt, apart from the cursor")]
    types: Annotated[list[str], Field(description="The types of events that it gets")]
    last_error_at: Instant | None
    delivered_at: Annotated[Instant | None, Field(description="When it last took an event")]


class ReceiverList(TypedDict):
    """The receivers of events that the config has."""

    delivery: list[Receiver]


class PushAttempt(TypedDict):
    """An attempt to push an event to a receiver."""

    id: str
    kind: Annotated[
        Literal["in_turn", "again", "test"],
        Field(description="`again`: once more, by hand; `test`: an event that is not in the feed"),
    ]
    cursor: Annotated[int | None, Field(description="The event's; null for a test")]
    type: Annotated[str | None, Field(description="The event's, as its shop and order; null once it is forgotten")]
    shop: str | None
    order: str | None
    attempt: Annotated[int, Field(description="Which one of this event it is, from 1")]
    at: Instant
    seconds: Annotated[float, Field(description="How long it took")]
    http_status: Annotated[int | None, Field(description="Null without an answer")]
    error: Annotated[str | None, Field(description="Null: the receiver took it")]


class PushAttemptPage(TypedDict):
    """Attempts, the newest first."""

    attempts: list[PushAttempt]
    next: str | None


class SentAgain(TypedDict):
    """What became of an event that was to be sent once more."""

    name: str
    cursor: int
    attempt: Annotated[PushAttempt | None, Field(description="Null: it has yet to arrive, and is sent in its turn")]


class Machine(MachineDescription):
    """A platform's state machine."""

    package: NotRequired[Annotated[str, Field(description="What brings the platform, where that is another package")]]


class MachineList(TypedDict):
    """Every platform's machine. `unusable`: why a platform that a package brings is not among them, by its name."""

    machines: list[Machine]
    unusable: NotRequired[dict[str, str]]


class Health(TypedDict):
    """The daemon lives."""

    status: Literal["ok"]


class Session(TypedDict):
    """How a page is let in: `open` on the socket, by the `token` itself, by a `session`, or by `none` of them."""

    access: Literal["open", "token", "session", "none"]
    csrf: Annotated[str | None, Field(description="What a session sends as X-CSRF-Token with every change")]
    expires_at: Instant | None


class Ready(TypedDict):
    """The daemon works."""

    status: Literal["ready"]


class DaemonStatus(TypedDict):
    """The daemon about itself."""

    version: str
    node: str
    pid: int
    started_at: Instant
    storage: str
    draining: bool
    feed: Annotated[str, Field(description="The feed's id; another one means that its cursors mean other events")]


class Totals(TypedDict):
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
    attention: Annotated[int, Field(description="Orders about which the ERP asks for a person")]
    oldest_pending_seconds: float | None


class NeedyOrder(TypedDict):
    """An order that needs a person: it is blocked, or the ERP asks for one."""

    shop: str
    order: str
    problem: Annotated[
        RecordedProblem | None, Field(description="Why the order is blocked; of type `attention` where the ERP asks")
    ]
    attention: AskedAttention | None


class ConsumerStatus(TypedDict):
    """A consumer that pulls, and how far it is behind."""

    name: str
    cursor: int
    lag_events: Annotated[int, Field(description="Events beyond its cursor, of all types; counted up to 100,000")]
    lag_seconds: Annotated[float, Field(description="Age of the oldest of them")]
    last_seen_at: Annotated[Instant, Field(description="When it last read or acknowledged, to ten seconds")]


class ConsumerList(TypedDict):
    """The consumers whose cursor is kept here, by name."""

    consumers: list[ConsumerStatus]


class HistoryPoint(TypedDict):
    """What was done in a minute or an hour."""

    at: Annotated[Instant, Field(description="When it began")]
    steps_done: Annotated[int, Field(description="Calls of steps that did what they should")]
    steps_failed: Annotated[int, Field(description="Calls of steps that failed; a retry that fails counts again")]
    orders_imported: int
    calls: Annotated[int, Field(description="Calls of the platforms, those of steps included")]
    oldest_pending_seconds: Annotated[float, Field(description="The highest age of the oldest pending target")]


class History(TypedDict):
    """What was done over time. A minute or an hour in which no daemon ran is left out."""

    step: Literal["minute", "hour"]
    shop: Annotated[str | None, Field(description="Whose it is; null: all shops'")]
    points: list[HistoryPoint]


class Status(TypedDict):
    """The status dump."""

    daemon: DaemonStatus
    totals: Totals
    shops: list[ShopStatus]
    attention: list[NeedyOrder]
    delivery: list[Delivery]
    consumers: Annotated[list[ConsumerStatus], Field(description="Those that pull the feed with a cursor kept here")]
