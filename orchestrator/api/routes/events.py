"""Calls about the feed and its consumers."""

from __future__ import annotations

from typing import Final

from orchestrator.api.answers import JSON_TYPE, SSE_TYPE
from orchestrator.api.handlers import feed
from orchestrator.api.route import Answer, HeaderParameter, RequestBody, Route
from orchestrator.api.routes.problems import STORE
from orchestrator.api.schema import bodies as requests
from orchestrator.api.schema import queries as parameters
from orchestrator.api.schema.fields import CURSOR
from orchestrator.operations import documents

_LAST_EVENT = HeaderParameter(
    "Last-Event-ID", CURSOR, "For server-sent events: the cursor to go on from, in place of `after`", "42"
)
_EVENTS = {
    200: Answer(
        "The page; with `Accept: text/event-stream` a stream of events that goes on until either side ends it",
        {JSON_TYPE: documents.EventPage, SSE_TYPE: None},
    )
}


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET",
        "/v1/events",
        "readEvents",
        "Events",
        "Events above a cursor, oldest first; `wait` for one where there is none yet",
        feed.read_events,
        _EVENTS,
        ("shop-not-found", "cursor-ahead", *STORE),
        query=parameters.EventsQuery,
        headers=(_LAST_EVENT,),
    ),
    Route(
        "GET",
        "/v1/consumers/{name}/events",
        "readConsumerEvents",
        "Events",
        "Events above the cursor that this consumer has acknowledged",
        feed.read_consumer_events,
        _EVENTS,
        ("shop-not-found", "cursor-ahead", *STORE),
        query=parameters.FeedQuery,
        headers=(_LAST_EVENT,),
    ),
    Route(
        "POST",
        "/v1/consumers/{name}/ack",
        "acknowledgeEvents",
        "Events",
        "Move a consumer's cursor forward; it never goes back",
        feed.acknowledge,
        {200: Answer.json("Where the consumer is now", documents.Consumer)},
        ("cursor-ahead", *STORE),
        body=RequestBody(requests.AckBody, {"cursor": 42}),
    ),
    Route(
        "POST",
        "/v1/consumers/{name}/seek",
        "seekConsumer",
        "Events",
        "Set a consumer's cursor, also back",
        feed.seek,
        {200: Answer.json("Where the consumer is now", documents.Consumer)},
        ("cursor-ahead", "consumer-not-found", *STORE),
        body=RequestBody(requests.AckBody, {"cursor": 0}),
    ),
    Route(
        "DELETE",
        "/v1/consumers/{name}",
        "forgetConsumer",
        "Events",
        "Forget a consumer; should it come again it begins at 0",
        feed.forget_consumer,
        {200: Answer.json("Where the consumer was", documents.Consumer)},
        ("consumer-not-found", *STORE),
    ),
    Route(
        "GET",
        "/v1/consumers",
        "listConsumers",
        "Events",
        "The consumers whose cursor is kept here, and how far each is behind",
        feed.list_consumers,
        {200: Answer.json("The consumers", documents.ConsumerList)},
        STORE,
    ),
)
