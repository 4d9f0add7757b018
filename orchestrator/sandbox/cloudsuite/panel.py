"""What people do in the back office of a simulated CloudSuite account: everything that an ERP does not expect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from orchestrator.sandbox.cart_edits import EDITS, checked_sum, edit_cart, money_of
from orchestrator.sandbox.checkout import ordered, wish_of
from orchestrator.sandbox.cloudsuite.orders import CloudsuiteOrder, Json, encode, local_writer
from orchestrator.sandbox.cloudsuite.shop import PAYMENTS, CloudsuiteShop
from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.platform import PanelError, checked_action, checked_ms

ACTIONS: dict[str, tuple[str, ...]] = {
    "move": ("order", "state"),
    "ship": ("order",),
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
    "change_token": ("token",),
    "expire_tokens": (),
}
"""Every action with the fields that it must have (`POST /_sandbox/cloudsuite/panel`)."""

_STEPS = ("process", "set_erp_number", "set_erp_lines", "confirm_order", "mark_sent", "finish", "cancel")


@dataclass(frozen=True, slots=True)
class CloudsuitePanel:
    """The back office of one account. Orders are named by their id; unknown ones raise PanelError."""

    shop: CloudsuiteShop
    ledger: Ledger

    def move(self, order: str, state: str) -> None:
        """Puts the order into any state, also an unknown one."""
        self._change(order, state=state)
        self.ledger.reopen("cloudsuite", str(self.shop.webshop), order, _STEPS)

    def ship(self, order: str, shipment_state: str = "sent") -> None:
        """Marks the shipment as sent, or as a shop's own words have it: any are possible (cloudsuite.md §11)."""
        self._change(order, shipment_state=shipment_state)

    def edit_goods(self, action: str, order: str, change: Mapping[str, Json]) -> None:
        """One of the changes of `cart_edits`. Raises PanelError for an invalid request."""
        found = self.order(order)
        edit_cart(found.cart, action, change, self.shop.press.next_line_id)
        found.reprice()
        self.shop.touch(found)

    def money(self, order: str) -> dict[str, Json]:
        """What the order costs."""
        return money_of(self.order(order).cart, is_gross=False)

    def show(self, member: str, sum_name: str) -> None:
        """From now on orders show a sum of `money` in a member that nobody documents, as a shop's may."""
        self.shop.shown[member] = checked_sum(sum_name)

    def cancel(self, order: str) -> None:
        """Cancels the order."""
        self._change(order, state="cancel")

    def backdate(self, order: str, ms: int) -> None:
        """The order was made at another time (Unix milliseconds)."""
        at = local_writer(ZoneInfo(self.shop.options.timezone))(ms * 1000)
        self._change(order, create_date=at, order_date=at[:10])

    def edit(self, order: str, receiver_name: str) -> None:
        """Writes whom the order is for into its description."""
        self._change(order, description=f"For {receiver_name}")

    def pay(self, order: str) -> None:
        """The buyer's payment came in."""
        self.set_payment(order, "paid")

    def set_payment(self, order: str, payment_status: str) -> None:
        """Any payment status."""
        found = self.order(order)
        found.set_payment(payment_status)
        self.shop.touch(found)

    def add(self, payment_status: str | None = None, *, is_offline: bool = False, cart: Json = None) -> str:
        """A buyer orders (or the ERP files an offline order); returns the new order's id. `cart`: what is ordered
        (`checkout.Wish`)."""
        if payment_status is not None and payment_status not in PAYMENTS:
            raise PanelError(f"unknown payment_status {payment_status!r}; known are {', '.join(PAYMENTS)}")
        wish = None if cart is None else wish_of(cart, tax_included=False)
        goods = None if wish is None else ordered(wish, self.shop.press.next_line_id, shows_discounts=False)
        return str(self.shop.add(payment_status=payment_status, is_offline=is_offline, cart=goods).id)

    def add_garbage(self, payload: Json = None) -> str:
        """An order that is `payload` in place of its JSON (None: one with a good id and bad fields); returns its id."""
        order = self.shop.add()
        bad = {"id": order.id, "state": ["confirmed"], "modified_date": {"at": 17}, "order_lines": "none"}
        order.garbage = encode(bad if payload is None else payload)
        return str(order.id)

    def repair(self, order: str) -> None:
        """Shows an order of `add_garbage` as it is; its change time stays."""
        self.order(order).garbage = None

    def delete(self, order: str) -> None:
        """Removes the order: it is in no list any more and reading it is a 404."""
        del self.shop.orders[self.order(order).id]

    def change_token(self, secret: str) -> None:
        """Revokes every token and gives the account another password and key."""
        self.shop.client_secret, self.shop.key = secret, f"key-{secret}"
        self.shop.tokens.clear()

    def expire_tokens(self) -> None:
        """Ends the life of every token; new ones are given out."""
        self.shop.tokens.clear()

    def order(self, order: str) -> CloudsuiteOrder:
        """The order as the platform holds it. Raises PanelError for an unknown order."""
        found = self.shop.find(str(order))
        if found is None:
            raise PanelError(f"account {self.shop.webshop} has no order {order}")
        return found

    def operate(self, request: Mapping[str, Json]) -> dict[str, Json]:
        """Does what `request` says: `action` and its fields. Raises PanelError for an invalid request."""
        action = checked_action(request, ACTIONS)
        order = str(request.get("order", ""))
        match action:
            case "add":
                is_offline = request.get("offline") is True
                return {
                    "order": self.add(request.get("payment_status"), is_offline=is_offline, cart=request.get("cart"))
                }
            case "money":
                return {"order": order, **self.money(order)}
            case "show":
                self.show(str(request["member"]), str(request["sum"]))
                return {}
            case "add_garbage":
                return {"order": self.add_garbage(request.get("payload"))}
            case "change_token":
                self.change_token(str(request["token"]))
                return {}
            case "expire_tokens":
                self.expire_tokens()
                return {}
            case "repair":
                self.repair(order)
                return {"order": str(order)}
            case "delete":
                self.delete(order)
                return {"order": order}
        self._operate_order(action, order, request)
        fields = self.order(order).fields
        return {"order": order, **{name: fields[name] for name in ("state", "shipment_state", "payment_status")}}

    def _operate_order(self, action: str, order: str, request: Mapping[str, Json]) -> None:
        match action:
            case "move":
                self.move(order, str(request["state"]))
            case _ if action in EDITS:
                self.edit_goods(action, order, request)
            case "ship":
                self.ship(order, str(request.get("shipment_state", "sent")))
            case "cancel":
                self.cancel(order)
            case "backdate":
                self.backdate(order, checked_ms(request))
            case "edit":
                self.edit(order, str(request["receiver_name"]))
            case "pay":
                self.pay(order)
            case "set_payment":
                self.set_payment(order, str(request["payment_status"]))

    def _change(self, order: str, **fields: Json) -> None:
        found = self.order(order)
        found.fields.update(fields)
        self.shop.touch(found)
