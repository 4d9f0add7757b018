"""What an order of a simulated Shopify shop costs, as GraphQL and as the bodies of webhooks show it (shopify.md §3).

Amounts are whole cents here, or what else the currency has. An order has one discount of a code, which takes from one
line after the other, and lines may have one of their own; what is taken out of a line takes its part of them along. A
refund takes from the order's current total, a cancellation all of it; what was paid stays paid until it is refunded.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from orchestrator.sandbox.cart import rounded, unit_of
from orchestrator.sandbox.shopify.paging import connection

if TYPE_CHECKING:
    from orchestrator.sandbox.shopify.orders import Line, Order

Json: TypeAlias = Any

CURRENCY = "USD"
PRICE = 19_900
"""Of every good."""
RATE = 70
"""Of the tax, in thousandths."""
_PAID = frozenset({"PAID", "PARTIALLY_REFUNDED", "REFUNDED"})
_ONE = Decimal(1)


def amount(cents: int, currency: str = CURRENCY) -> str:
    """As Shopify writes it."""
    return str(cents * unit_of(currency))


def total(order: Order) -> int:
    """The current total."""
    if order.cancelled is not None:
        return 0
    return max(0, _before_refunds(order) - order.refunded)


def ordered_total(order: Order) -> int:
    """The total before refunds and removals."""
    off = sum(_offs(order, is_current=False).values())
    return _goods(order, is_current=False) - off + order.shipping + _on_top(order, is_current=False)


def discounts(order: Order) -> int:
    """All of them, of what is left of the lines."""
    return sum(_offs(order).values())


def _offs(order: Order, *, is_current: bool = True) -> dict[int, int]:
    """The discounts of each line, by its id."""
    offs = {line.id: line.off + part for line, part in zip(order.lines, parts_of_discount(order).values(), strict=True)}
    if not is_current:
        return offs
    shares = {line.id: Decimal(offs[line.id] * line.current) / max(1, line.quantity) for line in order.lines}
    return {line: int(rounded(share, _ONE)) for line, share in shares.items()}


def parts_of_discount(order: Order) -> dict[int, int]:
    """What each line was allocated of the order's discount, by its id."""
    parts, left = {}, order.discount
    for line in order.lines:
        parts[line.id] = max(0, min(left, line.price * line.quantity - line.off))
        left -= parts[line.id]
    return parts


def taxes(order: Order, *, is_current: bool = True) -> dict[int, int]:
    """The tax by its rate."""
    offs = _offs(order, is_current=is_current)
    rows = [(order.shipping, order.shipping_rate)]
    for line in order.lines:
        count = line.current if is_current else line.quantity
        rows.append((line.price * count - offs[line.id], line.rate))
    found: dict[int, int] = {}
    for cents, rate in rows:
        found[rate] = found.get(rate, 0) + _tax(order, cents, rate)
    return found


def money_of(order: Order) -> dict[str, Json]:
    """What the order costs now, as the action `money` answers it."""
    is_cancelled = order.cancelled is not None
    sums = {
        "lines": 0 if is_cancelled else _goods(order),
        "discount": 0 if is_cancelled else discounts(order),
        "delivery": 0 if is_cancelled else order.shipping,
        "tax": _current_tax(order),
        "total": total(order),
        "refunded": order.refunded,
    }
    shown = {name: amount(cents, order.currency) for name, cents in sums.items()}
    return {"money": {"currency": order.currency, "tax_included": order.includes_tax, **shown}}


def _goods(order: Order, *, is_current: bool = True) -> int:
    return sum(line.price * (line.current if is_current else line.quantity) for line in order.lines)


def _on_top(order: Order, *, is_current: bool = True) -> int:
    return 0 if order.includes_tax else sum(taxes(order, is_current=is_current).values())


def _before_refunds(order: Order) -> int:
    return _goods(order) - discounts(order) + order.shipping + _on_top(order)


