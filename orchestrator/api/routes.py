"""The one table of what the API offers: the router, the OpenAPI document and the tests are made from it.

A route says what it takes and every answer that it can give. `slugs` are its own problems; those that every call can
end in (no token, an unknown parameter, a store that fails) are added where the table is read.

Over 400 lines, and not split: it is read as one table, a few plain lines for each call.
"""

from __future__ import annotations

from typing import Final

from orchestrator.api.answers import JSON_TYPE, NDJSON_TYPE, SSE_TYPE
from orchestrator.api.call import Handler
from orchestrator.api.handlers import bulk, daemon, feed, jobs, machines, orders, push, session, shops, targets
from orchestrator.api.route import Answer, HeaderParameter, RequestBody, Route
from orchestrator.api.schema import bodies as requests
from orchestrator.api.schema import queries as parameters
from orchestrator.api.schema.fields import CURSOR, IDEMPOTENCY_KEY
from orchestrator.api.schema.filters import OrdersBody
from orchestrator.decisions.bulk import Action
from orchestrator.operations import documents

EVERYWHERE: Final = (
    *("malformed-request", "unauthorized", "cross-origin", "invalid-request"),
    *("not-found", "method-not-allowed"),
)
"""Problems that every call can end in, or what looks like it: another method, or one more slash in an id."""
BODY: Final = ("malformed-json", "body-too-large", "unsupported-media-type")
"""Problems of a body; also where none is taken, since a body that was sent is read before it is refused."""

_STORE = ("overloaded",)
_CHANGE = ("draining", *_STORE)
_ORDER = ("shop-not-found", "order-not-found")
_TARGET = (
    *("shop-not-found", "order-not-found", "invalid-target", "unknown-state", "unreachable", "not-allowed"),
    *("not-adjacent", "idempotency-key-reused", "platform-unreachable"),
)


def _json(meaning: str, document: type) -> Answer:
    return Answer(meaning, {JSON_TYPE: document})


_ORDER_NOW = {200: _json("The order as it is now", documents.Order)}
_SHOP_NOW = {200: _json("The shop as it is now", documents.Shop)}
_LAST_EVENT = HeaderParameter(
    "Last-Event-ID", CURSOR, "For server-sent events: the cursor to go on from, in place of `after`", "42"
)
_EVENTS = {
    200: Answer(
        "The page; with `Accept: text/event-stream` a stream of events that goes on until either side ends it",
        {JSON_TYPE: documents.EventPage, SSE_TYPE: None},
    )
}
_DRAWN = {"text/vnd.mermaid": None, "image/svg+xml": None, "text/plain": None}
_SHIPPED = {"state": "shipped", "tracking": {"code": "3SABC123", "url": "https://track.example/3SABC123"}}


def _on_order(
    name: str,
    summary: str,
    handler: Handler,
    slugs: tuple[str, ...],
    body: RequestBody | None = None,
    headers: tuple[HeaderParameter, ...] = (),
) -> Route:
    return Route(
        method="POST",
        path=f"/v1/shops/{{shop}}/orders/{{id}}/{name}",
        name=f"{name}Order",
        group="Orders",
        summary=summary,
        handler=handler,
        answers=_ORDER_NOW,
        slugs=(*_ORDER, *_CHANGE, *slugs),
        body=body,
        headers=headers,
        is_change=True,
    )


