"""What a Shopify webhook says: is it genuine, what is it about, which order or product (facts: shopify.md §2, §3).

Pure functions for the listener. A webhook is a hint: it leads to a read of the order by GraphQL, so nothing here judges
what state an order is in. Bodies are parsed JSON objects whose integers are Python's own, never floats: Shopify's ids
need more digits than a float has, and published bodies show ids that lost theirs beside a gid that did not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from orchestrator.platforms.webhooks import Product
from statemachines.target import Json

ORDER_TOPICS: Final = (
    "orders/create",
    "orders/updated",
    "orders/paid",
    "orders/cancelled",
    "orders/fulfilled",
    "orders/partially_fulfilled",
    "orders/edited",
    "orders/delete",
)
"""Topics whose body is an order, or names one (shopify.md §2.4)."""

FULFILLMENT_TOPICS: Final = ("fulfillments/create", "fulfillments/update")
"""Topics whose body is a fulfilment; it names its order (shopify.md §3)."""

PROGRESS_TOPICS: Final = (
    "fulfillment_orders/progress_reported",
    "fulfillment_orders/manually_reported_progress_stopped",
)
"""Topics that say that somebody began to work on goods, or no longer does; since version 2026-04 (§2.4)."""

FULFILLMENT_ORDER_TOPICS: Final = tuple(
    f"fulfillment_orders/{change}"
    for change in (
        "order_routing_complete",
        "scheduled_fulfillment_order_ready",
        "rescheduled",
        "placed_on_hold",
        "hold_released",
        "moved",
        "split",
        "merged",
        "cancelled",
        "fulfillment_request_accepted",
        "fulfillment_request_rejected",
        "cancellation_request_accepted",
        "fulfillment_service_failed_to_complete",
    )
)
"""Topics that say that what can be shipped of an order changed, or by whom; they name the fulfilment order alone
(§2.4)."""

RETURN_TOPICS: Final = (
    *(f"returns/{move}" for move in ("request", "approve", "decline", "cancel", "close", "reopen")),
    "returns/process",
    "returns/update",
    "refunds/create",
)
"""Topics that say that goods or money go back. Most name the order, some the return alone, `returns/process` nothing
(samples)."""

PRODUCT_TOPICS: Final = ("products/create", "products/update")
"""Topics whose body is a product (shopify.md §3)."""

TOPICS: Final = (
    *ORDER_TOPICS,
    *FULFILLMENT_TOPICS,
    *FULFILLMENT_ORDER_TOPICS,
    *PROGRESS_TOPICS,
    *RETURN_TOPICS,
    *PRODUCT_TOPICS,
)
"""Every topic that Shopify is asked for."""

RETURN_PART: Final = "Return/"
"""In front of a part's id that is a return's; one without is a fulfilment order's."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = re.compile(r"[0-9]{1,20}")
_FRACTION = re.compile(r"(\.[0-9]{6})[0-9]+")
_TOPIC = re.compile(r"[a-z_]+(/[a-z_]+)+")


def header(headers: Mapping[str, str], name: str) -> str | None:
    """A Shopify header by its bare name (`Topic`, `Webhook-Id`), with or without `X-` in front (shopify.md §2.2).

    `headers` may be any mapping; names are compared without regard to case. Blank counts as absent.
    """
    wanted = (f"x-shopify-{name}".lower(), f"shopify-{name}".lower())
    found = {key.lower(): value.strip() for key, value in headers.items() if key.lower() in wanted}
    return found.get(wanted[0]) or found.get(wanted[1]) or None


