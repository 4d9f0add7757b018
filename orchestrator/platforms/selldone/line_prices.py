"""What the amounts of a Selldone order's items mean (selldone.md, "Since summer 2026"). Pure.

The published meaning of `items[].price` has changed: unit price after the product's own discount `dis`, then before it.
Nothing in an order says which of the two it is. So the reading is taken under which the items add up to the order's
`price`, their sum; where none does, or both do and mean different things, the price stands without a basis and nothing
is said of discounts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from orchestrator.platforms.content import decimal
from orchestrator.platforms.currencies import payable
from statemachines.numbers import decimal_of, product, total
from statemachines.target import Json


def line_discounts(lines: Sequence[Mapping[str, Json]], price: Json, currency: Json) -> list[Decimal] | None:
    """The discount of each whole item, to be taken off quantity times price; None where that is not known.

    `price`: the order's. An item may cost a fraction of the currency's smallest coin, and is rounded then, or not.
    """
    goods, items = decimal_of(price), [each for line in lines if (each := _item(line)) is not None]
    if goods is None or len(items) < len(lines):
        return None
    readings = [[total([each.offer, each.cross]) for each in items]]
    if any(each.unit for each in items):  # else both readings are the same
        readings.append([total([product(each.unit, each.pieces), each.offer, each.cross]) for each in items])
    fitting = [each for each in readings if _adds_up(items, each, goods, currency)]
    return fitting[0] if fitting and all(each == fitting[0] for each in fitting) else None


class _Item(NamedTuple):
    """Amounts of one item. `unit` is the product's own discount, of one piece; `offer` and `cross` are of the whole."""

    price: Decimal
    pieces: Decimal
    unit: Decimal
    offer: Decimal
    cross: Decimal


def _item(line: Mapping[str, Json]) -> _Item | None:
    """None where it lacks its price or count, or an amount is not a number; a missing discount is nothing."""
    price, count = decimal_of(line.get("price")), decimal_of(line.get("count"))
    unit, offer, cross = (_discount(line.get(name)) for name in ("dis", "offer_amount", "cross_dis"))
    if price is None or count is None or unit is None or offer is None or cross is None:
        return None
    return _Item(price, count, unit, offer, cross)


def _discount(value: Json) -> Decimal | None:
    return Decimal(0) if value is None else decimal_of(value)


def _adds_up(items: Sequence[_Item], discounts: Sequence[Decimal], goods: Decimal, currency: Json) -> bool:
    exact = [total([product(each.price, each.pieces), -less]) for each, less in zip(items, discounts, strict=True)]
    return total(exact) == goods or total([payable(each, currency) for each in exact]) == goods


def summed(discounts: Sequence[Decimal]) -> str | None:
    """All of them together."""
    return decimal(total(list(discounts)))
