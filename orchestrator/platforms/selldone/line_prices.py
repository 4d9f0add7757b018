"""What the amounts of a Selldone order's items mean (selldone.md, "Since summer 2026"). Pure.

The published meaning of `items[].price` has changed: unit price after the product's own discount `dis`, then before it.
Nothing in an order says which of the two it is. So the reading is taken under which the items add up to the order's
`price`, their sum; where none does, or both do and mean different things, the price stands without a basis and nothing
is said of discounts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from orchestrator.platforms.content import decimal
from orchestrator.platforms.currencies import payable
from statemachines.numbers import decimal_of, product, total
from statemachines.target import Json


def line_discounts(lines: Sequence[Mapping[str, Json]], price: Json, currency: Json) -> list[Decimal] | None:
    """The discount of each whole item, to be taken off quantity times price; None where that is not known.

    `price`: the order's. An item may cost a fraction of the currency's smallest coin, and is rounded then, or not.
    """
    goods = decimal_of(price)
    readings = [[_discount(line, is_before=is_before) for line in lines] for is_before in (False, True)]
    fitting: list[list[Decimal]] = []
    for reading in readings:
        known = [each for each in reading if each is not None]
        amounts = [each for line in lines if (each := _sum(line)) is not None]
        if goods is None or len(known) < len(lines) or len(amounts) < len(lines):
            return None
        exact = [total([amount, -less]) for amount, less in zip(amounts, known, strict=True)]
        sums = {total(exact), total([payable(each, currency) for each in exact])}
        if goods in sums and known not in fitting:
            fitting.append(known)
    return fitting[0] if len(fitting) == 1 else None


def _sum(line: Mapping[str, Json]) -> Decimal | None:
    price, count = decimal_of(line.get("price")), decimal_of(line.get("count"))
    return None if price is None or count is None else product(price, count)


def _discount(line: Mapping[str, Json], *, is_before: bool) -> Decimal | None:
    """`dis` is of a unit, `offer_amount` and `cross_dis` of the whole item; a missing one is nothing."""
    unit, offer, cross, count = (_amount(line, name) for name in ("dis", "offer_amount", "cross_dis", "count"))
    if unit is None or offer is None or cross is None or count is None:
        return None
    return total([product(unit, count) if is_before else Decimal(0), offer, cross])


def _amount(line: Mapping[str, Json], name: str) -> Decimal | None:
    value = line.get(name)
    return Decimal(0) if value is None else decimal_of(value)


def summed(discounts: Sequence[Decimal]) -> str | None:
    """All of them together."""
    return decimal(total(list(discounts)))
