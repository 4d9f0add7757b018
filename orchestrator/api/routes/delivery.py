"""Calls about the receivers to which events are pushed."""

from __future__ import annotations

from typing import Final

from orchestrator.api.handlers import push
from orchestrator.api.route import Answer, RequestBody, Route
from orchestrator.api.routes.problems import CHANGE, STORE
from orchestrator.api.schema import bodies as requests
from orchestrator.api.schema import queries as parameters
from orchestrator.operations import documents

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET",
        "/v1/delivery",
        "listDeliveries",
        "Delivery",
        "The receivers of events, and how far each is behind",
        push.list_deliveries,
        {200: Answer.json("The receivers", documents.ReceiverList)},
        STORE,
    ),
    Route(
        "GET",
        "/v1/delivery/{name}",
        "readDelivery",
        "Delivery",
        "One receiver of events",
        push.read_delivery,
        {200: Answer.json("The receiver", documents.Receiver)},
        ("delivery-not-found", *STORE),
    ),
    Route(
        "GET",
        "/v1/delivery/{name}/attempts",
        "listAttempts",
        "Delivery",
        "The newest attempts to push to a receiver, newest first",
        push.list_attempts,
        {200: Answer.json("A page; `next` is null at the end", documents.PushAttemptPage)},
        ("delivery-not-found", *STORE),
        query=parameters.AttemptsQuery,
    ),
    Route(
        "POST",
        "/v1/delivery/{name}/send",
        "sendAgain",
        "Delivery",
        "Send an event once more; one that has yet to arrive is due at once",
        push.send_delivery,
        {
            200: Answer.json("It was sent; `attempt` says how that ended", documents.SentAgain),
            202: Answer.json("It has yet to arrive, and is sent in its turn", documents.SentAgain),
        },
        ("delivery-not-found", "event-not-found", *CHANGE),
        body=RequestBody(requests.EventBody, {"cursor": 42}),
        is_change=True,
    ),
    Route(
        "POST",
        "/v1/delivery/{name}/replay",
        "replayDelivery",
        "Delivery",
        "Send again, in order, all that lies above a cursor; never skips anything",
        push.replay_delivery,
        {200: Answer.json("The receiver as it is now", documents.Receiver)},
        ("delivery-not-found", "cursor-ahead", *CHANGE),
        body=RequestBody(requests.AckBody, {"cursor": 0}),
        is_change=True,
    ),
    Route(
        "POST",
        "/v1/delivery/{name}/test",
        "testDelivery",
        "Delivery",
        "Send a receiver a signed test event, `delivery.test`",
        push.test_delivery,
        {200: Answer.json("How that ended", documents.PushAttempt)},
        ("delivery-not-found", *CHANGE),
        is_change=True,
    ),
    Route(
        "POST",
        "/v1/delivery/{name}/pause",
        "pauseDelivery",
        "Delivery",
        "Send a receiver nothing until it is resumed",
        push.pause_delivery,
        {200: Answer.json("The receiver as it is now", documents.Delivery)},
        ("delivery-not-found", *CHANGE),
        is_change=True,
    ),
    Route(
        "POST",
        "/v1/delivery/{name}/resume",
        "resumeDelivery",
        "Delivery",
        "Send to a receiver again",
        push.resume_delivery,
        {200: Answer.json("The receiver as it is now", documents.Delivery)},
        ("delivery-not-found", *CHANGE),
        is_change=True,
    ),
)
