"""Selldone's orders as the simulated platform keeps and writes them.

Facts: selldone.md §4. Products and variants are shared between orders and kept as JSON text, so that ten
thousand orders take little memory and a page of 250 is written in a few milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from orchestrator.sandbox.cart import Cart, Row, number

Json: TypeAlias = Any

encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""JSON as the platform writes it: compact, money as numbers."""

EVERYTHING = frozenset({"items", "buyer", "products"})
"""The `with[]` names that add sub-objects (selldone.md §3)."""


@dataclass(frozen=True, slots=True)
class Line:
    """One item of an order; `product` and `variant` are JSON text shared with other orders."""

    fields: dict[str, Json]
    product: str
    variant: str

    @property
    def id(self) -> int:
        """The item's id, what `list` of a confirmation names."""
        return int(self.fields["id"])

    def encode(self, has_products: bool) -> str:
        """The item as JSON; without `with[]=products` it carries no product and no variant."""
        text = encode(self.fields)
        return f'{text[:-1]},"product":{self.product},"variant":{self.variant}}}' if has_products else text


@dataclass(slots=True, eq=False)
class Basket:
    """One order as the platform keeps it: `fields` are its JSON without the sub-objects, in the platform's order.

    `reserved_us`, `updated_us`: Unix microseconds. `garbage`: JSON text shown in place of the order, as a payload that
    no client can read. `confirmed`: ids of the items that were confirmed, None before that. `returns`: the requests to
    return items (selldone.md §5.2). `cart`: what is paid for; its rows of goods have the ids of the lines.
    """

    id: int
    fields: dict[str, Json]
    lines: tuple[Line, ...]
    person: dict[str, Json] | None
    cart: Cart
    reserved_us: int
    updated_us: int
    garbage: str | None = None
    confirmed: tuple[int, ...] | None = None
    returns: list[dict[str, Json]] = field(default_factory=list)

    @property
    def status(self) -> str:
        """The payment side (selldone.md §5.1)."""
        return str(self.fields["status"])

    @property
    def state(self) -> str:
        """The delivery side (selldone.md §5.2)."""
        return str(self.fields["delivery_state"])

    def reprice(self, *, is_after: bool) -> None:
        """Writes what the cart costs into the order and its lines; `is_after`: an item's `price` is after its own
        discount `dis` (selldone.md, "Since summer 2026"). There is no sum of all of it."""
        rows = {row.id: row for row in self.cart.of("goods")}
        self.lines = tuple(line for line in self.lines if line.id in rows)
        for line in self.lines:
            line.fields.update(_priced(rows[line.id], self.cart.currency, is_after=is_after))
        price = sum((row.amount - row.own for row in rows.values()), Decimal(0))
        self.fields |= {
            "price": number(price),
            "discount": number(sum((row.discount for row in rows.values()), Decimal(0))),
            "delivery_price": number(sum((row.amount for row in self.cart.of("shipping")), Decimal(0))),
            "currency": self.cart.currency,
        }
        if any(row.rate for row in self.cart.rows):
            taxes = {"tax": number(self.cart.tax("goods")), "tax_shipping": number(self.cart.tax("shipping"))}
            self.fields |= {**taxes, "tax_included": self.cart.has_tax}

    def encode(self, parts: Collection[str] = EVERYTHING) -> str:
        """The order as JSON with the sub-objects named in `parts`."""
        if self.garbage is not None:
            return self.garbage
        texts = [encode(self.fields)[:-1]]
        if "items" in parts:
            lines = ",".join(line.encode("products" in parts) for line in self.lines)
            texts.append(f'"items":[{lines}]')
        if "buyer" in parts:
            texts.append(f'"buyer":{encode(self._buyer())},"customer":{encode(self._customer())}')
        texts.append(f'"gateway_processing":null,"basket_item_returns":{encode(self.returns)}}}')
        return ",".join(texts)

    def _buyer(self) -> dict[str, Json] | None:
        return None if self.person is None else {"id": self.fields["user_id"], **self.person}

    def _customer(self) -> dict[str, Json] | None:
        if self.person is None:
            return None
        return {"id": self.fields["customer_id"], "user_id": self.fields["user_id"], **self.person}


def _priced(row: Row, currency: str, *, is_after: bool) -> dict[str, Json]:
    """What an item shows of its price: `dis` is of one piece; what is no price of one is the amount of an offer."""
    each = row.price - row.charged
    price = row.charged if is_after else row.price
    offer = row.own - each * row.quantity
    amounts = {"price": number(price), "dis": number(each), "offer_amount": number(offer)}
    return {"count": row.quantity, **amounts, "currency": currency}


def timestamp(us: int) -> str:
    """Unix microseconds as the platform writes times: `2024-08-17T16:29:26.000000Z` (selldone.md §4)."""
    seconds, micros = divmod(us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{micros:06d}Z"
