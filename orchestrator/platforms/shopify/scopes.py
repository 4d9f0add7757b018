"""What an app needs to be granted in a Shopify shop, for `doctor` (facts: shopify.md §1, §1.1)."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.platforms.client import Finding
from statemachines.target import Json

_FO_SCOPES = ("merchant_managed", "assigned", "third_party")
_OPTIONAL_SCOPES = {
    "write_orders": "no order can be cancelled or given the ERP's number",
    "write_fulfillments": "none can be marked as delivered",
    "read_products": "product webhooks will be refused, and lines do not name their product",
    "read_returns": "what buyers send back is not shown",
    "read_payment_terms": "an order on account counts as unpaid",
    "read_customers": "the buyer's account and company are not shown",
}
"""What does not work without a scope that most of the work can do without."""


def missing_scopes(granted: Iterable[str]) -> str:
    """The scopes without which nothing works that are not among `granted`, for people; empty where there are none."""
    has = set(granted)
    missing = [] if has & {"read_orders", "write_orders"} else ["read_orders"]
    if not any(f"write_{kind}_fulfillment_orders" in has for kind in _FO_SCOPES):
        missing.append("write_merchant_managed_fulfillment_orders")
    return ", ".join(missing)


def scopes_finding(data: dict[str, Json], token: tuple[str, ...] | None) -> Finding:
    """What the app may do, by the document `access`, and what its token may (`token`; None: unknown): a token
    that was fetched before a scope was granted does not have it."""
    granted = {row["handle"] for row in (data.get("currentAppInstallation") or {}).get("accessScopes") or []}
    if missing := missing_scopes(granted):
        return Finding("scopes", "failed", f"the app lacks {missing}")
    if token is not None and (missing := missing_scopes(token)):
        message = f"the token lacks {missing}, which the app has: it was fetched before, and the next one will have it"
        return Finding("scopes", "failed", message)
    granted |= {f"read_{scope.removeprefix('write_')}" for scope in granted}  # who may write may read
    if lacks := [f"without {scope} {what}" for scope, what in _OPTIONAL_SCOPES.items() if scope not in granted]:
        return Finding("scopes", "warning", "; ".join(lacks))
    return Finding("scopes", "ok", "the app has what it needs")
