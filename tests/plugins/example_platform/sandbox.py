"""The simulated example platform: as strict as its documentation would be, if there were any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from orchestrator.plugin.sandbox import (
    ORDER_IDS_PER_SHOP,
    Call,
    CartOffice,
    CartShelf,
    Incoming,
    Json,
    Move,
    Refused,
    Reply,
    RestPlatform,
    Route,
    Variant,
    Walk,
    answer,
    bearer,
    whole,
)

_FIRST_ORDER_ID = 310_000_001
_COMES_FROM = {"confirmed": ("open",), "sent": ("confirmed",), "done": ("sent",), "void": ("open", "confirmed")}
_STEPS = {"confirmed": "confirm", "sent": "send", "done": "finish", "void": "cancel"}
_DELIVERED = {"state": "delivered"}
_LIST = {"changed_since": whole(0), "offset": whole(0), "limit": whole(25, 1)}


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """`largest_page`: rows, however many are asked for."""

    largest_page: int = 50


WALK = Walk(
    moves=(
        Move("confirm", "confirmed", _DELIVERED),
        Move("send", "sent", {"state": "shipped", "tracking": {"code": "T-1"}}),
        Move("finish", "done", _DELIVERED),
    ),
    delivered=("confirm", "send", "finish"),
    variants={"short pages": Variant(SandboxOptions(largest_page=7))},
)


class Shop(CartShelf):
    """One shop. `largest_page`: as of its options."""

    state_name: ClassVar[str] = "state"
    states = tuple(_COMES_FROM)
    paid, done, cancelled = "open", "done", "void"
    largest_page: int = 50

    def save(self, order: dict[str, Json], state: str | None = None) -> None:
        """Keeps a change, at a time of its own."""
        latest = max(each["modified"] for each in self.orders.values())
        super().save(order, state)
        order["modified"] = max(order["modified"], latest + 1)

    def view(self, order: Mapping[str, Json]) -> Json:
        """As `Shelf.view`."""
        cart, at = (
            self.carts[order["id"]],
            {"created_at": _iso(order["created"]), "changed_at": _iso(order["modified"])},
        )
        words = {"state": order["state"], "receiver": cart.receiver.first_name, "tracking": order.get("tracking")}
        return {"id": order["id"], "number": f"EX-{order['id']}", **words, **at, "total": str(cart.total)}

    def list_orders(self, call: Call) -> Reply:
        """A page of what changed since a time."""
        asked = call.checked(_LIST)
        found = [
            self.shown(number) for number, order in self.orders.items() if order["modified"] >= asked["changed_since"]
        ]
        start, size = asked["offset"], min(asked["limit"], self.largest_page)
        return Reply(200, f'{{"orders":[{",".join(found[start : start + size])}],"total":{len(found)}}}'.encode())

    def read_order(self, call: Call) -> Reply:
        """One order."""
        return Reply(200, self.shown(self._order(call)["id"]).encode())

    def change_order(self, call: Call) -> Reply:
        """Its next state, with a tracking."""
        order, state = self._order(call), call.sent.get("state")
        if order["state"] not in _COMES_FROM.get(str(state), ()):
            return answer(409, {"message": f"The order is {order['state']}."}, in_sequence=False)
        order["tracking"] = call.sent.get("tracking", order.get("tracking"))
        self.save(order, str(state))
        return answer(200, self.view(order), took_effect=True)

    def step_of(self, call: Call) -> str:
        """Which step a change is."""
        return _STEPS.get(str(call.sent.get("state")), "unknown")

    def _order(self, call: Call) -> dict[str, Json]:
        if call.number() not in self.orders:
            raise Refused("order")
        return self.orders[call.number()]


class Office(CartOffice[Shop]):
    """What people do in the platform's own pages."""

    reopens = tuple(_STEPS.values())


class ExamplePlatform(RestPlatform[Shop, Office]):
    """Simulated shops, each with a token of its own."""

    name: ClassVar[str] = "example"
    options: ClassVar[type] = SandboxOptions
    config_name: ClassVar[str] = "ex"
    office: ClassVar = Office
    course: ClassVar = WALK
    routes = (
        Route("GET", "orders", "list", Shop.list_orders),
        Route("GET", "orders/{order}", "read", Shop.read_order),
        Route("PUT", "orders/{order}", Shop.step_of, Shop.change_order),
    )

    def shop_of(self, n: int) -> Shop:
        """As `ShelfPlatform.shop_of`."""
        shop = Shop(self._clock, str(n + 1), f"example-token-{n + 1}", _FIRST_ORDER_ID + n * ORDER_IDS_PER_SHOP)
        shop.largest_page = self._options.largest_page
        return shop

    def config_of(self, shop: Shop, address: str) -> dict[str, Json]:
        """As `SimulatedShops.config_of`."""
        del address
        return {"token": shop.secret}

    def enter(self, incoming: Incoming, query: dict[str, str]) -> tuple[Shop | None, str, Reply | None]:
        """As `RestPlatform.enter`."""
        del query
        token = bearer(incoming.headers)
        shop = next((each for each in self.shops_by_key.values() if each.secret == token), None)
        return shop, incoming.path, None if shop is not None else answer(401, {"message": "Who are you?"})

    def refusal(self, call: Call, wrong: str, names: Sequence[str]) -> Reply:
        """As `RestPlatform.refusal`."""
        words = {"route": "No such address.", "order": "No such order."}
        return answer(404 if wrong in words else 400, {"message": words.get(wrong, f"Invalid: {', '.join(names)}")})


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
