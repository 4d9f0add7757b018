"""What people do in the admin of a simulated Shopify shop: everything that an ERP does not expect.

Nothing here is a platform call, so none of it is in the ledger; where goods come back, the ledger notes that sending
them again is legal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count

from orchestrator.sandbox.checkout import ordered, wish_of
from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.platform import PanelError, checked_action, checked_ms
from orchestrator.sandbox.shopify.access import ACCESS_ACTIONS
from orchestrator.sandbox.shopify.bodies import topic_body
from orchestrator.sandbox.shopify.bought import checked_currency, fill
from orchestrator.sandbox.shopify.edits import EDITS, edit
from orchestrator.sandbox.shopify.goods import ACTIONS as GOODS_ACTIONS
from orchestrator.sandbox.shopify.goods import act as act_on_goods
from orchestrator.sandbox.shopify.money import money_of
from orchestrator.sandbox.shopify.orders import MOST_LINES, OPEN, FulfillmentOrder, Json, Order, gid
from orchestrator.sandbox.shopify.refusals import Refused
from orchestrator.sandbox.shopify.selection import Unshaped
from orchestrator.sandbox.shopify.sent_back import ACTIONS as RETURN_ACTIONS
from orchestrator.sandbox.shopify.sent_back import act
from orchestrator.sandbox.shopify.shop import ShopifyShop

_LONGEST_SECONDS = 86_400
_MOST_PIECES = 1000

ACTIONS: dict[str, tuple[str, ...]] = {
    "move": ("order", "state"),
    "cancel": ("order",),
    "fail_cancel": ("order", "message"),
    "fulfill": ("order",),
    "unfulfill": ("order",),
    "deliver": ("order",),
    "hold": ("order",),
    "release_hold": ("order",),
    "schedule": ("order",),
    "report_progress": ("order",),
    "stop_progress": ("order",),
    "split": ("order",),
    "close": ("order",),
    "open": ("order",),
    "backdate": ("order", "to"),
    "decline_request": ("order",),
    **EDITS,
    "money": ("order",),
    "route": ("order",),
    "add": (),
    "add_garbage": (),
    "repair": ("order",),
    "delete": ("order",),
    **ACCESS_ACTIONS,
    "add_product": (),
    "edit_product": ("product",),
    "subscribe": ("topic", "uri"),
    "unsubscribe": ("topic",),
    **RETURN_ACTIONS,
    **GOODS_ACTIONS,
}
"""Every action with the fields that it must have (`POST /_sandbox/shopify/panel`); others may be left out: `reason`,
`tracking`, `payload`, `routing_seconds`, `pieces` and `lines` of add, `title` of products, `format` of subscribe, and
`lines` and `exchange` of returns (`sent_back`), for set_lives seconds by the names of `Lives`, and what
`goods` and `edits` say."""


@dataclass(frozen=True, slots=True)
class ShopifyPanel:
    """The admin of one shop. Orders are named by their id, as text or number; unknown ones raise PanelError."""

    shop: ShopifyShop
    ledger: Ledger

    def move(self, order: str | int, state: str) -> None:
        """Makes the order show any display state, also an unknown one."""
        found = self.order(order)
        found.display = state
        self.shop.touch(found)

    def cancel(self, order: str | int, reason: str = "OTHER") -> None:
        """Cancels at once. Raises PanelError where something is on its way."""
        found = self.order(order)
        if found.live():
            raise PanelError("Cannot cancel an order that has outstanding fulfillments")
        self.shop.cancel_now(found, reason)

    def fail_cancel(self, order: str | int, message: str) -> None:
        """The next cancellation of the order is taken, and fails afterwards for this reason."""
        self.shop.uncancellable[self.order(order).id] = message

    def fulfill(self, order: str | int, tracking: str | None = None) -> None:
        """Ships all that is left by hand, location by location."""
        found = self.order(order)
        tracking_info = [{"company": None, "number": tracking, "url": None}] if tracking else []
        for each in [each for each in found.fulfillment_orders if each.status in OPEN]:
            parts = [(each, line, line[3]) for line in each.lines if line[3]]
            if parts:
                self.shop.ship(found, parts, tracking_info)

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
        held = [each for each in found.fulfillment_orders if each.status in OPEN]
        for each in held:
            each.status, each.holds = "ON_HOLD", [*each.holds, reason]
        self.shop.touch(found)
        self.shop.publish_parts(found, "placed_on_hold", held)

    def release_hold(self, order: str | int) -> None:
        """Ends every hold; scheduled goods become ready too."""
        found = self.order(order)
        held = [each for each in found.fulfillment_orders if each.status == "ON_HOLD"]
        scheduled = [each for each in found.fulfillment_orders if each.status == "SCHEDULED"]
        for each in (*held, *scheduled):
            each.status, each.holds, each.fulfill_at = "OPEN", [], None
        self.shop.touch(found)
        self.shop.publish_parts(found, "hold_released", held)
        self.shop.publish_parts(found, "scheduled_fulfillment_order_ready", scheduled)

    def report_progress(self, order: str | int) -> None:
        """Somebody in the warehouse begins with all that is open."""
        for each in self.order(order).fulfillment_orders:
            if each.status in ("OPEN", "IN_PROGRESS"):
                self.shop.report_progress(each.id)

    def stop_progress(self, order: str | int) -> None:
        """What was begun is put back."""
        found = self.order(order)
        for each in [each for each in found.fulfillment_orders if each.is_reported and each.status == "IN_PROGRESS"]:
            each.status, each.is_reported = "OPEN", False
            self.shop.touch(found)
            self.shop.publish_parts(found, "manually_reported_progress_stopped", [each])

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
        pairs: list[tuple[FulfillmentOrder, FulfillmentOrder]] = []
        for each in [each for each in found.fulfillment_orders if each.status in ("OPEN", "IN_PROGRESS")]:
            parts = [[self.shop.press.next_id(), line[1], line[3], line[3]] for line in each.lines if line[3]]
            made = FulfillmentOrder(
                self.shop.press.next_id(), each.location, parts, method=each.method, request=each.request
            )
            found.fulfillment_orders.append(made)
            each.status = "CLOSED"
            pairs.append((each, made))
        self.shop.touch(found)
        for each, made in pairs:
            self.shop.events.publish(found.id, [topic_body("split", each, made)])

    def decline_request(self, order: str | int) -> None:
        """A fulfilment service was asked to ship what is open, and said no."""
        found = self.order(order)
        asked = [each for each in found.fulfillment_orders if each.status in ("OPEN", "IN_PROGRESS")]
        for each in asked:
            each.status, each.request = "OPEN", "REJECTED"
        self.shop.touch(found)
        self.shop.publish_parts(found, "fulfillment_request_rejected", asked)

    def return_(self, order: str | int, action: str = "return", **request: Json) -> str:
        """One of the actions about returns (`sent_back`), by default all that can be returned came back and the
        return was closed; answers the return's id. Raises PanelError with Shopify's words."""
        found = self.order(order)
        return str(act(self.shop, found, action, request)["return"])

    def close(self, order: str | int) -> None:
        """Archives the order (orderClose)."""
        found = self.order(order)
        found.closed = self.shop.clock.now_ms()
        self.shop.touch(found)

    def open(self, order: str | int) -> None:
        """Opens an archived order again (orderOpen)."""
        found = self.order(order)
        found.closed = None
        self.shop.touch(found)

    def backdate(self, order: str | int, ms: int, *, is_brought_over: bool = False) -> None:
        """The order was made at another time (Unix milliseconds); `is_brought_over`: elsewhere, and Shopify got it when
        it did."""
        found = self.order(order)
        found.processed = ms
        found.created = found.created if is_brought_over else ms
        self.shop.touch(found)

    def goods(self, order: str | int, action: str, /, **request: Json) -> dict[str, Json]:
        """One of the actions about goods (`goods`). Raises PanelError."""
        return act_on_goods(self.shop, self.order(order), action, request)

    def edit(self, order: str | int, receiver_name: str) -> None:
        """Corrects the receiver's name."""
        self.change("edit", order, receiver_name=receiver_name)

    def pay(self, order: str | int) -> None:
        """The money is there."""
        self.change("pay", order)

    def change(self, action: str, order: str | int, **change: Json) -> None:
        """One of the changes of `edits`. Raises PanelError for an invalid request."""
        edit(self.shop, self.order(order), action, change)

    def route(self, order: str | int) -> None:
        """Routing is complete: the order's FOs show now."""
        found = self.order(order)
        found.routed_at = 0
        self.shop.touch(found)
        self.shop.publish_routed(found)

    def money(self, order: str | int) -> dict[str, Json]:
        """What the order costs."""
        return money_of(self.order(order))

    def add(
        self,
        routing_seconds: float | None = None,
        pieces: int | None = None,
        line_count: int | None = None,
        cart: Json = None,
        buyer_currency: Json = None,
    ) -> str:
        """A buyer checks out; returns the new order's id. `routing_seconds`: until its FOs show, else the option's.
        `pieces`: how many of one good. `line_count`: how many lines with that many. `cart`: what is ordered
        (`checkout.Wish`), its prices shown to the buyer in `buyer_currency`."""
        for name, number, most in (("pieces", pieces, _MOST_PIECES), ("lines", line_count, MOST_LINES)):
            if number is not None and (type(number) is not int or not 1 <= number <= most):
                raise PanelError(f"{name} must be a whole number from 1 to {most}")
        is_number = isinstance(routing_seconds, int | float) and not isinstance(routing_seconds, bool)
        if routing_seconds is not None and not (is_number and 0 <= routing_seconds <= _LONGEST_SECONDS):
            raise PanelError(f"routing_seconds must be a number from 0 to {_LONGEST_SECONDS}")
        if cart is None:
            return str(self.shop.add(routing_seconds, pieces, line_count).id)
        goods = ordered(wish_of(cart), count(1).__next__)
        prepare = partial(fill, cart=goods, buyer_currency=checked_currency(buyer_currency))
        return str(self.shop.add(routing_seconds, None, len(goods.of("goods")), prepare).id)

    def add_garbage(self, payload: Json = None) -> str:
        """An order that is `payload` in place of its own node (None: a good id and bad fields); returns its id."""
        order = self.shop.add()
        order.garbage = Unshaped({"id": gid("Order", order.id), "name": 17, **(payload or {})})
        return str(order.id)

    def repair(self, order: str | int) -> None:
        """Shows an order of `add_garbage` as it is; its change time stays."""
        self.order(order).garbage = None

    def delete(self, order: str | int) -> None:
        """Removes the order."""
        self.shop.remove(self.order(order))

    def change_token(self, token: str) -> None:
        """Nothing that the app had is good any more; `token` is its new permanent token and its new client secret."""
        self.shop.access.change_token(token)

    def revoke_scope(self, scope: str) -> None:
        """Takes a scope from the app."""
        self.shop.access.revoke_scope(scope)

    def add_product(self, title: str | None = None) -> str:
        """A new product; returns its id."""
        product = self.shop.shelf.add(self.shop.clock.now_ms(), title)
        self.shop.publish_product(product, "products/create")
        return str(product.id)

    def edit_product(self, product: str | int, title: str | None = None) -> None:
        """Changes a product, and its title where one is given. Raises PanelError for an unknown product."""
        found = self.shop.shelf.products.get(int(product)) if str(product).isdecimal() else None
        if found is None:
            raise PanelError(f"{self.shop.domain} has no product {product}")
        found.title, found.updated = title or found.title, self.shop.clock.now_ms()
        self.shop.publish_product(found, "products/update")

    def subscribe(self, topic: str, uri: str, body_format: str = "JSON") -> None:
        """Makes a webhook subscription, also one as XML. Raises PanelError with Shopify's words."""
        try:
            self.shop.subscriptions.create(topic, uri, body_format)
        except Refused as refused:
            raise PanelError(refused.message) from None

    def unsubscribe(self, topic: str) -> int:
        """All subscriptions of the topic are gone, as if Shopify had deleted them; returns how many there were."""
        gone = self.shop.subscriptions.of(topic)
        for each in gone:
            self.shop.subscriptions.drop(each)
        return len(gone)

    def order(self, order: str | int) -> Order:
        """The order as the platform holds it. Raises PanelError for an unknown order."""
        found = self.shop.orders.get(int(order)) if str(order).isdecimal() else None
        if found is None:
            raise PanelError(f"{self.shop.domain} has no order {order}")
        return found

    def operate(self, request: Mapping[str, Json]) -> dict[str, Json]:
        """Does what `request` says: `action` and its fields. Raises PanelError for an invalid request."""
        action = checked_action(request, ACTIONS)
        if (answer := self._operate_shop(action, request)) is not None:
            return answer
        order = request.get("order", "")
        if action in ("repair", "delete"):
            (self.repair if action == "repair" else self.delete)(order)
            return {"order": str(order)}
        if action == "money":
            return {"order": str(order), **self.money(order)}
        if action in GOODS_ACTIONS:
            return {"order": str(order), **self.goods(order, action, **request)}
        if action in RETURN_ACTIONS:
            return {"order": str(order), **act(self.shop, self.order(order), action, request)}
        self._operate_order(action, order, request)
        found = self.order(order)
        return {"order": str(found.id), "state": found.state(self.shop.clock.now_ms())}

    def _operate_shop(self, action: str, request: Mapping[str, Json]) -> dict[str, Json] | None:
        """What is about no order that is there; None for the rest."""
        title = None if request.get("title") is None else str(request["title"])
        match action:
            case "add":
                names = ("routing_seconds", "pieces", "lines", "cart", "buyer_currency")
                fields = (request.get(name) for name in names)
                return {"order": self.add(*fields)}
            case "add_garbage":
                return {"order": self.add_garbage(request.get("payload"))}
            case "add_product":
                return {"product": self.add_product(title)}
            case "edit_product":
                self.edit_product(request["product"], title)
                return {"product": str(request["product"])}
            case "subscribe":
                self.subscribe(str(request["topic"]), str(request["uri"]), str(request.get("format", "JSON")))
            case "unsubscribe":
                return {"unsubscribed": self.unsubscribe(str(request["topic"]))}
            case _:
                return self.shop.access.operate(action, request)
        return {}

    def _operate_order(self, action: str, order: str | int, request: Mapping[str, Json]) -> None:
        match action:
            case "move":
                self.move(order, str(request["state"]))
            case "backdate":
                self.backdate(order, checked_ms(request), is_brought_over=request.get("brought_over") is True)
            case "fail_cancel":
                self.fail_cancel(order, str(request["message"]))
            case _ if action in EDITS:
                edit(self.shop, self.order(order), action, request)
            case "hold":
                self.hold(order, str(request.get("reason", "INCORRECT_ADDRESS")))
            case "fulfill":
                self.fulfill(order, request.get("tracking"))
            case _:
                getattr(self, action)(order)