def _in_bulk(action: Action, summary: str, slugs: tuple[str, ...] = (), **example: str) -> Route:
    blocked = {"situation": "blocked", "problem": "rejected", "step": "prepare"}
    return Route(
        method="POST",
        path=f"/v1/orders/{action}",
        name=f"{action}Orders",
        group="Jobs",
        summary=f"{summary} every order that a filter finds, as a job",
        handler=jobs.in_bulk(action),
        answers={
            200: _json("With `dry_run`: how many orders it would be, and some of them", documents.BulkPreview),
            202: _json("The job is on disk and will be carried out", documents.JobStarted),
        },
        slugs=("filter-required", "shop-not-found", *slugs, *_CHANGE),
        body=RequestBody(OrdersBody, {"filter": blocked, "dry_run": True, **example}, is_required=False),
        is_change=True,
    )


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET",
        "/v1/orders",
        "listOrders",
        "Orders",
        "Orders by filter, a page at a time, in the order of their import",
        orders.list_orders,
        {200: _json("A page; `next` is null at the end", documents.OrderPage)},
        ("shop-not-found", *_STORE),
        query=parameters.OrdersQuery,
    ),
    Route(
        "GET",
        "/v1/orders/causes",
        "listCauses",
        "Orders",
        "Why orders wait for a person: their problems by cause, those of most orders first",
        orders.list_causes,
        {200: _json("The causes", documents.CauseList)},
        ("shop-not-found", *_STORE),
        query=parameters.CausesQuery,
    ),
    _in_bulk(Action.RETRY, "Retry"),
    _in_bulk(Action.SKIP, "Skip the blocked step of", ("reason-required",), reason="set in the panel"),
    _in_bulk(Action.HOLD, "Hold"),
    _in_bulk(Action.RELEASE, "Release"),
    _in_bulk(Action.CANCEL, "Drop all targets of"),
    Route(
        "GET",
        "/v1/jobs",
        "listJobs",
        "Jobs",
        "What was asked for in bulk, newest first",
        jobs.list_jobs,
        {200: _json("A page; `next` is null at the end", documents.JobPage)},
        _STORE,
        query=parameters.JobsQuery,
    ),
    Route(
        "GET",
        "/v1/jobs/{job}",
        "readJob",
        "Jobs",
        "How far a job is",
        jobs.read_job,
        {200: _json("The job", documents.Job)},
        ("job-not-found", *_STORE),
    ),
    Route(
        "DELETE",
        "/v1/jobs/{job}",
        "cancelJob",
        "Jobs",
        "End a job; what it did stays, the orders that it did not come to are left alone",
        jobs.cancel_job,
        {200: _json("The job as it is now", documents.Job)},
        ("job-not-found", "already-finished", *_CHANGE),
        is_change=True,
    ),
    Route(
        "GET",
        "/v1/shops/{shop}/orders/{id}",
        "readOrder",
        "Orders",
        "One order",
        orders.read_order,
        {200: _json("The order", documents.OrderDetail)},
        (*_ORDER, *_STORE),
        query=parameters.OrderQuery,
    ),
    _on_order(
        "retry", "Try a blocked step, or one that waits, now", orders.retry, ("not-blocked", "platform-unreachable")
    ),
    _on_order(
        "skip",
        "Mark the blocked step as done by hand",
        orders.skip,
        ("not-blocked", "not-allowed", "reason-required"),
        RequestBody(requests.SkipBody, {"reason": "set in the panel"}),
    ),
    _on_order(
        "hold",
        "Stop before the next step",
        orders.hold,
        (),
        RequestBody(requests.ReasonBody, {"reason": "the customer called"}, is_required=False),
    ),
    _on_order(
        "release", "End a hold, or the ERP's wish that a person looks at the order", orders.release, ("not-held",)
    ),
    _on_order("cancel", "Drop all targets of the order", orders.cancel, ()),
    _on_order(
        "announce",
        "Announce the order once more to all readers of the feed",
        orders.announce,
        ("idempotency-key-reused",),
        headers=(
            HeaderParameter(
                "Idempotency-Key", IDEMPOTENCY_KEY, "The same key announces the order once", "erp-4711-again"
            ),
        ),
    ),
    _on_order("refresh", "Read the order from its platform now", orders.refresh, ("platform-unreachable",)),
    Route(
        "POST",
        "/v1/shops/{shop}/orders/{id}/targets",
        "submitTarget",
        "Targets",
        "Submit a target; it is on disk before this answers",
        targets.submit_target,
        {
            200: Answer(
                "With `wait`: the target, reached, blocked, failed or cancelled in time. With `dry_run`: the plan",
                {JSON_TYPE: (documents.Target, documents.Preview)},  # in this sequence: a plan is a part of a target
            ),
            202: _json("Accepted", documents.Target),
        },
        (*_TARGET, *_CHANGE),
        query=parameters.SubmitQuery,
        headers=(
            HeaderParameter(
                "Idempotency-Key",
                IDEMPOTENCY_KEY,
                "The same key with the same body answers with the same target",
                "erp-4711-shipped",
            ),
        ),
        body=RequestBody(requests.TargetBody, _SHIPPED),
        is_change=True,
    ),
    Route(
        "POST",
        "/v1/targets",
        "submitTargets",
        "Targets",
        "Submit many targets, one JSON object a line; each line is answered, in order, as it is durable",
        bulk.submit_bulk,
        {
            200: Answer(
                "A line for each line: `{line, status, target}` or `{line, status, problem}`", {NDJSON_TYPE: None}
            )
        },
        ("unsupported-media-type", *_CHANGE),
        body=RequestBody(
            requests.BulkLine,
            {"shop": "acme", "order": "67890", "key": "k-1", **_SHIPPED},
            NDJSON_TYPE,
            is_required=False,
        ),
        is_change=True,
    ),
    Route(
        "GET",
        "/v1/targets/{target}",
        "readTarget",
        "Targets",
        "One target; with `wait` once it is reached, blocked, failed or cancelled, or the time is up",
        targets.read_target,
        {200: _json("The target", documents.Target)},
        ("target-not-found", *_STORE),
        query=parameters.WaitQuery,
    ),
    Route(
        "DELETE",
        "/v1/targets/{target}",
        "cancelTarget",
        "Targets",
        "Cancel what has not been done of a target",
        targets.cancel_target,
        {200: _json("The target, cancelled", documents.Target)},
        ("target-not-found", "shop-not-found", "order-not-found", "already-finished", *_CHANGE),
        is_change=True,
    ),
    Route(
        "GET",
        "/v1/events",
        "readEvents",
        "Events",
        "Events above a cursor, oldest first; `wait` for one where there is none yet",
        feed.read_events,
        _EVENTS,
        ("shop-not-found", "cursor-ahead", *_STORE),
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
        ("shop-not-found", "cursor-ahead", *_STORE),
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
        {200: _json("Where the consumer is now", documents.Consumer)},
        ("cursor-ahead", *_STORE),
        body=RequestBody(requests.AckBody, {"cursor": 42}),
    ),
    Route(
        "POST",
        "/v1/consumers/{name}/seek",
        "seekConsumer",
        "Events",
        "Set a consumer's cursor, also back",
        feed.seek,
        {200: _json("Where the consumer is now", documents.Consumer)},
        ("cursor-ahead", "consumer-not-found", *_STORE),
        body=RequestBody(requests.AckBody, {"cursor": 0}),
    ),
    Route(
        "DELETE",
        "/v1/consumers/{name}",
        "forgetConsumer",
        "Events",
        "Forget a consumer; should it come again it begins at 0",
        feed.forget_consumer,
        {200: _json("Where the consumer was", documents.Consumer)},
        ("consumer-not-found", *_STORE),
    ),
    Route(
        "GET",
        "/v1/consumers",
        "listConsumers",
        "Events",
        "The consumers whose cursor is kept here, and how far each is behind",
        feed.list_consumers,
        {200: _json("The consumers", documents.ConsumerList)},
        _STORE,
    ),
    Route(
        "GET",
        "/v1/shops",
        "listShops",
        "Shops",
        "Every configured shop",
        shops.list_shops,
        {200: _json("The shops", documents.ShopList)},
        _STORE,
    ),
    Route(
        "GET",
        "/v1/shops/{shop}",
        "readShop",
        "Shops",
        "One shop",
        shops.read_shop,
        {200: _json("The shop", documents.Shop)},
        ("shop-not-found", *_STORE),
    ),
    Route(
        "POST",
        "/v1/shops/{shop}/pause",
        "pauseShop",
        "Shops",
        "Stop the shop's steps and syncs; running calls finish",
        shops.pause_shop,
        _SHOP_NOW,
        ("shop-not-found", *_CHANGE),
        body=RequestBody(requests.ReasonBody, {"reason": "stocktaking"}, is_required=False),
        is_change=True,
    ),
    Route(
        "POST",
        "/v1/shops/{shop}/resume",
        "resumeShop",
        "Shops",
        "End a pause, whoever caused it",
        shops.resume_shop,
        _SHOP_NOW,
        ("shop-not-found", *_CHANGE),
        is_change=True,
    ),
    Route(
        "POST",
        "/v1/shops/{shop}/sync",
        "syncShop",
        "Shops",
        "Look for changed orders now",
        shops.sync_shop,
        {
            200: _json("What the sync found, with `wait`", documents.SyncFound),
            202: _json("The sync begins, or has not ended in time", documents.SyncStarted),
        },
        ("shop-not-found", "platform-unreachable", *_CHANGE),
        query=parameters.SyncQuery,
        is_change=True,
    ),
    Route(
        "GET",
        "/v1/products",
        "listProducts",
        "Products",
        "Products that webhooks brought, the latest version of each",
        push.list_products,
        {200: _json("A page; `next` is null at the end", documents.ProductPage)},
        ("shop-not-found", *_STORE),
        query=parameters.ProductsQuery,
    ),
    Route(
        "GET",
        "/v1/delivery",
        "listDeliveries",
        "Delivery",
        "The receivers of events, and how far each is behind",
        push.list_deliveries,
        {200: _json("The receivers", documents.ReceiverList)},
        _STORE,
    ),
    Route(
        "GET",
        "/v1/delivery/{name}",
        "readDelivery",
        "Delivery",
        "One receiver of events",
        push.read_delivery,
        {200: _json("The receiver", documents.Receiver)},
        ("delivery-not-found", *_STORE),
    ),
    Route(
        "GET",
        "/v1/delivery/{name}/attempts",
        "listAttempts",
        "Delivery",
        "The newest attempts to push to a receiver, newest first",
        push.list_attempts,
        {200: _json("A page; `next` is null at the end", documents.PushAttemptPage)},
        ("delivery-not-found", *_STORE),
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
            200: _json("It was sent; `attempt` says how that ended", documents.SentAgain),
            202: _json("It has yet to arrive, and is sent in its turn", documents.SentAgain),
        },
        ("delivery-not-found", "event-not-found", *_CHANGE),
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
        {200: _json("The receiver as it is now", documents.Receiver)},
        ("delivery-not-found", "cursor-ahead", *_CHANGE),
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
        {200: _json("How that ended", documents.PushAttempt)},
        ("delivery-not-found", *_CHANGE),
        is_change=True,
    ),
    Route(
        "POST",
        "/v1/delivery/{name}/pause",
        "pauseDelivery",
        "Delivery",
        "Send a receiver nothing until it is resumed",
        push.pause_delivery,
        {200: _json("The receiver as it is now", documents.Delivery)},
        ("delivery-not-found", *_CHANGE),
        is_change=True,
    ),
    Route(
        "POST",
        "/v1/delivery/{name}/resume",
        "resumeDelivery",
        "Delivery",
        "Send to a receiver again",
        push.resume_delivery,
        {200: _json("The receiver as it is now", documents.Delivery)},
        ("delivery-not-found", *_CHANGE),
        is_change=True,
    ),
    Route(
        "GET",
        "/v1/rejected",
        "listRejected",
        "Rejected",
        "Payloads that could not be read, oldest first",
        shops.list_rejected,
        {200: _json("A page; `next` is null at the end", documents.RejectedPage)},
        ("shop-not-found", *_STORE),
        query=parameters.RejectedQuery,
    ),
    Route(
        "POST",
        "/v1/rejected/{id}/retry",
        "retryRejected",
        "Rejected",
        "Read the payload's order again from its platform",
        shops.retry_rejected,
        {200: _json("The order that could be read now", documents.Order)},
        ("rejected-not-found", *_ORDER, "not-allowed", "platform-unreachable", *_CHANGE),
        is_change=True,
    ),
    Route(
        "GET",
        "/v1/machines",
        "listMachines",
        "Machines",
        "The state machine of every platform, as data or drawn",
        machines.list_machines,
        {200: Answer("The machines in the format that was asked for", {JSON_TYPE: documents.MachineList, **_DRAWN})},
        query=parameters.MachinesQuery,
    ),
    Route(
        "GET",
        "/v1/machines/{platform}",
        "readMachine",
        "Machines",
        "One platform's state machine, as data or drawn",
        machines.read_machine,
        {
            200: Answer(
                "The machine in the format that was asked for",
                {JSON_TYPE: documents.Machine, **_DRAWN},
            )
        },
        ("platform-not-found", "shop-not-found"),
        query=parameters.MachineQuery,
    ),
    Route(
        "GET",
        "/v1/health",
        "readHealth",
        "Daemon",
        "Alive",
        daemon.health,
        {200: _json("The daemon lives", documents.Health)},
    ),
    Route(
        "GET",
        "/v1/ready",
        "readReadiness",
        "Daemon",
        "Start-up is done and the storage takes writes",
        daemon.ready,
        {200: _json("The daemon works", documents.Ready)},
        _CHANGE,
    ),
    Route(
        "GET",
        "/v1/status",
        "readStatus",
        "Daemon",
        "The status dump",
        daemon.status,
        {200: _json("What the daemon does right now", documents.Status)},
        _STORE,
    ),
    Route(
        "GET",
        "/v1/history",
        "readHistory",
        "Daemon",
        "What was done in each minute of the last day, or in each hour of the last 90 days",
        daemon.history,
        {200: _json("The minutes or hours, oldest first", documents.History)},
        ("shop-not-found", *_STORE),
        query=parameters.HistoryQuery,
    ),
    Route(
        "GET",
        "/v1/dump",
        "readDump",
        "Daemon",
        "Everything as NDJSON: shops, then orders with all their targets and events",
        daemon.dump,
        {200: Answer("One JSON object a line; `kind` is `shop` or `order`", {NDJSON_TYPE: None})},
        _STORE,
        query=parameters.DumpQuery,
    ),
    Route(
        "GET",
        "/metrics",
        "readMetrics",
        "Daemon",
        "Metrics for Prometheus",
        daemon.metrics,
        {200: Answer("Prometheus' text format", {"text/plain": None})},
        _STORE,
    ),
    Route(
        "GET",
        "/openapi.json",
        "readOpenApi",
        "Daemon",
        "This document",
        daemon.openapi,
        {200: Answer("OpenAPI 3.1", {JSON_TYPE: None})},
    ),
    Route(
        "GET",
        "/v1/session",
        "readSession",
        "Daemon",
        "How a browser's page is let in, and what it has to send with changes",
        session.read_session,
        {200: _json("The session", documents.Session)},
    ),
    Route(
        "POST",
        "/v1/session",
        "logIn",
        "Daemon",
        "Log a browser in by the token of api.tcp: the session is a cookie",
        session.log_in,
        {200: _json("The session", documents.Session)},
        body=RequestBody(requests.LoginBody, {"token": "some-long-text"}),
    ),
    Route(
        "DELETE",
        "/v1/session",
        "logOut",
        "Daemon",
        "Log a browser out",
        session.log_out,
        {200: _json("The session is no more", documents.Session)},
    ),
    Route(
        "GET",
        "/",
        "readDashboard",
        "Daemon",
        "The dashboard, for people; a browser without a session gets it with 401, to log in",
        daemon.show_dashboard,
        {200: Answer("A page", {"text/html": None})},
    ),
)
