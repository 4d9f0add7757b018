"""The simulated example platform: as strict as its documentation would be, if there were any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar
from urllib.parse import parse_qsl

from orchestrator.plugin.sandbox import (
    ORDER_IDS_PER_SHOP,
    Incoming,
    Json,
    Move,
    Operation,
    Reply,
    Shelf,
    ShelfOffice,
    ShelfPlatform,
    Variant,
    Walk,
    answer,
    bearer,
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


class Shop(Shelf):
    """One shop."""

    state_name: ClassVar[str] = "state"
    states = tuple(_COMES_FROM)

    def add(self, at_ms: int, **fields: Json) -> int:
        """A buyer orders."""
        order_id, at = self.next_id(), _iso(at_ms)
        order = {"id": order_id, "number": f"EX-{order_id}", "state": "open", "receiver": "Ada", "tracking": None}
        self.orders[order_id] = {**order, **fields, "created_at": at, "changed_at": at}
        return order_id

    def save(self, order: dict[str, Json], state: str | None = None) -> None:
        """Keeps a change, at a time of its own."""
        latest = max(datetime.fromisoformat(each["changed_at"]).timestamp() * 1000 for each in self.orders.values())
        order["state"] = state or order["state"]
        order["changed_at"] = _iso(max(self.clock.now_ms(), round(latest) + 1))


class Office(ShelfOffice[Shop]):
    """What people do in the platform's own pages."""

    reopens = tuple(_STEPS.values())

    def edit(self, order: str, receiver_name: str) -> str:
        """Corrects the receiver."""
        return self._changed(order, receiver=receiver_name)


class ExamplePlatform(ShelfPlatform[Shop, Office]):
    """Simulated shops, each with a token of its own."""

    name: ClassVar[str] = "example"
    options: ClassVar[type] = SandboxOptions
    config_name: ClassVar[str] = "ex"
    office: ClassVar = Office
    _options: SandboxOptions

    @staticmethod
    def walk() -> Walk:
        """As `SimulatedPlatform.walk`."""
        return WALK

    def shop_of(self, n: int) -> Shop:
        """As `ShelfPlatform.shop_of`."""
        return Shop(self._clock, str(n + 1), f"example-token-{n + 1}", _FIRST_ORDER_ID + n * ORDER_IDS_PER_SHOP)

    def config_of(self, shop: Shop, address: str) -> dict[str, Json]:
        """As `SimulatedShops.config_of`."""
        del address
        return {"token": shop.secret}

    def open(self, incoming: Incoming) -> Operation:
        """As `SimulatedPlatform.open`."""
        token = bearer(incoming.headers)
        shop = next((each for each in self.shops_by_key.values() if each.secret == token), None)
        key = "" if shop is None else shop.key
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
        found = [shop.shown(number) for number, order in shop.orders.items() if order["changed_at"] >= since]
        offset, limit = int(query.get("offset", 0)), min(int(query["limit"]), self._options.largest_page)
        return Reply(200, f'{{"orders":[{",".join(found[offset : offset + limit])}],"total":{len(found)}}}'.encode())

    def _read(self, shop: Shop, number: int | None) -> Reply:
        order = shop.orders.get(number or 0)
        return (
            answer(404, {"message": "No such order."})
            if order is None
            else Reply(200, shop.shown(order["id"]).encode())
        )

    def _change(self, shop: Shop, number: int | None, sent: Mapping[str, Json]) -> Reply:
        order, state = shop.orders.get(number or 0), sent.get("state")
        if order is None:
            return answer(404, {"message": "No such order."})
        if order["state"] not in _COMES_FROM.get(str(state), ()):
            return answer(409, {"message": f"The order is {order['state']}."}, in_sequence=False)
        order["tracking"] = sent.get("tracking", order["tracking"])
        shop.save(order, str(state))
        return answer(200, order, took_effect=True)


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
