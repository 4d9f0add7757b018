"""Content of a Selldone order (selldone.md §4, "Since summer 2026"). Pure.

Selldone gives no total: ours is computed and named in `derived`. So are the discounts of items, which follow from the
reading under which they add up (`line_prices`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from orchestrator.clock import rfc3339
from orchestrator.platforms.content import (
    Apart,
    decimal,
    given,
    instant,
    is_empty,
    plain,
    rows,
    sum_of,
    text,
    texts,
)
from orchestrator.platforms.selldone.line_prices import line_discounts, summed
from orchestrator.platforms.selldone.returns import returns_content
from orchestrator.platforms.selldone.withdrawal import withdrawal_fact
from statemachines.numbers import decimal_of
from statemachines.target import Json

APART = Apart(
    # set_tracking writes tracking_code and tracking_url, prepare the rest of delivery_info, and so does the platform
    steps=("/parcels", "/delivery/name", "/delivery/requested_on"),
    cancel=("/cancelled", "/payment", "/rejection"),
    beside=(
        # the product and the buyer's account as they are now: an order's row of the list need not carry them, and a
        # product that is renamed is no other order
        *("/lines/*/sku", "/lines/*/name", "/lines/*/mpn", "/lines/*/gtin", "/lines/*/unit"),
        *("/buyer/name", "/buyer/email", "/buyer/phone"),
    ),
)
"""What our steps change beside `delivery_state` and what is not the order's own."""

_STATUS = {"Payed": "paid", "COD": "invoice", "Reserved": "unpaid", "Open": "unpaid"}
_ADDRESS = {
    "name": "name",
    "street": "address",
    "street2": "unit",
    "house_number": "no",
    "postal_code": "postal",
    "city": "city",
    "region": "state",
    "region_code": "state_code",
    "country": "country",
    "phone": "phone",
    "email": "email",
    "tax_id": "tax_id",
}
_AT = {"ordered_at": "reserved_at"}
_OWN = {"currency": "currency", "language": "language"}
_NOTE = {"note": "message"}
_CHANNEL = {"id": "stack", "name": "channel"}
_DELIVERY = {"name": "type", "requested_on": "date"}
_PAYMENT = {"method": "payment_type", "reference": "payment_id"}
_LINE = {"id": "id", "product_id": "product_id", "variant_id": "variant_id", "note": "message"}
_QUANTITY = {"quantity": "count"}
_ARTICLE = {"sku": "sku", "mpn": "mpn", "gtin": "gtin"}
_PRODUCT = {"name": "title", "unit": "unit"}
_TOTALS = {"lines": "price", "discount": "discount", "delivery": "delivery_price"}


def content_of(order: Mapping[str, Json]) -> dict[str, Json]:
    """What the ERP is given of an order. What is invalid is left out; raises nothing."""
    items = rows(order.get("items"))
    discounts = line_discounts(items, order.get("price"), order.get("currency"))
    totals, derived = _totals(order, items, discounts)
    receiver, info = _object(order.get("receiver_info")), _object(order.get("delivery_info"))
    found: dict[str, Json] = {
        **given(order, _AT, instant),
        **given(order, _OWN),
        **given(receiver, _NOTE),
        "numbers": {"order": text(order.get("label")) or text(order.get("code")) or text(order.get("id"))},
        "channel": given(order, _CHANNEL),
        "buyer": _buyer(order, receiver, derived),
        "delivery": _delivery(order, receiver, info),
        "payment": _payment(order),
        "totals": totals,
        "cancelled": _cancelled(order),
        "rejection": _rejection(order),
        "derived": derived,
    }
    for name, theirs in (("ship_to", "receiver_info"), ("bill_to", "billing")):
        if theirs in order:
            found[name] = _address(_object(order[theirs]))
    if "items" in order:
        known = [None] * len(items) if discounts is None else discounts
        found["lines"] = [_line(line, order, discount) for line, discount in zip(items, known, strict=True)]
    if (amount := decimal(order.get("discount"))) is not None:
        found["discounts"] = [{"amount": _price(amount, order)}] if Decimal(amount) else []
    if "delivery_info" in order:
        found["parcels"] = _parcels(info)
    if "meta" in order:
        found["attributes"] = texts(order["meta"])
    if (returns := returns_content(order)) is not None:
        found["returns"] = returns
    return found


def _buyer(order: Mapping[str, Json], receiver: Mapping[str, Json], derived: list[str]) -> dict[str, Json]:
    """A guest has no account: it is the receiver who ordered."""
    if "user_id" not in order and "customer_id" not in order:
        return {}
    number = text(order.get("customer_id")) or text(order.get("user_id"))
    found: dict[str, Json] = {"id": number, "guest": number is None}
    if account := _object(order.get("customer")) or _object(order.get("buyer")):
        return found | given(account, {name: name for name in ("name", "email", "phone")})
    if number is None:
        found |= given(receiver, {"name": "name", "phone": "phone"}) | given(order, {"email": "guest_email"})
        derived += [f"/buyer/{name}" for name in ("name", "phone") if name in found]
    return found


def _address(address: Mapping[str, Json]) -> dict[str, Json] | None:
    """`billing` and `receiver_info` have one shape (selldone.md, "Since summer 2026")."""
    if not address:
        return None
    found = given(address, _ADDRESS)
    if "business" in address:
        found["company"] = text(_object(address["business"]).get("name")) or text(address["business"])
    if location := plain(address.get("location")):
        found["location"] = location
    return found


