"""Content of a Shopify order as a read shows it (shopify.md §4-§6). Pure.

Amounts are in the shop's own currency. A line's quantity is what is left of it after edits, returns and removals
(`currentQuantity`), and so are the sums (`current…`). A line's discount and taxes Shopify gives as it was ordered: what
is left of the line has its part of them, by quantity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.platforms.content import Apart, boolean, decimal, given, instant, plain, price, rows, sum_of, text
from orchestrator.platforms.currencies import payable
from orchestrator.platforms.shopify.goods import Goods, goods_by_line
from orchestrator.platforms.shopify.webhooks import id_of_gid
from statemachines.numbers import decimal_of, product, written
from statemachines.target import Json

APART = Apart(
    steps=("/parcels", "/numbers/erp"),  # fulfill, update_tracking, mark_delivered; set_erp_number
    cancel=("/cancelled", "/payment", "/lines", "/discounts", "/delivery/cost", "/totals", "/returns"),
    # what follows from the parcels, and the product as it is now
    beside=("/lines/*/open", "/lines/*/gtin"),
)
"""What our steps change: a parcel is made, gets its codes and arrives; the ERP's number is written; a cancellation
takes all goods out, voids or gives back the money, and leaves a total of nothing."""

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
_METHOD = {
    "SHIPPING": "shipping",
    "PICKUP_POINT": "shipping",  # a carrier brings it there
    "LOCAL": "local",
    "PICK_UP": "pickup",
    "RETAIL": "none",
    "NONE": "none",
}
_ON_DELIVERY = frozenset({"cash_on_delivery", "cash on delivery (cod)"})
_MONEY_IS_THERE = frozenset({"AUTHORIZED", "PAID", "PARTIALLY_REFUNDED", "REFUNDED"})


_ADDRESS = {
    "name": "name",
    "company": "company",
    "street": "address1",
    "street2": "address2",
    "postal_code": "zip",
    "city": "city",
    "region": "province",
    "region_code": "provinceCode",
    "country": "countryCodeV2",
    "phone": "phone",
}
_TOTALS = {
    "discount": "currentTotalDiscountsSet",
    "delivery": "currentShippingPriceSet",
    "tax": "currentTotalTaxSet",
    "total": "currentTotalPriceSet",
    "refunded": "totalRefundedSet",
}


def content_of(node: Mapping[str, Json], *, is_on_account: bool = False) -> dict[str, Json]:
    """What the ERP is given of an order's node that was read as `order.graphql` asks; raises nothing.

    What was not asked for (the buyer, where the app may not) is left out. `is_on_account`: payment terms release it.
    """
    includes_tax = node.get("taxesIncluded")
    goods = goods_by_line(_nodes(node, "fulfillmentOrders"))
    found: dict[str, Json] = {
        "ordered_at": instant(node.get("processedAt")) or instant(node.get("createdAt")),
        "numbers": _numbers(node),
        "channel": _channel(node),
        **given(node, {"language": "customerLocale", "currency": "currencyCode", "note": "note"}),
        **given(node, {"test": "test"}, boolean),
        "delivery": _delivery(node, includes_tax),
        "payment": _payment(node, is_on_account=is_on_account),
        "totals": given(node, _TOTALS, money),
        "cancelled": _cancelled(node),
        "tags": plain(node.get("tags")) or [],
        "derived": ["/lines/*/discount", "/lines/*/open", "/discounts/*/amount"],
    }
    if "lineItems" in node:
        lines = _nodes(node, "lineItems")
        found["lines"] = [_line(each, node, goods) for each in lines]
        if any(each.get("currentQuantity") != each.get("quantity") for each in lines):
            found["derived"].append("/lines/*/tax")
    if "discountApplications" in node:
        found["discounts"] = _discounts(node, includes_tax)
    if "fulfillments" in node:
        found["parcels"] = [_parcel(each) for each in rows(node["fulfillments"]) if each.get("status") in _LIVE]
    if "customAttributes" in node:
        found["attributes"] = attributes(node["customAttributes"])
    found |= _buyer(node)
    for name, theirs in (("ship_to", "shippingAddress"), ("bill_to", "billingAddress")):
        if theirs in node:
            found[name] = address(node[theirs])
    return found


def _numbers(node: Mapping[str, Json]) -> dict[str, Json]:
    """What the order is called; by the ERP as its metafield says, where that is asked for."""
    found = given(node, {"order": "name", "buyer": "poNumber", "source": "sourceIdentifier"})
    if "metafield" in node:
        found["erp"] = text((node["metafield"] or {}).get("value"))
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


def of_what_is_left(amount: Json, *, ordered: Json, left: Json, currency: Json) -> str | None:
    """Its part of an amount of a whole line, in what can be paid; all of it where nothing was taken out."""
    whole, count, rest = decimal_of(amount), decimal_of(ordered), decimal_of(left)
    if whole is None or count is None or rest is None or count == rest or count <= 0:
        return decimal(amount)
    return written(payable(product(whole, rest) / count, currency))


def address(found: Json) -> dict[str, Json] | None:
    """A mailing address."""
    if not isinstance(found, Mapping):
        return None
    return given(found, _ADDRESS)


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
    buyer: dict[str, Json] = given(node, {"email": "email", "phone": "phone"})
    if "customer" in node:
        customer, entity = _object(node.get("customer")), _object(node.get("purchasingEntity"))
        company, location = _object(entity.get("company")), _object(entity.get("location"))
        buyer |= {
            "id": id_of_gid(customer.get("id"), "Customer"),
            **given(customer, {"name": "displayName"}),  # a guest's is not given
            "guest": not customer,
            "company": text(company.get("name")),
            "company_id": text(company.get("externalId")) or id_of_gid(company.get("id"), "Company"),
            "company_location": text(location.get("externalId")) or text(location.get("name")),
        }
    return {"buyer": buyer} if buyer else {}


def _delivery(node: Mapping[str, Json], includes_tax: Json) -> dict[str, Json]:
    """The first shipping line that was not removed; the cost is that of all. The method is that of all goods, where
    they have one in common."""
    line = next((each for each in _nodes(node, "shippingLines") if not each.get("isRemoved")), {})
    found: dict[str, Json] = {"cost": priced(money(node.get("currentShippingPriceSet")), includes_tax)}
    if "shippingLines" in node:
        found |= {"name": text(line.get("title")), "code": text(line.get("code"))}
    ways = {_object(each.get("deliveryMethod")).get("methodType") for each in _nodes(node, "fulfillmentOrders")}
    methods = {_METHOD.get(str(each)) for each in ways}
    if len(methods) == 1 and None not in methods:
        found |= {"method": methods.pop()}
    return found


def _payment(node: Mapping[str, Json], *, is_on_account: bool) -> dict[str, Json]:
    raw = text(node.get("displayFinancialStatus"))
    gateways = [name for each in plain(node.get("paymentGatewayNames")) or [] if (name := text(each)) is not None]
    found: dict[str, Json] = {
        "status": "invoice" if is_on_account and raw == "PENDING" else STATUS.get(raw or "", "unknown"),
        "raw": raw,
        "method": ", ".join(gateways) or None,
        **given(node, {"paid": "totalReceivedSet", "due": "totalOutstandingSet"}, money),
    }
    if any(each.casefold() in _ON_DELIVERY for each in gateways):
        found["on_delivery"] = True
    elif raw in _MONEY_IS_THERE:
        found["on_delivery"] = False  # of money to come nobody says how
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


def _line(line: Mapping[str, Json], order: Mapping[str, Json], goods: Mapping[str, Goods]) -> dict[str, Json]:
    discount = sum_of("0", *(money(each.get("allocatedAmountSet")) for each in rows(line.get("discountAllocations"))))
    includes_tax = order.get("taxesIncluded")
    is_goods = line.get("requiresShipping") is not False
    found: dict[str, Json] = {
        "id": _line_id(line),
        "kind": "gift_card" if line.get("isGiftCard") is True else "goods" if is_goods else "service",
        "sku": text(line.get("sku")),
        "name": text(line.get("name")),
        "quantity": decimal(line.get("currentQuantity")),
        "unit_price": priced(money(line.get("originalUnitPriceSet")), includes_tax),
        "discount": priced(_left(discount, line, order), includes_tax),
        "tax": [_tax(each, line, order) for each in rows(line.get("taxLines"))],
        "attributes": attributes(line.get("customAttributes")),
    }
    if "product" in line:
        found["product_id"] = id_of_gid(_object(line.get("product")).get("id"), "Product")
        found["variant_id"] = id_of_gid(_object(line.get("variant")).get("id"), "ProductVariant")
        found |= given(_object(line.get("variant")), {"gtin": "barcode"})
    if (mine := goods.get(found["id"] or "")) is not None:
        found |= {"open": mine.open, **({} if mine.location is None else {"location": mine.location})}
    return found


def _tax(tax: Mapping[str, Json], line: Mapping[str, Json], order: Mapping[str, Json]) -> dict[str, Json]:
    amount = _left(money(tax.get("priceSet")), line, order)
    return {"name": text(tax.get("title")), "rate": decimal(tax.get("rate")), "amount": amount}


def _left(amount: str | None, line: Mapping[str, Json], order: Mapping[str, Json]) -> str | None:
    ordered, left = line.get("quantity"), line.get("currentQuantity")
    return of_what_is_left(amount, ordered=ordered, left=left, currency=order.get("currencyCode"))


def _discounts(node: Mapping[str, Json], includes_tax: Json) -> list[Json]:
    """Each application with what lines, as far as they are left, and shipping were allocated of it."""
    amounts: dict[Json, str | None] = {}
    for line in (*_nodes(node, "lineItems"), *_nodes(node, "shippingLines")):
        for each in rows(line.get("discountAllocations")):
            index = _object(each.get("discountApplication")).get("index")
            amounts[index] = sum_of(amounts.get(index), _left(money(each.get("allocatedAmountSet")), line, node))
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
    found: dict[str, Json] = {"at": instant(node.get("cancelledAt")), "reason": reason.lower() if reason else None}
    return found | ({"by": "buyer"} if reason == "CUSTOMER" else {})


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _nodes(owner: Mapping[str, Json], name: str) -> list[Mapping[str, Json]]:
    return rows(_object(owner.get(name)).get("nodes"))