def topic_of(headers: Mapping[str, str], body: Json) -> str | None:
    """The topic in its REST form (`orders/create`): the header decides, else the body's shape (shopify.md §2.1).

    Bodies of the 2019 guide are recognised by their members. None for what is neither.
    """
    received = header(headers, "Topic")
    if received is not None:
        topic = received.lower()
        return topic if _TOPIC.fullmatch(topic) else None
    if not isinstance(body, dict) or whole_id(body.get("id")) is None:
        return None
    is_first = body.get("created_at") == body.get("updated_at")
    if "order_id" in body and ("tracking_company" in body or "tracking_numbers" in body):
        return "fulfillments/create" if is_first else "fulfillments/update"
    if "line_items" in body and ("financial_status" in body or "total_price" in body):
        return "orders/create" if is_first else "orders/updated"
    if "variants" in body and ("product_type" in body or "body_html" in body):
        return "products/create" if is_first else "products/update"
    return None


def order_id_of(topic: str, body: Json) -> str | None:
    """The numeric id of the order that a webhook is about, exact; None where the body names none.

    A gid wins over the number beside it: numbers that went through a float have lost their last digits.
    """
    if not isinstance(body, dict):
        return None
    area = topic.partition("/")[0]
    if area == "orders":
        edit = body.get("order_edit")
        if isinstance(edit, dict):  # orders/edited says what was edited, not the order
            return whole_id(edit.get("order_id"))
        return id_of_gid(body.get("admin_graphql_api_id"), "Order") or whole_id(body.get("id"))
    order = body.get("order")
    if isinstance(order, dict):
        return id_of_gid(order.get("admin_graphql_api_id"), "Order") or whole_id(order.get("id"))
    return whole_id(body.get("order_id"))


def fulfillment_order_of(body: Json) -> str | None:
    """The fulfilment order that a `fulfillment_orders/*` or `fulfillment_holds/*` body names somewhere, by its gid: the
    samples have it as `fulfillment_order`, `moved_fulfillment_order` and deeper. None where there is none."""
    if not isinstance(body, dict):
        return None
    for value in body.values():
        if isinstance(value, dict):
            found = id_of_gid(value.get("id"), "FulfillmentOrder") or fulfillment_order_of(value)
            if found is not None:
                return found
    return None


def return_of(body: Json) -> str | None:
    """The return that a `returns/*` body is about, as a part (`RETURN_PART`); None where it names none."""
    found = id_of_gid(body.get("admin_graphql_api_id"), "Return") if isinstance(body, dict) else None
    return None if found is None else f"{RETURN_PART}{found}"


def product_of(body: Json) -> Product | None:
    """The product in a `products/*` body; None for an invalid one."""
    if not isinstance(body, dict):
        return None
    found = id_of_gid(body.get("admin_graphql_api_id"), "Product") or whole_id(body.get("id"))
    title = body.get("title")
    return Product(found, title if isinstance(title, str) else None, updated_at_ms(body)) if found else None


def updated_at_ms(body: Json) -> int | None:
    """The body's own `updated_at` in Unix milliseconds; None where it has none that can be read."""
    return time_ms(body.get("updated_at")) if isinstance(body, dict) else None


def time_ms(text: Json) -> int | None:
    """An ISO 8601 time with an offset, in Unix milliseconds; nanoseconds are taken (shopify.md §2.2). None else."""
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
        if at.tzinfo is None:
            return None
        return (at.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)  # no year 0 nor 10000: nobody could show it
    except (ValueError, OverflowError):
        return None


def id_of_gid(gid: Json, kind: str) -> str | None:
    """The number in `gid://shopify/<kind>/<number>`, as text; None for anything else (shopify.md §1)."""
    prefix = f"gid://shopify/{kind}/"
    if not isinstance(gid, str) or not gid.startswith(prefix):
        return None
    return whole_id(gid[len(prefix) :].partition("?")[0])


def whole_id(value: Json) -> str | None:
    """A numeric id as text, from an integer or digits; None for anything else, floats above all."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    if isinstance(value, int):
        return str(value) if 0 < value < 10**20 else None
    return str(int(value)) if _DIGITS.fullmatch(value) and int(value) > 0 else None


def topic_enum(topic: str) -> str:
    """The topic as GraphQL names it: `orders/create` is `ORDERS_CREATE` (shopify.md §2.4)."""
    return topic.replace("/", "_").upper()
