"""What people do in the back office of a simulated Selldone shop: everything that an ERP does not expect.

Nothing here is a platform call, so none of it is in the ledger; where an order is put back, the ledger notes that
sending its later steps again is legal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.sandbox.cart_edits import EDITS, edit_cart, money_of
from orchestrator.sandbox.checkout import ordered, wish_of
from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.platform import PanelError, checked_action, checked_ms
from orchestrator.sandbox.selldone.baskets import Basket, Json, encode, timestamp
from orchestrator.sandbox.selldone.shop import RETURN_STATES, STATUSES, Accepted, Outcome, SelldoneShop, steps_after

ACTIONS: dict[str, tuple[str, ...]] = {
    "move": ("order", "state"),
    "cancel": ("order",),
    "reject": ("order",),
    "unreject": ("order",),
    "withdraw": ("order",),
    "unwithdraw": ("order",),
    "request_return": ("order",),
    "answer_return": ("order", "return", "state"),
    "backdate": ("order", "to"),
    "edit": ("order", "receiver_name"),
    **EDITS,
    "money": ("order",),
    "pay": ("order",),
    "add": (),
    "add_garbage": (),
    "repair": ("order",),
    "delete": ("order",),
    "change_token": ("token",),
    "limit": ("calls_per_minute",),
}
"""Every action with the fields that it must have (`POST /_sandbox/selldone/panel`)."""

_GARBAGE: dict[str, Json] = {"type": "PHYSICAL", "status": ["Payed"], "delivery_state": {"name": 17}, "items": "none"}


@dataclass(frozen=True, slots=True)
class SelldonePanel:
    """The back office of one shop. Orders are named by their id, as text or number; unknown ones raise PanelError."""

    shop: SelldoneShop
    ledger: Ledger

    def move(self, order: str | int, state: str) -> None:
        """Puts the order into any state, also back, also an unknown one (selldone.md §5.2: `Returned`)."""
        basket = self.basket(order)
        self.shop.place(basket, state)
        self.ledger.reopen("selldone", str(self.shop.id), str(basket.id), steps_after(state))

    def cancel(self, order: str | int) -> None:
        """Cancels at once, as an express rejection does."""
        self.shop.cancel(self.basket(order))

    def reject(self, order: str | int, reason: str = "LackOfInventory", *, is_express: bool = False) -> None:
        """Starts the 48-hour countdown. Raises PanelError where the platform refuses."""
        _taken(self.shop.reject(self.basket(order), reason, is_express=is_express))

    def unreject(self, order: str | int) -> None:
        """Ends the countdown. Raises PanelError where the platform refuses."""
        _taken(self.shop.unreject(self.basket(order)))

    def withdraw(self, order: str | int, flag: Json = True, at: Json = ...) -> None:
        """The buyer withdraws the order (selldone.md, Since summer 2026). The types of the two members are not
        published: `flag` is what `withdraw` shows, `at` what `withdraw_at` does, by default the time of now."""
        basket = self.basket(order)
        self.shop.touch(basket)
        basket.fields["withdraw"] = flag
        basket.fields["withdraw_at"] = basket.fields["updated_at"] if at is ... else at

    def unwithdraw(self, order: str | int) -> None:
        """The withdrawal is undone."""
        self.withdraw(order, flag=False, at=None)

    def request_return(self, order: str | int, item: int | None = None, count: int = 1, reason: str = "U1") -> str:
        """The buyer asks to send some of an item back (None: the first); answers the request's id. Raises PanelError
        where there are not as many that nobody asked to send back yet."""
        basket = self.basket(order)
        line = next((each for each in basket.lines if item in (None, each.id)), None)
        if line is None:
            raise PanelError(f"order {basket.id} has no item {item}")
        pending = [each for each in basket.returns if each["item_id"] == line.id and each["state"] != "Rejected"]
        if type(count) is not int or not 0 < count <= int(line.fields["count"]) - sum(
            each["count"] for each in pending
        ):
            raise PanelError(f"{count} of item {line.id} cannot be sent back")
        made = self.shop.next_return_id()
        who = {"id": made, "user_id": basket.fields["user_id"], "shop_id": self.shop.id}
        what = {"item_id": line.id, "reason": reason, "count": count, "note": "Wrong size", "state": "Pending"}
        basket.returns.append({**who, **what, "image": None, "video": None, "voice": None})
        self.shop.touch(basket)
        return str(made)

    def answer_return(self, order: str | int, request: str | int, state: str) -> None:
        """The merchant takes a request or does not. Raises PanelError for a request or state that is unknown."""
        basket = self.basket(order)
        found = next((each for each in basket.returns if str(each["id"]) == str(request)), None)
        if found is None or state not in RETURN_STATES:
            raise PanelError(f"order {basket.id} has no return {request}, or {state} is not among {RETURN_STATES}")
        found["state"] = state
        self.shop.touch(basket)

    def backdate(self, order: str | int, ms: int) -> None:
        """The order was checked out at another time (Unix milliseconds)."""
        basket = self.basket(order)
        basket.reserved_us = ms * 1000
        basket.fields["reserved_at"] = timestamp(basket.reserved_us)
        self.shop.touch(basket)

    def edit(self, order: str | int, receiver_name: str) -> None:
        """Corrects the receiver's name."""
        basket = self.basket(order)
        basket.fields["receiver_info"] = {**(basket.fields["receiver_info"] or {}), "name": receiver_name}
        self.shop.touch(basket)

    def pay(self, order: str | int) -> None:
        """Marks a Reserved order as paid, which releases it."""
        basket = self.basket(order)
        basket.fields["status"] = "Payed"
        self.shop.touch(basket)

    def edit_goods(self, action: str, order: str | int, change: Mapping[str, Json]) -> None:
        """One of the changes of `cart_edits`. Raises PanelError for an invalid request."""
        basket = self.basket(order)
        edit_cart(basket.cart, action, change, self.shop.press.next_item_id)
        self.shop.reprice(basket)

    def money(self, order: str | int) -> dict[str, Json]:
        """What the order costs."""
        cart = self.basket(order).cart
        return money_of(cart, is_gross=cart.has_tax)

    def add(self, status: str | None = None, cart: Json = None) -> str:
        """A buyer checks out; returns the new order's id. `status` None: Payed or COD. `cart`: what is ordered
        (`checkout.Wish`)."""
        if status is not None and status not in STATUSES:
            raise PanelError(f"unknown status {status!r}; known are {', '.join(STATUSES)}")
        goods = None if cart is None else ordered(wish_of(cart), self.shop.press.next_item_id)
        return str(self.shop.add(status=status, cart=goods).id)

    def add_garbage(self, payload: Json = None) -> str:
        """An order that is `payload` in place of its JSON (None: one with a good id and bad fields); returns its id."""
        basket = self.shop.add(status="Payed")
        basket.garbage = encode({"id": basket.id, **_GARBAGE} if payload is None else payload)
        return str(basket.id)

    def repair(self, order: str | int) -> None:
        """Shows an order of `add_garbage` as it is; its change time stays."""
        self.basket(order).garbage = None

    def delete(self, order: str | int) -> None:
        """Removes the order: it is in no list any more and reading it is a 404."""
        self.shop.forget(self.basket(order))

    def change_token(self, token: str) -> None:
        """Revokes the shop's token and makes another."""
        self.shop.token = token

    def limit(self, calls_per_minute: int) -> None:
        """From now on the account may make so many requests in any minute."""
        if type(calls_per_minute) is not int or calls_per_minute < 1:
            raise PanelError(f"calls_per_minute must be a whole number from 1 on, not {calls_per_minute!r}")
        self.shop.throttle.calls_per_minute = calls_per_minute

    def basket(self, order: str | int) -> Basket:
        """The order as the platform holds it. Raises PanelError for an unknown order."""
        found = self.shop.baskets.get(int(order)) if str(order).isdecimal() else None
        if found is None:
            raise PanelError(f"shop {self.shop.id} has no order {order}")
        return found

    def operate(self, request: Mapping[str, Json]) -> dict[str, Json]:
        """Does what `request` says: `action` and its fields. Raises PanelError for an invalid request."""
        action = checked_action(request, ACTIONS)
        order = request.get("order", "")
        match action:
            case "add":
                return {"order": self.add(request.get("status"), request.get("cart"))}
            case "money":
                return {"order": str(order), **self.money(order)}
            case "add_garbage":
                return {"order": self.add_garbage(request.get("payload"))}
            case "change_token":
                self.change_token(str(request["token"]))
                return {}
            case "limit":
                self.limit(request["calls_per_minute"])
                return {}
            case "repair":
                self.repair(order)
                return {"order": str(order)}
            case "delete":
                self.delete(order)
                return {"order": str(order)}
        if action == "request_return":
            asked = {name: request[name] for name in ("item", "count", "reason") if name in request}
            return {"order": str(order), "return": self.request_return(order, **asked)}
        self._operate_order(action, order, request)
        basket = self.basket(order)
        return {"order": str(basket.id), "delivery_state": basket.state, "status": basket.status}

    def _operate_order(self, action: str, order: str | int, request: Mapping[str, Json]) -> None:
        match action:
            case _ if action in EDITS:
                self.edit_goods(action, order, request)
            case "move":
                self.move(order, str(request["state"]))
            case "cancel":
                self.cancel(order)
            case "reject":
                reason = str(request.get("reason", "LackOfInventory"))
                self.reject(order, reason, is_express=request.get("express") is True)
            case "unreject":
                self.unreject(order)
            case "withdraw":
                arguments = {name: request[key] for name, key in (("flag", "withdraw"), ("at", "at")) if key in request}
                self.withdraw(order, **arguments)
            case "unwithdraw":
                self.unwithdraw(order)
            case "answer_return":
                self.answer_return(order, request["return"], str(request["state"]))
            case "backdate":
                self.backdate(order, checked_ms(request))
            case "edit":
                self.edit(order, str(request["receiver_name"]))
            case "pay":
                self.pay(order)


def _taken(outcome: Outcome) -> None:
    if not isinstance(outcome, Accepted):
        raise PanelError(f"the platform refuses: {outcome}")
