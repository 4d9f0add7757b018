"""What a kept webhook is about, found out from its bytes. Pure: the inbox does what follows from it.

A webhook about an order is a hint and nothing more: the order is read again from the platform, so a forged, late or
repeated one can at worst cost a read. Products and fulfilments are taken as they are told.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeAlias

from orchestrator.platforms.shopify_webhooks import (
    Product,
    fulfillment_order_of,
    id_of_gid,
    order_id_of,
    product_of,
    topic_of,
    updated_at_ms,
    whole_id,
)
from statemachines.target import Json

HINT = "hint"
"""Source of webhooks whose address alone is secret."""
SIGNED = "signed"
"""Source of webhooks whose body is signed (Shopify)."""

_PART_AREAS = frozenset({"fulfillment_orders", "fulfillment_holds"})
_ORDER_AREAS = frozenset(
    {"orders", "fulfillments", "fulfillment_events", "refunds", "returns", "order_transactions", *_PART_AREAS}
)
_PLACES_OF_AN_ORDER = ("basket", "order")  # selldone.md §7: `basket`; others by their usual name
_LONGEST_ID = 200


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Bytes that are no JSON."""

    error: str


@dataclass(frozen=True, slots=True)
class Unimportant:
    """A topic that nothing follows from (compliance topics, apps, carts)."""

    topic: str | None


@dataclass(frozen=True, slots=True)
class ProductNews:
    """A product as it is now."""

    topic: str
    product: Product


@dataclass(frozen=True, slots=True)
class FulfillmentNews:
    """A fulfilment as it is now; `updated_at_ms` is None where it is untold."""

    topic: str
    id: str
    status: str | None
    updated_at_ms: int | None


@dataclass(frozen=True, slots=True)
class OrderNews:
    """An order to read again; `order` None: one that is not named, so all are looked at.

    `part`: in its place the id of something that the platform knows the order of. `updated_at_ms`: the order's own
    change time, where the body is an order.
    """

    order: str | None
    part: str | None = None
    updated_at_ms: int | None = None
    fulfillment: FulfillmentNews | None = None


News: TypeAlias = Unreadable | Unimportant | ProductNews | OrderNews


def news_of(source: str, topic: str | None, payload: bytes) -> News:
    """What a webhook of this source and topic says."""
    try:
        body: Json = json.loads(payload) if payload else None
    except (ValueError, RecursionError) as error:
        if source == HINT:  # it said that something happened, whatever the words
            return OrderNews(None)
        return Unreadable(f"the body is no JSON: {str(error)[:200]}")
    return OrderNews(_hinted_order(body)) if source == HINT else _told(topic, body)


def _told(header_topic: str | None, body: Json) -> News:
    topic = topic_of({} if header_topic is None else {"X-Shopify-Topic": header_topic}, body)
    if topic is None:
        return Unimportant(header_topic)
    area = topic.partition("/")[0]
    if area == "products" and topic != "products/delete":
        product = product_of(body)
        return Unreadable("the body is no product") if product is None else ProductNews(topic, product)
    if area not in _ORDER_AREAS:
        return Unimportant(topic)
    fulfillment = _fulfillment(topic, body) if area == "fulfillments" else None
    order = order_id_of(topic, body)
    return OrderNews(
        order,
        part=fulfillment_order_of(body) if order is None and area in _PART_AREAS else None,
        updated_at_ms=updated_at_ms(body) if area == "orders" else None,
        fulfillment=fulfillment,
    )


def _fulfillment(topic: str, body: Json) -> FulfillmentNews | None:
    if not isinstance(body, dict):
        return None
    found = id_of_gid(body.get("admin_graphql_api_id"), "Fulfillment") or whole_id(body.get("id"))
    if found is None:
        return None
    status = body.get("status")
    return FulfillmentNews(topic, found, status if isinstance(status, str) else None, updated_at_ms(body))


def _hinted_order(body: Json) -> str | None:
    """The order that a hint names: in `basket` or `order`, or the body itself is one."""
    if not isinstance(body, dict):
        return None
    for name in _PLACES_OF_AN_ORDER:
        inner = body.get(name)
        if isinstance(inner, dict) and (found := _id(inner.get("id"))):
            return found
    for name in ("basket_id", "order_id", "id"):
        if found := _id(body.get(name)):
            return found
    return None


def _id(value: Json) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value).strip()
    return text if 0 < len(text) <= _LONGEST_ID and text.isprintable() else None
