"""What people do in Tryton's client: python people.py CONFIG ship|show"""

import json
import sys
from typing import Any

from proteus import Model
from proteus.config import set_trytond

set_trytond("sqlite:///shop", config_file=sys.argv[1])


def ship() -> None:
    """Ships what waits; of every third sale first only one piece of a line, so that another box follows."""
    shipments = Model.get("stock.shipment.out")
    for shipment in shipments.find([("state", "=", "waiting")], order=[("id", "ASC")]):
        first = shipment.inventory_moves[0]
        sale = shipment.outgoing_moves[0].origin.sale
        if sale.id % 3 == 0 and len(sale.shipments) == 1 and first.quantity > 1:
            first.quantity = 1
        shipment.reference = f"3S{shipment.number}"
        shipment.save()
        for button in ("assign_force", "pick", "pack", "do"):
            shipment.click(button)


def show() -> None:
    """Prints everything that was booked, as JSON."""
    notes = [[str(each.resource.rec_name), each.message] for each in Model.get("ir.note").find()]
    sales = [sale_of(each) for each in Model.get("sale.sale").find()]
    print(json.dumps({"sales": sales, "notes": notes}, default=str))


def sale_of(sale: Any) -> dict[str, Any]:
    shipments = [
        {
            "number": shipment.number,
            "state": shipment.state,
            "lines": [[move.origin.note, move.quantity] for move in shipment.outgoing_moves],
        }
        for shipment in sale.shipments
    ]
    sums = {"net": sale.untaxed_amount, "tax": sale.tax_amount, "total": sale.total_amount}
    names = {"reference": sale.reference, "number": sale.number, "state": sale.state, "currency": sale.currency.code}
    return names | sums | {"comment": sale.comment, "shipments": shipments}


{"ship": ship, "show": show}[sys.argv[2]]()
