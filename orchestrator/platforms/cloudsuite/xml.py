"""CloudSuite's XML: packing slips and order confirmations (cloudsuite.md §6, §7).

Documents are built as trees, never by putting text together, so no product name can break one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from xml.etree.ElementTree import Element, SubElement, tostring

from statemachines.cloudsuite.despatch import Despatch, as_xml_text
from statemachines.numbers import decimal_of, written
from statemachines.target import Json, Tracking

_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True, slots=True)
class SlipLine:
    """One line of a packing slip, complete. `quantity` has at most four decimals."""

    erp_line_number: int
    quantity: str
    part_number: str


def desadv(
    despatch: Despatch,
    lines: Sequence[SlipLine],
    *,
    order_number: str,
    today: date,
    tracking: Tracking | None,
    buyer_party: Mapping[str, str],
) -> bytes:
    """A packing slip (cloudsuite.md §6). `order_number`: the ERP's, or CloudSuite's where there is none.

    `tracking` stands in where the despatch has none of its own; `today` where it has no date.
    """
    numbers = tracking or Tracking()
    sent_on = despatch.date or today
    root = Element("Desadv")
    header = SubElement(root, "DesadvHeader")
    _put(header, "DesadvNumber", despatch.number)
    _put(header, "DesadvDate", sent_on.isoformat())
    _put(header, "PlannedDeliveryDate", (despatch.planned_delivery_date or sent_on).isoformat())
    if despatch.comment is not None:
        _put(header, "Comment", despatch.comment)
    transport = SubElement(header, "TransportDetails")
    _put(transport, "TransportModeCode", despatch.carrier or numbers.carrier or "")
    _put(SubElement(transport, "MeansOfTransport"), "Identification", despatch.tracking_code or numbers.code or "")
    if buyer_party:
        buyer = SubElement(SubElement(root, "DesadvParty"), "BuyerParty")
        for name, value in buyer_party.items():
            _put(buyer, name, value)
    items = SubElement(SubElement(SubElement(root, "DesadvDetail"), "Packaging"), "LineItems")
    for line in lines:
        item = SubElement(items, "Item")
        _put(item, "OrderNum", order_number)
        _put(item, "ItemNum", str(line.erp_line_number))
        _put(item, "SellerItemID", line.part_number)
        _put(item, "QuantityValue", line.quantity)
    return _document(root)


def confirmation(
    order: Mapping[str, Json], erp_order_number: str, lines: Mapping[str, Mapping[str, Json]], *, timestamp: str
) -> bytes:
    """An order confirmation as cXML, which carries the ERP's number and line numbers (cloudsuite.md §7).

    `order` is the platform's own JSON with its numbers as they stand there (`json_text`), `lines` what is known of each
    line by its id, with quantities and ERP numbers. It is the same document for the same order, so repeating it is an
    update without effect.
    """
    root = Element("cXML", payloadID=f"{order.get('reference')}-{erp_order_number}@fulfilld", timestamp=timestamp)
    request = SubElement(SubElement(root, "Request"), "OrderRequest")
    header = SubElement(
        request,
        "OrderRequestHeader",
        type="sync",
        orderID=erp_order_number,
        orderDate=_text(order.get("order_date")),
    )
    for element, name in (("ShipTo", "shipment_address"), ("BillTo", "invoice_address")):
        if (address := order.get(name)) is not None:
            SubElement(SubElement(header, element), "Address", addressID=_text(address))
    _extrinsic(header, "CloudSuiteCustomerReference", order.get("reference"))
    _extrinsic(header, "CloudSuiteCustomerOrderNumber", order.get("customer_order_number"))
    for line in order.get("order_lines") or ():
        order_line = lines[str(line["id"])]
        quantity = order_line["quantity"]
        item = SubElement(request, "ItemOut", quantity=quantity, lineNumber=str(order_line["erp"]))
        _put(SubElement(item, "ItemID"), "SupplierPartID", order_line.get("part") or "")
        detail = SubElement(item, "ItemDetail")
        price = SubElement(SubElement(detail, "UnitPrice"), "Money", currency=_text(order.get("currency")))
        price.text = _number(line.get("unit_price"))
        _put(detail, "Description", _text(line.get("description")))
        wished = order.get("requested_delivery_date")
        if wished is not None:
            SubElement(item, "ScheduleLine", quantity=quantity, requestedDeliveryDate=_text(wished))
    return _document(root)


def _document(root: Element) -> bytes:
    text: bytes = tostring(root, "utf-8")
    return _HEAD + text


def _put(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = text


def _extrinsic(parent: Element, name: str, value: Json) -> None:
    if value is not None:
        extrinsic = SubElement(parent, "Extrinsic", name=name)
        extrinsic.text = _text(value)


def _number(value: Json) -> str:
    """A platform's number to the digit, and without an exponent, which XML's decimals have not."""
    number = decimal_of(value)
    return _text(value) if number is None else written(number)


def _text(value: Json) -> str:
    """A platform's value as XML text; unlike the target's it cannot be refused, so what XML cannot carry is cut out."""
    return as_xml_text("" if value is None else str(value))
