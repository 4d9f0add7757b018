"""An order of any shop as a sale of Tryton, to the cent."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from trytond.pool import Pool

CENT, ZERO = Decimal("0.01"), Decimal()
LEFT = ("shipped", "done")
"""States of a shipment that left."""


@dataclass(frozen=True)
class Row:
    """A line of a sale: its net amount after discounts, its taxes as shops give them, the order line that it is."""

    code: str
    name: str
    amount: Decimal
    quantity: Decimal = Decimal(1)
    taxes: tuple[Any, ...] = ()
    line: str | None = None
    is_shipped: bool = False


def told(price: Any) -> tuple[Decimal, bool]:
    """A price as far as the shop tells it, and whether tax is in it."""
    basis = next((each for each in ("net", "gross", "stated") if price and price[each] is not None), None)
    return (Decimal(price[basis]) if basis else ZERO), basis == "gross"


def rows_of(shop: str, content: Any) -> list[Row]:
    """What the order is made of, net. Raises ValueError where it does not come to the total that the shop tells."""
    sums = {name: Decimal(value) for name, value in content["totals"].items() if value is not None}
    tax_left, off_left, rows = sums.get("tax", ZERO), sums.get("discount", ZERO), []
    for line in content["lines"]:
        (price, is_gross), off, taxes = told(line["unit_price"]), told(line["discount"])[0], tuple(line["tax"] or ())
        tax, quantity = sum((Decimal(each["amount"] or 0) for each in taxes), ZERO), Decimal(line["quantity"])
        tax_left, off_left, amount = tax_left - tax, off_left - off, price * quantity - off - (tax if is_gross else 0)
        code = line["sku"] or f"{shop}/{line['product_id'] or line['name']}"
        rows.append(Row(code, line["name"], amount, quantity, taxes, line["id"], line["kind"] in (None, "goods")))
    cost, is_gross = told(content["delivery"]["cost"])
    rows.append(Row("Delivery", "Delivery", cost - (tax_left if cost and is_gross else 0)))
    rows.append(Row("Discount", "Discount", -off_left))
    rest = sums["total"] - sums.get("tax", ZERO) - sum(row.amount for row in rows) if "total" in sums else ZERO
    if content["balanced"] is False or abs(rest) > CENT * len(rows):
        raise ValueError(f"the order's parts miss its total by {rest}")
    rows.append(Row("Rounding", "Rounding", rest))
    return [row for row in rows if row.quantity and (row.line or row.amount)]


def get(model: str) -> Any:
    """A model of the database of the transaction that runs."""
    return Pool().get(model)


def found(model: str, key: dict[str, Any], **values: Any) -> Any:
    """The record that has the values of `key`, or else a new one that has the others, too."""
    known = get(model).search([(field, "=", value) for field, value in key.items()], limit=1)
    return known[0] if known else get(model).create([key | values])[0]


def address_of(reference: str, content: Any) -> Any:
    """The buyer's address. Shops that know addresses by an id alone have it in place of the street."""
    buyer, to = content["buyer"], content["ship_to"]
    code = f"{reference.split('/', 1)[0]}/{buyer['id'] or buyer['email'] or reference}"
    party = found("party.party", {"code": code}, name=buyer["name"] or to["name"] or code)
    street = " ".join(each for each in (to["street"], to["house_number"], to["street2"]) if each) or to["id"]
    country = get("country.country").search([("code", "=", to["country"])])
    place = {"party": party.id, "party_name": to["name"], "street_unstructured": street, "city": to["city"]}
    place |= {"postal_code": to["postal_code"], "country": country[0].id if country else None}
    return found("party.address", place)


def line_of(row: Row, like: Any, account: Any) -> dict[str, Any]:
    """A sale line. An article or a tax that Tryton does not have is made, the article in the manner of `like`."""
    unit = like.default_uom.id
    made = {"default_uom": unit, "sale_uom": unit, "salable": True, "list_price": ZERO, "products": [("create", [{}])]}
    made |= {"account_category": like.account_category.id, "type": "goods" if row.is_shipped else "service"}
    product = found("product.template", {"code": row.code}, name=row.name or row.code, **made).products[0]
    taxes = []
    for tax in (each for each in row.taxes if each["rate"]):
        made = {"type": "percentage", "rate": Decimal(tax["rate"]), "description": tax["name"] or "Tax"}
        made |= {"invoice_account": account.id, "credit_note_account": account.id}
        taxes.append(found("account.tax", {"name": f"{tax['name']} {tax['rate']}"}, **made).id)
    price = {"quantity": float(row.quantity), "unit_price": round(row.amount / row.quantity, 8), "unit": unit}
    return price | {"product": product.id, "description": row.name, "note": row.line, "taxes": [("add", taxes)]}


def book(reference: str, content: Any) -> Any:
    """Makes a draft sale. Raises ValueError where an order cannot be booked to the cent."""
    rows, address = rows_of(reference.split("/", 1)[0], content), address_of(reference, content)
    like, cent = found("product.template", {"code": "Delivery"}), found("account.tax", {"name": "Cent"})
    currencies = get("currency.currency").search([("code", "=", content["currency"])])
    if not currencies:
        raise ValueError(f"Tryton has no currency {content['currency']}")
    values = {"reference": reference, "party": address.party.id, "currency": currencies[0].id, "carrier": None}
    values |= {"invoice_address": address.id, "shipment_address": address.id, "shipment_cost_method": None}
    values |= {"lines": [("create", [line_of(row, like, cent.invoice_account) for row in rows])]}
    values |= {"comment": "\n".join(["The shop does not tell:", *content["gaps"]])}
    (sale,) = get("sale.sale").create([values])
    tax = content["totals"]["tax"]
    if cents := (Decimal(tax) - sale.tax_amount) / CENT if tax is not None else ZERO:
        line = {"sale": sale.id, "quantity": float(cents), "unit_price": ZERO, "taxes": [("add", [cent.id])]}
        get("sale.line").create([line | {"description": "Tax that the shop gives without a rate, or rounds otherwise"}])
    return sale


def close(sale: Any) -> None:
    """Cancels a sale; of one in process what has not left does not leave."""
    if sale.state in ("draft", "quotation"):
        get("sale.sale").cancel([sale])
        return
    get("stock.shipment.out").cancel([each for each in sale.shipments if each.state not in (*LEFT, "cancelled")])
    for line in sale.lines:
        gone = [move.id for move in line.moves if move.state == "cancelled"]
        get("sale.line").write([line], {"moves_ignored": [("add", gone)]})
    get("sale.sale").__queue__.process([sale])
