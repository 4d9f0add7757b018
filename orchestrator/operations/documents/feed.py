"""The feed of events, and who pulls it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from orchestrator.operations.documents.parts import Instant


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
