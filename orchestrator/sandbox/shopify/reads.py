"""What queries of a simulated Shopify shop show of its orders: one, a list by change time, and the parts of one."""

from __future__ import annotations

import base64
import json
import re

from orchestrator.sandbox.shopify.orders import Json, Order, fulfillment_node, fulfillment_order_node, stamp
from orchestrator.sandbox.shopify.returns import return_node
from orchestrator.sandbox.shopify.selection import Field
from orchestrator.sandbox.shopify.shop import ShopifyShop, number_of

_TERM = re.compile(r"(?P<name>\w+):(?P<op>>=|<)?'?(?P<value>[^'\s]+)'?")
_STATUSES = {
    "open": lambda order: order.ended is None,
    "closed": lambda order: order.ended is not None and order.cancelled is None,
    "cancelled": lambda order: order.cancelled is not None,
    "not_closed": lambda order: order.ended is None or order.cancelled is not None,
}
"""Values of the filter `status` (Admin schema, `orders(query:)`)."""
_TIMES = {"updated_at": "updated", "created_at": "created", "processed_at": "processed"}


def _fits(order: Order, query: str) -> bool:
    """Whether an order matches the query; unknown terms are ignored."""
    for term in _TERM.finditer(query):
        name, value = term["name"], term["value"]
        if name == "status" and value in _STATUSES and not _STATUSES[value](order):
            return False
        if name in _TIMES:
            at = getattr(order, _TIMES[name])
            value_of_order = stamp(order.created if at is None else at) or ""
            if (value_of_order < value) is (term["op"] == ">="):
                return False
    return True


def order(shop: ShopifyShop, field: Field) -> Json:
    """An order with all that is in it."""
    found = shop.orders.get(id_of(field.arguments.get("id")))
    if found is None:
        return None
    node = found.node(shop.clock.now_ms())
    if found.garbage is None:
        node["metafield"] = _metafield(found, field)
    return node


def _metafield(order: Order, field: Field) -> Json:
    """The one that is asked for; None where the order has none such, and where none is asked for."""
    asked = next((each.arguments for each in field.fields if each.name == "metafield"), {})
    value = order.metafields.get(f"{asked.get('namespace')}.{asked.get('key')}")
    return None if value is None else {"value": value}


def fulfillment_order(shop: ShopifyShop, field: Field) -> Json:
    """One that shows already, with its order."""
    found = shop.order_of_fulfillment_order(id_of(field.arguments.get("id")))
    now = shop.clock.now_ms()
    if found is None or now < found[0].routed_at:
        return None
    return {**fulfillment_order_node(found[1]), "order": found[0].node(now)}


def fulfillment(shop: ShopifyShop, field: Field) -> Json:
    """A fulfilment with its order."""
    found = shop.order_of_fulfillment(id_of(field.arguments.get("id")))
    return None if found is None else {**fulfillment_node(found[1]), "order": found[0].node(shop.clock.now_ms())}


def return_(shop: ShopifyShop, field: Field) -> Json:
    """A return with its order."""
    wanted = id_of(field.arguments.get("id"))
    now = shop.clock.now_ms()
    rows = ((each, order) for order in shop.orders.values() for each in order.returns if each.id == wanted)
    return next(({**return_node(each), "order": order.node(now)} for each, order in rows), None)


def orders(shop: ShopifyShop, field: Field) -> Json:
    """By change time, oldest first, from behind the cursor on."""
    rows = sorted(shop.orders.values(), key=lambda order: (order.updated // 1000, order.id))
    rows = [order for order in rows if _fits(order, field.arguments.get("query") or "")]
    if (after := field.arguments.get("after")) is not None:
        place = json.loads(base64.b64decode(after))
        rows = [order for order in rows if [order.updated // 1000, order.id] > place]
    first = field.arguments.get("first") or 50
    page = rows[:first]
    now = shop.clock.now_ms()
    return {
        "nodes": [order.node(now) for order in page],
        "pageInfo": {"hasNextPage": len(rows) > first, "endCursor": _cursor(page[-1]) if page else None},
    }


def _cursor(order: Order) -> str:
    return base64.b64encode(json.dumps([order.updated // 1000, order.id]).encode()).decode()


def id_of(text: Json) -> int:
    """The number of a gid. Raises KeyError for a malformed gid."""
    number = number_of(text)
    if not number:
        raise KeyError(text)
    return number
