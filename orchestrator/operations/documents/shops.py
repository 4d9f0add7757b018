"""Shops, their syncs, and what they sent that is no order."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from orchestrator.operations.documents.parts import Instant, Wait
from storage.records import Circuit, PausedBy


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


_From = TypedDict("_From", {"from": Annotated[str | None, Field(description="The node before; null: not known")]})


class Takeover(_From):
    """How a shop came to the node that works for it."""

    at: Instant
    why: Annotated[
        Literal["handed_over", "lease_ended", "free"],
        Field(
            description="The node before released the shop, or fell silent until its lease was over; or none is known"
            " to have had it"
        ),
    ]
    idle_since: Annotated[Instant | None, Field(description="Since when nobody had worked for it; null: not known")]


class Shop(TypedDict):
    """A configured shop."""

    name: str
    platform: str
    chaining: Literal["auto", "strict"]
    configured: Annotated[bool, Field(description="It is in the config; one that is not is shown while targets wait")]
    held: Annotated[bool, Field(description="This node works for it")]
    holder: Annotated[str | None, Field(description="The node that works for it, as in `nodes` of the status")]
    holder_silent: Annotated[
        bool,
        Field(
            description="That node has missed heartbeats: it may be dead, and nothing goes on until it is back or"
            " another one has the shop"
        ),
    ]
    takeover: Annotated[
        Takeover | None, Field(description="Its last change of nodes; null where it is not known, and with a file")
    ]
    paused: bool
    paused_at: Instant | None
    paused_by: PausedBy | None
    paused_reason: str | None
    wait: Annotated[Wait | None, Field(description="Why nothing of the shop goes on right now")]
    circuit: Circuit
    last_sync_at: Instant | None
    last_sync_error: str | None
    next_sync_at: Annotated[
        Instant | None,
        Field(description="When it is synced next; null while it is, while it is not, and while that is not known"),
    ]
    as_of: Annotated[
        Instant | None,
        Field(
            description="When the node that works for it said `next_sync_at`, `rate_limit` and `webhooks`; null: now,"
            " or never"
        ),
    ]
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
