"""Content of a Selldone order (selldone.md §4, "Since summer 2026"). Pure.

Selldone gives no total: ours is computed and named in `derived`. What a line's discounts add up to depends on a meaning
that has changed (`items[].price`, before or after the product's discount), so they stand as they are given.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.clock import rfc3339
from orchestrator.platforms.content import Apart, decimal, instant, plain, price, rows, sum_of, text, texts
from orchestrator.platforms.selldone.returns import returns_content
from orchestrator.platforms.selldone.withdrawal import withdrawal_fact
from statemachines.target import Json

APART = Apart(
    steps=("/parcels",),  # set_tracking writes tracking_code and tracking_url
    beside=(
        # the product and the buyer's account as they are now: an order's row of the list need not carry them, and a
        # renamed product does not make another order
        *("/lines/*/sku", "/lines/*/name", "/lines/*/mpn", "/lines/*/gtin"),
        *("/buyer/name", "/buyer/email", "/buyer/phone"),
    ),
)
"""What our steps change beside `delivery_state` and what is not the order's own."""

_STATUS = {"Payed": "paid", "COD": "invoice", "Reserved": "unpaid", "Open": "unpaid"}
_EMPTY: tuple[Json, ...] = (None, [], {}, "")  # PHP writes an empty object as [] (selldone.md §4.2)


def content_of(order: Mapping[str, Json]) -> dict[str, Json]:
    """What the ERP is given of an order. Invalid members are left out or null; raises nothing."""
    totals, derived = _totals(order)
    receiver = _object(order.get("receiver_info"))
    found: dict[str, Json] = {
        "ordered_at": instant(order.get("reserved_at")),
        "numbers": {"order": text(order.get("label")) or text(order.get("code")) or text(order.get("id"))},
        "channel": {"name": text(order.get("channel"))},
        "currency": text(order.get("currency")),
        "buyer": _buyer(order),
        "ship_to": _address(receiver),
        "bill_to": _address(_object(order.get("billing"))),
        "delivery": _delivery(order, receiver),
        "payment": _payment(order),
        "lines": [_line(line, order) for line in rows(order.get("items"))],
        "totals": totals,
        "parcels": _parcels(_object(order.get("delivery_info"))),
        "cancelled": _cancelled(order),
        "rejection": _rejection(order),
        "note": text(receiver.get("message")),
        "attributes": texts(order.get("meta")),
        "derived": derived,
    }
    if (returns := returns_content(order)) is not None:
        found["returns"] = returns
    if "language" in order:
        found["language"] = text(order["language"])
    return found


def _buyer(order: Mapping[str, Json]) -> dict[str, Json]:
    account = _object(order.get("customer")) or _object(order.get("buyer"))
    found: dict[str, Json] = {
        "id": text(order.get("customer_id")) or text(order.get("user_id")),
        "guest": order.get("user_id") is None and order.get("customer_id") is None,
    }
    if account:
        found |= {name: text(account.get(name)) for name in ("name", "email", "phone")}
    return found


def _address(address: Mapping[str, Json]) -> dict[str, Json] | None:
    """`billing` and `receiver_info` have one shape (selldone.md, "Since summer 2026")."""
    if not address:
        return None
    return {
        "name": text(address.get("name")),
        "company": text(_object(address.get("business")).get("name")) or text(address.get("business")),
        "street": text(address.get("address")),
        "street2": text(address.get("unit")),
        "house_number": text(address.get("no")),
        "postal_code": text(address.get("postal")),
        "city": text(address.get("city")),
        "region": text(address.get("state")),
        "region_code": text(address.get("state_code")),
        "country": text(address.get("country")),
        "phone": text(address.get("phone")),
        "email": text(address.get("email")),
        "tax_id": text(address.get("tax_id")),
        "location": plain(address.get("location")),
    }


