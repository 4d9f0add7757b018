"""Content of a Shopify order as a webhook's body tells it: the words of a read (`shopify_content`), so that the first
read after it shows as changed what changed, and nothing else (facts: shopify.md §3). Pure.

A subscription may leave fields out (`includeFields`), and what a body does not have is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.platforms.content import decimal, instant, price, rows, text
from orchestrator.platforms.shopify_content import STATUS
from orchestrator.platforms.shopify_webhooks import id_of_gid, whole_id
from statemachines.target import Json


def told_content(body: Mapping[str, Json]) -> dict[str, Json]:
    """What a body of `orders/*` tells; raises nothing."""
    found: dict[str, Json] = {}
    for name, key, read in _MEMBERS:
        if key in body:
            found[name] = read(body[key])
    found |= {
        "numbers": _some(body, {"order": "name", "buyer": "po_number"}),
        "totals": _totals(body),
        "buyer": _some(body, {"email": "email", "phone": "phone"}),
    }
    if "financial_status" in body:
        raw = text(body["financial_status"])
        word = raw.upper() if raw else None
        found["payment"] = {"status": STATUS.get(word or "", "unknown"), "raw": word}
    if "cancelled_at" in body:
        found["cancelled"] = _cancelled(body)
    return found


def _lines(lines: Json) -> list[Json]:
    return [_line(each) for each in rows(lines)]


def _line(line: Mapping[str, Json]) -> dict[str, Json]:
    found: dict[str, Json] = {"id": _id(line, "LineItem"), **_some(line, {"sku": "sku", "name": "name"})}
    quantity = line.get("current_quantity")
    found["quantity"] = decimal(line.get("quantity") if quantity is None else quantity)
    if "price" in line:
        found["unit_price"] = price(stated=line["price"])
    return found


def _parcels(fulfillments: Json) -> list[Json]:
    return [_parcel(each) for each in rows(fulfillments) if each.get("status") in ("success", "open", "pending")]


def _parcel(fulfillment: Mapping[str, Json]) -> dict[str, Json]:
    found: dict[str, Json] = {"id": _id(fulfillment, "Fulfillment"), **_some(fulfillment, {"number": "name"})}
    if isinstance(numbers := fulfillment.get("tracking_numbers"), list):
        found["numbers"] = [number for each in numbers if (number := text(each)) is not None]
    return found | _some(fulfillment, {"carrier": "tracking_company", "url": "tracking_url"})


def _address(found: Json) -> dict[str, Json] | None:
    if not isinstance(found, Mapping):
        return None
    return _some(
        found,
        {
            "name": "name",
            "company": "company",
            "street": "address1",
            "street2": "address2",
            "phone": "phone",
            "postal_code": "zip",
            "city": "city",
            "region": "province",
            "country": "country_code",
        },
    )


def _attributes(pairs: Json) -> dict[str, Json]:
    return {name: text(each.get("value")) or "" for each in rows(pairs) if (name := text(each.get("name"))) is not None}


def _tags(tags: Json) -> list[Json]:
    """One text with commas."""
    return [each.strip() for each in tags.split(",") if each.strip()] if isinstance(tags, str) else []


def _cancelled(body: Mapping[str, Json]) -> dict[str, Json] | None:
    if body["cancelled_at"] is None:
        return None
    reason = text(body.get("cancel_reason"))
    return {"at": instant(body["cancelled_at"]), "by": "buyer" if reason == "customer" else None, "reason": reason}


def _totals(body: Mapping[str, Json]) -> dict[str, Json]:
    """A body of an older version has no `current_…`; then the total is told as it was ordered."""
    total = body.get("current_total_price")
    total = body.get("total_price") if total is None else total
    return {} if total is None else {"total": decimal(total)}


def _some(owner: Mapping[str, Json], names: Mapping[str, str]) -> dict[str, Json]:
    """The texts that are told, by our names."""
    return {mine: text(owner[theirs]) for mine, theirs in names.items() if theirs in owner}


def _id(thing: Mapping[str, Json], kind: str) -> str | None:
    """A gid wins over the number beside it, which may have gone through a float."""
    return id_of_gid(thing.get("admin_graphql_api_id"), kind) or whole_id(thing.get("id"))


_MEMBERS: tuple[tuple[str, str, Callable[[Json], Json]], ...] = (
    ("ordered_at", "created_at", instant),
    ("lines", "line_items", _lines),
    ("parcels", "fulfillments", _parcels),
    ("ship_to", "shipping_address", _address),
    ("note", "note", text),
    ("tags", "tags", _tags),
    ("attributes", "note_attributes", _attributes),
)
