"""What is done in bulk."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from orchestrator.operations.documents.orders import Order
from orchestrator.operations.documents.parts import Instant


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


class JobDetail(Job):
    """One job, and what came of it."""

    blocked_again: Annotated[
        int | None,
        Field(
            description="How many of those that it had go on are blocked now, once it has ended; null before, and "
            "where the action has none go on"
        ),
    ]


class JobPage(TypedDict):
    """A page of jobs."""

    jobs: list[Job]
    next: str | None
