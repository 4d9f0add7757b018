"""Content of an xSale order (xsale.md §4). Pure.

Most member names are assumptions and stand in a map that a merchant may change (`ASSUMED`, the option `fields`). What
buyer, recipient and payer hold is not documented at all: it stands under `details` in the platform's own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orchestrator.platforms.content import Apart, decimal, given, minus, plain, rows, sum_of, text
from orchestrator.platforms.field_map import FieldMap, merged
from statemachines.target import Json

APART = Apart()
"""Our one step changes the status, which is not in here."""

ASSUMED: Final[Mapping[str, str]] = {
    "reference": "ForeignNumber",
    "payment": "PaymentStatus",
    "waybill": "WaybillNumber",
    "currency": "Currency",
    "delivery.name": "DeliveryMethod",
    "totals.total": "PriceGross",
    "note": "Remarks",
    "lines.id": "Id",
    "lines.name": "Name",
    "lines.parts.sku": "Code",
    "lines.parts.product_id": "ArticleId",
    "lines.parts.name": "Name",
    "lines.parts.quantity": "Quantity",
}
"""Names that nobody documents (xsale.md §4), by what they mean. The first three are no members of the content: the
number that people call the order by, its payment status, and the number of its waybill."""
OWN_NAMES: Final = frozenset({"reference", "payment", "waybill"})

_UNDERPAID = "niedopłacone"  # xsale.md §4: underpaid
_PARTIES = {"buyer": "Buyer", "ship_to": "Recipient", "bill_to": "Payer"}


def content_of(order: Mapping[str, Json], fields: FieldMap, *, payment: str) -> dict[str, Json]:
    """What the ERP is given of an order; raises nothing. `payment`: our word for its payment status."""
    reference, raw = text(fields.get(order, "reference")), text(fields.get(order, "payment"))
    net, gross = decimal(order.get("PriceNet")), decimal(order.get("PriceGross"))
    tax = None if net is None or gross is None else sum_of(gross, minus(net))
    is_underpaid = payment == "unpaid" and raw is not None and raw.strip().casefold() == _UNDERPAID
    found: dict[str, Json] = {
        **given(order, {"ordered_on": "PurchaseDate"}),
        "numbers": {"order": reference or text(order.get("Id")), **({"source": reference} if reference else {})},
        "channel": given(order, {"id": "IntegrationId"}),
        "payment": {
            "status": "partly_paid" if is_underpaid else payment,
            **({"raw": raw} if fields.has(order, "payment") else {}),
            **given(order, {"method": "PaymentFormId"}),
        },
        "totals": {} if tax is None else {"tax": tax},
        "derived": [] if tax is None else ["/totals/tax"],
    }
    for name, theirs in _PARTIES.items():
        if (party := _party(order, theirs)) is not None:
            found[name] = party
    if "Items" in order:
        found["lines"] = [line_of(item, fields) for item in rows(order["Items"])]
    if articles := _parts(order, fields):
        found["articles"] = articles
    if fields.has(order, "waybill"):
        found["parcels"] = _parcels(fields.get(order, "waybill"))
    return merged(found, fields.of(order))


def _parcels(waybill: Json) -> list[Json]:
    """One parcel with the number of its waybill, or several numbers."""
    numbers = [number for each in (waybill if isinstance(waybill, list) else [waybill]) if (number := text(each))]
    return [{"numbers": numbers}] if numbers else []


def _party(order: Mapping[str, Json], name: str) -> dict[str, Json] | None:
    """By its id in the ERP's own address book, with what else xSale shows; None where the order has no such member."""
    if f"{name}Id" not in order and name not in order:
        return None
    details = plain(order.get(name))
    return given(order, {"id": f"{name}Id"}) | ({} if details is None else {"details": details})


def line_of(item: Mapping[str, Json], fields: FieldMap) -> dict[str, Json]:
    """An ordered position; prices are per unit (xsale.md §4)."""
    found = given(item, {"product_id": "OfferId", "variant_id": "VariantId"}) | given(
        item, {"quantity": "Quantity"}, decimal
    )
    if prices := given(item, {"net": "PriceNet", "gross": "PriceGross"}, decimal):
        found["unit_price"] = prices
    if "OrderItemArticles" in item:
        found["parts"] = _parts(item, fields)
    return merged(found, fields.of(item, "lines"))


def _parts(owner: Mapping[str, Json], fields: FieldMap) -> list[Json]:
    """What leaves the warehouse for an item, or for the order where it is given there (xsale.md §4)."""
    return [
        merged(given(each, {"id": "Id"}), fields.of(each, "lines.parts"))
        for each in rows(owner.get("OrderItemArticles"))
    ]
