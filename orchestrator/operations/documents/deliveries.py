"""What is pushed to receivers of events."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from orchestrator.operations.documents.parts import Instant


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
