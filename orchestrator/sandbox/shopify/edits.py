"""What people change of an order in the admin of a simulated Shopify shop: quantities, money, addresses, notes.

Each is one change with one change time. Shopify's times are whole seconds, so two changes may have the same one;
`same_second` makes sure of that.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.sandbox.checkout import amount_of
from orchestrator.sandbox.platform import PanelError
from orchestrator.sandbox.shopify import money
from orchestrator.sandbox.shopify.bought import cents
from orchestrator.sandbox.shopify.orders import OPEN, Json, Line, Order
from orchestrator.sandbox.shopify.shop import ShopifyShop

EDITS: dict[str, tuple[str, ...]] = {
    "edit": ("order", "receiver_name"),
    "set_quantity": ("order", "quantity"),
    "edit_line": ("order", "quantity"),
    "remove_line": ("order",),
    "set_price": ("order", "price"),
    "set_note": ("order", "note"),
    "set_billing": ("order", "receiver_name"),
    "set_terms": ("order", "terms"),
    "pay": ("order",),
    "void": ("order",),
    "expire": ("order",),
    "refund": ("order",),
}
"""The actions and what they must have; `line` of those about one (the first by default), `amount` of refund (10.00)
and `same_second` of all may be left out. `edit_line` is what other platforms call set_quantity."""

_TERMS = ("NET", "FIXED", "FULFILLMENT", "RECEIPT", "UNKNOWN")
_REFUND = 1_000


def edit(shop: ShopifyShop, order: Order, action: str, change: Mapping[str, Json]) -> None:
    """Makes a change. Raises PanelError for an invalid request."""
    before = order.updated
    money.settle(order)
    topic: tuple[str, ...] = ()
    match action:
        case "edit":
            order.fields["shippingAddress"] = _renamed(order.fields["shippingAddress"], change)
        case "set_billing":
            order.fields["billingAddress"] = _renamed(order.fields["billingAddress"], change)
        case "set_note":
            order.fields["note"] = None if change["note"] is None else str(change["note"])
        case "set_quantity" | "edit_line" | "remove_line":
            _set_quantity(order, _line(order, change), 0 if action == "remove_line" else change["quantity"])
        case "set_price":
            _line(order, change).price = cents(amount_of(change["price"], order.currency, "price"), order.currency)
        case "set_terms":
            if change["terms"] not in (None, *_TERMS):
                raise PanelError(f"terms must be null or one of {', '.join(_TERMS)}")
            order.terms = change["terms"]
        case "pay":
            order.financial, topic = "PAID", ("orders/paid",)
        case "void":
            _from(order, "VOIDED", "AUTHORIZED", "PENDING")
        case "expire":
            _from(order, "EXPIRED", "AUTHORIZED", "PENDING")
        case _:
            _refund(order, change.get("amount"))
    shop.touch(order, *topic)
    if change.get("same_second"):
        order.updated = before


def _renamed(address: Mapping[str, Json], change: Mapping[str, Json]) -> dict[str, Json]:
    return {**address, "name": str(change["receiver_name"])}


def _line(order: Order, change: Mapping[str, Json]) -> Line:
    wanted = change.get("line")
    found = next((line for line in order.lines if wanted is None or str(line.id) == str(wanted)), None)
    if found is None:
        raise PanelError(f"order {order.id} has no line {wanted}")
    return found


def _set_quantity(order: Order, line: Line, quantity: Json) -> None:
    """An order edit: more is added to what was ordered, less is taken out of what is left (shopify.md §6)."""
    part = next(
        (part for each in order.fulfillment_orders if each.status in OPEN for part in each.lines if part[1] == line.id),
        None,
    )
    if type(quantity) is not int or quantity < 0 or part is None:
        raise PanelError("quantity must be a whole number from 0 of a line that is not shipped yet")
    more = quantity - line.current
    if part[3] + more < 0:
        raise PanelError(f"{line.current - part[3]} pieces of line {line.id} are shipped already")
    line.quantity += max(0, more)
    line.current = quantity
    part[2], part[3] = part[2] + more, part[3] + more


def _refund(order: Order, amount: Json) -> None:
    try:
        given = None if amount is None else amount_of(amount, order.currency, "amount")
        money.refund(order, _REFUND if given is None else cents(given, order.currency))
    except ValueError as error:
        raise PanelError(str(error)) from None


def _from(order: Order, to: str, *sources: str) -> None:
    if order.financial not in sources:
        raise PanelError(f"the payment is {order.financial}, not {' or '.join(sources)}")
    order.financial = to
