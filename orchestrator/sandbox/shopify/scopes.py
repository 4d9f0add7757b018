"""Which scopes a call to a simulated Shopify shop needs (shopify.md §1, §8)."""

from __future__ import annotations

from orchestrator.sandbox.shopify.refusals import Denied

SCOPES = (
    "read_orders",
    "write_orders",
    "read_merchant_managed_fulfillment_orders",
    "write_merchant_managed_fulfillment_orders",
    "write_fulfillments",
    "read_products",
    "read_returns",
    "read_customers",
    "read_payment_terms",
)
"""What an app is granted in the beginning."""

_ORDERS = frozenset({"read_orders", "write_orders"})
RETURNS = frozenset({"read_returns", "write_returns"})
"""Scopes with which returns may be read, and webhooks about them asked for."""
_SHIPPING = frozenset(f"write_{kind}_fulfillment_orders" for kind in ("merchant_managed", "assigned", "third_party"))
_NEEDED = {
    "order": _ORDERS,
    "orders": _ORDERS,
    "returns": RETURNS,
    "return": RETURNS,
    "product": frozenset({"read_products", "write_products"}),
    "variant": frozenset({"read_products", "write_products"}),
    "customer": frozenset({"read_customers", "write_customers"}),
    "purchasingEntity": frozenset({"read_customers", "write_customers"}),
    "paymentTerms": frozenset({"read_payment_terms", "write_payment_terms"}),
    "orderCancel": frozenset({"write_orders"}),
    "metafieldsSet": frozenset({"write_orders"}),
    "fulfillmentCreate": _SHIPPING,
    "fulfillmentOrderReportProgress": _SHIPPING,
    "fulfillmentOrderLineItemsPreparedForPickup": frozenset({"write_merchant_managed_fulfillment_orders"}),
    "fulfillmentTrackingInfoUpdate": _SHIPPING,
    "fulfillmentEventCreate": frozenset({"write_fulfillments"}),
}
"""Scopes of which a call needs one (shopify.md §1)."""


def check_scopes(field: str, scopes: frozenset[str]) -> None:
    """Raises Denied where a call needs a scope that its token does not have."""
    needed = _NEEDED.get(field)
    if needed is not None and not needed & scopes:
        raise Denied(field, f"`{min(needed)}` access scope")
