"""What a buyer orders where somebody tries money: goods of two tax rates, in a currency, with discounts and shipping.

The same request on every platform: `{"action": "add", "cart": {"currency": "JPY", "discount": "500"}}`. Members that
are left out are as `Wish` has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias, get_type_hints

from orchestrator.sandbox.cart import GOODS, PEOPLE, Cart, Good, Row, rounded, unit_of
from orchestrator.sandbox.platform import PanelError

Json: TypeAlias = Any

_RATES: Mapping[str, Decimal] = {"PLN": Decimal("4.31"), "JPY": Decimal(163), "KWD": Decimal("0.331")}
"""What one euro is, the currency of the goods' prices; any other currency is worth as much."""
_SHIPPING_RATE = Decimal(19)
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is ordered: two mugs and a book, which is taxed less. Amounts are in the currency: `discount` is off the
    whole order, `line_discount` off its first line. `tax_included`: it is in all of them, or comes on top."""

    currency: str = "EUR"
    tax_included: bool = False
    discount: Decimal = _ZERO
    line_discount: Decimal = _ZERO
    shipping: Decimal = _ZERO
    pickup: bool = False


def wish_of(asked: Json, *, tax_included: bool | None = None) -> Wish:
    """A wish as a request brings it. `tax_included`: what all prices of the platform are; None: as is asked for.
    Raises PanelError."""
    if not isinstance(asked, Mapping) or (unknown := sorted(set(asked) - {each.name for each in fields(Wish)})):
        raise PanelError(f"cart takes {', '.join(each.name for each in fields(Wish))}, not {unknown or asked!r}")
    kinds = get_type_hints(Wish)
    currency = str(asked.get("currency", "EUR"))
    if not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise PanelError(f"currency must be a code such as EUR, JPY or KWD, not {currency!r}")
    found: dict[str, Any] = {"currency": currency}
    for name in asked.keys() - found.keys():
        if kinds[name] is not bool:
            found[name] = amount_of(asked[name], currency, name)
        elif not isinstance(asked[name], bool):
            raise PanelError(f"{name} must be true or false, not {asked[name]!r}")
        else:
            found[name] = asked[name]
    if tax_included is not None and found.setdefault("tax_included", tax_included) is not tax_included:
        raise PanelError(f"prices are {'with' if tax_included else 'without'} tax here: leave tax_included out")
    return Wish(**found)


def amount_of(value: Json, currency: str, name: str) -> Decimal:
    """An amount of money that a request brings, from 0 on. Raises PanelError."""
    try:
        amount = Decimal(str(value))
        if isinstance(value, bool) or not (amount.is_finite() and 0 <= amount == rounded(amount, unit_of(currency))):
            raise InvalidOperation
    except InvalidOperation:
        example = unit_of(currency) * 1250
        raise PanelError(f"{name} must be an amount of {currency} such as {example}, not {value!r}") from None
    return rounded(amount, unit_of(currency))


def ordered(wish: Wish, next_id: Callable[[], int], *, shows_discounts: bool = True) -> Cart:
    """The cart. `next_id`: the ids of its rows. `shows_discounts`: those of lines; else prices are lower from the
    start. Raises PanelError for a discount of more than there is."""
    mug, book = (row_of(good, next_id(), wish.currency, has_tax=wish.tax_included) for good in (GOODS[0], GOODS[3]))
    mug.quantity, mug.own = 2, wish.line_discount
    if not shows_discounts:
        mug.price, mug.own = rounded(mug.price - mug.own / 2, unit_of(wish.currency)), _ZERO
    way = "Pickup" if wish.pickup else "Parcels"
    shipping = Row(next_id(), "shipping", way, wish.shipping, _SHIPPING_RATE, has_tax=wish.tax_included)
    coupon = ("minus", wish.discount)
    cart = Cart(PEOPLE[0], PEOPLE[0], wish.currency, [mug, book, shipping], coupon, is_pickup=wish.pickup)
    if wish.line_discount > mug.amount or wish.discount > mug.amount - mug.own + book.amount:
        raise PanelError(f"the discounts are more than the goods cost: {mug.amount} for the first line, {book.amount}")
    return cart


def row_of(good: Good, row_id: int, currency: str, *, has_tax: bool, quantity: int = 1) -> Row:
    """A good as a row of a cart in a currency."""
    price = rounded(good.price * _RATES.get(currency, Decimal(1)), unit_of(currency))
    return Row(row_id, "goods", good.name, price, good.rate, quantity, has_tax=has_tax, good=good)


def good_of(sku: Json) -> Good:
    """Something that simulated shops sell, None: the desk lamp. Raises PanelError."""
    found = next((each for each in GOODS if each.sku == (sku or "LAMP")), None)
    if found is None:
        raise PanelError(f"nobody sells {sku!r}; known are {', '.join(each.sku for each in GOODS)}")
    return found
