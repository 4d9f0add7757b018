"""What people do in the admin of a simulated Shopify shop: everything that an ERP does not expect.

Nothing here is a platform call, so none of it is in the ledger; where goods come back, the ledger is told that sending
them again is legal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.platform import PanelError
from orchestrator.sandbox.shopify_orders import OPEN, FulfillmentOrder, Json, Order, gid
from orchestrator.sandbox.shopify_selection import Unshaped
from orchestrator.sandbox.shopify_shop import ShopifyShop

ACTIONS: dict[str, tuple[str, ...]] = {
    "move": ("order", "state"),
    "cancel": ("order",),
    "fulfill": ("order",),
    "unfulfill": ("order",),
    "deliver": ("order",),
    "hold": ("order",),
    "release_hold": ("order",),
    "schedule": ("order",),
    "split": ("order",),
    "return": ("order",),
    "edit": ("order", "receiver_name"),
    "pay": ("order",),
    "route": ("order",),
    "add": (),
    "add_garbage": (),
    "delete": ("order",),
    "change_token": ("token",),
    "revoke_scope": ("scope",),
}
"""Every action with the fields that it must have (`POST /_sandbox/shopify/panel`)."""


@dataclass(frozen=True, slots=True)
class ShopifyPanel:
    """The admin of one shop. Orders are named by their id, as text or number; unknown ones raise PanelError."""

    shop: ShopifyShop
    ledger: Ledger

    def move(self, order: str | int, state: str) -> None:
        """Makes the order show any display state, also one that nobody knows."""
        found = self.order(order)
        found.display = state
        self.shop.touch(found)

    def cancel(self, order: str | int, reason: str = "OTHER") -> None:
        """Cancels at once. Raises PanelError where something is on its way."""
        found = self.order(order)
        if found.live():
            raise PanelError("Cannot cancel an order that has outstanding fulfillments")
        self.shop.cancel_now(found, reason)

    def fulfill(self, order: str | int, tracking: str | None = None) -> None:
        """Ships all that is left by hand, location by location."""
        found = self.order(order)
        told = {"company": None, "number": tracking, "url": None} if tracking else None
        for each in [each for each in found.fulfillment_orders if each.status in OPEN]:
            parts = [(each, line, line[3]) for line in each.lines if line[3]]
            if parts:
                self.shop.ship(found, parts, told)

    def unfulfill(self, order: str | int) -> None:
        """Takes every fulfilment back."""
        found = self.order(order)
        for each in found.live():
            self.shop.unship(each, found)
        self.ledger.reopen("shopify", self.shop.domain, str(found.id), ("fulfill", "mark_delivered"))

    def deliver(self, order: str | int) -> None:
        """The carrier reports every parcel as delivered."""
        for each in self.order(order).live():
            self.shop.add_event(each.id, "DELIVERED")

    def hold(self, order: str | int, reason: str = "INCORRECT_ADDRESS") -> None:
        """Puts what is open on hold."""
        found = self.order(order)
        for each in found.fulfillment_orders:
            if each.status in OPEN:
                each.status, each.holds = "ON_HOLD", [*each.holds, reason]
        self.shop.touch(found)

    def release_hold(self, order: str | int) -> None:
        """Ends every hold; scheduled goods become ready too."""
        found = self.order(order)
        for each in found.fulfillment_orders:
            if each.status in ("ON_HOLD", "SCHEDULED"):
                each.status, each.holds, each.fulfill_at = "OPEN", [], None
        self.shop.touch(found)

    def schedule(self, order: str | int, in_seconds: float = 3600) -> None:
        """What is open is to be shipped later."""
        found = self.order(order)
        for each in found.fulfillment_orders:
            if each.status in OPEN:
                each.status, each.fulfill_at = "SCHEDULED", self.shop.clock.now_ms() + int(in_seconds * 1000)
        self.shop.touch(found)

    def split(self, order: str | int) -> None:
        """Replaces each open FO by a new one with other ids, as moves, splits and merges do."""
        found = self.order(order)
        for each in [each for each in found.fulfillment_orders if each.status in ("OPEN", "IN_PROGRESS")]:
            parts = [[self.shop.press.next_id(), line[1], line[3], line[3]] for line in each.lines if line[3]]
            found.fulfillment_orders.append(FulfillmentOrder(self.shop.press.next_id(), each.location, parts))
            each.status = "CLOSED"
        self.shop.touch(found)

    def return_(self, order: str | int) -> None:
        """The goods came back and the return was closed."""
        found = self.order(order)
        found.return_status = "RETURNED"
        self.shop.touch(found)

    def edit(self, order: str | int, receiver_name: str) -> None:
        """Corrects the receiver's name."""
        found = self.order(order)
        found.fields["shippingAddress"] = {**found.fields["shippingAddress"], "name": receiver_name}
        self.shop.touch(found)

    def pay(self, order: str | int) -> None:
        """The money is there."""
        found = self.order(order)
        found.financial = "PAID"
        self.shop.touch(found, "orders/paid")

    def route(self, order: str | int) -> None:
        """Routing is complete: the order's FOs show now."""
        found = self.order(order)
        found.routed_at = 0
        self.shop.touch(found)

    def add(self) -> str:
        """A buyer checks out; returns the new order's id."""
        return str(self.shop.add().id)

    def add_garbage(self, payload: Json = None) -> str:
        """An order that is `payload` in place of its own node (None: a good id and bad fields); returns its id."""
        order = self.shop.add()
        order.garbage = Unshaped({"id": gid("Order", order.id), "name": 17, **(payload or {})})
        return str(order.id)

    def delete(self, order: str | int) -> None:
        """Removes the order."""
        del self.shop.orders[self.order(order).id]

    def change_token(self, token: str) -> None:
        """Revokes the app's token and makes another."""
        self.shop.token = token

    def revoke_scope(self, scope: str) -> None:
        """Takes a scope from the app."""
        self.shop.scopes = tuple(each for each in self.shop.scopes if each != scope)

    def order(self, order: str | int) -> Order:
        """The order as the platform holds it. Raises PanelError if there is none."""
        found = self.shop.orders.get(int(order)) if str(order).isdecimal() else None
        if found is None:
            raise PanelError(f"{self.shop.domain} has no order {order}")
        return found

    def operate(self, request: Mapping[str, Json]) -> dict[str, Json]:
        """Does what `request` says: `action` and its fields. Raises PanelError for what makes no sense."""
        action = str(request.get("action"))
        if action not in ACTIONS:
            raise PanelError(f"unknown action {action!r}; known are {', '.join(ACTIONS)}")
        if missing := [name for name in ACTIONS[action] if request.get(name) in (None, "")]:
            raise PanelError(f"{action} needs {', '.join(missing)}")
        order = request.get("order", "")
        match action:
            case "add":
                return {"order": self.add()}
            case "add_garbage":
                return {"order": self.add_garbage(request.get("payload"))}
            case "change_token":
                self.change_token(str(request["token"]))
                return {}
            case "revoke_scope":
                self.revoke_scope(str(request["scope"]))
                return {}
            case "delete":
                self.delete(order)
                return {"order": str(order)}
        self._operate_order(action, order, request)
        found = self.order(order)
        return {"order": str(found.id), "state": found.state(self.shop.clock.now_ms())}

    def _operate_order(self, action: str, order: str | int, request: Mapping[str, Json]) -> None:
        match action:
            case "move":
                self.move(order, str(request["state"]))
            case "edit":
                self.edit(order, str(request["receiver_name"]))
            case "hold":
                self.hold(order, str(request.get("reason", "INCORRECT_ADDRESS")))
            case "fulfill":
                self.fulfill(order, request.get("tracking"))
            case "return":
                self.return_(order)
            case _:
                getattr(self, action)(order)
