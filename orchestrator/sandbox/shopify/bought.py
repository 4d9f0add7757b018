"""A cart as an order of a simulated Shopify shop has it, and what staff change of it by the words of all platforms."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from orchestrator.sandbox.cart import Cart, unit_of
from orchestrator.sandbox.checkout import good_of, row_of
from orchestrator.sandbox.platform import PanelError
from orchestrator.sandbox.shopify.orders import STORE, Json, Line, Order

_RATES: Mapping[str, Decimal] = {"EUR": Decimal("0.92"), "JPY": Decimal(150), "KWD": Decimal("0.308")}
"""What buyers see of one of the shop's money."""


def checked_currency(buyer_currency: Json) -> str | None:
    """What a buyer is shown prices in; None: the shop's own. Raises PanelError."""
    if buyer_currency is not None and buyer_currency not in _RATES:
        raise PanelError(f"buyer_currency must be one of {', '.join(_RATES)}, not {buyer_currency!r}")
    return None if buyer_currency is None else str(buyer_currency)


def fill(order: Order, cart: Cart, buyer_currency: str | None) -> None:
    """Makes a new order one of these goods, paid for. It has as many lines."""
    for line, row in zip(order.lines, cart.of("goods"), strict=True):
        assert row.good is not None
        line.sku, line.name, line.quantity, line.current = row.good.sku, row.name, int(row.quantity), int(row.quantity)
        line.price, line.rate, line.off = (
            cents(row.price, cart.currency),
            int(row.rate * 10),
            cents(row.own, cart.currency),
        )
    counts = {line.id: line.quantity for line in order.lines}
    for each in order.fulfillment_orders:
        each.lines = [[part, line, counts[line], counts[line]] for part, line, *_ in each.lines]
        if cart.is_pickup:
            each.method, each.location = "PICK_UP", STORE
    (shipping,) = cart.of("shipping")
    order.shipping, order.shipping_rate = cents(shipping.price, cart.currency), int(shipping.rate * 10)
    order.discount = sum(cents(row.discount, cart.currency) for row in cart.of("goods"))
    order.currency, order.includes_tax, order.financial = cart.currency, cart.has_tax, "PAID"
    if buyer_currency is not None:
        order.buyer_currency, order.buyer_rate = buyer_currency, _RATES[buyer_currency]


def cents(amount: Decimal, currency: str) -> int:
    """An amount in the smallest ones of its currency."""
    return int(amount / unit_of(currency))


def price_as(line: Line, sku: Json, order: Order) -> None:
    """Makes a new line one of a good that simulated shops sell. Raises PanelError."""
    row = row_of(good_of(sku), line.id, order.currency, has_tax=order.includes_tax)
    assert row.good is not None
    line.sku, line.name, line.price = row.good.sku, row.name, cents(row.price, order.currency)
    line.rate = int(row.rate * 10)
