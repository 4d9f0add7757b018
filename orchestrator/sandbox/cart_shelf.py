"""Simulated shops whose orders are carts in a state, and what staff and buyers do about them.

What is kept of an order names no platform: `id`, the state, and the times `created`, `modified`, `paid` and `done` in
Unix milliseconds (None: not yet). Its cart, and rows such as notes and refunds, are beside it. A platform writes
`view`, and what else it does when something `happened`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import count
from typing import ClassVar, TypeVar

from orchestrator.clock import Clock
from orchestrator.sandbox.cart import Cart, drawn, standard
from orchestrator.sandbox.cart_edits import edit_cart, money_of
from orchestrator.sandbox.checkout import ordered, wish_of
from orchestrator.sandbox.platform import Json, PanelError, checked_ms
from orchestrator.sandbox.shelf import Shelf, ShelfOffice


class CartShelf(Shelf):
    """The orders of one shop. `unpaid` and the other states say which states mean that, empty where none does; a new
    order is in `paid`. `exact_ms`: of its stamps.

    `beside`: rows of orders, such as `notes` and `refunds`, newest first, as they are shown. `note_names`: what the
    author and the text of a note are called, and that the buyer sees it.
    """

    events: ClassVar[Sequence[str]] = ("created", "updated", "deleted", "restored")
    unpaid: ClassVar[Sequence[str]] = ()
    paid: ClassVar[str] = ""
    done: ClassVar[str] = ""
    cancelled: ClassVar[str] = ""
    refunded: ClassVar[str] = ""
    trashed: ClassVar[str] = ""
    exact_ms: ClassVar[int] = 1
    note_names: ClassVar[Sequence[str]] = ("author", "text", "is_public")

    def __init__(self, clock: Clock, key: str, secret: str, first_id: int) -> None:
        super().__init__(clock, key, secret, first_id)
        self.carts: dict[int, Cart] = {}
        self.beside: dict[tuple[str, int], list[dict[str, Json]]] = defaultdict(list)
        self.was: dict[int, str] = {}
        """The states of orders that are in the trash."""
        self._row_ids = count(1)

    # -- to write --------------------------------------------------------------------------------------------------

    def cart(self) -> Cart:
        """What a buyer orders: the first one a `standard` cart, the others as it comes."""
        return drawn(self.rng, self.next_row_id) if self.carts else standard(self.next_row_id)

    def stamp(self, name: str, ms: int | None) -> Mapping[str, Json]:
        """The fields that show a time (Unix milliseconds, None: there is none), such as `created` or `modified`."""
        return {name: ms}

    def happened(self, event: str, order_id: int) -> None:
        """An order was one of `events`; `deleted` is put into the trash."""

    # -- given -----------------------------------------------------------------------------------------------------

    def now(self, ms: int | None = None) -> int:
        """The time, or another, as exact as the shop's stamps."""
        at = self.clock.now_ms() if ms is None else ms
        return at - at % self.exact_ms

    def buy(self, at_ms: int, cart: Cart, **fields: Json) -> int:
        """As `add`, of these goods."""
        order_id, at, times = self.next_id(), self.now(at_ms), dict.fromkeys(("paid", "done"))
        order = {"id": order_id, self.state_name: self.paid, "created": at, "modified": at, **times, **fields}
        if order[self.state_name] not in self.unpaid:
            order["paid"] = at
        self.orders[order_id], self.carts[order_id] = order, cart
        self.happened("created", order_id)
        return order_id

    def add(self, at_ms: int, **fields: Json) -> int:
        """As `Shelf.add`."""
        return self.buy(at_ms, self.cart(), **fields)

    def next_row_id(self) -> int:
        """A number that no row of a cart had."""
        return next(self._row_ids)

    def save(self, order: dict[str, Json], state: str | None = None) -> None:
        """As `Shelf.save`: a state brings its time, and that all is given back a refund of the rest."""
        order["modified"] = now = self.now()
        if state is not None:
            self.was.pop(order["id"], None)
            order[self.state_name] = state
            if state == self.done:
                order["done"] = now
            elif state == self.paid and order["paid"] is None:
                order["paid"] = now
            elif state == self.refunded and self.carts[order["id"]].kept:
                self.refund(order["id"], None, "Order fully refunded.")
        self.happened("updated", order["id"])

    def found(
        self,
        states: Collection[str],
        *,
        by: str = "created",
        is_descending: bool = False,
        after: Iterable[tuple[str, float | None]] = (),
        before: Iterable[tuple[str, float | None]] = (),
    ) -> list[int]:
        """Ids of the orders in some states, sorted by a time, or by `id`. `after`, `before`: times by their names, with
        exclusive bounds in Unix milliseconds (None: no bound)."""
        found = [order for order in self.orders.values() if order[self.state_name] in states]
        for name, ms in after:
            found = [order for order in found if ms is None or (order[name] or 0) > ms]
        for name, ms in before:
            found = [order for order in found if ms is None or (order[name] or 0) < ms]
        found.sort(key=lambda order: (order[by], order["id"]), reverse=is_descending)
        return [order["id"] for order in found]

    def refund(self, order_id: int, amount: Decimal | None, reason: str) -> None:
        """Gives an amount back (None: all that is left). Raises ValueError."""
        self.put("refunds", order_id, amount=str(self.carts[order_id].refund(amount)), reason=reason)

    def note(self, order_id: int, author: str, text: str, is_public: bool) -> dict[str, Json]:
        """Somebody writes a note, for the buyer where it `is_public`."""
        return self.put("notes", order_id, **dict(zip(self.note_names, (author, text, is_public), strict=True)))

    def put(self, what: str, order_id: int, **fields: Json) -> dict[str, Json]:
        """One more of the rows beside an order."""
        row = {"id": self.next_id(), **self.stamp("created", self.now()), **fields}
        self.beside[what, order_id].insert(0, row)
        return row


