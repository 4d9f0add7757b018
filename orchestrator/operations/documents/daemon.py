"""The daemon about itself: its status, its history, its machines and sessions."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from orchestrator.operations.documents.deliveries import Delivery
from orchestrator.operations.documents.feed import ConsumerStatus
from orchestrator.operations.documents.orders import NeedyOrder
from orchestrator.operations.documents.parts import Instant
from orchestrator.operations.documents.shops import ShopStatus
from statemachines.description import MachineDescription


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


class Node(TypedDict):
    """A daemon among those that share the store."""

    name: str
    version: Annotated[str, Field(description="Of its program: several while nodes are upgraded")]
    shops: Annotated[list[str], Field(description="Those that it works for")]
    seen_at: Annotated[Instant, Field(description="When it last said that it lives, by the clock of the database")]
    seen_seconds: Annotated[float, Field(description="How long ago that was, by the same clock")]
    silent: Annotated[
        bool, Field(description="It has missed heartbeats: it may be dead, and keeps its shops for a while")
    ]
    draining: Annotated[bool, Field(description="It hands its shops over")]


class LostNode(TypedDict):
    """A daemon that shared the store until its heartbeats ended, in the last hour."""

    name: str
    version: str
    shops: Annotated[list[str], Field(description="Those that it worked for")]
    seen_at: Annotated[Instant, Field(description="Its last heartbeat, by the clock of the database")]
    lost_at: Annotated[Instant, Field(description="When another node noticed that it was gone")]


class Totals(TypedDict):
    """Everything that is kept, counted."""

    orders: int
    by_situation: dict[str, int]
    targets_pending: int
    events_last_cursor: int


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

    at: Annotated[Instant, Field(description="When all of this was so")]
    daemon: DaemonStatus
    nodes: Annotated[list[Node], Field(description="Every daemon that shares the store, by name")]
    lost_nodes: Annotated[
        list[LostNode],
        Field(description="Those whose heartbeats ended within the hour, the last one first, at most 20"),
    ]
    totals: Totals
    shops: list[ShopStatus]
    attention: list[NeedyOrder]
    delivery: list[Delivery]
    consumers: Annotated[list[ConsumerStatus], Field(description="Those that pull the feed with a cursor kept here")]
