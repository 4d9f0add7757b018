"""One simulated Selldone shop: its orders, its clock of changes and the rules of its state machine.

Facts: selldone.md §5, §6, §8. Rules are plain functions of the order and the request: they return an
`Accepted` or a `Refused` and never half of a change. What the facts leave open is a switch in `SelldoneOptions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from orchestrator.clock import Clock
from orchestrator.sandbox.cart import Cart
from orchestrator.sandbox.selldone.baskets import Basket, Json, timestamp
from orchestrator.sandbox.selldone.press import OrderPress
from orchestrator.sandbox.throttle import RAISED, Throttle

CHAIN = ("CheckQueue", "OrderConfirm", "PreparingOrder", "SentOrder", "ToCustomer")
"""The delivery states in order (selldone.md §5.2)."""
STEP_OF = {"OrderConfirm": "confirm", "PreparingOrder": "prepare", "SentOrder": "send", "ToCustomer": "deliver"}
"""The machine's name of the step that leads into each state."""
STATUSES = ("Open", "Reserved", "Payed", "Canceled", "COD")
"""Payment statuses (selldone.md §5.1)."""
RETURN_STATES = ("Pending", "Accepted", "Rejected")
"""States of a request to return an item (selldone.md §5.2)."""
REJECT_REASONS = frozenset(
    {
        "CantAcceptCOD",
        "PaymentReturned",
        "PaymentFraud",
        "LocationOutOfService",
        "UserNotResponding",
        "ShopOwnerFault",
        "LackOfInventory",
        "LegalRestriction",
        "PricingFault",
        "SystemFault",
    }
)
"""What a shop may give as the reason of a rejection (selldone.md §5.2)."""
COUNTDOWN_US = 48 * 3600 * 1_000_000
"""A rejected order is cancelled 48 h after `reject_at` (selldone.md §9)."""

_RELEASED = ("Payed", "COD")
_BIG_ID = 2**53 + 15003
"""Odd and beyond 2^53: a client that reads ids as doubles loses its last bit."""


@dataclass(frozen=True, slots=True)
class SelldoneOptions:
    """What the facts call unknown (selldone.md §10), and orders that are only made when asked for.

    `envelope`: how a single order comes. `updated_at_unit`: of the list's parameter. `refusal`: a refusal on the wire
    is 200 with the constant in `error`, 200 with `error: true` and a text, or a 422 with the constant.
    `is_backward_allowed`: endpoint 3 takes earlier states too. `returned_state`: after delivery-returned.
    `is_repeat_refused`: a repeated state is refused, not answered with `changed: false`. `unreleased_orders`: how many
    Reserved, Open and Canceled orders there are beside the others. `has_big_id`: the first order's id is beyond 2^53.
    `express_cancels`: an express rejection cancels at once, else it counts down as any other. `calls_per_minute`: what
    the account may do in any minute; `platform.DOCUMENTED_CALLS` is what is documented. `is_price_after_discount`: an
    item's `price` is after its own discount, as was documented before summer 2026, not before it.
    """

    envelope: Literal["bare", "basket", "order"] = "bare"
    updated_at_unit: Literal["s", "ms"] = "s"
    refusal: Literal["constant", "text", "status"] = "constant"
    is_backward_allowed: bool = False
    returned_state: str = "PreparingOrder"
    is_repeat_refused: bool = False
    unreleased_orders: int = 0
    has_big_id: bool = False
    express_cancels: bool = True
    calls_per_minute: int = RAISED
    is_price_after_discount: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """The call was taken: `answer` is its JSON, `changed` whether anything is different now.

    `reopens`, `is_overwrite`: as in `platform.Reply`.
    """

    answer: dict[str, Json]
    changed: bool = True
    reopens: tuple[str, ...] = ()
    is_overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The call was not taken: one of the backend's constants (selldone.md §6)."""

    constant: str
    in_sequence: bool = True


@dataclass(frozen=True, slots=True)
class Invalid:
    """The call is invalid: Laravel's validation errors by field."""

    errors: dict[str, list[str]]


Outcome = Accepted | Refused | Invalid

_OUT_OF_SEQUENCE = Refused("CAN_NOT_APPLY_CHANGE_ERROR", in_sequence=False)


