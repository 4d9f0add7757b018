"""Whether an order of Shopify is paid, as the machine asks it (shopify.md §3, §4). Pure."""

from __future__ import annotations

PAYMENTS = {
    "PAID": "paid",
    "PARTIALLY_REFUNDED": "paid",
    "REFUNDED": "paid",
    "PENDING": "unpaid",
    "AUTHORIZED": "unpaid",
    "PARTIALLY_PAID": "unpaid",
    "VOIDED": "unpaid",
    "EXPIRED": "unpaid",
}
"""Our word for a financial status."""
_ON_ACCOUNT = frozenset({"NET", "FIXED", "FULFILLMENT"})
_OPEN = frozenset({"PENDING", "PARTIALLY_PAID"})


def payment_of(status: str | None, terms: str | None) -> str:
    """Our word for a financial status. `terms`: the type of the order's payment terms, None where it has none.

    What is not paid yet, with terms that give the buyer time, is on account: such an order may be released, and is so
    still when it is overdue. Money that was only authorized, or that will not come any more, does not count, and who
    has to pay on receipt of the invoice was given no time.
    """
    if terms in _ON_ACCOUNT and status in _OPEN:
        return "invoice"
    return PAYMENTS.get(status or "", "unknown")
