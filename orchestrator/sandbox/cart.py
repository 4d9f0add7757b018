"""What buyers order in simulated shops: goods, prices, a discount, shipping, fees, taxes by rate, money given back.

A cart is drawn by chance, the same one for the same seed, and changed by people; a platform only writes it in its own
JSON. Amounts are Decimals with as many decimals as the currency has. Each row's tax is rounded by itself and every sum
is one of such amounts, so that all of them add up, also in another currency: there each amount of a row is converted
first.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Literal, TypeAlias

_CENT = Decimal("0.01")
_DIGITS: Mapping[str, int] = {"ISK": 0, "JPY": 0, "KRW": 0, "BHD": 3, "KWD": 3, "TND": 3}
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
    """Something to be paid for. `price`: of one; `discount`: off all of them, its part of what is off the whole order;
    `own`: off all of them, by itself; `rate`: tax in percent, which is in all of these where `has_tax`. `unit`: the
    smallest amount of money. `full` and what is named after it are before the discounts."""

    id: int
    kind: Kind
    name: str
    price: Decimal
    rate: Decimal
    quantity: int | Decimal = 1
    discount: Decimal = Decimal(0)
    has_tax: bool = False
    good: Good | None = None
    own: Decimal = Decimal(0)
    unit: Decimal = _CENT

    @property
    def amount(self) -> Decimal:
        """What all of them cost, before the discounts and as the price is."""
        return rounded(self.price * self.quantity, self.unit)

    @property
    def charged(self) -> Decimal:
        """What one of them costs less its own discount, where that is a price; else `price`."""
        each = (self.amount - self.own) / self.quantity
        return each if each == rounded(each, self.unit) else self.price

    @property
    def full(self) -> Decimal:
        """Without tax, before the discount."""
        return self._net(self.amount)

    @property
    def full_tax(self) -> Decimal:
        """On `full`."""
        return self._tax(self.amount)

    @property
    def net(self) -> Decimal:
        """Without tax."""
        return self._net(self.amount - self.own - self.discount)

    @property
    def tax(self) -> Decimal:
        """On `net`."""
        return self._tax(self.amount - self.own - self.discount)

    def _tax(self, amount: Decimal) -> Decimal:
        return rounded(amount * self.rate / (100 + self.rate if self.has_tax else 100), self.unit)

    def _net(self, amount: Decimal) -> Decimal:
        return amount - (self._tax(amount) if self.has_tax else 0)


@dataclass(slots=True)
class Cart:
    """What one order is about. `coupon`: the code and the amount that it takes off all goods together, or the first one
    where it is `for_first`, as far as they cost that. `refunds`: what was given back, amount by amount. `is_pickup`:
    the buyer comes for it."""

    buyer: Person
    receiver: Person
    currency: str
    rows: list[Row]
    coupon: tuple[str, Decimal] = ("", Decimal(0))
    for_first: bool = False
    refunds: list[Decimal] = field(default_factory=list)
    is_pickup: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            row.unit = self.unit
        self._share_discount()

    def of(self, *kinds: Kind) -> list[Row]:
        """Its rows of these kinds; none named: all."""
        return [row for row in self.rows if not kinds or row.kind in kinds]

    def net(self, *kinds: Kind) -> Decimal:
        """Without tax."""
        return self._sum(row.net for row in self.of(*kinds))

    def tax(self, *kinds: Kind) -> Decimal:
        """The tax on them."""
        return self._sum(row.tax for row in self.of(*kinds))

    def taxes(self, *kinds: Kind) -> dict[Decimal, Decimal]:
        """The tax on them by its rate in percent; every rate of the cart is there."""
        rates = dict.fromkeys(row.rate for row in self.rows)
        return {rate: self._sum(row.tax for row in self.of(*kinds) if row.rate == rate) for rate in rates}

    @property
    def total(self) -> Decimal:
        """What the buyer pays."""
        return self.net() + self.tax()

    @property
    def discount(self) -> Decimal:
        """What the coupon took off, without tax."""
        return self._sum(row.full - row.net for row in self.rows)

    @property
    def discount_tax(self) -> Decimal:
        """The tax that fell away with it."""
        return self._sum(row.full_tax - row.tax for row in self.rows)

    @property
    def kept(self) -> Decimal:
        """The money that was not given back."""
        return self.total - self._sum(self.refunds)

    @property
    def has_tax(self) -> bool:
        """Whether its prices are with tax."""
        return any(row.has_tax for row in self.rows)

    def sums(self, *, is_gross: bool) -> dict[str, Decimal]:
        """What it costs, by the words that every platform's back office shows it in. `lines` is before the discounts;
        `is_gross`: lines, discount and delivery are with tax."""
        goods, shipping = self.of("goods", "fee"), self.of("shipping")
        lines = self._sum(row.full + (row.full_tax if is_gross else 0) for row in goods)
        less = lines - self._sum(row.net + (row.tax if is_gross else 0) for row in goods)
        delivery = self._sum(row.net + (row.tax if is_gross else 0) for row in shipping)
        sums = {"lines": lines, "discount": less, "delivery": delivery, "tax": self.tax(), "total": self.total}
        return {**sums, "refunded": self._sum(self.refunds)}

    @property
    def unit(self) -> Decimal:
        """The smallest amount of its money."""
        return unit_of(self.currency)

    def set_quantity(self, quantity: int, row_id: int | None = None) -> None:
        """Changes how many there are of a row (None: the first). Raises ValueError."""
        row = self._good(row_id)
        if type(quantity) is not int or quantity < 1:
            raise ValueError(f"{quantity} is not a quantity")
        row.quantity, row.own = quantity, min(row.own, rounded(row.price * quantity, row.unit))
        self._share_discount()

    def remove(self, row_id: int | None = None) -> Row:
        """Takes a row out (None: the first), not the last one of them. Raises ValueError."""
        row = self._good(row_id)
        if len(self.of("goods")) == 1:
            raise ValueError(f"line {row.id} is the last one: cancel the order")
        self.rows.remove(row)
        self._share_discount()
        return row

    def put(self, row: Row) -> None:
        """One more row, behind the other goods."""
        row.unit = self.unit
        self.rows.insert(len(self.of("goods")), row)
        self._share_discount()

    def _good(self, row_id: int | None) -> Row:
        row = next((row for row in self.of("goods") if row_id in (None, row.id)), None)
        if row is None:
            raise ValueError(f"there is no line {row_id}")
        return row

    def refund(self, amount: Decimal | None = None) -> Decimal:
        """Gives back an amount (None: all that is left) and says how much it was. Raises ValueError."""
        given = self.kept if amount is None else amount
        if not 0 < given <= self.kept or given != rounded(given, self.unit):
            raise ValueError(f"{given} cannot be given back of {self.kept}")
        self.refunds.append(rounded(given, self.unit))
        return self.refunds[-1]

    def converted(self, currency: str, rate: Decimal) -> Cart:
        """The same in another currency, `rate` of which are one of this."""

        def turned(amount: Decimal) -> Decimal:
            return rounded(amount * rate, unit_of(currency))

        rows = [replace(row, price=turned(row.price), own=turned(row.own)) for row in self.rows]
        code, off = self.coupon
        refunds = [turned(amount) for amount in self.refunds]
        return replace(self, currency=currency, rows=rows, coupon=(code, turned(off)), refunds=refunds)

    def _share_discount(self) -> None:
        goods = self.of("goods")[: 1 if self.for_first else None]
        amounts = [row.amount - row.own for row in goods]
        off = min(self.coupon[1], self._sum(amounts))
        for row, part in zip(goods, shares(off, amounts, self.unit), strict=True):
            row.discount = part

    def _sum(self, amounts: Iterable[Decimal]) -> Decimal:
        return rounded(sum(amounts, Decimal(0)), self.unit)


def unit_of(currency: str) -> Decimal:
    """The smallest amount of a currency (ISO 4217), as far as simulated shops know it: 0.01 of most."""
    return Decimal(1).scaleb(-_DIGITS.get(currency, 2))


def number(amount: Decimal) -> int | float:
    """An amount as a JSON number: a whole one where nothing is behind the point."""
    return int(amount) if amount == int(amount) else float(amount)


def rounded(amount: Decimal, unit: Decimal = _CENT) -> Decimal:
    """To whole cents, or other units, half of one up."""
    return amount.quantize(unit, ROUND_HALF_UP)


def shares(amount: Decimal, weights: Sequence[Decimal], unit: Decimal = _CENT) -> list[Decimal]:
    """An amount in parts as large as their weights, to whole units that add up: the first get what is left over."""
    total = sum(weights, Decimal(0))
    parts = [(amount * weight / total).quantize(unit, ROUND_DOWN) if total else Decimal(0) for weight in weights]
    left = int((amount - sum(parts, Decimal(0))) / unit) if total else 0
    return [part + (unit if at < left else 0) for at, part in enumerate(parts)]


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
