"""CloudSuite's orders as the simulated platform keeps and makes them (cloudsuite.md §3, §4, samples)."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

Json: TypeAlias = Any

encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode

RELEASED = ("paid", "closed_success", "account")
"""Payment statuses of orders that may be processed (cloudsuite.md §5.2)."""

_SUMMARY = (
    *("id", "reference", "customer_order_number", "erp_order_number", "state"),
    *("order_date", "create_date", "modified_date"),
)
_ARTICLES = (
    ("124_STUK", "Bolt M8 × 40, zinc plated", 10.0),
    ("123_KG", "Coating “Ultra” & hardener", 12.5),
    ("12345-6789", "My first product <new>", 166.15),
    ("LED-5W-WW", "LED 5 W, warm white", 3.95),
    ("NL-ÉCLAIR", "Crème brûlée brander", 24.0),
)


@dataclass(slots=True, eq=False)
class CloudsuiteOrder:
    """One order: `fields` are its JSON without `order_lines`. `lost`: members that a PUT left out and so deleted.

    `garbage`: JSON text shown in place of the order. `timeline`: its custom status lines. `hidden`: members not shown.
    """

    fields: dict[str, Json]
    lines: list[dict[str, Json]]
    lost: list[str] = field(default_factory=list)
    timeline: list[Json] = field(default_factory=list)
    garbage: str | None = None
    hidden: frozenset[str] = frozenset()

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
        return self.garbage or encode({**shown, "order_lines": self.lines})

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

    def make(self, at_us: int, *, payment_status: str | None = None, is_offline: bool = False) -> CloudsuiteOrder:
        """A new order in `confirmed`; `payment_status` None: one of those that release it."""
        rng = self._rng
        number = self._next_id
        self._next_id += 1
        at = self._local(at_us)
        lines = [self._line() for _ in range(rng.choice((1, 2, 2, 3)))]
        status = payment_status or rng.choice(RELEASED)
        total = sum(line["quantity"] * line["unit_price"] for line in lines)
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
            "currency": "EUR",
            "order_date": at[:10],
            "create_date": at,
            "modified_date": at,
            "confirm_date": at,
            "requested_delivery_date": rng.choice((None, at[:10])),
            "paid_amount": f"{total:.2f}" if status in ("paid", "closed_success") else None,
            "shipment_address": 1695,
            "invoice_address": 1652,
            "webshop": self._webshop,
            "user": 1260,
            "offline": is_offline,
            # Members that nobody documented: a PUT that leaves them out deletes them.
            "cost_center": f"KST-{rng.randrange(100, 999)}",
            "payment_method": "iDEAL",
            "total_excl": total,
        }
        return CloudsuiteOrder(fields, lines)

    def _line(self) -> dict[str, Json]:
        key, title, price = self._rng.choice(_ARTICLES)
        line_id = self._next_line_id
        self._next_line_id += 1
        return {
            "id": line_id,
            "product": {"key": key, "origin": "myorigin"},
            "description": title,
            "type": "line",
            "quantity": float(self._rng.choice((1, 1, 2, 2.5, 10))),
            "unit_price": price,
            "erp_line_number": None,
            "discount_percentage": 2.50,
        }


def local_writer(zone: ZoneInfo) -> Callable[[int], str]:
    """Writes Unix microseconds as the platform does: local time without a zone, with microseconds (§3)."""

    def write(us: int) -> str:
        seconds, micros = divmod(us, 1_000_000)
        at = datetime.fromtimestamp(seconds, UTC).astimezone(zone)
        return f"{at:%Y-%m-%dT%H:%M:%S}.{micros:06d}"

    return write
