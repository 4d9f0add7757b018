"""Selldone's orders as the simulated platform keeps and writes them.

Facts: selldone.md §4. Products and variants are shared between orders and kept as JSON text, so that ten
thousand orders take little memory and a page of 250 is written in a few milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

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
    return items (selldone.md §5.2).
    """

    id: int
    fields: dict[str, Json]
    lines: tuple[Line, ...]
    person: dict[str, Json] | None
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


def timestamp(us: int) -> str:
    """Unix microseconds as the platform writes times: `2024-08-17T16:29:26.000000Z` (selldone.md §4)."""
    seconds, micros = divmod(us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{micros:06d}Z"
