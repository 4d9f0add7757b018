"""An order of any shop as a sale of Tryton, to the cent."""

from decimal import Decimal
from typing import Any

from trytond.pool import Pool

CENT, LEFT = Decimal("0.01"), ("shipped", "done")
BESIDE: dict[str, Any] = {"id": None, "kind": "service", "quantity": "1", "tax": []}
"""What a sale has beside the lines of its order."""


def get(model: str) -> Any:
    return Pool().get(model)


def found(model: str, key: dict[str, Any], like: Any = None, **values: Any) -> Any:
    """The record that has the values of `key`, or else a new one that has the others too, the rest as `like` has it."""
    known = get(model).search([(field, "=", value) for field, value in key.items()], limit=1)
    return (known or (get(model).copy([like], key | values) if like else get(model).create([key | values])))[0]


def address_of(reference: str, content: Any) -> Any:
    """The buyer's address. Shops that know addresses by an id alone have it in place of the street."""
    buyer, to = content["buyer"], content["ship_to"]
    code = f"{reference.partition('/')[0]}/{buyer['id'] or buyer['email'] or reference}"
    party = found("party.party", {"code": code}, name=buyer["name"] or to["name"] or code)
    street = " ".join(each for each in (to["street"], to["house_number"], to["street2"]) if each) or to["id"]
    country = get("country.country").search([("code", "=", to["country"])])
    place = {"party": party.id, "party_name": to["name"], "street_unstructured": street, "city": to["city"]}
    place |= {"postal_code": to["postal_code"], "country": country[0].id if country else None}
    return found("party.address", place)


def line_of(shop: str, line: Any) -> dict[str, Any]:
    """A sale line. An article or a tax that Tryton does not have is made, in the manner of "Delivery" and "Cent"."""
    service, cent = found("product.template", {"code": "Delivery"}), found("account.tax", {"name": "Cent"})
    code, quantity, price = line["sku"] or f"{shop}/{line['product_id']}", Decimal(line["quantity"]), line["amount"]
    name, kind = line["name"] or code, "goods" if line["kind"] in (None, "goods") else "service"
    taxes = []
    for tax in (each for each in line["tax"] or () if each["rate"]):
        rate = {"type": "percentage", "amount": None, "rate": Decimal(tax["rate"]), "description": tax["name"] or "Tax"}
        taxes.append(found("account.tax", {"name": f"{tax['name']} {tax['rate']}"}, cent, **rate).id)
    return {
        "product": found("product.template", {"code": code}, service, name=name, type=kind).products[0].id,
        "quantity": float(quantity),
        "unit": service.default_uom.id,
        "unit_price": round(Decimal(price["net"] or price["stated"] or price["gross"] or 0) / quantity, 8),
        "description": name,
        "note": line["id"],
        "taxes": [("add", taxes)],
    }


def book(reference: str, content: Any) -> Any:
    """Makes a draft sale. Raises ValueError where its parts miss its total by more than a discount or tax in prices."""
    address, totals, shop = address_of(reference, content), content["totals"], reference.partition("/")[0]
    currency = get("currency.currency").search([("code", "=", content["currency"])])
    delivery = BESIDE | {"sku": "Delivery", "name": content["delivery"]["name"], "amount": content["delivery"]["cost"]}
    lines = [line_of(shop, line) for line in (*content["lines"], delivery) if Decimal(line["quantity"])]
    values = {"reference": reference, "party": address.party.id, "currency": currency[0].id if currency else None}
    values |= {"invoice_address": address.id, "shipment_address": address.id, "lines": [("create", lines)]}
    (sale,) = get("sale.sale").create([values | {"comment": "\n".join(["The shop does not tell:", *content["gaps"]])}])
    tax = Decimal(totals["tax"] or 0)
    if rest := Decimal(totals["total"] or sale.untaxed_amount) - tax - sale.untaxed_amount:
        inside = tax if any(line["amount"]["net"] is None for line in content["lines"]) else 0
        if content["balanced"] is False or abs(rest) > Decimal(totals["discount"] or 0) + inside + CENT * len(lines):
            raise ValueError(f"the order's parts miss its total by {rest}")
        name = "Discount, rounding, tax in prices"
        discount = line_of(shop, BESIDE | {"sku": "Discount", "name": name, "amount": {"net": str(rest)}})
        get("sale.line").create([discount | {"sale": sale.id}])
    if cents := (tax - sale.tax_amount) / CENT:
        line = {"sale": sale.id, "quantity": float(cents), "unit_price": 0, "description": "Tax without a rate"}
        get("sale.line").create([line | {"taxes": [("add", [found("account.tax", {"name": "Cent"}).id])]}])
    return sale


def cancel(sale: Any) -> None:
    """Cancels a sale; of one in process what has not left does not leave."""
    if sale.state in ("draft", "quotation"):
        sale.cancel([sale])
        return
    get("stock.shipment.out").cancel([each for each in sale.shipments if each.state not in (*LEFT, "cancelled")])
    for line in sale.lines:
        gone = [move.id for move in line.moves if move.state == "cancelled"]
        line.write([line], {"moves_ignored": [("add", gone)]})
    sale.process([sale])
