"""One shop on the real server, and what its people do in Vendure's dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from orchestrator.plugin.sandbox import BackOffice, Json, PanelError
from platform_vendure.sandbox import documents
from platform_vendure.sandbox.server import Vendure, running

_DEPRECATED: Mapping[str, Json] = {"lines": [], "shipping": 0, "adjustment": 0}
"""Fields of a refund that the schema lets away in favour of `amount`, and the database does not."""


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """`prices_include_tax`: of the shops' channels. `payment`: the method that buyers pay with; what is paid
    "on-delivery" is authorized and not settled. `session`: how it is shown, by "bearer" token or by "cookie"."""

    prices_include_tax: bool = False
    payment: str = "invoice"
    session: str = "bearer"


@dataclass(slots=True)
class Shop:
    """One shop: a channel, opened with its orders when it is first needed, so that a config needs no server.

    `orders`: ids, oldest first. `garbage`: ids of orders that are shown as no order can be.
    """

    number: int
    options: SandboxOptions
    stock: int
    password: str = "of-an-administrator"  # noqa: S105 - opens a test server
    orders: list[str] = field(default_factory=list)
    garbage: set[str] = field(default_factory=set)
    administrator: str = ""

    @property
    def channel(self) -> str:
        """Its channel's token."""
        return f"shop-{self.number}"

    @property
    def username(self) -> str:
        """The administrator that fulfilld is."""
        return f"fulfilld-{self.number}@example.com"

    @property
    def server(self) -> Vendure:
        """The running server, with this shop in it."""
        server = running()
        if not self.administrator:
            self._open(server)
            for _ in range(self.stock):
                self.place()
            server.do("backdate", orders=self.orders, seconds_apart=30)
        return server

    def _open(self, server: Vendure) -> None:
        there = server.admin("", documents.WHAT_THERE_IS)
        zone = there["activeChannel"]["defaultTaxZone"]["id"]
        new = {"code": self.channel, "token": self.channel, "pricesIncludeTax": self.options.prices_include_tax}
        zones = {"defaultTaxZoneId": zone, "defaultShippingZoneId": zone}
        euros = {"defaultLanguageCode": "en", "defaultCurrencyCode": "EUR"}
        made = server.admin("", documents.NEW_CHANNEL, input={**new, **zones, **euros})
        channel = made["createChannel"]["id"]
        ids = {name: [each["id"] for each in found["items"]] for name, found in there.items() if "items" in found}
        role = server.admin("", documents.FILL_CHANNEL, channel=channel, code=self.channel, **ids)["createRole"]["id"]
        person = {"firstName": "fulfilld", "lastName": "", "emailAddress": self.username, "password": self.password}
        made = server.admin("", documents.NEW_ADMINISTRATOR, input={**person, "roleIds": [role]})
        self.administrator = made["createAdministrator"]["id"]

    def place(self) -> str:
        """A buyer orders and pays: three lines of three tax rates, a coupon, and shipping."""
        server = running()
        order, session = server.buy(self.channel, "", documents.LINES)
        server.buy(
            self.channel, session, documents.REST_OF_ORDER, payment={"method": self.options.payment, "metadata": {}}
        )
        self.orders.append(str(order["addItemsToOrder"]["order"]["id"]))
        return self.orders[-1]


