"""The simulated example platform: as strict as its documentation would be, if there were any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar
from urllib.parse import parse_qsl

from orchestrator.plugin.sandbox import (
    ORDER_IDS_PER_SHOP,
    BackOffice,
    Clock,
    Incoming,
    Json,
    Move,
    Operation,
    PanelError,
    Reply,
    SimulatedShops,
    Stock,
    Variant,
    Walk,
    answer,
    bearer,
    encode,
    number_in,
    parse_object,
)

_FIRST_ORDER_ID = 310_000_001
_COMES_FROM = {"confirmed": ("open",), "sent": ("confirmed",), "done": ("sent",), "void": ("open", "confirmed")}
_STEPS = {"confirmed": "confirm", "sent": "send", "done": "finish", "void": "cancel"}
_DELIVERED = {"state": "delivered"}


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


@dataclass(slots=True)
class Shop:
    """One shop: its orders by id, oldest first. `garbage`: JSON shown in the place of orders."""

    number: int
    token: str
    clock: Clock
    orders: dict[int, dict[str, Json]] = field(default_factory=dict)
    garbage: dict[int, str] = field(default_factory=dict)
    latest_ms: int = 0

    def add(self, at_ms: int) -> dict[str, Json]:
        """A buyer orders."""
        order_id = _FIRST_ORDER_ID + self.number * ORDER_IDS_PER_SHOP + len(self.orders) + len(self.garbage)
        while order_id in self.orders:
            order_id += 1
        order = {"id": order_id, "number": f"EX-{order_id}", "state": "open", "receiver": "Ada", "tracking": None}
        self.orders[order_id] = {**order, "created_at": _iso(at_ms), "changed_at": _iso(at_ms)}
        return self.orders[order_id]

    def change(self, order: dict[str, Json], **members: Json) -> None:
        """Changes an order, at a time of its own."""
        self.latest_ms = max(self.clock.now_ms(), self.latest_ms + 1)
        order.update(members, changed_at=_iso(self.latest_ms))

    def shown(self, order: Mapping[str, Json]) -> str:
        """An order's JSON."""
        return self.garbage.get(order["id"]) or encode(order)


class Office(BackOffice):
    """What people do in the platform's own pages."""

    actions: ClassVar = {
        "add": (),
        "add_garbage": (),
        "edit": ("order", "receiver_name"),
        "delete": ("order",),
        "change_token": ("token",),
    }

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def add(self) -> str:
        """A buyer orders."""
        return str(self.shop.add(self.shop.clock.now_ms())["id"])

    def add_garbage(self) -> str:
        """An order with invalid JSON."""
        order_id = int(self.add())
        self.shop.garbage[order_id] = encode({"id": order_id, "state": ["open"]})
        return str(order_id)

    def edit(self, order: str, receiver_name: str) -> str:
        """Corrects the receiver."""
        self.shop.change(self._order(order), receiver=receiver_name)
        return order

    def delete(self, order: str) -> str:
        """Removes an order for good."""
        del self.shop.orders[self._order(order)["id"]]
        return order

    def change_token(self, token: str) -> None:
        """Makes another token, which ends this one."""
        self.shop.token = token

    def _order(self, order: str) -> dict[str, Json]:
        if (number := number_in(str(order))) not in self.shop.orders or number is None:
            raise PanelError(f"there is no order {order}")
        return self.shop.orders[number]


class ExamplePlatform(SimulatedShops[Shop, Office]):
    """Simulated shops, each with a token of its own."""

    name: ClassVar[str] = "example"
    options: ClassVar[type] = SandboxOptions
    config_name: ClassVar[str] = "ex"
    _options: SandboxOptions

    @staticmethod
    def walk() -> Walk:
        """As `SimulatedPlatform.walk`."""
        return WALK

    def stocked(self, n: int, stock: Stock) -> Shop:
        """A shop whose orders are half a minute apart, the newest of half a minute ago."""
        shop, now = Shop(n, f"example-token-{n + 1}", self._clock), self._clock.now_ms()
        for each in range(stock.orders):
            shop.add(now - 30_000 * (stock.orders - each))
        return shop

    def key_of(self, shop: Shop) -> str:
        """As `SimulatedShops.key_of`."""
        return str(shop.number + 1)

    def panel_for(self, shop: Shop) -> Office:
        """As `SimulatedShops.panel_for`."""
        return Office(shop)

    def config_of(self, shop: Shop, address: str) -> dict[str, Json]:
        """As `SimulatedShops.config_of`."""
        del address
        return {"token": shop.token}

    def states_of(self, shop: Shop) -> Mapping[int, str]:
        """As `SimulatedShops.states_of`."""
        return {order_id: order["state"] for order_id, order in shop.orders.items()}

    def open(self, incoming: Incoming) -> Operation:
        """As `SimulatedPlatform.open`."""
        token = bearer(incoming.headers)
        shop = next((each for each in self.shops_by_key.values() if each.token == token), None)
        key = "" if shop is None else self.key_of(shop)
        sent = parse_object(incoming.body) or {}
        match incoming.method, incoming.path.split("/"):
            case _ if shop is None:
                return Operation(key, None, "unknown", partial(answer, 401, {"message": "Who are you?"}))
            case "GET", ["", "orders"]:
                return Operation(key, None, "list", partial(self._list, shop, dict(parse_qsl(incoming.query))))
            case "GET", ["", "orders", order]:
                return Operation(key, order, "read", partial(self._read, shop, number_in(order)))
            case "PUT", ["", "orders", order]:
                step = _STEPS.get(str(sent.get("state")), "unknown")
                return Operation(key, order, step, partial(self._change, shop, number_in(order), sent), sent)
            case _:
                return Operation(key, None, "unknown", partial(answer, 404, {"message": "No such address."}))

    def _list(self, shop: Shop, query: Mapping[str, str]) -> Reply:
        since = _iso(int(query.get("changed_since", 0)))
        found = [shop.shown(order) for order in shop.orders.values() if order["changed_at"] >= since]
        offset, limit = int(query.get("offset", 0)), min(int(query["limit"]), self._options.largest_page)
        return Reply(200, f'{{"orders":[{",".join(found[offset : offset + limit])}],"total":{len(found)}}}'.encode())

    def _read(self, shop: Shop, number: int | None) -> Reply:
        order = shop.orders.get(number or 0)
        return answer(404, {"message": "No such order."}) if order is None else Reply(200, shop.shown(order).encode())

    def _change(self, shop: Shop, number: int | None, sent: Mapping[str, Json]) -> Reply:
        order, state = shop.orders.get(number or 0), sent.get("state")
        if order is None:
            return answer(404, {"message": "No such order."})
        if order["state"] not in _COMES_FROM.get(str(state), ()):
            return answer(409, {"message": f"The order is {order['state']}."}, in_sequence=False)
        shop.change(order, state=state, tracking=sent.get("tracking", order["tracking"]))
        return answer(200, order, took_effect=True)


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
