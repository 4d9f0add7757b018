"""One order as Vendure shows it: its facts, and what the ERP is given of it (README.md, "Content"). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from orchestrator.plugin.client import (
    Age,
    Apart,
    InvalidOrder,
    OrderSnapshot,
    at,
    decimal,
    digest,
    given,
    instant,
    instant_ms,
    object_of,
    of_one_order,
    optional_ms,
    price,
    required_text,
    rows,
    text,
)
from orchestrator.plugin.machine import Json, plain
from platform_vendure.parcels import packed_in

APART = Apart(
    steps=("/parcels",),
    beside=("/lines/*/open",),  # follows from the fulfilments
    cancel=("/cancelled", "/payment", "/lines", "/discounts", "/delivery/cost", "/totals"),
)
"""What our steps change: parcels; a cancellation takes all goods and the shipping out."""

BASES: Final = {"net": "", "gross": "WithTax"}
"""Our bases of a price, and how the names of such amounts end in Vendure."""
_NOT_SENT = ("Pending", "Cancelled")
_DERIVED = (
    *("/lines/*/discount", "/lines/*/open", "/lines/*/tax/*/amount", "/payment/status", "/payment/paid"),
    *("/totals/discount", "/totals/tax", "/totals/refunded"),
)

ADDRESS = {
    "name": "fullName",
    "company": "company",
    "street": "streetLine1",
    "street2": "streetLine2",
    "postal_code": "postalCode",
    "city": "city",
    "region": "province",
    "country": "countryCode",
    "phone": "phoneNumber",
}


@of_one_order
def read_order(value: Json, payload: bytes, precision: int) -> OrderSnapshot:
    """One order of its JSON and its bytes. Raises InvalidOrder."""
    order = object_of(value)
    state, placed = required_text(order.get("state"), "state"), optional_ms(order.get("orderPlacedAt"))
    lines = {required_text(each.get("id"), "lines.id"): _count(each) for each in rows(order.get("lines"))}
    parcels = [
        {
            "id": required_text(each.get("id"), "fulfillments.id"),
            "state": required_text(each.get("state"), "fulfillments.state"),
            "code": text(each.get("trackingCode")) or "",
            "lines": {
                required_text(line.get("orderLineId"), "orderLineId"): _count(line) for line in rows(each.get("lines"))
            },
        }
        for each in rows(order.get("fulfillments"))
        if each.get("state") != "Cancelled"
    ]
    facts = {"lines": lines, "parcels": parcels}
    content = content_of(order, facts, precision)
    instants = (order.get("orderPlacedAt"), at(_first_of(order, "latest"), "createdAt"))
    changed = max(instant_ms(order.get("updatedAt"), "updatedAt"), *(optional_ms(each) or 0 for each in instants))
    return OrderSnapshot(
        id=required_text(order.get("id"), "id"),
        reference=text(order.get("code")),
        state=state,
        payment="paid" if content["payment"]["status"] in ("paid", "partly_refunded", "refunded") else "unpaid",
        facts=facts,
        payload=payload,
        content_hash=digest(content, APART),
        platform_updated_at=changed,
        is_released=placed is not None and order.get("type") != "Aggregate",  # its parts are orders of their own
        content=content,
        apart=APART,
        age=Age(placed, is_over=state in ("Delivered", "Cancelled")),
    )


@dataclass(frozen=True, slots=True)
class Money:
    """How amounts are written: whole numbers of the smallest unit, of which `precision` digits are decimals. `bases`:
    those of a line's prices."""

    precision: int
    bases: Mapping[str, str]

    def amount(self, value: Json) -> str | None:
        """An amount as text; None for what is none."""
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return decimal(Decimal(value).scaleb(-self.precision)) if is_whole else None

    def price(self, owner: Mapping[str, Json], name: str, bases: Mapping[str, str] = BASES) -> dict[str, Json]:
        """The price of that name, in each basis."""
        return price(**{basis: self.amount(owner[f"{name}{tax}"]) for basis, tax in bases.items()})

    def taxes(self, owner: Mapping[str, Json], total: int) -> list[Json]:
        """The taxes of a line, and what it has of them where it is one alone."""
        found = rows(owner.get("taxLines"))
        amount = self.amount(total) if len(found) == 1 else None
        return [{"name": text(each.get("description")), "rate": _fraction(each), "amount": amount} for each in found]


