"""Selldone's order list: parameters as Laravel validates them, filters, sorting and paging (selldone.md §3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any
from urllib.parse import parse_qsl

from orchestrator.sandbox.selldone.baskets import Basket
from orchestrator.sandbox.selldone.shop import STATUSES, Invalid, SelldoneShop

_DEFAULT_STATUSES = frozenset({"Payed", "COD"})
_UNIT_US = {"s": 1_000_000, "ms": 1_000}
_SORT: dict[str, Callable[[Basket], Any]] = {
    "id": attrgetter("id"),
    "reserved_at": attrgetter("reserved_us"),
    "updated_at": attrgetter("updated_us"),
    "status": attrgetter("status"),
    "delivery_state": attrgetter("state"),
    "price": lambda basket: basket.fields["price"],
}
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_MAX_LIMIT = 250
_DEFAULT_LIMIT = 25


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A valid list request. `after_us`: Unix microseconds that `updated_at` has to be after, None: no such filter."""

    offset: int
    limit: int
    sort_by: str
    is_descending: bool
    statuses: frozenset[str]
    parts: frozenset[str]
    after_us: int | None
    customer_id: int | None
    affiliate_id: int | None
    product_id: int | None


class _Query:
    """A query string on its way through validation; collects the errors."""

    def __init__(self, query: str) -> None:
        self.errors: dict[str, list[str]] = {}
        self.arrays: dict[str, list[str]] = {"statuses": [], "with": []}
        self.single: dict[str, str] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            base, bracket, _ = name.partition("[")
            if base in self.arrays and bracket:
                self.arrays[base].append(value)
            elif base in self.arrays:
                self.errors[base] = [f"The {base} must be an array."]
            else:
                self.single[name] = value

    def whole(self, name: str, least: int, most: int | None = None) -> int | None:
        """A whole number in its bounds; None where it is absent or wrong."""
        text = self.single.get(name, "")
        if not text:
            return None
        if not (text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 20):
            self.errors[name] = [f"The {name} must be an integer."]
        elif int(text) < least:
            self.errors[name] = [f"The {name} must be at least {least}."]
        elif most is not None and int(text) > most:
            self.errors[name] = [f"The {name} may not be greater than {most}."]
        else:
            return int(text)
        return None


def parse_list(text: str, unit: str) -> ListRequest | Invalid:
    """Reads a query string; every bad parameter is named, as Laravel does. `unit`: of `updated_at`, `s` or `ms`."""
    query = _Query(text)
    after = query.whole("updated_at", 0)
    sort_by = query.single.get("sortBy") or "id"
    if sort_by not in _SORT:
        query.errors["sortBy"] = ["The selected sort by is invalid."]
    is_descending = _TRUTH.get(query.single.get("sortDesc") or "true")
    if is_descending is None:
        query.errors["sortDesc"] = ["The sort desc field must be true or false."]
    if not set(query.arrays["statuses"]) <= set(STATUSES):
        query.errors["statuses"] = ["The selected statuses is invalid."]
    request = ListRequest(
        offset=query.whole("offset", 0) or 0,
        limit=query.whole("limit", 1, _MAX_LIMIT) or _DEFAULT_LIMIT,
        sort_by=sort_by,
        is_descending=is_descending is not False,
        statuses=frozenset(query.arrays["statuses"]) or _DEFAULT_STATUSES,
        parts=frozenset(query.arrays["with"]),
        after_us=None if after is None else after * _UNIT_US[unit],
        customer_id=query.whole("customer_id", 1),
        affiliate_id=query.whole("affiliate_id", 1),
        product_id=query.whole("product_id", 1),
    )
    return Invalid(query.errors) if query.errors else request


def find_page(shop: SelldoneShop, request: ListRequest) -> tuple[list[Basket], int]:
    """The page and the count over all pages. Offsets shift while orders change, as on the platform."""
    if request.after_us is None:
        found = [basket for basket in shop.baskets.values() if basket.fields["status"] in request.statuses]
    else:
        found = []
        # Newest change first: a sync asks for the few that changed since, and need not pass all the others.
        for basket in reversed(shop.changes.values()):
            if basket.updated_us <= request.after_us:
                break
            if basket.fields["status"] in request.statuses:
                found.append(basket)
    for name, wanted in (("customer_id", request.customer_id), ("affiliate_id", request.affiliate_id)):
        if wanted is not None:
            found = [basket for basket in found if basket.fields[name] == wanted]
    if request.product_id is not None:
        found = [
            basket for basket in found if request.product_id in [line.fields["product_id"] for line in basket.lines]
        ]
    found.sort(key=_SORT[request.sort_by], reverse=request.is_descending)
    return found[request.offset : request.offset + request.limit], len(found)