class Office(BackOffice):
    """What people do in Vendure's dashboard; all of it but `delete` and the end of a token by the admin API."""

    actions: ClassVar = {
        "add": (),
        "add_garbage": (),
        "edit": ("order", "receiver_name"),
        "delete": ("order",),
        "change_token": ("token",),
        "settle": ("order",),
        "add_item": ("order", "sku"),
        "cancel_item": ("order",),
        "cancel": ("order",),
        "refund": ("order", "amount"),
        "note": ("order", "text"),
        "modify": ("order",),
        "end_modification": ("order", "state"),
    }

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def add(self) -> str:
        """A buyer orders."""
        assert self.shop.server
        return self.shop.place()

    def add_garbage(self) -> str:
        """An order that is shown as none can be read."""
        order = self.add()
        self.shop.garbage.add(order)
        return order

    def edit(self, order: str, receiver_name: str) -> str:
        """Corrects the receiver."""
        return self._modified(order, {"updateShippingAddress": {"fullName": receiver_name}})

    def add_item(self, order: str, sku: str) -> str:
        """Adds a piece, and notes that the buyer paid for it."""
        variants = self._admin(documents.VARIANT, sku=sku)["productVariants"]["items"]
        if not variants:
            raise PanelError(f"there is no article {sku}")
        return self._modified(order, {"addItems": [{"productVariantId": variants[0]["id"], "quantity": 1}]})

    def delete(self, order: str) -> str:
        """Takes the order out of its channel, as a plug-in of the shop may: nothing in Vendure deletes an order."""
        self.shop.server.do("remove_order", order=self._known(order))
        self.shop.orders.remove(order)
        return order

    def change_token(self, token: str) -> None:
        """Gives the administrator another password, and ends all sessions."""
        self._admin(documents.NEW_PASSWORD, input={"id": self.shop.administrator, "password": token})
        self.shop.server.do("end_sessions", username=self.shop.username)
        self.shop.password = token

    def settle(self, order: str) -> str:
        """Notes that every payment came in."""
        for payment in self.seen(order)["payments"]:
            self._admin(documents.SETTLE, id=payment["id"])
        return order

    def cancel_item(self, order: str) -> str:
        """Cancels one piece of the first line that has any left."""
        line = next((line for line in self.seen(order)["lines"] if line["quantity"]), None)
        if line is None:
            raise PanelError(f"nothing of order {order} is left")
        return self._cancelled(order, lines=[{"orderLineId": line["id"], "quantity": 1}])

    def cancel(self, order: str) -> str:
        """Cancels the order, its shipping included."""
        return self._cancelled(order, cancelShipping=True)

    def refund(self, order: str, amount: int) -> str:
        """Gives back an amount in minor units."""
        (payment, *_) = self.seen(order)["payments"]
        given = {"paymentId": payment["id"], "amount": amount, "reason": "a complaint", **_DEPRECATED}
        self._admin(documents.REFUND, input=given)
        return order

    def note(self, order: str, text: str) -> str:
        """Adds a note that the buyer does not see."""
        note = {"id": self._known(order), "note": text, "isPublic": False}
        self._admin(documents.NOTE, input=note)
        return order

    def modify(self, order: str) -> str:
        """Begins to modify the order, and goes for lunch."""
        self._admin(documents.TRANSITION, id=self._known(order), state="Modifying")
        return order

    def end_modification(self, order: str, state: str) -> str:
        """Lets the order go on where it was."""
        self._admin(documents.TRANSITION, id=self._known(order), state=state)
        return order

    def seen(self, order: str) -> dict[str, Json]:
        """What the server holds of an order: state, lines, payments and refunds, fulfillments, history."""
        found: dict[str, Json] | None = self._admin(documents.SEEN, id=self._known(order))["order"]
        assert found is not None
        return found

    def _modified(self, order: str, change: Mapping[str, Json]) -> str:
        before = self.seen(order)
        self.modify(order)
        self._admin(documents.MODIFY, input={"orderId": order, "dryRun": False, **change})
        after = self.seen(order)
        if after["totalWithTax"] > before["totalWithTax"]:  # by a mere address as well, where a piece was cancelled
            self._admin(documents.TRANSITION, id=order, state="ArrangingAdditionalPayment")
            if after["totalWithTax"] > sum(payment["amount"] for payment in after["payments"]):
                # The schema lets `metadata` away, the database does not.
                paid = {"orderId": order, "method": "invoice", "transactionId": f"more-{order}", "metadata": {}}
                self._admin(documents.MANUAL_PAYMENT, input=paid)
        return self.end_modification(order, before["state"])

    def _cancelled(self, order: str, **what: Json) -> str:
        asked = {"orderId": self._known(order), "reason": "asked for by the buyer", **what}
        self._admin(documents.CANCEL, input=asked)
        return order

    def _admin(self, document: str, **variables: Json) -> dict[str, Json]:
        return self.shop.server.admin(self.shop.channel, document, **variables)

    def _known(self, order: str) -> str:
        if order not in self.shop.orders:
            raise PanelError(f"there is no order {order}")
        return order
