"""The titles of problems: why a request is refused, and why an order or a target stands still.

Both kinds have a type, a stable slug, and the title that goes with it. A slug may be of both kinds, with a title in
each: a problem of a request differs from a problem of an order. HTTP statuses are the API's (`api.problems`).
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field
from typing_extensions import TypedDict

from statemachines.target import Json
from storage.records import PausedBy, Problem

REFUSAL_TITLES: Final = {
    "invalid-target": "The target is not valid",
    "invalid-request": "The request is not valid",
    "unknown-state": "This shop's machine knows no such state",
    "filter-required": "A filter is required",
    "reason-required": "A reason is required",
    "idempotency-key-reused": "The idempotency key was used with another body",
    "unreachable": "The target cannot be reached",
    "not-allowed": "The order may not go there",
    "not-adjacent": "The target is more than one step away",
    "not-blocked": "The order is not blocked",
    "not-held": "The order is not held",
    "cursor-ahead": "The feed has not come that far, or is another one",
    "already-finished": "It has ended already",
    "order-not-found": "No such order",
    "target-not-found": "No such target",
    "job-not-found": "No such job",
    "shop-not-found": "No such shop",
    "rejected-not-found": "No such rejected payload",
    "delivery-not-found": "No such receiver",
    "consumer-not-found": "No such consumer",
    "event-not-found": "No such event for this receiver",
    "platform-not-found": "No such platform",
    "platform-unreachable": "The platform cannot be asked",
    "draining": "The daemon is shutting down",
    "overloaded": "The daemon cannot complete this right now",
}
"""Titles of all refusals, by slug."""

PASSING: Final = frozenset({"platform-unreachable", "draining", "overloaded"})
"""Refusals that end by themselves: the same request may be accepted later."""

PROBLEM_TITLES: Final = {
    "rejected": "The platform refused the step",
    "attempts-exhausted": "The step ran out of attempts",
    "unknown-state": "The order is in a state that its machine does not know",
    "quarantined": "The daemon died again and again in this step",
    "superseded": "A newer target replaced this one",
    "unreachable": "The target cannot be reached any more",
    "not-allowed": "The order may not go there",
    "not-adjacent": "The target is more than one step away",
    "order-not-found": "The platform has no such order any more",
    "attention": "The ERP asks for a person",
}
"""Titles of the problems that orders and targets can have, by type."""


class FieldError(TypedDict):
    """One thing that is wrong with a request."""

    path: str
    message: str


class Help(TypedDict, total=False):
    """What helps in a refusal, beside its message."""

    errors: Annotated[list[FieldError], Field(description="Everything that is wrong with the request")]
    allowed: Annotated[list[str], Field(description="States one step away, or all that the shop has")]
    reason: Annotated[str, Field(description="What the guard misses")]
    newest: Annotated[int, Field(description="The newest cursor of the feed")]
    feed: Annotated[str, Field(description="The id of the feed as it is now")]
    paused_by: Annotated[
        PausedBy,
        Field(description="Who paused the shop, which waits for a person then: asking again is of no use"),
    ]
    kept: Annotated[
        bool,
        Field(description="True: what was asked for is kept and counts; it has yet to be confirmed by a node"),
    ]


def problem_of(type_: str, detail: str, step: str | None, now: int) -> Problem:
    """A problem of a known type."""
    return Problem(type_, PROBLEM_TITLES[type_], detail, step, now)


def problem_json(problem: Problem) -> dict[str, Json]:
    """A problem inside an event's data; `since` stays Unix milliseconds until it is shown."""
    return {"type": problem.type, "title": problem.title, "detail": problem.detail, "step": problem.step}