def content_of(order: Mapping[str, Json], facts: Mapping[str, Json], precision: int) -> dict[str, Json]:
    """What the ERP is given of an order; what Vendure does not give is left out.

    Units are given in the basis in which they make up their lines: Vendure rounds the other one. So are the totals.
    """
    packed, lines = packed_in(facts), rows(order["lines"])
    exact = {basis: tax for basis, tax in BASES.items() if all(_is_exact(line, tax) for line in lines)}
    money = Money(precision, exact or BASES)
    methods = [each["shippingMethod"] for each in rows(order.get("shippingLines"))]
    coupons = _joined(order.get("couponCodes") or ())
    return {
        "ordered_at": instant(order.get("orderPlacedAt")),
        "numbers": given(order, {"order": "code"}),
        **given(order, {"currency": "currencyCode"}),
        "buyer": _buyer(order.get("customer") or {}),
        "ship_to": _address(order.get("shippingAddress")),
        "bill_to": _address(order.get("billingAddress")),
        "delivery": {
            **{name: _joined(each[name] for each in methods) for name in ("name", "code")},
            "cost": money.price(order, "shipping"),
        },
        "payment": _payment(order, money),
        "lines": [
            *(_line(line, money, packed[line["id"]]) for line in lines),
            *(_fee(fee, money) for fee in rows(order.get("surcharges"))),
        ],
        "discounts": [_discount(each, money) for each in rows(order.get("discounts"))],
        "totals": _totals(order, money),
        "parcels": [_parcel(each) for each in rows(order.get("fulfillments")) if each["state"] not in _NOT_SENT],
        "cancelled": _cancelled(order),
        "attributes": {"couponCodes": coupons} if coupons else {},
        "derived": list(_DERIVED),
    }


def _is_exact(line: Mapping[str, Json], tax: str) -> bool:
    return bool(line[f"unitPrice{tax}"] * line["quantity"] == line[f"linePrice{tax}"])


def _less(line: Mapping[str, Json], tax: str) -> int:
    """The discount of a whole line: its own, and its part of the order's."""
    return int(line[f"linePrice{tax}"] - line[f"proratedLinePrice{tax}"])


def _line(line: Mapping[str, Json], money: Money, packed: int) -> dict[str, Json]:
    variant = {"sku": "sku", "product_id": "productId", "variant_id": "id", "name": "name"}
    return {
        "id": line["id"],
        "kind": "goods",
        **given(line["productVariant"], variant),
        "quantity": decimal(line["quantity"]),
        "open": decimal(max(0, line["quantity"] - packed)),
        "unit_price": money.price(line, "unitPrice", money.bases),
        "discount": money.price({tax: _less(line, tax) for tax in BASES.values()}, "", money.bases),
        "tax": money.taxes(line, line["proratedLinePriceWithTax"] - line["proratedLinePrice"]),
    }


def _fee(fee: Mapping[str, Json], money: Money) -> dict[str, Json]:
    """A surcharge, which has no quantity."""
    return {
        "id": f"surcharge-{fee['id']}",
        "kind": "fee",
        **given(fee, {"sku": "sku", "name": "description"}),
        "quantity": "1",
        "unit_price": money.price(fee, "price", money.bases),
        "tax": money.taxes(fee, fee["priceWithTax"] - fee["price"]),
    }


def _discount(discount: Mapping[str, Json], money: Money) -> dict[str, Json]:
    """Vendure writes them below zero, and names none by its coupon."""
    amounts = {tax: -discount[f"amount{tax}"] for tax in BASES.values()}
    return {**given(discount, {"name": "description"}), "amount": money.price(amounts, "")}