C = TypeVar("C", bound=CartShelf)


class CartOffice(ShelfOffice[C]):
    """The back office of such a shop. An action whose state the shop does not have is refused."""

    def edit(self, order: str, receiver_name: str) -> str:
        """Corrects the receiver."""
        cart = self._cart(order)
        cart.receiver = cart.receiver.named(receiver_name)
        return self._changed(order)

    def add(self, status: str | None = None, cart: Json = None) -> str:
        """As `ShelfOffice.add`; `cart`: what is ordered (`checkout.Wish`)."""
        if cart is None:
            return super().add(status)
        goods = ordered(wish_of(cart), self.shop.next_row_id)
        fields = {} if status is None else {self.shop.state_name: status}
        return str(self.shop.id_of(self.shop.buy(self.shop.clock.now_ms(), goods, **fields)))

    def edit_line(self, order: str, quantity: int, line: int | None = None) -> str:
        """Changes how many of a line there are, of the first one by default."""
        return self._edited(order, "edit_line", quantity=quantity, line=line)

    def add_line(self, order: str, sku: str | None = None, quantity: int = 1) -> str:
        """One more line."""
        return self._edited(order, "add_line", sku=sku, quantity=quantity)

    def remove_line(self, order: str, line: int | None = None) -> str:
        """Takes a line out, the first one by default."""
        return self._edited(order, "remove_line", line=line)

    def money(self, order: str) -> dict[str, Json]:
        """What the order costs."""
        return {"order": order, **money_of(self._cart(order), is_gross=False)}

    def cancel(self, order: str) -> str:
        """Cancels."""
        return self.move(order, self.shop.cancelled)

    def pay(self, order: str) -> str:
        """The money comes, where it is still waited for; also after a cancellation."""
        is_due = self._order(order)[self.shop.state_name] in (*self.shop.unpaid, self.shop.cancelled)
        return self.move(order, self.shop.paid) if is_due else order

    def refund(self, order: str, amount: str | None = None) -> str:
        """Gives money back, all that is left by default or where it is no more than `amount`."""
        try:
            given = None if amount is None else Decimal(str(amount))
            if self.shop.refunded and (given is None or given >= self._cart(order).kept):
                return self.move(order, self.shop.refunded)
            self.shop.refund(self._order(order)["id"], given, "Damaged")
        except (InvalidOperation, ValueError) as error:
            raise PanelError(f"the money stays: {error}") from None
        return self._changed(order)

    def note(self, order: str, text: str) -> str:
        """Writes a note for the buyer: no change of the order."""
        self.shop.note(self._order(order)["id"], "admin", text, is_public=True)
        return order

    def trash(self, order: str) -> str:
        """Puts the order into the trash; its stamps stay."""
        found = self._order(order)
        if not self.shop.trashed:
            raise PanelError("there is no trash here")
        if found[self.shop.state_name] != self.shop.trashed:
            self.shop.was[found["id"]], found[self.shop.state_name] = found[self.shop.state_name], self.shop.trashed
            self.shop.happened("deleted", found["id"])
        return order

    def restore(self, order: str) -> str:
        """Takes it out again."""
        found = self._order(order)
        if found["id"] in self.shop.was:
            found[self.shop.state_name] = self.shop.was.pop(found["id"])
            self.shop.happened("restored", found["id"])
        return order

    def backdate(self, order: str, to: str | int) -> str:
        """The order was made at another time (ISO 8601, or Unix milliseconds)."""
        self._order(order)["created"] = self.shop.now(to if isinstance(to, int) else checked_ms({"to": to}))
        return order

    def _cart(self, order: str) -> Cart:
        return self.shop.carts[self._order(order)["id"]]

    def _edited(self, order: str, action: str, **change: Json) -> str:
        edit_cart(self._cart(order), action, change, self.shop.next_row_id)
        return self._changed(order)
