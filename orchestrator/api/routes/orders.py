"""Calls about orders: what they are, and what a person does to one."""

from __future__ import annotations

from typing import Final

from orchestrator.api.call import Handler
from orchestrator.api.handlers import orders
from orchestrator.api.route import Answer, HeaderParameter, RequestBody, Route
from orchestrator.api.routes.problems import CHANGE, ORDER, STORE
from orchestrator.api.schema import bodies as requests
from orchestrator.api.schema import queries as parameters
from orchestrator.api.schema.fields import IDEMPOTENCY_KEY
from orchestrator.operations import documents

_ORDER_NOW = {200: Answer.json("The order as it is now", documents.Order)}


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
        slugs=(*ORDER, *CHANGE, *slugs),
        body=body,
        headers=headers,
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
        {200: Answer.json("A page; `next` is null at the end", documents.OrderPage)},
        ("shop-not-found", *STORE),
        query=parameters.OrdersQuery,
    ),
    Route(
        "GET",
        "/v1/orders/causes",
        "listCauses",
        "Orders",
        "Why orders wait for a person: their problems by cause, those of most orders first",
        orders.list_causes,
        {200: Answer.json("The causes", documents.CauseList)},
        ("shop-not-found", *STORE),
        query=parameters.CausesQuery,
    ),
    Route(
        "GET",
        "/v1/shops/{shop}/orders/{id}",
        "readOrder",
        "Orders",
        "One order",
        orders.read_order,
        {200: Answer.json("The order", documents.OrderDetail)},
        (*ORDER, *STORE),
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
)