@dataclass(slots=True, eq=False)
class SelldoneShop:
    """The orders of one shop. `baskets` is in order of creation, `changes` by last change, oldest first."""

    id: int
    token: str
    clock: Clock
    options: SelldoneOptions
    press: OrderPress
    throttle: Throttle
    baskets: dict[int, Basket] = field(default_factory=dict)
    changes: dict[int, Basket] = field(default_factory=dict)
    _counting: dict[int, int] = field(default_factory=dict)
    _last_us: int = 0

    @classmethod
    def stocked(
        cls, shop_id: int, token: str, clock: Clock, options: SelldoneOptions, *, orders: int, seed: int, first_id: int
    ) -> SelldoneShop:
        """A shop with `orders` orders in CheckQueue, checked out half a minute apart, the newest just now."""
        press, throttle = OrderPress(shop_id, seed, first_id), Throttle(clock, options.calls_per_minute)
        shop = cls(shop_id, token, clock, options, press, throttle)
        statuses: list[str | None] = [None] * orders
        statuses += [("Reserved", "Open", "Canceled")[n % 3] for n in range(options.unreleased_orders)]
        begin_us = clock.now_ms() * 1000 - 30_000_000 * len(statuses)
        for n, status in enumerate(statuses):
            order_id = _BIG_ID if options.has_big_id and n == 0 else None
            shop._keep(shop.press.make(begin_us + 30_000_000 * n, status=status, order_id=order_id))
        return shop

    # -- orders ----------------------------------------------------------------------------------------------------

    def add(self, *, status: str | None = None, cart: Cart | None = None) -> Basket:
        """A new order, checked out now. `cart`: what is ordered."""
        return self._keep(self.press.make(self._tick(), status=status, cart=cart))

    def reprice(self, basket: Basket) -> None:
        """The order's cart was changed: its lines and prices follow, and its change time."""
        known = {line.id for line in basket.lines}
        self.touch(basket)
        at = basket.fields["updated_at"]
        new = [row for row in basket.cart.of("goods") if row.id not in known]
        basket.lines += tuple(self.press.line_of(basket.id, row, at) for row in new)
        basket.reprice(is_after=self.options.is_price_after_discount)

    def touch(self, basket: Basket) -> None:
        """Moves `updated_at`: strictly monotonic in the shop, so no change hides behind another's time."""
        basket.updated_us = self._tick()
        basket.fields["updated_at"] = timestamp(basket.updated_us)
        self.changes.pop(basket.id, None)
        self.changes[basket.id] = basket

    def next_return_id(self) -> int:
        """An id that no request to return an item has yet."""
        return 501 + sum(len(basket.returns) for basket in self.baskets.values())

    def forget(self, basket: Basket) -> None:
        """Deletes the order."""
        del self.baskets[basket.id]
        del self.changes[basket.id]
        self._counting.pop(basket.id, None)

    def settle_countdowns(self) -> None:
        """Cancels the orders whose 48 hours are over; called before anything is looked at."""
        if not self._counting:
            return
        now_us = self.clock.now_ms() * 1000
        for order_id in [order_id for order_id, ends_us in self._counting.items() if ends_us <= now_us]:
            self.cancel(self.baskets[order_id])

    def cancel(self, basket: Basket) -> None:
        """Ends the order: status Canceled, terminal."""
        self._counting.pop(basket.id, None)
        basket.fields["status"] = "Canceled"
        self.touch(basket)

    def _keep(self, basket: Basket) -> Basket:
        basket.reprice(is_after=self.options.is_price_after_discount)
        self.baskets[basket.id] = basket
        self.changes[basket.id] = basket
        self._last_us = max(self._last_us, basket.updated_us)
        return basket

    def _tick(self) -> int:
        self._last_us = max(self.clock.now_ms() * 1000, self._last_us + 1)
        return self._last_us

    # -- rules -----------------------------------------------------------------------------------------------------

    def set_state(
        self, basket: Basket, state: str, items: Sequence[int] | None, delivery_info: dict[str, Json] | None
    ) -> Outcome:
        """Endpoint 3: one state forward. A repeated state changes nothing (selldone.md §5.2, §8)."""
        if (refused := self._refusal_by_state(basket)) is not None:
            return refused
        if basket.state not in CHAIN:
            return _OUT_OF_SEQUENCE
        here, there = CHAIN.index(basket.state), CHAIN.index(state)
        if here == there:
            if self.options.is_repeat_refused:
                return Refused("CAN_NOT_APPLY_CHANGE_ERROR")
            return Accepted(self._state_answer(basket, changed=False), changed=False)
        is_backward = there < here and self.options.is_backward_allowed
        if basket.status not in _RELEASED or (there != here + 1 and not is_backward):
            return _OUT_OF_SEQUENCE
        if state == "OrderConfirm":
            own = tuple(line.id for line in basket.lines)
            if items is not None and (not set(items) <= set(own)):
                return Refused("NOT_FOUNT_BASKET_ITEM_ERROR")
            basket.confirmed = own if items is None else tuple(items)
        if state == "PreparingOrder" and delivery_info is not None:
            basket.fields["delivery_info"] = delivery_info
        self.place(basket, state)
        reopens = steps_after(state) if is_backward else ("return_delivery",) if state == "SentOrder" else ()
        return Accepted(self._state_answer(basket, changed=True), reopens=reopens)

    def place(self, basket: Basket, state: str) -> None:
        """Puts the order into `state`, whatever it was in."""
        basket.fields["delivery_state"] = state
        self.touch(basket)
        if state == "ToCustomer":
            basket.fields["delivery_at"] = basket.fields["updated_at"]

    def return_delivery(self, basket: Basket) -> Outcome:
        """Endpoint 4: only a sent order comes back, and can then be sent again (selldone.md §5.2)."""
        if (refused := self._refusal_by_state(basket)) is not None:
            return refused
        if basket.state != "SentOrder":
            return _OUT_OF_SEQUENCE
        self.place(basket, self.options.returned_state)
        reopens = tuple(step for step in steps_after(basket.state) if step != "return_delivery")
        return Accepted({"delivery_state": basket.state, "changed": True}, reopens=reopens)

    def set_tracking(self, basket: Basket, code: str | None, url: str | None) -> Outcome:
        """Endpoint 5, taken where the panel offers it: in PreparingOrder and SentOrder (selldone.md §5.2)."""
        if (refused := self._refusal_by_state(basket)) is not None:
            return refused
        if basket.state not in ("PreparingOrder", "SentOrder"):
            return _OUT_OF_SEQUENCE
        before = basket.fields["delivery_info"] or {}
        sent = {"tracking_code": code, "tracking_url": url}
        after = {**before, **{name: value for name, value in sent.items() if value}}
        changed = after != before
        if changed:
            basket.fields["delivery_info"] = after
            self.touch(basket)
        return Accepted({"success": True, "delivery_info": after}, changed=changed, is_overwrite=True)

    def reject(self, basket: Basket, reason: str, *, is_express: bool) -> Outcome:
        """Endpoint 6: starts the countdown, or cancels at once (selldone.md §5.2)."""
        if basket.status == "Canceled":
            return Refused("ORDER_CANCELED_ERROR")
        if basket.status == "Open" or basket.state == "ToCustomer":
            return _OUT_OF_SEQUENCE
        basket.fields["reject"] = reason
        self.touch(basket)
        basket.fields["reject_at"] = basket.fields["updated_at"]
        self._counting[basket.id] = basket.updated_us + COUNTDOWN_US
        if is_express and self.options.express_cancels:
            self.cancel(basket)
        answer = {"success": True, "reject": reason, "reject_at": basket.fields["reject_at"], "express": is_express}
        return Accepted(answer, is_overwrite=True, reopens=("unreject",))

    def unreject(self, basket: Basket) -> Outcome:
        """Endpoint 7: ends the countdown; nothing happens where there is none (selldone.md §8)."""
        if basket.status == "Canceled":
            return Refused("ORDER_CANCELED_ERROR")
        changed = self._counting.pop(basket.id, None) is not None
        if changed:
            basket.fields["reject"] = basket.fields["reject_at"] = None
            self.touch(basket)
        answer = {"success": True, "reject": None, "reject_at": None}
        return Accepted(answer, changed=changed, reopens=("reject",))

    def _refusal_by_state(self, basket: Basket) -> Refused | None:
        """Writes fail during the countdown and after the cancellation (selldone.md §5.2)."""
        if basket.status == "Canceled":
            return Refused("ORDER_CANCELED_ERROR")
        if basket.id in self._counting:
            return Refused("ORDER_ON_REJECT_PERIOD_ERROR")
        return None

    def _state_answer(self, basket: Basket, *, changed: bool) -> dict[str, Json]:
        state = basket.state
        answer: dict[str, Json] = {"delivery_state": state}
        if state == "OrderConfirm":
            chosen = [line.fields for line in basket.lines if line.id in (basket.confirmed or ())] if changed else []
            names = ("id", "basket_id", "product_id", "variant_id")
            answer |= {"updated": len(chosen), "changed": changed}
            answer["items"] = [{name: line[name] for name in names} for line in chosen]
            return answer
        if state == "ToCustomer":
            answer["delivery_at"] = basket.fields["delivery_at"]
        answer["changed"] = changed
        return answer


def steps_after(state: str) -> tuple[str, ...]:
    """The steps that are legal again when an order has been put back into `state`."""
    later = CHAIN[CHAIN.index(state) + 1 :] if state in CHAIN else CHAIN[1:]
    return (*(STEP_OF[name] for name in later), "set_tracking", "return_delivery")


def is_web_link(text: str) -> bool:
    """Laravel's `url` rule, as far as tracking links go."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not any(c.isspace() for c in text)
    except ValueError:
        return False
