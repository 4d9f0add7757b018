"""The query parameters of each call as models: they check what comes in and describe it in the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from aiohttp import web
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from orchestrator.api.problems import Invalid
from orchestrator.api.schema.fields import (
    Cursor,
    EventType,
    Flag,
    Instant,
    Limit,
    PagePosition,
    SmallLimit,
    Text,
    WaitSeconds,
)
from orchestrator.api.schema.filters import Narrowing
from orchestrator.api.validation import errors_of, has_broken_escapes
from orchestrator.event_types import types_like

Q = TypeVar("Q", bound="Query")


class Query(BaseModel):
    """No parameters. Unknown ones are errors; of a repeated one the last counts, but where it takes several."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class WaitQuery(Query):
    """How long to wait for a result."""

    wait: Annotated[WaitSeconds, Field(description="Seconds to wait for the result, at most 300")] = 0.0


class SyncQuery(Query):
    """Whether to wait for a sync."""

    wait: Annotated[WaitSeconds | None, Field(description="Seconds to wait for what the sync found")] = None


def _split(value: Any) -> Any:
    """`a,b` and repetition mean the same."""
    return [part for text in value for part in text.split(",")] if isinstance(value, list) else value


def _any_of(*names: str) -> WithJsonSchema:
    """The schema of several names with commas."""
    one = f"({'|'.join(names)})"
    return WithJsonSchema({"type": "string", "pattern": f"^{one}(,{one})*$", "example": ",".join(names)})


_CONTENT = "`content`: the order in one shape for all platforms"
_PAYLOAD = "`payload`: what the platform sent"
Include = Annotated[tuple[Literal["payload", "content"], ...], BeforeValidator(_split), _any_of("payload", "content")]


class IncludeQuery(Query):
    """What to show beside an order."""

    include: Annotated[Include, Field(description=f"{_PAYLOAD}; {_CONTENT}")] = ()


class DumpQuery(IncludeQuery):
    """What to show beside each order."""


class OrdersQuery(Narrowing, IncludeQuery):
    """Which orders to list."""

    limit: Annotated[Limit, Field(description="Orders in one answer")] = 100
    after: Annotated[PagePosition, Field(description="`next` of the page before")] = 0


class CausesQuery(Query):
    """Which causes to list."""

    shop: Annotated[Text | None, Field(description="Only of this shop's orders")] = None
    limit: Annotated[SmallLimit, Field(description="Causes in the answer, those of most orders first")] = 20


class JobsQuery(Query):
    """Which jobs to list."""

    limit: Annotated[SmallLimit, Field(description="Jobs in one answer")] = 20
    after: Annotated[PagePosition, Field(description="`next` of the page before")] = 0


class OrderQuery(Query):
    """What to show beside the order."""

    include: Annotated[
        tuple[Literal["payload", "content", "timeline"], ...],
        BeforeValidator(_split),
        Field(description=f"{_PAYLOAD}; {_CONTENT}; `timeline`: the order's newest 1000 events"),
        _any_of("payload", "content", "timeline"),
    ] = ()


class SubmitQuery(WaitQuery):
    """How to take a target."""

    dry_run: Annotated[Flag, Field(description="Answer with the plan and change nothing")] = False


class FeedQuery(WaitQuery):
    """Which events to read."""

    limit: Annotated[Limit, Field(description="Events in one answer")] = 100
    shop: Annotated[Text | None, Field(description="Only this shop's events")] = None
    order: Annotated[Text | None, Field(description="Only events of the order with this id")] = None
    type: Annotated[
        tuple[EventType, ...],
        BeforeValidator(_split),
        AfterValidator(types_like),
        Field(description="Only events of these types, or like these patterns (`order.*`); may be repeated, or a,b"),
    ] = ()
    feed: Annotated[
        Text | None, Field(description="The id of the feed that the cursor is of; another one's is refused")
    ] = None
    include: Annotated[Include, Field(description=f"Into each event's data, as of now: {_PAYLOAD}; {_CONTENT}")] = ()


class EventsQuery(FeedQuery):
    """As FeedQuery, with the reader's own cursor."""

    after: Annotated[Cursor, Field(description="The cursor to go on from; 0 is the beginning")] = 0
    tail: Annotated[
        Cursor | None, Field(description="Only the newest so many of those asked for, and what comes after them")
    ] = None
    since: Annotated[Instant | None, Field(description="Only events from this instant on")] = None


class RejectedQuery(Query):
    """Which rejected payloads to list."""

    shop: Annotated[Text | None, Field(description="Only this shop's payloads")] = None
    limit: Annotated[SmallLimit, Field(description="Payloads in one answer")] = 20
    after: Annotated[PagePosition, Field(description="`next` of the page before")] = 0


class ProductsQuery(Query):
    """Which products to list."""

    shop: Annotated[Text | None, Field(description="Only this shop's products")] = None
    limit: Annotated[SmallLimit, Field(description="Products in one answer")] = 20
    after: Annotated[PagePosition, Field(description="`next` of the page before")] = 0


class AttemptsQuery(Query):
    """Which attempts to push to list."""

    cursor: Annotated[Cursor | None, Field(description="Only those of the event with this cursor")] = None
    failed: Annotated[Flag, Field(description="Only those that failed")] = False
    limit: Annotated[SmallLimit, Field(description="Attempts in one answer")] = 20
    after: Annotated[PagePosition, Field(description="`next` of the page before")] = 0


class HistoryQuery(Query):
    """Which minutes or hours to show, and of which shop."""

    shop: Annotated[Text | None, Field(description="Only what this shop did")] = None
    step: Annotated[Literal["minute", "hour"], Field(description="How long each point is")] = "minute"
    since: Annotated[
        Instant | None, Field(alias="from", description="From the minute or hour of this instant on; all that is kept")
    ] = None
    until: Annotated[Instant | None, Field(alias="to", description="Before this instant; up to now")] = None


class MachinesQuery(Query):
    """How to show machines."""

    format: Annotated[
        Literal["json", "mermaid", "svg", "text"], Field(description="How to show it; several are drawn one by one")
    ] = "json"


class MachineQuery(MachinesQuery):
    """How to show one, and whose."""

    shop: Annotated[Text | None, Field(description="With this shop's own states, where its config names them")] = None


def read_query(request: web.Request, model: type[Q]) -> Q:
    """The request's query parameters. Raises Invalid `invalid-request` with every error."""
    if has_broken_escapes(request.rel_url.raw_query_string):
        raise Invalid("invalid-request", [{"path": "query", "message": "has percent signs that encode no UTF-8"}])
    given: dict[str, Any] = {}
    for name, value in request.query.items():
        if name in _SEVERAL:
            given.setdefault(name, []).append(value)
        else:
            given[name] = value
    try:
        return model.model_validate(given)
    except ValueError as error:
        errors = errors_of(error, given, model)
        # the index of a repeated parameter does not belong to its name
        for each in errors:
            each["path"] = each["path"].partition("[")[0]
        raise Invalid("invalid-request", errors) from None


_SEVERAL = frozenset({"type", "include"})
