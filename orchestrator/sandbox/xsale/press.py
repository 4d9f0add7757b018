"""Believable orders for a simulated xSale organization, the same ones for the same seed (xsale.md §4, samples)."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from orchestrator.sandbox.cart import PEOPLE, Cart, Good, Row, number, rounded

Json: TypeAlias = Any

encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""JSON as the platform writes it: compact, money as numbers."""

_VAT = Decimal(23)

# An offer is what was bought; the articles are what leaves the warehouse for one of it.
_OFFERS: Mapping[Good, Sequence[tuple[int, str, str, int]]] = {
    Good(9001, 0, "", "Zestaw kubków 2 szt.", Decimal(200), _VAT): (
        (7001, "KUB-CZ", "Kubek czerwony", 1),
        (7002, "KUB-NB", "Kubek niebieski", 1),
    ),
    Good(9002, 0, "", "Świeca sojowa „Żurawina”", Decimal("39.99"), _VAT): (
        (7010, "SWI-ZUR", "Świeca sojowa żurawina", 1),
    ),
    Good(9003, 0, "", "Skarpety wełniane, 3 pary", Decimal("59.90"), _VAT): (
        (7021, "SKA-WEL", "Skarpety wełniane", 3),
    ),
    Good(9004, 0, "", "Zestaw biurowy: notes i długopis", Decimal("45.50"), _VAT): (
        (7031, "NOT-A5", "Notes A5", 1),
        (7032, "DLU-NI", "Długopis", 2),
    ),
    Good(9005, 0, "", "Herbata liściasta 100 g", Decimal("18.50"), _VAT): ((7040, "HER-100", "Herbata liściasta", 1),),
}
_DELIVERY = ("Kurier", "Paczkomat", "Odbiór osobisty")
_PAYMENTS = ("Opłacone", "Opłacone", "Opłacone", "Nadpłacone", "Nieopłacone", "Niedopłacone")
_FIRST_DAY = date(2024, 10, 25)


@dataclass(slots=True, eq=False)
class Order:
    """One order: `fields` are its JSON without the status, `status` the id of that. `cart`: what is paid for; its rows
    of goods have the ids of the items. `garbage`: JSON text shown in its place, as a payload that no client can read.
    """

    id: int
    fields: dict[str, Json]
    status: int
    cart: Cart
    garbage: str | None = None

    def reprice(self) -> None:
        """Writes what the cart costs into the order and its items. Shipping and discounts show in its sums alone
        (xsale.md §4)."""
        sums = self.cart.sums(is_gross=True)
        self.fields |= {
            "Currency": self.cart.currency,
            "PriceNet": number(sums["total"] - sums["tax"]),
            "PriceGross": number(sums["total"]),
            "Items": [_item(row) for row in self.cart.of("goods")],
        }


class OrderPress:
    """Makes orders, the same ones for the same seed. Ids count up from `first_id`."""

    def __init__(self, seed: int, organization: str, first_id: int) -> None:
        self._rng = random.Random(f"{seed}/{organization}")  # noqa: S311 - believable orders, not secrets
        self._next_id = first_id
        self._next_item_id = first_id * 10 - 1_000_000

    def next_item_id(self) -> int:
        """An id that no item of an order has that was made for a cart."""
        self._next_item_id += 1
        return self._next_item_id

    def make(self, status: int, cart: Cart | None = None) -> Order:
        """A new order in a status, one for a marketplace's buyer. `cart`: what is ordered, None: as it comes."""
        rng, order_id = self._rng, self._next_id
        self._next_id += 1
        if cart is None:
            rows = [self._row(order_id * 10 + at) for at in range(1, 1 + rng.choice((1, 1, 2, 3)))]
            cart = Cart(PEOPLE[0], PEOPLE[0], "PLN", rows)
        person = rng.randrange(500, 5000)
        fields: dict[str, Json] = {
            "Id": order_id,
            "ForeignNumber": f"ALG-{order_id}",
            "IntegrationId": 11,
            "PurchaseDate": (_FIRST_DAY + timedelta(days=rng.randrange(30))).isoformat(),
            "Currency": None,
            "PriceNet": None,
            "PriceGross": None,
            "PaymentFormId": 2,
            "PaymentStatus": rng.choice(_PAYMENTS),
            "DeliveryMethod": rng.choice(_DELIVERY),
            "ShipmentStatus": None,
            "WaybillNumber": None,
            "Remarks": None,
            "BuyerId": person,
            "RecipientId": person,
            "PayerId": person,
            "Items": [],
        }
        if cart.of("shipping"):
            fields["DeliveryMethod"] = _DELIVERY[-1 if cart.is_pickup else 0]
        order = Order(order_id, fields, status, cart)
        order.reprice()
        return order

    def _row(self, item_id: int) -> Row:
        good = self._rng.choice([*_OFFERS])
        count = self._rng.choice((1, 1, 2))
        return Row(item_id, "goods", good.name, good.price, good.rate, count, has_tax=True, good=good)


def _item(row: Row) -> dict[str, Json]:
    assert row.good is not None
    good, gross = row.good, row.price
    net = gross - rounded(gross * row.rate / (100 + row.rate), row.unit)
    articles = _OFFERS.get(good, ((7100 + good.product, good.sku, good.name, 1),))
    return {
        "Id": row.id,
        "OfferId": good.product,
        "VariantId": good.variant or None,
        "Name": row.name,
        "Quantity": row.quantity,
        "PriceNet": number(net),
        "PriceGross": number(gross),
        "OrderItemArticles": [
            {"Id": row.id * 10 + n, "ArticleId": article, "Code": code, "Name": label, "Quantity": row.quantity * each}
            for n, (article, code, label, each) in enumerate(articles, start=1)
        ],
    }
