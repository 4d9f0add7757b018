"""Content of a Shopify order as a read shows it (shopify.md §4-§6). Pure.

Amounts are in the shop's own currency. A line's quantity is what is left of it after edits, returns and removals
(`currentQuantity`), the total what is left of it in the same way (`currentTotalPriceSet`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.platforms.content import Apart, decimal, instant, plain, price, rows, text
from orchestrator.platforms.shopify_webhooks import id_of_gid
from statemachines.target import Json

APART = Apart(
    steps=("/parcels",),  # fulfill, update_tracking, mark_delivered
    cancel=("/cancelled", "/payment", "/lines", "/discounts", "/delivery/cost", "/totals", "/returns"),
)
"""What our steps change: a parcel is made, gets its codes and arrives; a cancellation takes all goods out, voids or
gives back the money, and leaves a total of nothing."""

STATUS = {
    "PENDING": "unpaid",
    "AUTHORIZED": "authorized",
    "PARTIALLY_PAID": "partly_paid",
    "PAID": "paid",
    "PARTIALLY_REFUNDED": "partly_refunded",
    "REFUNDED": "refunded",
    "VOIDED": "voided",
    "EXPIRED": "voided",
}
"""Our word for a financial status (shopify.md §4): an authorization that expired is worth no more than a void one."""

_LIVE = frozenset({"SUCCESS", "OPEN", "PENDING"})


def content_of(node: Mapping[str, Json]) -> dict[str, Json]:
    """What the ERP is given of an order's node that was read as `order.graphql` asks; raises nothing.

    What was not asked for (the buyer, where the app may not) is left out.
    """
    status = text(node.get("displayFinancialStatus"))
    found: dict[str, Json] = {
        "ordered_at": instant(node.get("createdAt")),
        "numbers": {"order": text(node.get("name")), "buyer": text(node.get("poNumber"))},
        "payment": {"status": STATUS.get(status or "", "unknown"), "raw": status},
        "lines": [_line(each) for each in _nodes(node, "lineItems")],
        "totals": {"total": money(node.get("currentTotalPriceSet"))},
        "parcels": [_parcel(each) for each in rows(node.get("fulfillments")) if each.get("status") in _LIVE],
        "cancelled": _cancelled(node),
        "note": text(node.get("note")),
        "tags": plain(node.get("tags")) or [],
        "attributes": attributes(node.get("customAttributes")),
    }
    if "email" in node:
        found["buyer"] = {"email": text(node.get("email")), "phone": text(node.get("phone"))}
    if "shippingAddress" in node:
        found["ship_to"] = address(node.get("shippingAddress"))
    return found


def returns_of(facts: Sequence[Mapping[str, Json]]) -> list[Json]:
    """What buyers send back, from the facts that a read gives of it; none of our steps makes or changes a return."""
    return [
        {
            "id": each["id"],
            "state": each["state"],
            "lines": [{"id": line["id"], "quantity": decimal(line["quantity"])} for line in each["lines"]],
            "processed": [{"id": line, "quantity": decimal(count)} for line, count in each["processed"].items()],
            "exchange": decimal(each["exchange"]),
        }
        for each in facts
    ]


def money(bag: Json) -> str | None:
    """The amount of a MoneyBag in the shop's currency."""
    amount = bag.get("shopMoney") if isinstance(bag, Mapping) else None
    return decimal(amount.get("amount")) if isinstance(amount, Mapping) else None


def address(found: Json) -> dict[str, Json] | None:
    """A mailing address."""
    if not isinstance(found, Mapping):
        return None
    return {
        "name": text(found.get("name")),
        "company": text(found.get("company")),
        "street": text(found.get("address1")),
        "street2": text(found.get("address2")),
        "postal_code": text(found.get("zip")),
        "city": text(found.get("city")),
        "region": text(found.get("province")),
        "country": text(found.get("countryCodeV2")),
        "phone": text(found.get("phone")),
    }


def attributes(pairs: Json) -> dict[str, Json]:
    """`[{key, value}]` as an object of texts."""
    return {name: text(each.get("value")) or "" for each in rows(pairs) if (name := text(each.get("key"))) is not None}


def _line(line: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "id": _line_id(line),
        "sku": text(line.get("sku")),
        "name": text(line.get("name")),
        "quantity": decimal(line.get("currentQuantity")),
        "unit_price": price(stated=money(line.get("originalUnitPriceSet"))),
    }


def _parcel(fulfillment: Mapping[str, Json]) -> dict[str, Json]:
    tracking = rows(fulfillment.get("trackingInfo"))
    return {
        "id": id_of_gid(fulfillment.get("id"), "Fulfillment"),
        "number": text(fulfillment.get("name")),
        "numbers": [number for each in tracking if (number := text(each.get("number"))) is not None],
        "carrier": next((text(each["company"]) for each in tracking if each.get("company")), None),
        "url": next((text(each["url"]) for each in tracking if each.get("url")), None),
        "shipped_at": instant(fulfillment.get("createdAt")),
        "delivered_at": instant(fulfillment.get("deliveredAt")),
        "lines": [
            {"id": _line_id(each.get("lineItem")), "quantity": decimal(each["quantity"])}
            for each in _nodes(fulfillment, "fulfillmentLineItems")
            if each.get("quantity")
        ],
    }


def _line_id(line: Json) -> str | None:
    return id_of_gid(_object(line).get("id"), "LineItem")


def _cancelled(node: Mapping[str, Json]) -> dict[str, Json] | None:
    if node.get("cancelledAt") is None:
        return None
    reason = text(node.get("cancelReason"))
    by = "buyer" if reason == "CUSTOMER" else None
    return {"at": instant(node.get("cancelledAt")), "by": by, "reason": reason.lower() if reason else None}


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _nodes(owner: Mapping[str, Json], name: str) -> list[Mapping[str, Json]]:
    return rows(_object(owner.get(name)).get("nodes"))