def _delivery(order: Mapping[str, Json], receiver: Mapping[str, Json]) -> dict[str, Json]:
    """`delivery_info` is not looked at: our step `prepare` writes it, and so does the platform."""
    pickup = receiver.get("pickup")
    method = None if not isinstance(pickup, bool) else "pickup" if pickup else "shipping"
    return {"method": method, "cost": _price(order.get("delivery_price"), order)}


def _payment(order: Mapping[str, Json]) -> dict[str, Json]:
    status = text(order.get("status"))
    return {
        "status": _STATUS.get(status or "", "unknown"),
        "raw": status,
        "method": text(order.get("payment_type")),
        "reference": text(order.get("payment_id")),
        "on_delivery": status == "COD",
    }


def _line(line: Mapping[str, Json], order: Mapping[str, Json]) -> dict[str, Json]:
    found: dict[str, Json] = {
        "id": text(line.get("id")),
        "kind": "goods" if order.get("type") in (None, "PHYSICAL") else "service",
        "product_id": text(line.get("product_id")),
        "variant_id": text(line.get("variant_id")),
        "quantity": decimal(line.get("count")),
        "unit_price": _price(line.get("price"), order),
        "discount_parts": {
            "unit": decimal(line.get("dis")),
            "offer": decimal(line.get("offer_amount")),
            "offer_id": text(line.get("offer_id")),
            "offer_count": decimal(line.get("offer_count")),
            "cross": decimal(line.get("cross_dis")),
        },
        "tax_stated": plain(line.get("tax")),
        "attributes": plain(line.get("preferences")),
        "note": text(line.get("message")),
    }
    if product := _object(line.get("product")):
        variant = _object(line.get("variant"))
        found |= {name: text(variant.get(name)) or text(product.get(name)) for name in ("sku", "mpn", "gtin")}
        found["name"] = text(product.get("title"))
    return found


def _totals(order: Mapping[str, Json]) -> tuple[dict[str, Json], list[str]]:
    """The sums that Selldone gives, and those that follow from them."""
    goods, discount = decimal(order.get("price")), decimal(order.get("discount"))
    delivery = decimal(order.get("delivery_price"))
    tax = sum_of(order.get("tax"), order.get("tax_shipping"))
    is_included = order.get("tax_included")
    is_tax_known = tax is None or isinstance(is_included, bool) or sum_of(tax, "0") == sum_of("0")
    total = None
    if goods is not None and delivery is not None and is_tax_known:
        less = None if discount is None else discount[1:] if discount.startswith("-") else f"-{discount}"
        total = sum_of(goods, less, delivery, None if is_included is True else tax)
    totals: dict[str, Json] = {"lines": goods, "discount": discount, "delivery": delivery, "tax": tax, "total": total}
    return totals, [f"/totals/{name}" for name in ("tax", "total") if totals[name] is not None]


def _parcels(info: Mapping[str, Json]) -> list[Json]:
    code, url = text(info.get("tracking_code")), text(info.get("tracking_url"))
    return [{"numbers": [code] if code else [], "url": url}] if code or url else []


def _cancelled(order: Mapping[str, Json]) -> dict[str, Json] | None:
    """By the buyer's withdrawal, else for what the rejection said."""
    if (withdrawn := withdrawal_fact(dict(order))) is not None:
        at = withdrawn["at"]
        reason = withdrawn["reason"] or "withdrawn"
        return {"at": None if at is None else rfc3339(at), "by": "buyer", "reason": reason}
    if order.get("status") == "Canceled":
        return {"at": None, "by": None, "reason": text(order.get("reject"))}
    return None


def _rejection(order: Mapping[str, Json]) -> dict[str, Json] | None:
    """A rejection counts down for two days before the order is cancelled (selldone.md §5.2)."""
    if order.get("reject") in _EMPTY and order.get("reject_at") in _EMPTY:
        return None
    return {"at": instant(order.get("reject_at")), "reason": text(order.get("reject"))}


def _price(amount: Json, order: Mapping[str, Json]) -> dict[str, Json]:
    match order.get("tax_included"):
        case True:
            return price(gross=amount)
        case False:
            return price(net=amount)
        case _:
            return price(stated=amount)


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}