def _current_taxes(order: Order) -> dict[int, int]:
    """That of the lines: money given back without goods changes none of it."""
    return {rate: 0 if order.cancelled is not None else cents for rate, cents in taxes(order).items()}


def _current_tax(order: Order) -> int:
    return sum(_current_taxes(order).values())


def received(order: Order) -> int:
    """What the buyer paid: the total of that time."""
    if order.paid is not None:
        return order.paid
    return ordered_total(order) if order.financial in _PAID else 0


def settle(order: Order) -> None:
    """Keeps what was paid so far, before the order comes to cost something else."""
    if order.financial in _PAID:
        order.paid = received(order)


def order_fields(order: Order) -> dict[str, Json]:
    """The order's fields about money, in GraphQL's names."""
    now, is_cancelled = total(order), order.cancelled is not None
    discount, shipping = (0, 0) if is_cancelled else (discounts(order), order.shipping)
    sums = {
        "currentTotalPriceSet": now,
        "currentSubtotalPriceSet": max(0, now - shipping),
        "currentTotalDiscountsSet": discount,
        "currentTotalTaxSet": _current_tax(order),
        "currentShippingPriceSet": shipping,
        "totalPriceSet": ordered_total(order),
        "totalRefundedSet": order.refunded,
        "totalReceivedSet": received(order),
        "totalOutstandingSet": now - (received(order) - order.refunded),
        "totalTipReceivedSet": 0,
    }
    return {
        **{name: bag(order, cents) for name, cents in sums.items()},
        "currentTotalDutiesSet": None,
        "currentTotalAdditionalFeesSet": None,
        "currencyCode": order.currency,
        "presentmentCurrencyCode": order.buyer_currency or order.currency,
        "taxesIncluded": order.includes_tax,
        "taxExempt": False,
        "currentTaxLines": [_tax_line(order, cents, rate) for rate, cents in _current_taxes(order).items()],
        "paymentGatewayNames": ["bogus"],
        "transactions": _transactions(order),
        "discountCodes": ["WELCOME"] if order.discount else [],
        "discountApplications": connection(list(enumerate(_applications(order)))),
        "shippingLines": connection([(order.id, _shipping_line(order))]),
        "paymentTerms": _terms(order),
    }


