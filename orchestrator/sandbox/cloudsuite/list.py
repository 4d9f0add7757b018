"""CloudSuite's order list: filters and paging as the framework does them (cloudsuite.md §3)."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

from orchestrator.sandbox.cloudsuite.orders import CloudsuiteOrder, Json, encode
from orchestrator.sandbox.cloudsuite.shop import STATES, CloudsuiteShop

_DEFAULT_LIMIT = 20
_PATH = "/api/order/"

# A filter by its name: whether an order passes. Unknown names are ignored, which is the framework's way too.
_FILTERS: dict[str, Callable[[CloudsuiteOrder, str], bool]] = {
    "state": lambda order, value: order.state == value,
    "reference": lambda order, value: order.fields["reference"] == value,
    "webshop": lambda order, value: str(order.fields["webshop"]) == value,
    "offline": lambda order, value: order.is_offline == (value.lower() == "true"),
    "confirm_date__gte": lambda order, value: order.fields["confirm_date"] >= value,
    "confirm_date__lte": lambda order, value: order.fields["confirm_date"] <= value,
    "modified_date__gte": lambda order, value: order.fields["modified_date"] >= value,
    "create_date__gte": lambda order, value: order.fields["create_date"] >= value,
    "order_date__gte": lambda order, value: order.fields["order_date"] >= value,
}


def list_orders(shop: CloudsuiteShop, query: str) -> bytes | dict[str, list[str]]:
    """A page as JSON; `next` and `previous` name the platform's own host. Or errors by field."""
    asked = dict(parse_qsl(query))
    if asked.get("state", "confirmed") not in STATES:
        return {"state": [f"Select a valid choice. {asked['state']} is not one of the available choices."]}
    passing = [(_FILTERS[name], value) for name, value in asked.items() if name in _FILTERS]
    found = [order for order in shop.orders.values() if all(passes(order, value) for passes, value in passing)]
    limit = min(_whole(asked.get("limit")) or _DEFAULT_LIMIT, shop.options.max_limit)
    offset = _whole(asked.get("offset"))
    rows = ",".join(order.summary() for order in found[offset : offset + limit])

    def link(to: int) -> Json:
        others = [(name, value) for name, value in asked.items() if name not in ("limit", "offset")]
        return f"{shop.options.next_host}{_PATH}?{urlencode([*others, ('limit', limit), ('offset', to)])}"

    following = link(offset + limit) if offset + limit < len(found) else None
    previous = link(max(0, offset - limit)) if offset else None
    head = encode({"count": len(found), "next": following, "previous": previous})
    return f'{head[:-1]},"results":[{rows}]}}'.encode()


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else 0