def _delivery(order: Mapping[str, Json], receiver: Mapping[str, Json], info: Mapping[str, Json]) -> dict[str, Json]:
    found = given(info, _DELIVERY)
    if isinstance(pickup := receiver.get("pickup"), bool):
        found["method"] = "pickup" if pickup else "shipping"
    if "delivery_price" in order:
        found["cost"] = _price(order["delivery_price"], order)
    return found


def _payment(order: Mapping[str, Json]) -> dict[str, Json]:
    status = text(order.get("status"))
    return {
        "status": _STATUS.get(status or "", "unknown"),
        "raw": status,
        "on_delivery": status == "COD",
        **given(order, _PAYMENT),
    }


def _line(line: Mapping[str, Json], order: Mapping[str, Json], discount: Decimal | None) -> dict[str, Json]:
    """`discount`: of the whole line; None: what its amounts mean is not known."""
    found: dict[str, Json] = {
        **given(line, _LINE),
        **given(line, _QUANTITY, decimal),
        "discount_parts": {
            "unit": decimal(line.get("dis")),
            "offer": decimal(line.get("offer_amount")),
            "offer_id": text(line.get("offer_id")),
            "offer_count": decimal(line.get("offer_count")),
            "cross": decimal(line.get("cross_dis")),
        },
        "tax_stated": plain(line.get("tax")),
        "attributes": plain(line.get("preferences")),
    }
    if "type" in order:
        found["kind"] = "goods" if order["type"] == "PHYSICAL" else "service"
    if "price" in line:
        found["unit_price"] = _price(line["price"], order if discount is not None else {})
    if discount is not None:
        found["discount"] = _price(discount, order)
    if "tax" in line and is_empty(line["tax"]) and not decimal_of(order.get("tax")):
        found[
            "tax"
        ] = []  # the members of another one are not published, and where the order has tax, lines have it too
    if product := _object(line.get("product")):
        variant = _object(line.get("variant"))
        both = {name: variant.get(name) or product.get(name) for name in _ARTICLE if name in variant or name in product}
        found |= given(both, _ARTICLE)
        found |= given(product, _PRODUCT)
    return found


def _totals(
    order: Mapping[str, Json], items: list[Mapping[str, Json]], discounts: list[Decimal] | None
) -> tuple[dict[str, Json], list[str]]:
    """The sums that Selldone gives, and those that follow from them. `price` is what the items cost after their own
    discounts, so those are added to it, and to the order's discount."""
    goods, discount = decimal(order.get("price")), decimal(order.get("discount"))
    totals: dict[str, Json] = given(order, _TOTALS, decimal)
    derived: set[str] = {"/lines/*/discount"} if discounts is not None and items else set()
    if discounts is not None and any(discounts):
        totals |= {"lines": sum_of(goods, summed(discounts)), "discount": sum_of(discount, summed(discounts))}
        derived |= {"/totals/lines", "/totals/discount"}
    tax = sum_of(order.get("tax"), order.get("tax_shipping"))
    if "tax" in order:
        totals["tax"] = tax
        derived |= {"/totals/tax"} if tax is not None else set()
    total = _total(order, goods, discount, tax)
    if total is not None:
        totals["total"] = total
        derived.add("/totals/total")
    return totals, sorted(derived)


def _total(order: Mapping[str, Json], goods: str | None, discount: str | None, tax: str | None) -> str | None:
    delivery, is_included = decimal(order.get("delivery_price")), order.get("tax_included")
    is_tax_known = tax is None or isinstance(is_included, bool) or sum_of(tax, "0") == sum_of("0")
    if goods is None or delivery is None or not is_tax_known:
        return None
    less = None if discount is None else discount[1:] if discount.startswith("-") else f"-{discount}"
    return sum_of(goods, less, delivery, None if is_included is True else tax)


def _parcels(info: Mapping[str, Json]) -> list[Json]:
    """One code and one link, of all that left."""
    code, url = text(info.get("tracking_code")), text(info.get("tracking_url"))
    return [{"numbers": [code] if code else [], "url": url}] if code or url else []


def _cancelled(order: Mapping[str, Json]) -> dict[str, Json] | None:
    """By the buyer's withdrawal, else for what the rejection said."""
    if (withdrawn := withdrawal_fact(order)) is not None:
        found: dict[str, Json] = {"by": "buyer", "reason": withdrawn["reason"] or "withdrawn"}
        return found if withdrawn["at"] is None else {"at": rfc3339(withdrawn["at"]), **found}
    return given(order, {"reason": "reject"}) if order.get("status") == "Canceled" else None


def _rejection(order: Mapping[str, Json]) -> dict[str, Json] | None:
    """A rejection counts down for two days before the order is cancelled (selldone.md §5.2)."""
    if is_empty(order.get("reject")) and is_empty(order.get("reject_at")):
        return None
    return {"at": instant(order.get("reject_at")), "reason": text(order.get("reject"))}


def _price(amount: Json, order: Mapping[str, Json]) -> dict[str, Json]:
    """A price on the basis that the order gives; as a whole null where there is none."""
    is_included = order.get("tax_included")
    found: dict[str, Json] = {"net": None, "gross": None, "stated": None}
    found["stated" if not isinstance(is_included, bool) else "gross" if is_included else "net"] = decimal(amount)
    return found


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}
