"""Content of a Shopify order as a read shows it (shopify.md §4-§6). Pure.

Amounts are in the shop's own currency. A line's quantity is what is left of it after edits, returns and removals
(`currentQuantity`), and so are the sums (`current…`). A line's discount and taxes are those of the whole line as it was
ordered: Shopify gives no others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.platforms.content import Apart, decimal, instant, plain, price, rows, sum_of, text
from orchestrator.platforms.shopify.webhooks import id_of_gid
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


def content_of(node: Mapping[str, Json], *, is_on_account: bool = False) -> dict[str, Json]:
    """What the ERP is given of an order's node that was read as `order.graphql` asks; raises nothing.

    What was not asked for (the buyer, where the app may not) is left out. `is_on_account`: payment terms release it.
    """
    includes_tax = node.get("taxesIncluded")
    lines = [_line(each, includes_tax) for each in _nodes(node, "lineItems")]
    found: dict[str, Json] = {
        "ordered_at": instant(node.get("processedAt")) or instant(node.get("createdAt")),
        "numbers": {
            "order": text(node.get("name")),
            "buyer": text(node.get("poNumber")),
            "source": text(node.get("sourceIdentifier")),
        },
        "channel": _channel(node),
        "language": text(node.get("customerLocale")),
        "test": node.get("test"),
        "currency": text(node.get("currencyCode")),
        "delivery": _delivery(node, includes_tax),
        "payment": _payment(node, is_on_account=is_on_account),
        "lines": lines,
        "discounts": _discounts(node, includes_tax),
        "totals": _totals(node),
        "parcels": [_parcel(each) for each in rows(node.get("fulfillments")) if each.get("status") in _LIVE],
        "cancelled": _cancelled(node),
        "note": text(node.get("note")),
        "tags": plain(node.get("tags")) or [],
        "attributes": attributes(node.get("customAttributes")),
        "derived": ["/lines/*/discount", "/discounts/*/amount"],
    }
    found |= _buyer(node)
    for name, theirs in (("ship_to", "shippingAddress"), ("bill_to", "billingAddress")):
        if theirs in node:
            found[name] = address(node[theirs])
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


def priced(amount: Json, includes_tax: Json) -> dict[str, Json]:
    """A price of an order that says whether its prices include tax (`taxesIncluded`)."""
    if includes_tax is True:
        return price(gross=amount)
    return price(net=amount) if includes_tax is False else price(stated=amount)


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
        "region_code": text(found.get("provinceCode")),
        "country": text(found.get("countryCodeV2")),
        "phone": text(found.get("phone")),
    }


def attributes(pairs: Json) -> dict[str, Json]:
    """`[{key, value}]` as an object of texts."""
    return {name: text(each.get("value")) or "" for each in rows(pairs) if (name := text(each.get("key"))) is not None}


def _channel(node: Mapping[str, Json]) -> dict[str, Json]:
    app = _object(node.get("app"))
    return {
        "id": id_of_gid(app.get("id"), "App"),
        "name": text(app.get("name")),
        "source": text(node.get("sourceName")),
    }


def _buyer(node: Mapping[str, Json]) -> dict[str, Json]:
    """What the app may know of the buyer: nothing, the address, or the account and company as well."""
    buyer: dict[str, Json] = {}
    if "email" in node:
        buyer |= {"email": text(node.get("email")), "phone": text(node.get("phone"))}
    if "customer" in node:
        customer, entity = _object(node.get("customer")), _object(node.get("purchasingEntity"))
        company, location = _object(entity.get("company")), _object(entity.get("location"))
        buyer |= {
            "id": id_of_gid(customer.get("id"), "Customer"),
            "name": text(customer.get("displayName")),
            "guest": not customer,
            "company": text(company.get("name")),
            "company_id": text(company.get("externalId")) or id_of_gid(company.get("id"), "Company"),
            "company_location": text(location.get("externalId")) or text(location.get("name")),
        }
    return {"buyer": buyer} if buyer else {}


def _delivery(node: Mapping[str, Json], includes_tax: Json) -> dict[str, Json]:
    """The first shipping line that was not removed; the cost is that of all."""
    line = next((each for each in _nodes(node, "shippingLines") if not each.get("isRemoved")), {})
    cost = priced(money(node.get("currentShippingPriceSet")), includes_tax)
    return {"name": text(line.get("title")), "code": text(line.get("code")), "cost": cost}


def _payment(node: Mapping[str, Json], *, is_on_account: bool) -> dict[str, Json]:
    raw = text(node.get("displayFinancialStatus"))
    gateways = plain(node.get("paymentGatewayNames")) or []
    found: dict[str, Json] = {
        "status": "invoice" if is_on_account and raw == "PENDING" else STATUS.get(raw or "", "unknown"),
        "raw": raw,
        "method": ", ".join(gateways) or None,
        "paid": money(node.get("totalReceivedSet")),
        "due": money(node.get("totalOutstandingSet")),
    }
    if "paymentTerms" in node:
        found["terms"] = _terms(_object(node.get("paymentTerms")))
    return found


def _terms(terms: Mapping[str, Json]) -> dict[str, Json] | None:
    """Since when it is overdue follows from the day it is due on: that day alone changes nothing."""
    if not terms:
        return None
    schedules = _nodes(terms, "paymentSchedules")
    return {
        "type": text(terms.get("paymentTermsType")),
        "name": text(terms.get("paymentTermsName")),
        "due_in_days": decimal(terms.get("dueInDays")),
        "due_at": next((instant(each.get("dueAt")) for each in schedules if not each.get("completedAt")), None),
    }


def _totals(node: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "discount": money(node.get("currentTotalDiscountsSet")),
        "delivery": money(node.get("currentShippingPriceSet")),
        "tax": money(node.get("currentTotalTaxSet")),
        "total": money(node.get("currentTotalPriceSet")),
        "refunded": money(node.get("totalRefundedSet")),
    }


def _line(line: Mapping[str, Json], includes_tax: Json) -> dict[str, Json]:
    discount = sum_of("0", *(money(each.get("allocatedAmountSet")) for each in rows(line.get("discountAllocations"))))
    is_goods = line.get("requiresShipping") is not False
    found: dict[str, Json] = {
        "id": _line_id(line),
        "kind": "gift_card" if line.get("isGiftCard") is True else "goods" if is_goods else "service",
        "sku": text(line.get("sku")),
        "name": text(line.get("name")),
        "quantity": decimal(line.get("currentQuantity")),
        "unit_price": priced(money(line.get("originalUnitPriceSet")), includes_tax),
        "discount": priced(discount, includes_tax),
        "tax": [_tax(each) for each in rows(line.get("taxLines"))],
        "attributes": attributes(line.get("customAttributes")),
    }
    if "product" in line:
        found["product_id"] = id_of_gid(_object(line.get("product")).get("id"), "Product")
        found["variant_id"] = id_of_gid(_object(line.get("variant")).get("id"), "ProductVariant")
    return found


def _tax(tax: Mapping[str, Json]) -> dict[str, Json]:
    return {"name": text(tax.get("title")), "rate": decimal(tax.get("rate")), "amount": money(tax.get("priceSet"))}


def _discounts(node: Mapping[str, Json], includes_tax: Json) -> list[Json]:
    """Each application with what lines and shipping were allocated of it."""
    amounts: dict[Json, str | None] = {}
    for line in (*_nodes(node, "lineItems"), *_nodes(node, "shippingLines")):
        for each in rows(line.get("discountAllocations")):
            index = _object(each.get("discountApplication")).get("index")
            amounts[index] = sum_of(amounts.get(index), money(each.get("allocatedAmountSet")))
    return [
        {
            "code": text(each.get("code")),
            "name": text(each.get("title")) or text(each.get("description")),
            "amount": priced(amounts.get(each.get("index"), "0"), includes_tax),
        }
        for each in _nodes(node, "discountApplications")
    ]


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
