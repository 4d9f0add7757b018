"""What an order of a simulated Shopify shop costs, as GraphQL and as the bodies of webhooks show it (shopify.md §3).

Amounts are whole cents here. Prices include the tax. A refund takes from the order's current total, a cancellation all
of it; what was paid stays paid until it is refunded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from orchestrator.sandbox.shopify.paging import connection

if TYPE_CHECKING:
    from orchestrator.sandbox.shopify.orders import Line, Order

Json: TypeAlias = Any

CURRENCY = "USD"
PRICE = 19_900
"""Of every good."""
_TAX_PER_MILLE = 70
_PAID = frozenset({"PAID", "PARTIALLY_REFUNDED", "REFUNDED"})


def amount(cents: int) -> str:
    """As Shopify writes it."""
    sign, cents = ("-", -cents) if cents < 0 else ("", cents)
    return f"{sign}{cents // 100}.{cents % 100:02}"


def total(order: Order) -> int:
    """The current total."""
    goods = sum(line.price * line.current for line in order.lines)
    return 0 if order.cancelled is not None else max(0, goods - order.discount + order.shipping - order.refunded)


def ordered_total(order: Order) -> int:
    """The total before refunds and removals."""
    return sum(line.price * line.quantity for line in order.lines) - order.discount + order.shipping


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
    discount, shipping = (0, 0) if is_cancelled else (order.discount, order.shipping)
    sums = {
        "currentTotalPriceSet": now,
        "currentSubtotalPriceSet": max(0, now - shipping),
        "currentTotalDiscountsSet": discount,
        "currentTotalTaxSet": _tax(now),
        "currentShippingPriceSet": shipping,
        "totalPriceSet": ordered_total(order),
        "totalRefundedSet": order.refunded,
        "totalReceivedSet": received(order),
        "totalOutstandingSet": now - (received(order) - order.refunded),
        "totalTipReceivedSet": 0,
    }
    return {
        **{name: bag(cents) for name, cents in sums.items()},
        "currentTotalDutiesSet": None,
        "currentTotalAdditionalFeesSet": None,
        "currencyCode": CURRENCY,
        "presentmentCurrencyCode": CURRENCY,
        "taxesIncluded": True,
        "taxExempt": False,
        "currentTaxLines": [_tax_line(now)],
        "paymentGatewayNames": ["bogus"],
        "transactions": _transactions(order),
        "discountCodes": ["WELCOME"] if order.discount else [],
        "discountApplications": connection([(0, _application(order))] if order.discount else []),
        "shippingLines": connection([(order.id, _shipping_line(order))]),
        "paymentTerms": _terms(order),
    }


def line_fields(line: Line, discount: int) -> dict[str, Json]:
    """A line's fields about money. `discount`: what it was allocated of the order's."""
    rest = line.price * line.quantity - discount
    allocation = {"allocatedAmountSet": bag(discount), "discountApplication": {"index": 0}}
    return {
        "originalUnitPriceSet": bag(line.price),
        "discountedUnitPriceAfterAllDiscountsSet": bag(rest // max(1, line.quantity)),
        "discountAllocations": [allocation] if discount else [],
        "taxLines": [_tax_line(rest)],
    }


def body_fields(order: Order) -> dict[str, Json]:
    """The order's fields about money, in the words of webhook bodies."""
    now = total(order)
    return {
        "currency": CURRENCY,
        "presentment_currency": CURRENCY,
        "taxes_included": True,
        "total_price": amount(ordered_total(order)),
        "current_total_price": amount(now),
        "current_total_discounts": amount(0 if order.cancelled is not None else order.discount),
        "current_total_tax": amount(_tax(now)),
        "total_outstanding": amount(now - (received(order) - order.refunded)),
        "payment_gateway_names": ["bogus"],
        "payment_terms": None if order.terms is None else {"payment_terms_type": order.terms.lower()},
    }


def bag(cents: int) -> Json:
    """A MoneyBag; the buyer paid in the shop's own currency."""
    money = {"amount": amount(cents), "currencyCode": CURRENCY}
    return {"shopMoney": money, "presentmentMoney": money}


def _tax(cents: int) -> int:
    """The tax that is in an amount."""
    return cents - round(cents * 1000 / (1000 + _TAX_PER_MILLE))


def _tax_line(cents: int) -> Json:
    return {"title": "Sales tax", "rate": _TAX_PER_MILLE / 1000, "priceSet": bag(_tax(cents))}


def _shipping_line(order: Order) -> Json:
    return {
        "id": f"gid://shopify/ShippingLine/{order.id}",
        "title": "Standard",
        "code": "STD",
        "source": "shopify",
        "carrierIdentifier": None,
        "deliveryCategory": None,
        "isRemoved": False,
        "originalPriceSet": bag(order.shipping),
        "currentDiscountedPriceSet": bag(order.shipping),
        "discountAllocations": [],
        "taxLines": [_tax_line(order.shipping)],
    }


def _application(order: Order) -> Json:
    return {
        "__typename": "DiscountCodeApplication",
        "index": 0,
        "allocationMethod": "ACROSS",
        "targetSelection": "ALL",
        "targetType": "LINE_ITEM",
        "value": {"__typename": "MoneyV2", "amount": amount(order.discount), "currencyCode": CURRENCY},
        "code": "WELCOME",
    }


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
            "amountSet": bag(cents),
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
        raise ValueError(f"{amount(cents)} is not what is left of {amount(paid - order.refunded)}")
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
