"""What each line, and the delivery, of an order come to: the amounts that are booked. Pure.

An ERP books a line's whole amount after its discount, without tax as a rule, while platforms give a price of one piece
on one basis, and the tax of the whole line beside it. What follows from those is added here, once for all ERPs. What is
not given counts as nothing, as in `balance`; where the taxes are not given, no other basis follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from orchestrator.platforms.content import decimal
from statemachines.numbers import decimal_of, product, total
from statemachines.target import Json

BASES = ("net", "gross", "stated")


def amounts_of(line: Mapping[str, Json]) -> dict[str, str]:
    """A line's amount by basis: as the platform gives it, else its quantity at its price, less its discount, on each
    basis that it has, and with its taxes on the other one. Empty where it has neither, or no quantity."""
    quantity, found = decimal_of(line["quantity"]), dict[str, Decimal]()
    for basis in BASES:
        price, given = decimal_of(line["unit_price"][basis]), decimal_of(line["amount"][basis])
        if given is not None:
            found[basis] = given
        elif price is not None and quantity is not None:
            discount = decimal_of(line["discount"][basis]) or Decimal(0)
            found[basis] = total([product(price, quantity), -discount])
    return _written(_with_other_basis(found, tax_of(line["tax"])))


def delivery_tax_of(content: Mapping[str, Json]) -> list[dict[str, Json]] | None:
    """What is left of the order's tax once each line has its own: that of the delivery, without name and rate. None
    where something of that is not given, and where delivery costs nothing and yet there is a rest."""
    whole, lines = decimal_of(content["totals"]["tax"]), [tax_of(line["tax"]) for line in content["lines"] or ()]
    if whole is None or not lines or None in lines:
        return None
    rest = total([whole, *(-each for each in lines if each is not None)])
    if rest == 0:
        return []
    cost = max((decimal_of(each) or Decimal(0) for each in content["delivery"]["cost"].values()), default=Decimal(0))
    return [{"name": None, "rate": None, "amount": decimal(rest)}] if 0 < rest < cost else None


def costs_of(delivery: Mapping[str, Json]) -> dict[str, str]:
    """What delivery costs, by basis, with its tax on the other one."""
    given = {basis: amount for basis in BASES if (amount := decimal_of(delivery["cost"][basis])) is not None}
    return _written(_with_other_basis(given, tax_of(delivery["tax"])))


def tax_of(taxes: Iterable[Mapping[str, Json]] | None) -> Decimal | None:
    """The sum of taxes; None where they are not given, or one has no amount."""
    found = None if taxes is None else [decimal_of(each["amount"]) for each in taxes]
    return None if found is None or None in found else total([each for each in found if each is not None])


def _with_other_basis(found: dict[str, Decimal], tax: Decimal | None) -> dict[str, Decimal]:
    if tax is not None and "gross" in found and "net" not in found:
        return {"net": total([found["gross"], -tax]), **found}
    if tax is not None and "net" in found and "gross" not in found:
        return {**found, "gross": total([found["net"], tax])}
    return found


def _written(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {basis: text for basis, amount in amounts.items() if (text := decimal(amount)) is not None}