def line_fields(order: Order, line: Line, discount: int) -> dict[str, Json]:
    """A line's fields about money. `discount`: what it was allocated of the order's."""
    offs = [discount, line.off]
    rest = line.price * line.quantity - sum(offs)
    return {
        "originalUnitPriceSet": bag(order, line.price),
        "discountedUnitPriceAfterAllDiscountsSet": bag(order, rest // max(1, line.quantity)),
        "discountAllocations": [
            {"allocatedAmountSet": bag(order, off), "discountApplication": {"index": index if order.discount else 0}}
            for index, off in enumerate(offs)
            if off
        ],
        "taxLines": [_tax_line(order, _tax(order, rest, line.rate), line.rate)],
    }


def body_fields(order: Order) -> dict[str, Json]:
    """The order's fields about money, in the words of webhook bodies."""
    now = total(order)
    return {
        "currency": order.currency,
        "presentment_currency": order.buyer_currency or order.currency,
        "taxes_included": order.includes_tax,
        "total_price": amount(ordered_total(order), order.currency),
        "current_total_price": amount(now, order.currency),
        "current_total_discounts": amount(0 if order.cancelled is not None else discounts(order), order.currency),
        "current_total_tax": amount(_current_tax(order), order.currency),
        "total_outstanding": amount(now - (received(order) - order.refunded), order.currency),
        "payment_gateway_names": ["bogus"],
        "payment_terms": None if order.terms is None else {"payment_terms_type": order.terms.lower()},
    }


def bag(order: Order, cents: int) -> Json:
    """A MoneyBag: the shop's own currency, and what the buyer saw."""
    own = {"amount": amount(cents, order.currency), "currencyCode": order.currency}
    if order.buyer_currency is None:
        return {"shopMoney": own, "presentmentMoney": own}
    seen = rounded(cents * unit_of(order.currency) * order.buyer_rate, unit_of(order.buyer_currency))
    return {"shopMoney": own, "presentmentMoney": {"amount": str(seen), "currencyCode": order.buyer_currency}}


def _tax(order: Order, cents: int, rate: int) -> int:
    """The tax that is in an amount, or comes on top of it."""
    whole = 1000 + rate if order.includes_tax else 1000
    return int(rounded(Decimal(cents * rate) / whole, _ONE))


def _tax_line(order: Order, cents: int, rate: int) -> Json:
    return {"title": "Sales tax", "rate": rate / 1000, "priceSet": bag(order, cents)}


def _shipping_line(order: Order) -> Json:
    return {
        "id": f"gid://shopify/ShippingLine/{order.id}",
        "title": "Standard",
        "code": "STD",
        "source": "shopify",
        "carrierIdentifier": None,
        "deliveryCategory": None,
        "isRemoved": False,
        "originalPriceSet": bag(order, order.shipping),
        "currentDiscountedPriceSet": bag(order, order.shipping),
        "discountAllocations": [],
        "taxLines": [_tax_line(order, _tax(order, order.shipping, order.shipping_rate), order.shipping_rate)],
    }


def _applications(order: Order) -> list[Json]:
    """The code's, and one for what lines have of their own."""
    own = sum(line.off for line in order.lines)
    code, manual = (
        {
            "allocationMethod": method,
            "targetSelection": selection,
            "targetType": "LINE_ITEM",
            "value": {"__typename": "MoneyV2", "amount": amount(cents, order.currency), "currencyCode": order.currency},
        }
        for method, selection, cents in (("ACROSS", "ALL", order.discount), ("ONE", "EXPLICIT", own))
    )
    found: list[dict[str, Json]] = []
    if order.discount:
        found.append({"__typename": "DiscountCodeApplication", **code, "code": "WELCOME"})
    if own:
        words = {"title": "Damaged box", "description": None}
        found.append({"__typename": "ManualDiscountApplication", **manual, **words})
    return [{**each, "index": index} for index, each in enumerate(found)]


def _transactions(order: Order) -> list[Json]:
    kinds = [("SALE", received(order))] if received(order) else []
    kinds += [("REFUND", order.refunded)] if order.refunded else []
    return [
        {
            "id": f"gid://shopify/OrderTransaction/{order.id + place}",
            "kind": kind,
            "status": "SUCCESS",
            "gateway": "bogus",
            "processedAt": None,
            "amountSet": bag(order, cents),
        }
        for place, (kind, cents) in enumerate(kinds)
    ]


def _terms(order: Order) -> Json:
    if order.terms is None:
        return None
    schedule = {"issuedAt": None, "dueAt": "2030-01-31T00:00:00Z", "completedAt": None}
    return {
        "paymentTermsType": order.terms,
        "paymentTermsName": "Net 30" if order.terms == "NET" else order.terms.capitalize(),
        "dueInDays": 30 if order.terms == "NET" else None,
        "overdue": False,
        "paymentSchedules": connection([(order.id, schedule)]),
    }


def void(order: Order) -> None:
    """Money that did not come yet will not come any more."""
    if order.financial in ("AUTHORIZED", "PENDING"):
        order.financial = "VOIDED"


def refund(order: Order, cents: int) -> None:
    """Gives back a part of what was paid, or all that is left of it. Raises ValueError where there is less."""
    paid = received(order)
    if not 0 < cents <= paid - order.refunded:
        left = amount(paid - order.refunded, order.currency)
        raise ValueError(f"{amount(cents, order.currency)} is not what is left of {left}")
    settle(order)
    order.refunded += cents
    order.financial = "REFUNDED" if order.refunded == paid else "PARTIALLY_REFUNDED"


def refund_all(order: Order) -> None:
    """Gives back what was paid; what was not is void."""
    left = received(order) - order.refunded
    if left > 0:
        refund(order, left)
    else:
        void(order)
