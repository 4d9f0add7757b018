"""Books the orders of all shops in Tryton and tells the shops what leaves: python bridge.py CONFIG DATABASE [--once]

Each event is one transaction, acknowledged after its commit. What a shop is to be told is a note of the record that it
is about, sent under its own key until it is answered. An error that is not one order's ends the bridge: start it again.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from proteus.config import set_trytond
from trytond.exceptions import TrytonException
from trytond.transaction import Transaction
from trytond.worker import run_task

from booking import LEFT, book, close, found, get
from fulfilld import Client, Problem

OPEN, PAYABLE = ("new", "accepted", "preparing", "attention"), ("paid", "authorized", "invoice", "partly_refunded")
shops, tryton, UNSENT = Client(), set_trytond(f"sqlite:///{sys.argv[2]}", config_file=sys.argv[1]), "to be sent: "


@contextmanager
def transaction() -> Iterator[None]:
    """One transaction, and then the tasks that Tryton queued in it, as its server would run them."""
    with Transaction().start(tryton.database_name, tryton.user, context=tryton.context) as current:
        yield
    while current.tasks:
        run_task(tryton.pool, current.tasks.pop())


def note(record: Any, message: str) -> None:
    found("ir.note", {"resource": str(record), "message": message})


def tell(record: Any, reference: str, **target: Any) -> None:
    """Puts a target into the outbox."""
    note(record, UNSENT + json.dumps([*reference.split("/", 1), target]))


def key_of(what: str) -> str:
    """The same for the same, also after Tryton or fulfilld was restored from a backup."""
    return "tryton-" + sha256(what.encode()).hexdigest()


def settle(event: Any, order: Any) -> None:
    """Brings the sale to where its order is, however often this is called."""
    Sale, content, reference = get("sale.sale"), order["content"], f"{order['shop']}/{order['id']}"  # noqa: N806
    sales = Sale.search([("reference", "=", reference)])
    if not sales and order["milestone"] in OPEN and content and not content["stale"]:
        sales = [book(reference, content)]
    for sale in sales:
        if order["milestone"] == "cancelled" and sale.state != "cancelled":
            close(sale)
            note(sale, "cancelled in the shop")
        elif sale.state == "draft" and (order["payment_status"] in PAYABLE or content["payment"]["on_delivery"]):
            Sale.quote([sale])
            Sale.confirm([sale])
            tell(sale, reference, state="accepted", erp_order_number=sale.number)
        if event["type"] == "order.returned":
            note(sale, f"returned, {event['at']}: {json.dumps(event['data']['lines'])}")


def receive() -> None:
    """Books what is new. What Tryton refuses of one order is shown with it; announce it, and it is tried again."""
    seconds = 0 if "--once" in sys.argv else 5
    for event in shops.consume("tryton", types=["order.*"], wait_seconds=seconds, is_endless=False):
        shop, number = event["shop"], event["order"]
        try:
            with transaction():
                settle(event, shops.order(shop, number, include=["content"]))
        except (TrytonException, ArithmeticError, ValueError) as error:
            target = {"state": "attention", "reason": f"Tryton: {error}"[:200]}
            shops.submit(shop, number, target, key=key_of(f"{event['cursor']} {target}"))
        except Problem as problem:
            if problem.code != "order-not-found":
                raise


def collect() -> None:
    """Puts the boxes that left into the outbox, and takes up tasks that a bridge left that died."""
    left = get("ir.queue").search([("finished_at", "=", None), ("scheduled_at", "=", None)])
    Transaction().tasks.extend(task.id for task in left)
    told = {str(each.resource) for each in get("ir.note").search([("message", "like", f"%{UNSENT}%")])}
    for shipment in get("stock.shipment.out").search([("state", "in", LEFT)], order=[("id", "ASC")]):
        for sale in {move.origin.sale for move in shipment.outgoing_moves if str(shipment) not in told}:
            moves = [move for move in shipment.outgoing_moves if move.origin.sale == sale and move.quantity]
            parcel = {"number": shipment.number, "carrier": shipment.carrier and shipment.carrier.rec_name}
            parcel |= {"tracking": [shipment.reference] if shipment.reference else []}
            parcel["lines"] = [{"id": move.origin.note, "quantity": str(move.quantity)} for move in moves]
            parcel["last"] = all(each.state in (*LEFT, "cancelled") for each in sale.shipments)
            tell(shipment, sale.reference, state="shipped", parcel=parcel)


def send() -> None:
    """Sends the outbox, oldest first. A refusal stays with its record, for a person to see."""
    with transaction():
        waiting = [(each.id, each.message) for each in get("ir.note").search([("message", "like", f"{UNSENT}%")])]
    for number, text in sorted(waiting):
        try:
            shop, order, target = json.loads(text.removeprefix(UNSENT))
            answer = "sent: " + shops.submit(shop, order, target, key=key_of(text))["id"]
        except Problem as problem:
            if not problem.is_final:
                raise
            answer = f"refused: {problem}"
        with transaction():
            get("ir.note").write(get("ir.note").browse([number]), {"message": f"{answer} {text}"})


while True:
    receive()
    with transaction():
        collect()
    send()
    if "--once" in sys.argv:
        break
