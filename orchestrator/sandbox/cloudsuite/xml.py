"""CloudSuite's XML calls as the simulated platform reads them: packing slips and order confirmations (§6, §7)."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from orchestrator.sandbox.cloudsuite.orders import CloudsuiteOrder, Json
from orchestrator.sandbox.cloudsuite.shop import CloudsuiteShop

_HEADER = ("DesadvNumber", "DesadvDate", "PlannedDeliveryDate")
_ITEM = ("ItemNum", "OrderNum", "QuantityValue", "SellerItemID")


class Refusal(ValueError):
    """Why the platform does not take a document."""


def parse_slip(body: bytes) -> dict[str, Json]:
    """A packing slip as plain data. Raises Refusal for what is not one; every required element must be there."""
    root = _root(body, "Desadv")
    header = root.find("DesadvHeader")
    transport = header.find("TransportDetails") if header is not None else None
    code = transport.find("TransportModeCode") if transport is not None else None
    tracking = transport.find("MeansOfTransport/Identification") if transport is not None else None
    if header is None or code is None or tracking is None:
        raise Refusal("DesadvHeader or its TransportDetails is incomplete")
    items = root.findall("DesadvDetail/Packaging/LineItems/Item")
    if not items:
        raise Refusal("no Item in DesadvDetail/Packaging/LineItems")
    number, day, planned = (_required(header, name) for name in _HEADER)
    return {
        "number": number,
        "date": day,
        "planned_delivery_date": planned,
        "comment": header.findtext("Comment"),
        "carrier": code.text or "",
        "tracking_code": tracking.text or "",
        "buyer_party": {each.tag: each.text for each in root.findall("DesadvParty/BuyerParty/*")},
        "items": [{name: _required(item, name) for name in _ITEM} for item in items],
    }


def take_slip(shop: CloudsuiteShop, order: CloudsuiteOrder | None, slip: dict[str, Json]) -> None:
    """Takes a packing slip. Raises Refusal: number used before, no ERP line numbers yet, impossible quantity (§6)."""
    if slip["number"] in shop.slips:
        raise Refusal(f"DesadvNumber {slip['number']} already exists")
    if order is None:
        raise Refusal("no such order")
    known = {str(line["erp_line_number"]) for line in order.lines if line["erp_line_number"] is not None}
    for item in slip["items"]:
        if item["ItemNum"] not in known:
            raise Refusal(f"order {order.fields['reference']} has no ItemNum {item['ItemNum']}")
        if not _is_quantity(item["QuantityValue"]):
            raise Refusal(f"QuantityValue {item['QuantityValue']} is not a decimal(12,4)")
    shop.slips[slip["number"]] = {**slip, "order": str(order.id)}
    if shop.options.marks_sent and _is_despatched(shop, order):
        order.fields["shipment_state"] = "sent"
        shop.touch(order)


def parse_confirmation(body: bytes) -> dict[str, Json]:
    """An order confirmation as plain data. Raises Refusal for what is not one."""
    root = _root(body, "cXML")
    header = root.find("Request/OrderRequest/OrderRequestHeader")
    if header is None or not root.get("payloadID") or not root.get("timestamp") or not header.get("orderID"):
        raise Refusal("payloadID, timestamp or orderID is missing")
    if header.get("type") != "sync":
        raise Refusal("OrderRequestHeader has to be of type sync")
    references = [
        each.text for each in header.findall("Extrinsic") if each.get("name") == "CloudSuiteCustomerReference"
    ]
    lines = [
        {
            "line_number": item.get("lineNumber"),
            "quantity": item.get("quantity"),
            "part": item.findtext("ItemID/SupplierPartID"),
            "price": item.findtext("ItemDetail/UnitPrice/Money"),
            "description": item.findtext("ItemDetail/Description"),
        }
        for item in root.findall("Request/OrderRequest/ItemOut")
    ]
    return {"order_id": header.get("orderID"), "reference": next(iter(references), None), "lines": lines}


def take_confirmation(shop: CloudsuiteShop, order: CloudsuiteOrder | None, sent: dict[str, Json]) -> bool:
    """Sets the ERP's number and line numbers; repeating it is an update (§9). Answers whether anything changed."""
    if order is None:
        raise Refusal("no such order")
    before = (order.fields["erp_order_number"], [line["erp_line_number"] for line in order.lines])
    if [line["part"] for line in sent["lines"]] != [line["product"]["key"] for line in order.lines]:
        raise Refusal("the lines are not those of the order")
    order.fields["erp_order_number"] = sent["order_id"]
    for line, confirmed in zip(order.lines, sent["lines"], strict=True):
        line["erp_line_number"] = int(confirmed["line_number"])
    shop.touch(order)
    return before != (order.fields["erp_order_number"], [line["erp_line_number"] for line in order.lines])


def answer(style: str, refusal: str | None) -> bytes:
    """How the proxy answers; its form is not documented, so there are two."""
    if style == "text":
        return (f"Error: {refusal}" if refusal is not None else "OK").encode()
    if refusal is not None:
        return f"<Response><Error>{escape(refusal)}</Error></Response>".encode()
    return b'<Response><Status code="200" text="OK"/></Response>'


def _root(body: bytes, tag: str) -> Element:
    try:
        root = fromstring(body)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise Refusal(f"not well-formed: {error}") from error
    if root.tag != tag:
        raise Refusal(f"the root is {root.tag}, not {tag}")
    return root


def _required(parent: Element, name: str) -> str:
    text = parent.findtext(name)
    if not text:
        raise Refusal(f"{name} is required")
    return text


def _is_quantity(text: str) -> bool:
    try:
        quantity = Decimal(text)
    except InvalidOperation:
        return False
    return quantity.is_finite() and 0 < quantity < 10**8 and quantity == round(quantity, 4)


def _is_despatched(shop: CloudsuiteShop, order: CloudsuiteOrder) -> bool:
    gone: dict[str, Decimal] = {}
    for slip in shop.slips.values():
        for item in slip["items"] if slip["order"] == str(order.id) else ():
            gone[item["ItemNum"]] = gone.get(item["ItemNum"], Decimal(0)) + Decimal(item["QuantityValue"])
    return all(gone.get(str(line["erp_line_number"]), 0) >= Decimal(str(line["quantity"])) for line in order.lines)
