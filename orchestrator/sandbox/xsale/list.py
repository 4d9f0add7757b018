"""xSale's order list: filters in the one array coding that the organization understands, and pages (xsale.md §3)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from orchestrator.sandbox.xsale.press import Order
from orchestrator.sandbox.xsale.shop import XsaleShop

_FILTERS = ("statusidin", "statusnamein")
_PAGES = {"none": (), "limit_offset": ("limit", "offset"), "page": ("page", "pageSize")}
_KEY = re.compile(r"(?P<name>[A-Za-z]+)(?P<bracket>\[(?P<index>\d*)\])?")


@dataclass(slots=True)
class _Query:
    """A query string on its way through validation; `errors` by parameter, as ASP.NET reports them."""

    filters: dict[str, list[str]]
    numbers: dict[str, int]
    errors: dict[str, list[str]]


def find_orders(shop: XsaleShop, text: str) -> list[Order] | dict[str, list[str]]:
    """The orders of one page, or the errors of the query. Without a filter all orders are listed."""
    query = _parse(shop, text)
    if query.errors:
        return query.errors
    found: Iterable[Order] = shop.orders.values()
    if "statusidin" in query.filters:
        ids = {int(value) for value in query.filters["statusidin"]}
        found = (order for order in found if order.status in ids)
    if "statusnamein" in query.filters:
        names = set(query.filters["statusnamein"])
        found = (order for order in found if shop.statuses.get(order.status) in names)
    rows = list(found)
    size = min(query.numbers.get("limit", query.numbers.get("pageSize", 1000)), shop.options.page_cap)
    start = query.numbers.get("offset", (query.numbers.get("page", 1) - 1) * size)
    return rows[start : start + size]


def _parse(shop: XsaleShop, text: str) -> _Query:
    query = _Query({}, {}, {})
    for key, value in parse_qsl(text, keep_blank_values=True):
        parts = _KEY.fullmatch(key)
        name = parts["name"] if parts is not None else key
        if parts is not None and name in _FILTERS:
            values = _values(shop.options.array_style, parts, value, query.filters.get(name, []))
            if values is None or (name == "statusidin" and not all(each.isdecimal() for each in values)):
                query.errors[name] = [f"The value '{value}' is not valid."]
            else:
                query.filters.setdefault(name, []).extend(values)
        elif key in _PAGES[shop.options.paging]:
            if not value.isdecimal() or (key != "offset" and int(value) < 1):
                query.errors[key] = [f"The value '{value}' is not valid."]
            else:
                query.numbers[key] = int(value)
        else:
            query.errors[key] = ["The parameter is not known."]
    return query


def _values(style: str, parts: re.Match[str], value: str, before: list[str]) -> list[str] | None:
    """The values that one parameter adds, None where it is written in another coding than the one understood."""
    bracket, index = parts["bracket"], parts["index"]
    match style:
        case "repeat" if bracket is None:
            return [value]
        case "brackets" if bracket == "[]":
            return [value]
        case "indexed" if index == str(len(before)):
            return [value]
        case "comma" if bracket is None and not before:
            return value.split(",")
        case "json" if bracket is None and not before:
            try:
                values = json.loads(value)
            except ValueError:
                return None
            is_flat = isinstance(values, list) and all(isinstance(each, int | str) for each in values)
            return [str(each) for each in values] if is_flat else None
        case _:
            return None
