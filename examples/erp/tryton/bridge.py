"""Books the orders of all shops in Tryton and tells the shops what leaves: python bridge.py CONFIG DATABASE

Each event is one transaction, acknowledged after its commit. What a shop is told is noted with the record that it is
about. An error that is not one order's ends the bridge. It ends where nothing is left to do; the next run goes on.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from proteus.config import set_trytond
from trytond.exceptions import TrytonException
from trytond.transaction import Transaction

from fulfilld import Client, Problem, path_of

OPEN, PAYABLE = ("new", "accepted", "preparing", "attention"), ("paid", "authorized", "invoice", "partly_refunded")
DELIVERY = {"id": None, "kind": "service", "sku": "Delivery", "quantity": "1"}
CENT, LEFT, FOREVER = Decimal("0.01"), ("shipped", "done"), float("inf")
shops, tryton = Client(), set_trytond(f"sqlite:///{sys.argv[2]}", config_file=sys.argv[1])
get = tryton.pool.get


@contextmanager
def transaction() -> Iterator[None]:
    """One transaction, with the tasks that Tryton queues in it."""
    locked = {"context": tryton.context, "_lock_tables": ["sale_sale"]}
    with Transaction().start(tryton.database_name, tryton.user, **locked) as current:
        yield
        while current.tasks:
            get("ir.queue")(current.tasks.pop()).run()


def found(model: str, key: dict[str, Any], like: Any = None, **values: Any) -> Any:
    """The record that has the values of `key`, or else a new one that has the others too, the rest as `like` has it."""
    known = get(model).search([(field, "=", value) for field, value in key.items()], limit=1)
    return (known or (get(model).copy([like], key | values) if like else get(model).create([key | values])))[0]


def line_of(shop: str, line: Any) -> dict[str, Any]:
    """A sale line. An article or a tax that Tryton does not have is made, in the manner of "Delivery" and "Cent"."""
    service, cent, taxes = found("product.template", {"code": "Delivery"}), found("account.tax", {"name": "Cent"}), []
    for tax in (each for each in line["tax"] or () if each["rate"]):
        rate = {"type": "percentage", "amount": None, "rate": Decimal(tax["rate"]), "description": tax["name"] or "Tax"}
        taxes.append(found("account.tax", {"name": f"{tax['name']} {tax['rate']}"}, cent, **rate).id)
    code = line["sku"] or f"{shop}/{line['product_id']}"
    name, kind = line["name"] or code, "goods" if line["kind"] in (None, "goods") else "service"
    article = found("product.template", {"code": code}, service, name=name, type=kind).products[0]
    quantity, price = Decimal(line["quantity"]), line["amount"]
    price = round(Decimal(price["net"] or price["stated"] or price["gross"] or 0) / quantity, 8)
    values = {"product": article.id, "unit": service.default_uom.id, "quantity": float(quantity), "unit_price": price}
    return values | {"taxes": [("add", taxes)], "description": name, "note": line["id"]}


def book(reference: str, content: Any) -> Any:
    """Makes a draft sale. Raises ValueError where its parts miss its total by more than a discount or tax in prices."""
    buyer, to, totals, shop = content["buyer"], content["ship_to"], content["totals"], reference.partition("/")[0]
    code = f"{shop}/{buyer['id'] or buyer['email'] or reference}"
    party = found("party.party", {"code": code}, name=buyer["name"] or to["name"] or code).id
    street = " ".join(filter(None, (to["street"], to["house_number"], to["street2"]))) or to["id"]
    country = get("country.country").search([("code", "=", to["country"])])
    place = {"party": party, "party_name": to["name"], "street_unstructured": street, "city": to["city"]}
    place |= {"postal_code": to["postal_code"], "country": country[0].id if country else None}
    address, currency = found("party.address", place).id, found("currency.currency", {"code": content["currency"]}).id
    delivery = DELIVERY | content["delivery"] | {"amount": content["delivery"]["cost"]}
    lines = [line_of(shop, line) for line in (*content["lines"], delivery) if Decimal(line["quantity"])]
    values = {"reference": reference, "party": party, "invoice_address": address, "shipment_address": address}
    values |= {"comment": "\n".join(["The shop does not tell:", *content["gaps"]]), "currency": currency}
    (sale,) = get("sale.sale").create([values | {"lines": [("create", lines)]}])
    tax, net = Decimal(totals["tax"] or 0), sale.untaxed_amount
    rest, cents = Decimal(totals["total"] or net + tax) - tax - net, (tax - sale.tax_amount) / CENT
    inside = tax if any(line["amount"]["net"] is None for line in content["lines"]) else 0
    if content["balanced"] is False or abs(rest) > Decimal(totals["discount"] or 0) + inside + CENT * len(lines):
        raise ValueError(f"the order's parts miss its total by {rest}")
    text = "Discount, rounding, tax in prices"
    beside = [{"quantity": 1, "unit_price": rest, "description": text}] if rest else []
    if cents:
        taxes = [("add", [found("account.tax", {"name": "Cent"}).id])]
        beside += [{"quantity": float(cents), "unit_price": 0, "description": "Tax without a rate", "taxes": taxes}]
    sale.write([sale], {"lines": [("create", beside)]})
    return sale


def settle(event: Any, order: Any) -> None:
    """Brings the sale to where its order is, however often this is called."""
    content, reference = order["content"], f"{order['shop']}/{order['id']}"
    sales = get("sale.sale").search([("reference", "=", reference)])
    if not sales and order["milestone"] in OPEN and content and not content["stale"]:
        sales = [book(reference, content)]
    for sale in sales:
        if order["milestone"] == "cancelled":
            boxes = [each for each in sale.shipments if each.state not in (*LEFT, "cancelled")]
            get("stock.shipment.out").cancel(boxes)
            sale.cancel([each for each in sales if each.state in ("draft", "quotation")])
        elif sale.state == "draft" and (order["payment_status"] in PAYABLE or content["payment"]["on_delivery"]):
            sale.quote([sale])
            sale.confirm([sale])
        if event["type"] in ("order.cancelled", "order.returned"):
            found("ir.note", {"resource": str(sale), "message": f"{event['type']}, {event['at']}: {event['data']}"})


def tell(reference: str, **target: Any) -> str:
    """Submits a target and says what became of it. Its key is made of all of it: the same again changes nothing."""
    (shop, _, order), key = reference.partition("/"), str(uuid5(NAMESPACE_OID, f"{reference} {target}"))
    try:
        return f"sent: {target['state']} {shops.submit(shop, order, target, key, patience_seconds=FOREVER)['id']}"
    except Problem as problem:
        return f"refused: {target['state']}, {problem}"


def shipped_of(box: Any) -> dict[str, Any]:
    """The target of a box that left; `last` where no other one of its sale is to leave."""
    moves = [move for move in box.outgoing_moves if move.quantity]
    parcel = {"number": box.number, "carrier": box.carrier.rec_name if box.carrier else None}
    parcel |= {"tracking": [box.reference] if box.reference else []}
    parcel |= {"lines": [{"id": move.origin.note, "quantity": str(move.quantity)} for move in moves]}
    parcel |= {"last": all(each.state in (*LEFT, "cancelled") for each in moves[0].sale.shipments)}
    return {"state": "shipped", "parcel": parcel}


def report() -> None:
    """Tells the shops what was accepted and what left, and notes the answer. A refusal is for a person to see."""
    due: list[tuple[str, str, dict[str, Any]]] = []
    with transaction():
        told = {str(note.resource) for note in get("ir.note").search([("message", "not like", "order.returned%")])}
        of_shops = [("reference", "like", "%/%"), ("state", "in", ("confirmed", "processing", "done"))]
        for sale in get("sale.sale").search(of_shops, order=[("id", "ASC")]):
            due.append((str(sale), sale.reference, {"state": "accepted", "erp_order_number": sale.number}))
            boxes = [box for box in sale.shipments if box.state in LEFT and str(box) not in told]
            due += [(str(box), sale.reference, shipped_of(box)) for box in boxes]
    for record, reference, target in due:
        if record not in told:
            answer = tell(reference, **target)
            with transaction():
                found("ir.note", {"resource": record, "message": answer})


for event in shops.consume("tryton", types=["order.*"], is_endless=False):
    if event["type"] == "order.attention":  # which it told itself, below
        continue
    try:
        place = path_of("shops", event["shop"], "orders", event["order"])
        order = shops.insist("GET", place, {"include": "content"}, patience_seconds=FOREVER)
        with transaction():
            settle(event, order)
    except (Problem, TrytonException, ArithmeticError, ValueError) as error:
        reason = f"Tryton, event {event['cursor']}: {error}"[:200]
        tell(f"{event['shop']}/{event['order']}", state="attention", reason=reason)
report()
