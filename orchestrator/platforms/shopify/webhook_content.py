"""Content of a Shopify order as a webhook's body has it: the words of a read (`content`), so that the first
read after it shows as changed what changed, and nothing else (facts: shopify.md §3). Pure.

A subscription may leave fields out (`includeFields`), and what a body does not have is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.platforms.content import decimal, instant, rows, sum_of, text
from orchestrator.platforms.shopify.content import STATUS, of_what_is_left, priced
from orchestrator.platforms.shopify.webhooks import id_of_gid, whole_id
from statemachines.target import Json


def webhook_content(body: Mapping[str, Json], *, is_on_account: bool = False) -> dict[str, Json]:
    """What a body of `orders/*` shows; raises nothing. `is_on_account`: payment terms release it."""
    found: dict[str, Json] = {name: read(body[key]) for name, key, read in _MEMBERS if key in body}
    found |= {
        "numbers": _some(body, {"order": "name", "buyer": "po_number", "source": "source_identifier"}),
        "channel": _some(body, {"source": "source_name"}),
        "buyer": _buyer(body),
        "totals": _totals(body),
    }
    if "line_items" in body:  # without taxes_included nobody says what the prices are
        found["lines"] = [_line(each, body) for each in rows(body["line_items"])]
    if (ordered_at := body.get("processed_at") or body.get("created_at")) is not None:
        found["ordered_at"] = instant(ordered_at)
    if "financial_status" in body:
        found["payment"] = _payment(body, is_on_account=is_on_account)
    if "cancelled_at" in body:
        found["cancelled"] = _cancelled(body)
    return found


def _payment(body: Mapping[str, Json], *, is_on_account: bool) -> dict[str, Json]:
    status = text(body["financial_status"])
    raw = status.upper() if status else None
    status = "invoice" if is_on_account and raw == "PENDING" else STATUS.get(raw or "", "unknown")
    found: dict[str, Json] = {"status": status, "raw": raw}
    if "total_outstanding" in body:
        found["due"] = decimal(body["total_outstanding"])
    return found


def _buyer(body: Mapping[str, Json]) -> dict[str, Json]:
    found = _some(body, {"email": "email", "phone": "phone"})
    if "customer" in body:
        customer = body["customer"] if isinstance(body["customer"], Mapping) else {}
        found |= {"id": _id(customer, "Customer"), "guest": not customer}
    return found


def _line(line: Mapping[str, Json], body: Mapping[str, Json]) -> dict[str, Json]:
    found: dict[str, Json] = {"id": _id(line, "LineItem"), **_some(line, {"sku": "sku", "name": "name"})}
    ordered, left, includes_tax = line.get("quantity"), line.get("current_quantity"), body.get("taxes_included")
    found["quantity"] = decimal(ordered if left is None else left)
    if includes_tax is None:
        return found
    if "price" in line:
        found["unit_price"] = priced(line["price"], includes_tax)
    if isinstance(allocations := line.get("discount_allocations"), list):
        whole = sum_of("0", *(each.get("amount") for each in rows(allocations)))
        discount = of_what_is_left(whole, ordered=ordered, left=left, currency=body.get("currency"))
        found["discount"] = priced(discount, includes_tax)
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
            "region_code": "province_code",
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
    found: dict[str, Json] = {"at": instant(body["cancelled_at"]), "reason": reason}
    return found | ({"by": "buyer"} if reason == "customer" else {})


def _totals(body: Mapping[str, Json]) -> dict[str, Json]:
    """A body of an older version has no `current_…`; then the total is that of the order as it was made."""
    names = {"discount": "current_total_discounts", "tax": "current_total_tax", "total": "current_total_price"}
    found: dict[str, Json] = {mine: decimal(body[theirs]) for mine, theirs in names.items() if theirs in body}
    if "total" not in found and "total_price" in body:
        found["total"] = decimal(body["total_price"])
    return found


def _some(owner: Mapping[str, Json], names: Mapping[str, str]) -> dict[str, Json]:
    """The texts that are given, by our names."""
    return {mine: text(owner[theirs]) for mine, theirs in names.items() if theirs in owner}


def _id(thing: Mapping[str, Json], kind: str) -> str | None:
    """A gid wins over the number beside it, which may have gone through a float."""
    return id_of_gid(thing.get("admin_graphql_api_id"), kind) or whole_id(thing.get("id"))


_MEMBERS: tuple[tuple[str, str, Callable[[Json], Json]], ...] = (
    ("language", "customer_locale", text),
    ("test", "test", lambda value: value if isinstance(value, bool) else None),
    ("currency", "currency", text),
    ("parcels", "fulfillments", _parcels),
    ("ship_to", "shipping_address", _address),
    ("bill_to", "billing_address", _address),
    ("note", "note", text),
    ("tags", "tags", _tags),
    ("attributes", "note_attributes", _attributes),
)
