"""What people do in the panel of a simulated xSale organization: everything that an ERP does not expect.

Nothing here is a platform call, so none of it is in the ledger; where an order is moved, the ledger notes that its
status may be changed to any other again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestrator.sandbox.cart_edits import EDITS, checked_sum, edit_cart, money_of
from orchestrator.sandbox.checkout import ordered, wish_of
from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.platform import PanelError, checked_action, checked_ms
from orchestrator.sandbox.xsale.press import Json, Order, encode
from orchestrator.sandbox.xsale.shop import CANCELLED, XsaleShop

ACTIONS: dict[str, tuple[str, ...]] = {
    "move": ("order", "state"),
    "cancel": ("order",),
    "backdate": ("order", "to"),
    "edit": ("order", "receiver_name"),
    **EDITS,
    "money": ("order",),
    "show": ("member", "sum"),
    "pay": ("order",),
    "set_payment": ("order", "payment_status"),
    "add": (),
    "add_garbage": (),
    "repair": ("order",),
    "delete": ("order",),
    "add_status": ("name",),
    "rename_status": ("name", "to"),
    "remake_status": ("name",),
    "expire_tokens": (),
    "change_token": ("token",),
}
"""Every action with the fields that it must have (`POST /_sandbox/xsale/panel`)."""


@dataclass(frozen=True, slots=True)
class XsalePanel:
    """The panel of one organization. Orders are named by their id, as text or number; unknown ones raise PanelError."""

    shop: XsaleShop
    ledger: Ledger

    def move(self, order: str | int, state: str) -> None:
        """Sets any status by name, also back."""
        found = self.order(order)
        found.status = self.status(state)
        self.ledger.reopen("xsale", self.shop.organization, str(found.id), ("change_status",))

    def cancel(self, order: str | int) -> None:
        """The buyer cancelled: the order shows up in Anulowane (xsale.md §9)."""
        self.move(order, CANCELLED)

    def backdate(self, order: str | int, ms: int) -> None:
        """The order was made on another day (of that time, Unix milliseconds, in UTC)."""
        self.order(order).fields["PurchaseDate"] = datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()

    def edit(self, order: str | int, receiver_name: str) -> None:
        """Notes another receiver."""
        self.order(order).fields["Remarks"] = f"Odbiorca: {receiver_name}"

    def pay(self, order: str | int) -> None:
        """The money is there."""
        self.set_payment(order, "Opłacone")

    def set_payment(self, order: str | int, payment_status: str) -> None:
        """Any payment status."""
        self.order(order).fields["PaymentStatus"] = payment_status

    def edit_goods(self, action: str, order: str | int, change: Mapping[str, Json]) -> None:
        """One of the changes of `cart_edits`. Raises PanelError for an invalid request."""
        found = self.order(order)
        edit_cart(found.cart, action, change, self.shop.press.next_item_id)
        found.reprice()

    def money(self, order: str | int) -> dict[str, Json]:
        """What the order costs."""
        return money_of(self.order(order).cart, is_gross=True)

    def show(self, member: str, sum_name: str) -> None:
        """From now on orders show a sum of `money` in a member that nobody documents, as an organization's may."""
        self.shop.shown[member] = checked_sum(sum_name)

    def add(self, cart: Json = None) -> str:
        """A buyer orders; returns the new order's id. `cart`: what is ordered (`checkout.Wish`)."""
        wish = None if cart is None else wish_of(cart, tax_included=True)
        goods = None if wish is None else ordered(wish, self.shop.press.next_item_id, shows_discounts=False)
        return str(self.shop.add(goods).id)

    def add_garbage(self, payload: Json = None) -> str:
        """An order that is `payload` in place of its JSON (None: one with a good id and bad fields); returns its id."""
        order = self.shop.add()
        order.garbage = encode({"Id": order.id, "StatusId": ["Nowe"], "Items": "none"} if payload is None else payload)
        return str(order.id)

    def repair(self, order: str | int) -> None:
        """Shows an order of `add_garbage` as it is; its change time stays."""
        self.order(order).garbage = None

    def delete(self, order: str | int) -> None:
        """Removes the order: it is in no list any more and reading it is a 404."""
        del self.shop.orders[self.order(order).id]

    def add_status(self, name: str) -> int:
        """Makes an own status; returns its id."""
        status_id = max(self.shop.statuses) + 7
        self.shop.statuses[status_id] = name
        return status_id

    def rename_status(self, name: str, to: str) -> None:
        """Gives a status another name."""
        self.shop.statuses[self.status(name)] = to

    def remake_status(self, name: str) -> int:
        """Deletes a status and makes it anew; its orders go with it. Returns the new id."""
        old, new = self.status(name), self.add_status(name)
        del self.shop.statuses[old]
        for order in self.shop.orders.values():
            order.status = new if order.status == old else order.status
        return new

    def expire_tokens(self) -> None:
        """All tokens end now, before their time."""
        self.shop.tokens.clear()

    def change_token(self, token: str) -> None:
        """Changes the account's password and ends all tokens."""
        self.shop.account["password"] = token
        self.expire_tokens()

    def order(self, order: str | int) -> Order:
        """The order as the platform holds it. Raises PanelError for an unknown order."""
        found = self.shop.orders.get(int(order)) if str(order).isdecimal() else None
        if found is None:
            raise PanelError(f"organization {self.shop.organization} has no order {order}")
        return found

    def status(self, name: str) -> int:
        """The id of a status. Raises PanelError for an unknown name."""
        try:
            return self.shop.status_id(name)
        except KeyError:
            raise PanelError(f"unknown status {name!r}; known are {', '.join(self.shop.statuses.values())}") from None

    def operate(self, request: Mapping[str, Json]) -> dict[str, Json]:
        """Does what `request` says: `action` and its fields. Raises PanelError for an invalid request."""
        action = checked_action(request, ACTIONS)
        if "order" in ACTIONS[action]:
            return self._operate_order(action, request)
        name = str(request.get("name", ""))
        match action:
            case "add":
                return {"order": self.add(request.get("cart"))}
            case "show":
                self.show(str(request["member"]), str(request["sum"]))
            case "add_garbage":
                return {"order": self.add_garbage(request.get("payload"))}
            case "add_status":
                return {"status": self.add_status(name)}
            case "rename_status":
                self.rename_status(name, str(request["to"]))
            case "remake_status":
                return {"status": self.remake_status(name)}
            case "change_token":
                self.change_token(str(request["token"]))
            case _:
                self.expire_tokens()
        return {}

    def _operate_order(self, action: str, request: Mapping[str, Json]) -> dict[str, Json]:
        found = self.order(request["order"])
        match action:
            case "money":
                return {"order": str(found.id), **self.money(found.id)}
            case _ if action in EDITS:
                self.edit_goods(action, found.id, request)
            case "set_payment":
                self.set_payment(found.id, str(request["payment_status"]))
            case "move":
                self.move(found.id, str(request["state"]))
            case "cancel":
                self.cancel(found.id)
            case "backdate":
                self.backdate(found.id, checked_ms(request))
            case "edit":
                self.edit(found.id, str(request["receiver_name"]))
            case "pay":
                self.pay(found.id)
            case "repair":
                self.repair(found.id)
            case _:
                self.delete(found.id)
        return {"order": str(found.id), "status": self.shop.statuses.get(found.status)}
