"""What buyers order in simulated shops: goods, prices, a discount, shipping, fees, taxes by rate, money given back.

A cart is drawn by chance, the same one for the same seed, and changed by people; a platform only writes it in its own
JSON. Amounts are Decimals with two decimals. Each row's tax is rounded by itself and every sum is one of such amounts,
so that all of them add up, also in another currency: there each amount of a row is converted first.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Literal, TypeAlias

_CENT = Decimal("0.01")
_FULL_RATE, _LOW_RATE = Decimal(19), Decimal(7)

FIVE_OFF = ("five", Decimal("5.00"))

Kind: TypeAlias = Literal["goods", "shipping", "fee"]


@dataclass(frozen=True, slots=True)
class Person:
    """Who buys or receives."""

    first_name: str
    last_name: str
    street: str
    postal_code: str
    city: str
    country: str
    phone: str
    email: str

    def named(self, name: str) -> Person:
        """The same under another name."""
        first, _, last = name.partition(" ")
        return replace(self, first_name=first, last_name=last)


@dataclass(frozen=True, slots=True)
class Good:
    """Something to buy. `variant`: the id of what it is one of, 0 where there is only one; `options`: what it is then.
    `rate`: tax in percent."""

    product: int
    variant: int
    sku: str
    name: str
    price: Decimal
    rate: Decimal = _FULL_RATE
    options: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Row:
    """Something to be paid for. `price`: of one; `discount`: off all of them; `rate`: tax in percent, which is in both
    where `has_tax`. `full` and what is named after it are before the discount."""

    id: int
    kind: Kind
    name: str
    price: Decimal
    rate: Decimal
    quantity: int = 1
    discount: Decimal = Decimal(0)
    has_tax: bool = False
    good: Good | None = None

    @property
    def full(self) -> Decimal:
        """Without tax, before the discount."""
        return self._net(self.price * self.quantity)

    @property
    def full_tax(self) -> Decimal:
        """On `full`."""
        return self._tax(self.price * self.quantity)

    @property
    def net(self) -> Decimal:
        """Without tax."""
        return self._net(self.price * self.quantity - self.discount)

    @property
    def tax(self) -> Decimal:
        """On `net`."""
        return self._tax(self.price * self.quantity - self.discount)

    def _tax(self, amount: Decimal) -> Decimal:
        return rounded(amount * self.rate / (100 + self.rate if self.has_tax else 100))

    def _net(self, amount: Decimal) -> Decimal:
        return rounded(amount) - (self._tax(amount) if self.has_tax else 0)


@dataclass(slots=True)
class Cart:
    """What one order is about. `coupon`: the code and the amount that it takes off all goods together, or the first one
    where it is `for_first`, as far as they cost that. `refunds`: what was given back, amount by amount."""

    buyer: Person
    receiver: Person
    currency: str
    rows: list[Row]
    coupon: tuple[str, Decimal] = ("", Decimal(0))
    for_first: bool = False
    refunds: list[Decimal] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._share_discount()

    def of(self, *kinds: Kind) -> list[Row]:
        """Its rows of these kinds; none named: all."""
        return [row for row in self.rows if not kinds or row.kind in kinds]

    def net(self, *kinds: Kind) -> Decimal:
        """Without tax."""
        return _sum(row.net for row in self.of(*kinds))

    def tax(self, *kinds: Kind) -> Decimal:
        """The tax on them."""
        return _sum(row.tax for row in self.of(*kinds))

    def taxes(self, *kinds: Kind) -> dict[Decimal, Decimal]:
        """The tax on them by its rate in percent; every rate of the cart is there."""
        rates = dict.fromkeys(row.rate for row in self.rows)
        return {rate: _sum(row.tax for row in self.of(*kinds) if row.rate == rate) for rate in rates}

    @property
    def total(self) -> Decimal:
        """What the buyer pays."""
        return self.net() + self.tax()

    @property
    def discount(self) -> Decimal:
        """What the coupon took off, without tax."""
        return _sum(row.full - row.net for row in self.rows)

    @property
    def discount_tax(self) -> Decimal:
        """The tax that fell away with it."""
        return _sum(row.full_tax - row.tax for row in self.rows)

    @property
    def kept(self) -> Decimal:
        """The money that was not given back."""
        return self.total - _sum(self.refunds)

    def set_quantity(self, quantity: int, row_id: int | None = None) -> None:
        """Changes how many there are of a row (None: the first). Raises ValueError."""
        row = next((row for row in self.of("goods") if row_id in (None, row.id)), None)
        if row is None or quantity < 1:
            raise ValueError(f"there is no line {row_id}" if row is None else f"{quantity} is not a quantity")
        row.quantity = quantity
        self._share_discount()

    def refund(self, amount: Decimal | None = None) -> Decimal:
        """Gives back an amount (None: all that is left) and says how much it was. Raises ValueError."""
        given = self.kept if amount is None else amount
        if not 0 < given <= self.kept or given != rounded(given):
            raise ValueError(f"{given} cannot be given back of {self.kept}")
        self.refunds.append(rounded(given))
        return self.refunds[-1]

    def converted(self, currency: str, rate: Decimal) -> Cart:
        """The same in another currency, `rate` of which are one of this."""
        rows = [replace(row, price=rounded(row.price * rate)) for row in self.rows]
        code, off = self.coupon
        refunds = [rounded(amount * rate) for amount in self.refunds]
        return replace(self, currency=currency, rows=rows, coupon=(code, rounded(off * rate)), refunds=refunds)

    def _share_discount(self) -> None:
        goods = self.of("goods")[: 1 if self.for_first else None]
        amounts = [row.price * row.quantity for row in goods]
        off = min(self.coupon[1], _sum(amounts))
        for row, part in zip(goods, shares(off, amounts), strict=True):
            row.discount = part


def rounded(amount: Decimal) -> Decimal:
    """To whole cents, half of one up."""
    return amount.quantize(_CENT, ROUND_HALF_UP)


def shares(amount: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """An amount in parts as large as their weights, to whole cents that add up: the first get what is left over."""
    total = sum(weights, Decimal(0))
    parts = [(amount * weight / total).quantize(_CENT, ROUND_DOWN) if total else Decimal(0) for weight in weights]
    left = int((amount - sum(parts, Decimal(0))) / _CENT) if total else 0
    return [part + (_CENT if at < left else 0) for at, part in enumerate(parts)]


def drawn(
    rng: random.Random,
    next_id: Callable[[], int],
    *,
    currency: str = "EUR",
    coupon: tuple[str, Decimal] | None = None,
    has_tax: bool = False,
) -> Cart:
    """A believable cart: one to three goods, shipping, a wrapping. `next_id`: the ids of its rows. `has_tax`: prices
    are with tax."""
    rows = [
        Row(next_id(), "goods", good.name, good.price, good.rate, rng.choice((1, 1, 2, 3)), has_tax=has_tax, good=good)
        for good in rng.sample(GOODS, rng.choice((1, 2, 2, 3)))
    ]
    rows += _extras(next_id, rng.choice(SHIPPING), has_tax)
    buyer, receiver = rng.choice(PEOPLE), rng.choice(PEOPLE)
    return Cart(buyer, buyer if rng.random() < 0.8 else receiver, currency, rows, coupon or FIVE_OFF)


def standard(next_id: Callable[[], int], *, currency: str = "EUR", has_tax: bool = False) -> Cart:
    """A cart that is always the same: two mugs for five less, a shirt, parcels and a wrapping. Ids as of `drawn`."""
    mug, shirt, *_ = GOODS
    rows = [
        Row(next_id(), "goods", good.name, good.price, good.rate, quantity, has_tax=has_tax, good=good)
        for good, quantity in ((mug, 2), (shirt, 1))
    ]
    return Cart(
        PEOPLE[0], PEOPLE[0], currency, [*rows, *_extras(next_id, SHIPPING[0], has_tax)], FIVE_OFF, for_first=True
    )


def _extras(next_id: Callable[[], int], shipping: Decimal, has_tax: bool) -> tuple[Row, Row]:
    parcels = Row(next_id(), "shipping", "Parcels", shipping, _FULL_RATE, has_tax=has_tax)
    return parcels, Row(next_id(), "fee", "Gift wrap", Decimal("2.00"), _FULL_RATE, has_tax=has_tax)


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal("0.00"))


SHIPPING = (Decimal("4.90"), Decimal("12.95"))
GOODS = (
    Good(93, 0, "MUG", "Mug", Decimal("12.50")),
    Good(22, 23, "SHIRT-M", "Shirt - M", Decimal("15.00"), options=(("size", "m"),)),
    Good(22, 24, "SHIRT-L", "Shirt - L", Decimal("15.99"), options=(("size", "l"),)),
    Good(41, 0, "BOOK-1", "Łódź, a “Guide”", Decimal("9.35"), _LOW_RATE),
    Good(57, 0, "LAMP", "Desk lamp & bulb", Decimal("129.00")),
)
PEOPLE = (
    Person("Ada", "Łoś", "Prosta 5", "31-001", "Kraków", "PL", "+48600000000", "ada@example.com"),
    Person("Jürgen", "Weiß", "Leopoldstraße 7", "80802", "München", "DE", "+49895550106", "jw@example.com"),
    Person("Sinéad", "O'Connor", "O'Connell Street 5", "D01 F5P2", "Dublin", "IE", "+35315550105", "so@example.com"),
    Person("太郎", "山田", "1-1 Chiyoda", "100-8111", "Tokyo", "JP", "+81355550104", "taro@example.com"),
)
