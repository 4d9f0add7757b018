"""Believable orders for a simulated xSale organization, the same ones for the same seed (xsale.md §4, samples)."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeAlias

Json: TypeAlias = Any

encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""JSON as the platform writes it: compact, money as numbers."""

# An offer is what was bought; the articles are what leaves the warehouse for one of it.
_OFFERS: tuple[tuple[int, str, int, tuple[tuple[int, str, str, int], ...]], ...] = (
    (
        9001,
        "Zestaw kubków 2 szt.",
        20000,
        ((7001, "KUB-CZ", "Kubek czerwony", 1), (7002, "KUB-NB", "Kubek niebieski", 1)),
    ),
    (9002, "Świeca sojowa „Żurawina”", 3999, ((7010, "SWI-ZUR", "Świeca sojowa żurawina", 1),)),
    (9003, "Skarpety wełniane, 3 pary", 5990, ((7021, "SKA-WEL", "Skarpety wełniane", 3),)),
    (
        9004,
        "Zestaw biurowy: notes i długopis",
        4550,
        ((7031, "NOT-A5", "Notes A5", 1), (7032, "DLU-NI", "Długopis", 2)),
    ),
    (9005, "Herbata liściasta 100 g", 1850, ((7040, "HER-100", "Herbata liściasta", 1),)),
)
_DELIVERY = ("Kurier", "Paczkomat", "Odbiór osobisty")
_PAYMENTS = ("Opłacone", "Opłacone", "Opłacone", "Nadpłacone", "Nieopłacone", "Niedopłacone")
_FIRST_DAY = date(2024, 10, 25)
_VAT = 1.23


@dataclass(slots=True, eq=False)
class Order:
    """One order: `fields` are its JSON without the status, `status` the id of that. `garbage`: JSON text shown in its
    place, as a payload that no client can read."""

    id: int
    fields: dict[str, Json]
    status: int
    garbage: str | None = None


class OrderPress:
    """Makes orders, the same ones for the same seed. Ids count up from `first_id`."""

    def __init__(self, seed: int, organization: str, first_id: int) -> None:
        self._rng = random.Random(f"{seed}/{organization}")  # noqa: S311 - believable orders, not secrets
        self._next_id = first_id

    def make(self, status: int) -> Order:
        """A new order in a status, one for a marketplace's buyer."""
        rng, order_id = self._rng, self._next_id
        self._next_id += 1
        items = [self._item(order_id, at) for at in range(rng.choice((1, 1, 2, 3)))]
        gross = round(sum(item["PriceGross"] * item["Quantity"] for item in items), 2)
        person = rng.randrange(500, 5000)
        fields: dict[str, Json] = {
            "Id": order_id,
            "ForeignNumber": f"ALG-{order_id}",
            "IntegrationId": 11,
            "PurchaseDate": (_FIRST_DAY + timedelta(days=rng.randrange(30))).isoformat(),
            "Currency": "PLN",
            "PriceNet": round(gross / _VAT, 2),
            "PriceGross": gross,
            "PaymentFormId": 2,
            "PaymentStatus": rng.choice(_PAYMENTS),
            "DeliveryMethod": rng.choice(_DELIVERY),
            "ShipmentStatus": None,
            "WaybillNumber": None,
            "Remarks": None,
            "BuyerId": person,
            "RecipientId": person,
            "PayerId": person,
            "Items": items,
        }
        return Order(order_id, fields, status)

    def _item(self, order_id: int, at: int) -> dict[str, Json]:
        offer, name, cents, articles = self._rng.choice(_OFFERS)
        count = self._rng.choice((1, 1, 2))
        item_id = order_id * 10 + at + 1
        return {
            "Id": item_id,
            "OfferId": offer,
            "VariantId": None,
            "Name": name,
            "Quantity": count,
            "PriceNet": round(cents / 100 / _VAT, 2),
            "PriceGross": cents / 100,
            "OrderItemArticles": [
                {"Id": item_id * 10 + n, "ArticleId": article, "Code": code, "Name": label, "Quantity": count * each}
                for n, (article, code, label, each) in enumerate(articles, start=1)
            ],
        }
