"""Books the orders of all shops in Tryton and tells the shops what leaves: python bridge.py CONFIG DATABASE [--once]

Each event is one transaction, acknowledged after its commit. What a shop is told is noted with the record that it is
about; until then it is sent, under one key. An error that is not one order's ends the bridge: start it again.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from proteus.config import set_trytond
from trytond.exceptions import TrytonException
from trytond.transaction import Transaction

from booking import LEFT, book, cancel, found, get
from fulfilld import Client, Problem

OPEN, PAYABLE = ("new", "accepted", "preparing", "attention"), ("paid", "authorized", "invoice", "partly_refunded")
shops, tryton = Client(), set_trytond(f"sqlite:///{sys.argv[2]}", config_file=sys.argv[1])


@contextmanager
def transaction() -> Iterator[None]:
    """One transaction, with the tasks that Tryton queues in it."""
    locked = {"context": tryton.context, "_lock_tables": ["sale_sale"]}
    with Transaction().start(tryton.database_name, tryton.user, **locked) as current:
        yield
        while current.tasks:
            get("ir.queue")(current.tasks.pop()).run()


def tell(reference: str, **target: Any) -> str:
    """Submits a target. Its key is made of all of it: the same again, also after a backup was put back."""
    shop, _, order = reference.partition("/")
    try:
        key = sha256(repr((reference, target)).encode()).hexdigest()
        return "sent: " + str(shops.submit(shop, order, target, key=key)["id"])
    except Problem as problem:
        if not problem.is_final:
            raise
        return f"refused: {problem}"


def settle(event: Any, order: Any) -> None:
    """Brings the sale to where its order is, however often this is called."""
    content, reference = order["content"], f"{order['shop']}/{order['id']}"
    sales = get("sale.sale").search([("reference", "=", reference)])
    if not sales and order["milestone"] in OPEN and content and not content["stale"]:
        sales = [book(reference, content)]
    for sale in sales:
        if order["milestone"] == "cancelled" and sale.state != "cancelled":
            cancel(sale)
            found("ir.note", {"resource": str(sale), "message": "cancelled in the shop"})
        elif sale.state == "draft" and (order["payment_status"] in PAYABLE or content["payment"]["on_delivery"]):
            sale.quote([sale])
            sale.confirm([sale])
        if event["type"] == "order.returned":
            note = f"returned, {event['at']}: {event['data']['lines']}"
            found("ir.note", {"resource": str(sale), "message": note})


def receive() -> None:
    """Books what is new. What Tryton refuses of one order is shown with it; announce it, and it is tried again."""
    seconds = 0 if "--once" in sys.argv else 5
    for event in shops.consume("tryton", types=["order.*"], wait_seconds=seconds, is_endless=False):
        try:
            with transaction():
                settle(event, shops.order(event["shop"], event["order"], include=["content"]))
        except (TrytonException, ArithmeticError, ValueError) as error:
            reason = f"Tryton, event {event['cursor']}: {error}"[:200]
            tell(f"{event['shop']}/{event['order']}", state="attention", reason=reason)
        except Problem as problem:
            if not problem.is_final:
                raise


def shipped_of(shipment: Any) -> dict[str, Any]:
    """The target of a shipment that left; `last` where no other one of its sale is to leave."""
    moves = [move for move in shipment.outgoing_moves if move.quantity]
    parcel = {"number": shipment.number, "carrier": shipment.carrier.rec_name if shipment.carrier else None}
    parcel |= {"tracking": [shipment.reference] if shipment.reference else []}
    parcel |= {"lines": [{"id": move.origin.note, "quantity": str(move.quantity)} for move in moves]}
    parcel |= {"last": all(each.state in (*LEFT, "cancelled") for each in moves[0].sale.shipments)}
    return {"state": "shipped", "parcel": parcel}


def report() -> None:
    """Tells the shops what was accepted and what left, and notes the answer. A refusal is for a person to see."""
    with transaction():
        told = {str(note.resource) for note in get("ir.note").search([("message", "not like", "returned,%")])}
        sales = get("sale.sale").search([("state", "in", ("confirmed", "processing", "done"))], order=[("id", "ASC")])
        boxes = get("stock.shipment.out").search([("state", "in", LEFT)], order=[("id", "ASC")])
        reports = [
            (str(each), each.reference, {"state": "accepted", "erp_order_number": each.number}) for each in sales
        ]
        reports += [(str(each), each.outgoing_moves[0].sale.reference, shipped_of(each)) for each in boxes]
    for record, reference, target in reports:
        if record not in told:
            answer = tell(reference, **target)
            with transaction():
                found("ir.note", {"resource": record, "message": f"{answer} {target}"})


while True:
    receive()
    report()
    if "--once" in sys.argv:
        break
