"""What people do about returns in the admin of a simulated Shopify shop (`returns` has the rules).

Each action ends in its webhooks (shopify.md §2.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from orchestrator.sandbox.platform import PanelError
from orchestrator.sandbox.shopify.orders import FulfillmentOrder, Json, Line, Order
from orchestrator.sandbox.shopify.returns import (
    BadReturn,
    ExchangedLine,
    Return,
    ReturnedLine,
    return_body,
    returnable,
)
from orchestrator.sandbox.shopify.shop import ShopifyShop

ACTIONS: dict[str, tuple[str, ...]] = {
    "return": ("order",),
    "request_return": ("order",),
    "open_return": ("order",),
    "approve_return": ("order", "return"),
    "decline_return": ("order", "return"),
    "process_return": ("order", "return"),
    "close_return": ("order", "return"),
    "reopen_return": ("order", "return"),
    "cancel_return": ("order", "return"),
}
"""Every action about returns with the fields that it must have. The first three and `process_return` also take `lines`
(`[{"id", "quantity"}]`, by default all that can be returned), the first three `exchange` (pieces sent in exchange)."""

_MOVES = {
    "approve_return": ("OPEN", ("REQUESTED",), "approve"),
    "decline_return": ("DECLINED", ("REQUESTED",), "decline"),
    "close_return": ("CLOSED", ("OPEN",), "close"),
    "reopen_return": ("OPEN", ("CLOSED",), "reopen"),
    "cancel_return": ("CANCELED", ("OPEN",), "cancel"),
}


def act(shop: ShopifyShop, order: Order, action: str, request: Mapping[str, Json]) -> dict[str, Json]:
    """Does one of `ACTIONS`; answers which return it is about. Raises PanelError with Shopify's words."""
    try:
        if action in ("return", "request_return", "open_return"):
            found = begin(shop, order, action, _lines(request), int(request.get("exchange") or 0))
        else:
            found = _named(order, request["return"])
            if action == "process_return":
                process(shop, order, found, _lines(request))
            else:
                _move(shop, order, found, *_MOVES[action])
    except BadReturn as refused:
        raise PanelError(str(refused)) from None
    return {"return": str(found.id), "status": found.status}


def begin(
    shop: ShopifyShop, order: Order, action: str, asked: Mapping[int, int] | None = None, exchange: int = 0
) -> Return:
    """A new return: `request_return` the buyer asks for it, `open_return` the merchant makes it, `return` all of it
    came back and it was closed. Raises BadReturn."""
    shipped: dict[int, int] = {}
    for parcel in order.live():
        for line, count in parcel.lines.items():
            shipped[line] = shipped.get(line, 0) + count
    wanted = returnable(shipped, order.returns, asked)
    name = f"{order.name}-R{len(order.returns) + 1}"
    rows = [ReturnedLine(shop.press.next_id(), line, count) for line, count in wanted.items()]
    exchanges = [ExchangedLine(shop.press.next_id(), exchange)] if exchange > 0 else []
    made = Return(shop.press.next_id(), name, rows, exchanges)
    order.returns.append(made)
    if action == "request_return":
        _notify(shop, order, made, "request")
        return made
    made.status = "OPEN"
    _notify(shop, order, made, "approve")
    if action == "return":
        process(shop, order, made)
        _move(shop, order, made, *_MOVES["close_return"])
    return made


def process(shop: ShopifyShop, order: Order, found: Return, quantities: Mapping[int, int] | None = None) -> None:
    """Goods came back and were refunded; those in exchange become a line of the order. Raises BadReturn."""
    before = {row.id: row.processed for row in found.lines}
    fresh = found.process(quantities)
    came = {row.line: row.processed - before[row.id] for row in found.lines if row.processed > before[row.id]}
    for line in order.lines:
        line.current = max(0, line.current - came.get(line.id, 0))
    if fresh:
        _send_in_exchange(shop, order, fresh)
    _notify(shop, order, found, "process")
    if came:
        refund = {"id": shop.press.next_id(), "order_id": order.id, "refund_line_items": []}
        shop.events.publish(order.id, [("refunds/create", lambda: refund)])


def _send_in_exchange(shop: ShopifyShop, order: Order, pieces: int) -> None:
    sample = order.lines[0]
    line = Line(shop.press.next_id(), sample.sku, sample.name, pieces, pieces)
    order.lines.append(line)
    location = order.fulfillment_orders[0].location
    part = [shop.press.next_id(), line.id, pieces, pieces]
    order.fulfillment_orders.append(FulfillmentOrder(shop.press.next_id(), location, [part]))


def _move(shop: ShopifyShop, order: Order, found: Return, to: str, sources: tuple[str, ...], topic: str) -> None:
    if found.move(to, *sources):
        found.closed = shop.clock.now_ms() if to == "CLOSED" else None
        _notify(shop, order, found, topic)


def _notify(shop: ShopifyShop, order: Order, found: Return, topic: str) -> None:
    full = f"returns/{topic}"
    shop.touch(order)
    shop.events.publish(order.id, [(full, partial(return_body, full, found, order.id))])


def _lines(request: Mapping[str, Json]) -> dict[int, int] | None:
    rows = request.get("lines")
    if rows is None:
        return None
    if not isinstance(rows, list):
        raise PanelError('lines must be a list of {"id", "quantity"}')
    try:
        return {int(row["id"]): int(row["quantity"]) for row in rows}
    except (TypeError, KeyError, ValueError):
        raise PanelError('lines must be a list of {"id", "quantity"}') from None


def _named(order: Order, wanted: Json) -> Return:
    for each in order.returns:
        if str(each.id) == str(wanted):
            return each
    known = ", ".join(str(each.id) for each in order.returns) or "none"
    raise PanelError(f"order {order.id} has no return {wanted}; it has {known}")
