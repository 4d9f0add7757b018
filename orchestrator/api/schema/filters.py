"""Which orders, and the body of what is done in bulk: to which of them, how many at most, and why."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from orchestrator.api.schema.bodies import Body, Line
from orchestrator.api.schema.fields import Instant, MilestoneName, ProblemName, SituationName, Text
from orchestrator.operations.commands.jobs import MOST_ORDERS


def _text(value: Any) -> Any:
    """An instant is text; within the daemon it is a number."""
    if value is not None and not isinstance(value, str):
        raise ValueError("must be text: an RFC 3339 instant such as 2026-03-01T12:00:00Z")
    return value


InstantText = Annotated[Instant | None, BeforeValidator(_text)]


class Narrowing(BaseModel):
    """What narrows orders, in the list of them as in bulk: those that every member finds."""

    shop: Annotated[Text | None, Field(description="Only this shop's orders")] = None
    state: Annotated[
        Text | None, Field(description="A native state or a milestone of any shop's machine, in any case")
    ] = None
    milestone: Annotated[MilestoneName | None, Field(description="Only orders at this milestone")] = None
    situation: Annotated[SituationName | None, Field(description="Only orders that are doing this")] = None
    problem: Annotated[ProblemName | None, Field(description="Only orders with a problem of this type")] = None
    step: Annotated[Text | None, Field(description="Only orders whose problem is that of this step")] = None
    cause: Annotated[
        Text | None, Field(description="Only orders whose problem has this cause (`/v1/orders/causes`)")
    ] = None
    reference: Annotated[Text | None, Field(description="The order number that the shop's customer sees")] = None
    updated_after: Annotated[InstantText, Field(description="Only orders changed after this instant")] = None
    updated_before: Annotated[InstantText, Field(description="Only orders not changed since this instant")] = None


class OrdersFilter(Narrowing, Body):
    """Which orders: those that every member finds, as it does in the list of orders."""


class OrdersBody(Body):
    """What is done to many orders."""

    filter: Annotated[OrdersFilter | None, Field(description="At least one member of it is required")] = None
    limit: Annotated[
        int | None, Field(ge=1, le=MOST_ORDERS, description="At most so many orders, first imported first")
    ] = None
    reason: Annotated[Line | None, Field(description="Why, for the history of each order; skip needs it")] = None
    dry_run: Annotated[
        bool | None, Field(description="Answer with how many orders it would be and some of them; change nothing")
    ] = None
