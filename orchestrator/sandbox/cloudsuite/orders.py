"""CloudSuite's orders as the simulated platform keeps and makes them (cloudsuite.md §3, §4, samples)."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from orchestrator.sandbox.cart import PEOPLE, Cart, Good, Row

Json: TypeAlias = Any

encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode

RELEASED = ("paid", "closed_success", "account")
"""Payment statuses of orders that may be processed (cloudsuite.md §5.2)."""

_SUMMARY = (
    *("id", "reference", "customer_order_number", "erp_order_number", "state"),
    *("order_date", "create_date", "modified_date"),
)
_PAID = frozenset({"paid", "closed_success"})
_ARTICLES = (
    Good(1, 0, "124_STUK", "Bolt M8 × 40, zinc plated", Decimal("10.00"), Decimal(21)),
    Good(2, 0, "123_KG", "Coating “Ultra” & hardener", Decimal("12.50"), Decimal(21)),
    Good(3, 0, "12345-6789", "My first product <new>", Decimal("166.15"), Decimal(21)),
    Good(4, 0, "LED-5W-WW", "LED 5 W, warm white", Decimal("3.95"), Decimal(21)),
    Good(5, 0, "NL-ÉCLAIR", "Crème brûlée brander", Decimal("24.00"), Decimal(21)),
)


@dataclass(slots=True, eq=False)
class CloudsuiteOrder:
    """One order: `fields` are its JSON without `order_lines`. `lost`: members that a PUT left out and so deleted.

    `cart`: what is paid for; its rows of goods have the ids of the lines. `shown`: what the order shows beyond its own
    members, a sum of the cart by the name of the member. `garbage`: JSON text shown in place of the order. `timeline`:
    its custom status lines. `hidden`: members not shown.
    """

    fields: dict[str, Json]
    lines: list[dict[str, Json]]
    cart: Cart
    lost: list[str] = field(default_factory=list)
    timeline: list[Json] = field(default_factory=list)
    garbage: str | None = None
    hidden: frozenset[str] = frozenset()
    shown: Mapping[str, str] = field(default_factory=dict)

    def reprice(self) -> None:
        """Writes what the cart costs into the order and its lines: prices are without tax, and nothing shows shipping
        or discounts (cloudsuite.md §4)."""
        known = {line["id"]: line for line in self.lines}
        self.lines = [_line(row, known.get(row.id, {})) for row in self.cart.of("goods")]
        self.fields |= {"currency": self.cart.currency, "total_excl": float(self.cart.net())}

    def set_payment(self, status: str) -> None:
        """A payment status; with the first one that means paid, all of it is."""
        self.fields["payment_status"] = status
        if status in _PAID and self.fields["paid_amount"] is None:
            self.fields["paid_amount"] = str(self.cart.total)

    @property
    def id(self) -> int:
        """The platform's id."""
        return int(self.fields["id"])

    @property
    def state(self) -> str:
        """The order's `state`."""
        return str(self.fields["state"])

    @property
    def is_offline(self) -> bool:
        """Whether it was placed elsewhere."""
        return self.fields.get("offline") is True

    def detail(self) -> str:
        """The order as JSON, with its lines."""
        shown = {name: value for name, value in self.fields.items() if name not in self.hidden}
        sums = self.cart.sums(is_gross=False) if self.shown else {}
        more = {member: float(sums[what]) for member, what in self.shown.items()}
        return self.garbage or encode({**shown, **more, "order_lines": self.lines})

    def summary(self) -> str:
        """Its row in the list: no lines, no payment status (cloudsuite.md §3)."""
        return self.garbage or encode({name: self.fields.get(name) for name in _SUMMARY})


class CloudsuitePress:
    """Makes believable orders, the same ones for the same seed. Ids count up from `first_id`."""

    def __init__(self, seed: int, first_id: int, webshop: int, local: Callable[[int], str]) -> None:
        self._rng = random.Random(f"{seed}/{webshop}")  # noqa: S311 - believable orders, not secrets
        self._next_id = first_id
        self._next_line_id = first_id * 10
        self._webshop = webshop
        self._local = local

    def next_line_id(self) -> int:
        """An id that no line had."""
        self._next_line_id += 1
        return self._next_line_id - 1

    def make(
        self,
        at_us: int,
        *,
        payment_status: str | None = None,
        is_offline: bool = False,
        cart: Cart | None = None,
    ) -> CloudsuiteOrder:
        """A new order in `confirmed`; `payment_status` None: one of those that release it. `cart`: what is ordered,
        None: as it comes."""
        rng = self._rng
        number = self._next_id
        self._next_id += 1
        at = self._local(at_us)
        if cart is None:
            cart = Cart(PEOPLE[0], PEOPLE[0], "EUR", [self._row() for _ in range(rng.choice((1, 2, 2, 3)))])
        status = payment_status or rng.choice(RELEASED)
        fields: dict[str, Json] = {
            "id": number,
            "reference": f"CS{number}",
            "key": None,
            "customer": 1324,
            "customer_order_number": rng.choice((None, f"PO-{rng.randrange(10, 99)}", "ref. Łódź")),
            "erp_order_number": None,
            "state": "confirmed",
            "payment_status": status,
            "shipment_state": None,
            "description": None,
            "currency": cart.currency,
            "order_date": at[:10],
            "create_date": at,
            "modified_date": at,
            "confirm_date": at,
            "requested_delivery_date": rng.choice((None, at[:10])),
            "paid_amount": None,
            "shipment_address": 1695,
            "invoice_address": 1652,
            "webshop": self._webshop,
            "user": 1260,
            "offline": is_offline,
            # Members that nobody documented: a PUT that leaves them out deletes them.
            "cost_center": f"KST-{rng.randrange(100, 999)}",
            "payment_method": "iDEAL",
            "total_excl": None,
        }
        order = CloudsuiteOrder(fields, [], cart)
        order.reprice()
        order.set_payment(status)
        return order

    def _row(self) -> Row:
        good, row_id = self._rng.choice(_ARTICLES), self.next_line_id()
        count = self._rng.choice((1, 1, 2, Decimal("2.5"), 10))
        return Row(row_id, "goods", good.name, good.price, good.rate, count, good=good)


def _line(row: Row, known: Mapping[str, Json]) -> dict[str, Json]:
    """A row as a line; what a client or nobody documents stays as it is `known`."""
    assert row.good is not None
    more = {"erp_line_number": None, "batch": f"B-{row.id % 100}", **known}
    return {
        "id": row.id,
        "product": {"key": row.good.sku, "origin": "myorigin"},
        "description": row.name,
        "type": "line",
        "quantity": float(row.quantity),
        "unit_price": float(row.price),
        **{name: more[name] for name in ("erp_line_number", "batch")},
    }


def local_writer(zone: ZoneInfo) -> Callable[[int], str]:
    """Writes Unix microseconds as the platform does: local time without a zone, with microseconds (§3)."""

    def write(us: int) -> str:
        seconds, micros = divmod(us, 1_000_000)
        at = datetime.fromtimestamp(seconds, UTC).astimezone(zone)
        return f"{at:%Y-%m-%dT%H:%M:%S}.{micros:06d}"

    return write