def _payment(order: Mapping[str, Json], money: Money) -> dict[str, Json]:
    payments = rows(order.get("payments"))
    settled = _sum(payments, "Settled")
    status = _payment_status(settled, _sum(payments, "Authorized"), _refunded(order), order["totalWithTax"])
    names = {"raw": "state", "method": "method", "reference": "transactionId"}
    words = {ours: _joined(each[theirs] for each in payments) for ours, theirs in names.items()}
    return {"status": status, **words, "paid": money.amount(settled)}


def _sum(payments: Iterable[Mapping[str, Json]], state: str) -> int:
    return sum(each["amount"] for each in payments if each["state"] == state)


def _refunded(order: Mapping[str, Json]) -> int:
    refunds = [each for payment in rows(order.get("payments")) for each in rows(payment.get("refunds"))]
    return sum(each["total"] for each in refunds if each["state"] == "Settled")


def _totals(order: Mapping[str, Json], money: Money) -> dict[str, Json]:
    tax = "WithTax" if "gross" in money.bases else ""
    amounts = {
        "discount": sum(_less(line, tax) for line in rows(order["lines"])),
        "delivery": order[f"shipping{tax}"],
        "tax": order["totalWithTax"] - order["total"],
        "total": order["totalWithTax"],
        "refunded": _refunded(order),
    }
    return {name: money.amount(amount) for name, amount in amounts.items()}


def _buyer(customer: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "name": _joined((customer.get("firstName"), customer.get("lastName")), " "),
        **given(customer, {"id": "id", "email": "emailAddress", "phone": "phoneNumber"}),
        "guest": customer.get("user") is None,
    }


def _parcel(fulfillment: Mapping[str, Json]) -> dict[str, Json]:
    code = text(fulfillment.get("trackingCode"))
    lines = [{"id": each["orderLineId"], "quantity": decimal(each["quantity"])} for each in fulfillment["lines"]]
    found = given(fulfillment, {"id": "id", "carrier": "method"})
    return {**found, "numbers": [] if code is None else [code], "lines": lines}


def _payment_status(settled: int, authorized: int, refunded: int, total: int) -> str:
    """From the sums of payments and refunds that are settled: Vendure has no word for it."""
    if refunded:
        return "refunded" if refunded >= settled else "partly_refunded"
    if settled >= total:
        return "paid"
    if settled + authorized >= total:
        return "authorized"
    return "partly_paid" if settled else "unpaid"


def _address(found: Json) -> dict[str, Json] | None:
    """An address of an order; one that was never given has nothing in it."""
    if not isinstance(found, Mapping) or not any(found.values()):
        return None
    return given(found, ADDRESS)


def _cancelled(order: Mapping[str, Json]) -> dict[str, Json] | None:
    """When the last of an order was cancelled, and why; nobody tells by whom."""
    if order.get("state") != "Cancelled":
        return None
    entry = _first_of(order, "cancellation")
    return {"at": instant(entry.get("createdAt")), "reason": text(at(entry, "data.reason"))}


def _first_of(order: Mapping[str, Json], history: str) -> Mapping[str, Json]:
    return next(iter(rows(at(order, f"{history}.items"))), {})


def _fraction(tax: Mapping[str, Json]) -> str | None:
    rate = decimal(tax.get("taxRate"))
    return None if rate is None else plain(Decimal(rate).scaleb(-2))


def _joined(words: Iterable[Json], mark: str = ", ") -> str | None:
    return mark.join(dict.fromkeys(each for word in words if (each := text(word)) is not None)) or None


def _count(line: Mapping[str, Json]) -> int:
    found = line.get("quantity")
    if not isinstance(found, int) or isinstance(found, bool):
        raise InvalidOrder(f"quantity is {found!r}")
    return found
