"""Content of an xSale order (xsale.md §4). Pure.

Most member names are assumptions. What buyer, recipient and payer hold is not documented at all: it stands under
`details` in the platform's own words.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.platforms.content import Apart, decimal, plain, price, rows, sum_of, text
from statemachines.target import Json

APART = Apart()
"""Our one step changes the status, which is not in here."""

_UNDERPAID = "niedopłacone"  # xsale.md §4: underpaid


def content_of(order: Mapping[str, Json], *, reference: str | None, payment: str, raw: Json) -> dict[str, Json]:
    """What the ERP is given of an order; raises nothing. `payment`: our word for the payment status `raw`."""
    net, gross = decimal(order.get("PriceNet")), decimal(order.get("PriceGross"))
    minus = None if net is None else net[1:] if net.startswith("-") else f"-{net}"
    tax = None if net is None or gross is None else sum_of(gross, minus)
    is_underpaid = payment == "unpaid" and isinstance(raw, str) and raw.strip().casefold() == _UNDERPAID
    waybill = text(order.get("WaybillNumber"))
    return {
        "ordered_on": text(order.get("PurchaseDate")),
        "numbers": {"order": text(order.get("Id")), "source": reference},
        "channel": {"id": text(order.get("IntegrationId"))},
        "currency": text(order.get("Currency")),
        "buyer": _party(order, "Buyer"),
        "ship_to": _party(order, "Recipient"),
        "bill_to": _party(order, "Payer"),
        "delivery": {"name": text(order.get("DeliveryMethod"))},
        "payment": {
            "status": "partly_paid" if is_underpaid else payment,
            "raw": text(raw),
            "method": text(order.get("PaymentFormId")),
        },
        "lines": [_line(item) for item in rows(order.get("Items"))],
        "articles": _parts(order),
        "totals": {"net": net, "tax": tax, "total": gross},
        "parcels": [{"numbers": [waybill]}] if waybill else [],
        "note": text(order.get("Remarks")),
        "derived": ["/totals/tax"] if tax is not None else [],
    }


def _party(order: Mapping[str, Json], name: str) -> dict[str, Json] | None:
    party = text(order.get(f"{name}Id"))
    details = plain(order.get(name))
    return None if party is None and details is None else {"id": party, "details": details}


def _line(item: Mapping[str, Json]) -> dict[str, Json]:
    """An ordered position; prices are per unit (xsale.md §4)."""
    return {
        "id": text(item.get("Id")),
        "product_id": text(item.get("OfferId")),
        "variant_id": text(item.get("VariantId")),
        "name": text(item.get("Name")),
        "quantity": decimal(item.get("Quantity")),
        "unit_price": price(net=item.get("PriceNet"), gross=item.get("PriceGross")),
        "parts": _parts(item),
    }


def _parts(owner: Mapping[str, Json]) -> list[Json]:
    """What leaves the warehouse for an item, or for the order where it is given there (xsale.md §4)."""
    return [
        {
            "id": text(each.get("Id")),
            "sku": text(each.get("Code")),
            "product_id": text(each.get("ArticleId")),
            "name": text(each.get("Name")),
            "quantity": decimal(each.get("Quantity")),
        }
        for each in rows(owner.get("OrderItemArticles"))
    ]
