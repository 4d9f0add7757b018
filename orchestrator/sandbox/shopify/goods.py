"""What people do about goods in the admin of a simulated Shopify shop: lines that no carrier takes, goods for pickup,
goods of a fulfilment service, prepaid subscriptions.

Facts: shopify.md §4, §6, and the Admin schema (DeliveryMethodType, FulfillmentOrderRequestStatus).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.sandbox.platform import PanelError
from orchestrator.sandbox.shopify import money
from orchestrator.sandbox.shopify.bought import price_as
from orchestrator.sandbox.shopify.orders import (
    LOCATIONS,
    OPEN,
    SERVICE_LOCATION,
    STORE,
    FulfillmentOrder,
    Json,
    Line,
    Order,
)
from orchestrator.sandbox.shopify.refusals import Refused
from orchestrator.sandbox.shopify.shop import ShopifyShop

METHODS = ("SHIPPING", "PICKUP_POINT", "LOCAL", "PICK_UP", "RETAIL", "NONE")
REQUESTS = (
    "UNSUBMITTED",
    "SUBMITTED",
    "ACCEPTED",
    "REJECTED",
    "CANCELLATION_REQUESTED",
    "CANCELLATION_ACCEPTED",
    "CANCELLATION_REJECTED",
    "CLOSED",
)
KINDS = {"goods": "Mug, 11 oz", "gift_card": "Gift card", "tip": "Tip"}
_MOST_PIECES = 1000

ACTIONS: dict[str, tuple[str, ...]] = {
    "add_line": ("order",),
    "set_method": ("order", "method"),
    "ask_service": ("order", "request"),
}
"""Every action about goods with the fields that it must have. `add_line` also takes `kind` (goods, gift_card, tip),
`pieces` or `quantity`, `sku` (one that the shops of all platforms sell), `method`, `location` and `request`; the others
`line`, by default all that is open."""


def act(shop: ShopifyShop, order: Order, action: str, request: Mapping[str, Json]) -> dict[str, Json]:
    """Does one of `ACTIONS`; answers which line it is about. Raises PanelError."""
    match action:
        case "add_line":
            more = _given(request, "kind", "method", "request", "sku")
            pieces = request.get("pieces", request.get("quantity", 1))
            return {"line": str(add_line(shop, order, pieces=pieces, **more))}
        case "set_method":
            for each in _parts(order, request.get("line")):
                each.method = _one_of(str(request["method"]), METHODS)
                each.location = STORE if each.method == "PICK_UP" else each.location
        case _:
            for each in _parts(order, request.get("line")):
                ask_service(each, _one_of(str(request["request"]), REQUESTS))
    shop.touch(order)
    return {}


def add_line(
    shop: ShopifyShop,
    order: Order,
    *,
    kind: str = "goods",
    pieces: int = 1,
    method: str | None = None,
    request: str | None = None,
    sku: str | None = None,
) -> int:
    """The order is edited: one more line with a fulfilment order of its own; returns the line's id.

    Gift cards and tips need no delivery; goods of a fulfilment service lie at its location. Raises PanelError.
    """
    if type(pieces) is not int or not 1 <= pieces <= _MOST_PIECES:
        raise PanelError(f"pieces must be a whole number from 1 to {_MOST_PIECES}")
    _one_of(kind, tuple(KINDS))
    is_goods = kind == "goods"
    way = _one_of(method or ("SHIPPING" if is_goods else "NONE"), METHODS)
    line = Line(shop.press.next_id(), kind.upper(), KINDS[kind], pieces, pieces, is_goods, kind == "gift_card")
    if sku is not None:
        price_as(line, sku, order)
    money.settle(order)
    order.lines.append(line)
    place = STORE if way == "PICK_UP" else LOCATIONS[0][0]
    part = FulfillmentOrder(shop.press.next_id(), place, [[shop.press.next_id(), line.id, pieces, pieces]], method=way)
    order.fulfillment_orders.append(part)
    if request is not None:
        ask_service(part, _one_of(request, REQUESTS))
    shop.touch(order)
    return line.id


def ask_service(part: FulfillmentOrder, request: str) -> None:
    """A fulfilment service has the goods, and was asked for them or answered."""
    part.location, part.request = SERVICE_LOCATION[0], request
    if request == "ACCEPTED":
        part.status = "IN_PROGRESS"
    elif request == "CLOSED":
        part.status = "INCOMPLETE"


def prepare_pickup(shop: ShopifyShop, numbers: Iterable[int | None]) -> None:
    """fulfillmentOrderLineItemsPreparedForPickup: the buyers are mailed. Raises Refused with the schema's codes."""
    found = [shop.order_of_fulfillment_order(number) for number in numbers]
    for pair in found:
        if pair is None or pair[1].method != "PICK_UP":
            raise Refused("Invalid fulfillment order ID provided.", ["input"], code="FULFILLMENT_ORDER_INVALID")
        part = pair[1]
        if part.is_prepared or part.status not in ("OPEN", "IN_PROGRESS") or not any(line[3] for line in part.lines):
            words = "The fulfillment order does not have any line items that can be prepared."
            raise Refused(words, ["input"], code="NO_LINE_ITEMS_TO_PREPARE_FOR_FULFILLMENT_ORDER")
    for order, part in filter(None, found):
        part.is_prepared = True
        shop.touch(order)
        shop.publish_parts(order, "line_items_prepared_for_pickup", [part])


def _parts(order: Order, line: Json) -> list[FulfillmentOrder]:
    found = [each for each in order.fulfillment_orders if each.status in OPEN]
    if line is not None:
        found = [each for each in found if any(str(part[1]) == str(line) for part in each.lines)]
    if not found:
        raise PanelError(f"order {order.id} has nothing open{f' of line {line}' if line is not None else ''}")
    return found


def _given(request: Mapping[str, Json], *names: str) -> dict[str, str]:
    return {name: str(request[name]) for name in names if request.get(name) is not None}


def _one_of(word: str, known: tuple[str, ...]) -> str:
    if word not in known:
        raise PanelError(f"unknown value {word}; known are {', '.join(known)}")
    return word
