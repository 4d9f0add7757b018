"""Whether the parts of an order add up to what the platform says it costs. Pure.

Whoever books an order books its parts; where they are not what the buyer pays, it has to be known before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from orchestrator.platforms.currencies import payable
from statemachines.numbers import decimal_of, product, total
from statemachines.target import Json

_BASES = ("gross", "net", "stated")


def is_balanced(content: Mapping[str, Json]) -> bool:
    """Whether lines, less discounts, with delivery and taxes, make up the total; refunds may have been taken off it.

    `content` is complete, and its total is the platform's own. A part that is not given counts as nothing. Where prices
    are stated without a basis, taxes may be in them or not. A line may cost a fraction of the smallest coin (2.5 pieces
    of 3.95): the platform rounds each of them, or none.
    """
    totals, amounts = content["totals"], amounts_of(content)
    wanted, goods = decimal_of(totals["total"]), decimal_of(totals["lines"])
    if wanted is None:
        return False
    sums = [] if goods is None else [goods]
    if amounts is not None:
        exact, rounded = total(amounts), total([payable(each, content["currency"]) for each in amounts])
        if goods not in (None, exact, rounded):
            return False
        sums = [exact, rounded] if goods in (None, exact) else [rounded]
    return any(_adds_up(content, each, wanted) for each in sums or [Decimal(0)])


def _adds_up(content: Mapping[str, Json], goods: Decimal, wanted: Decimal) -> bool:
    totals = content["totals"]
    discount = _first(totals["discount"], _sum_of_prices(content["lines"], "discount"))
    delivery = _first(totals["delivery"], _amount(content["delivery"]["cost"], basis_of(content)))
    net = total([goods, -discount, delivery])
    tax = _first(totals["tax"])
    sums = {"gross": (net,), "net": (total([net, tax]),)}.get(basis_of(content) or "", (net, total([net, tax])))
    less = (Decimal(0), _first(totals["refunded"]))
    return any(total([each, -refunded]) == wanted for each in sums for refunded in less)


def goods_of(content: Mapping[str, Json]) -> Decimal | None:
    """What all lines cost before discounts, to the last digit; None where a line does not give price and quantity, or
    there is none."""
    amounts = amounts_of(content)
    return None if amounts is None else total(amounts)


def amounts_of(content: Mapping[str, Json]) -> list[Decimal] | None:
    """The same, line by line."""
    basis = basis_of(content)
    if basis is None:
        return None
    amounts = []
    for line in content["lines"]:
        price, quantity = decimal_of(line["unit_price"][basis]), decimal_of(line["quantity"])
        if price is None or quantity is None:
            return None
        amounts.append(product(price, quantity))
    return amounts


def basis_of(content: Mapping[str, Json]) -> str | None:
    """The basis that all prices of lines have, with tax before without; None where they have none in common."""
    prices = [line["unit_price"] for line in content["lines"] or () if any(line["unit_price"].values())]
    return next((basis for basis in _BASES if prices and all(price[basis] for price in prices)), None)


def _sum_of_prices(rows: Iterable[Mapping[str, Json]] | None, name: str) -> Decimal | None:
    found = [amount for row in rows or () if (amount := _amount(row[name], None)) is not None]
    return total(found) if found else None


def _amount(price: Mapping[str, Json], basis: str | None) -> Decimal | None:
    names = _BASES if basis is None else (basis, *_BASES)
    return next((amount for name in names if (amount := decimal_of(price[name])) is not None), None)


def _first(*amounts: Json) -> Decimal:
    """The first amount that is given, else nothing."""
    return next((found for each in amounts if (found := decimal_of(each)) is not None), Decimal(0))
