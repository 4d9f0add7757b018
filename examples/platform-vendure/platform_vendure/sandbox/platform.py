"""The simulation of Vendure is Vendure: the real server behind the sandbox's own faults and ledger.

Each shop is a channel of its own with an administrator who may do nothing outside of it. A request goes to the server
as it came; which step it is follows from the mutation that it names, and whether it took effect from the order, which
is looked at before and after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any, ClassVar

from multidict import CIMultiDict

from orchestrator.plugin.sandbox import (
    FaultPlan,
    Incoming,
    Json,
    Move,
    Operation,
    Reply,
    SimulatedShops,
    Stock,
    Variant,
    Walk,
    Work,
    answer,
    encode,
    parse_object,
)
from platform_vendure.sandbox.server import NoVendure, Vendure
from platform_vendure.sandbox.shop import Office, SandboxOptions, Shop

_NUMBERS = count(1)
"""Shops of this process: the server outlives a sandbox, and no two of its channels have the same token."""

_ROOT_FIELD = re.compile(r"\b(query|mutation|subscription)\b[^{]*\{\s*(?:\w+\s*:\s*)?(\w+)")
_STEPS = {"addFulfillmentToOrder": "fulfill", "cancelOrder": "cancel", "settlePayment": "settle_payment"}
_PARCEL_STEPS = {"Shipped": "mark_shipped", "Delivered": "mark_delivered", "Cancelled": "cancel_fulfillment"}

_SHIPPED: Mapping[str, Json] = {"state": "shipped", "tracking": {"code": "T-1"}}


WALK = Walk(
    moves=(
        Move("fulfill", "PaymentSettled", _SHIPPED),
        Move("mark_shipped", "Shipped", _SHIPPED),
        Move("mark_delivered", "Delivered", {"state": "delivered"}),
    ),
    delivered=("fulfill", "mark_shipped", "mark_delivered"),
    variants={
        "prices with tax": Variant(SandboxOptions(prices_include_tax=True)),
        "sessions by cookie": Variant(SandboxOptions(session="cookie")),
    },
)


class VendurePlatform(SimulatedShops[Shop, Office]):
    """Shops on the real server."""

    name: ClassVar[str] = "vendure"
    options: ClassVar[type] = SandboxOptions
    config_name: ClassVar[str] = "vendure-shop"
    _options: SandboxOptions

    @staticmethod
    def walk() -> Walk:
        """As `SimulatedPlatform.walk`."""
        return WALK

    def stocked(self, n: int, stock: Stock) -> Shop:
        """A shop that is opened later."""
        del n
        return Shop(next(_NUMBERS), self._options, stock.orders)

    def key_of(self, shop: Shop) -> str:
        """As `SimulatedShops.key_of`."""
        return shop.channel

    def panel_for(self, shop: Shop) -> Office:
        """As `SimulatedShops.panel_for`."""
        return Office(shop)

    def config_of(self, shop: Shop, address: str) -> dict[str, Json]:
        """As `SimulatedShops.config_of`."""
        del address
        return {
            "credentials": {"username": shop.username, "password": shop.password},
            "channel_token": shop.channel,
        }

    def states_of(self, shop: Shop) -> Mapping[int, str]:
        """As `SimulatedShops.states_of`; nothing of a shop that nobody has asked for yet."""
        opened = shop.administrator != ""
        return {int(order): Office(shop).seen(order)["state"] for order in shop.orders if opened}

    def order_ids(self) -> list[str]:
        """As `SimulatedPlatform.order_ids`."""
        assert self.shop.server
        return list(self.shop.orders)

    def background(self, faults: FaultPlan) -> Iterable[Work]:
        """As `SimulatedPlatform.background`: nothing, but shops are opened before a first request waits for that."""
        del faults
        with suppress(NoVendure):  # requests are told
            for shop in self.shops_by_key.values():
                assert shop.server
        return ()

    def open(self, incoming: Incoming) -> Operation:
        """As `SimulatedPlatform.open`."""
        key = incoming.headers.get("vendure-token", "")
        shop = self.shops_by_key.get(key, self.shop)  # the server has its own answer to a channel that is not there
        try:
            server = shop.server
        except NoVendure as error:
            return Operation(key, None, "unknown", partial(answer, 503, {"message": str(error)}))
        sent = parse_object(incoming.body) or {}
        variables = sent.get("variables") or {}
        match _root_field(sent):
            case "mutation", name:
                step, order = _step(name, variables), _order_of(server, name, variables)
                return Operation(key, order, step, partial(self._forward, shop, incoming, step, order), variables)
            case _, "orders":
                return Operation(key, None, "list", partial(self._forward, shop, incoming), sent)
            case _:
                return Operation(key, variables.get("id"), "read", partial(self._forward, shop, incoming), sent)

    @property
    def _session(self) -> tuple[str, str]:
        return _SESSIONS[self._options.session]

    def _forward(self, shop: Shop, incoming: Incoming, step: str = "read", changed: str | None = None) -> Reply:
        shown = (self._session[0], "vendure-token", "accept-language")
        kept = {name: incoming.headers[name] for name in shown if name in incoming.headers}
        before = Office(shop).seen(changed) if changed in shop.orders and changed is not None else None
        status, headers, body = shop.server.post(incoming.path, kept, incoming.body)
        given = CIMultiDict((name, text) for name, text in headers.items() if name.lower() == self._session[1])
        if shop.garbage:
            body = _with_garbage(body, shop.garbage)
        if before is None or changed is None:
            return Reply(status, body, headers=given)
        after = Office(shop).seen(changed)
        # A cancellation is refused, and empties the order all the same, where somebody has just begun to modify it.
        took_effect = after["state"] == "Cancelled" != before["state"] if step == "cancel" else after != before
        # Another body is another parcel, or another part of the order that is cancelled.
        return Reply(status, body, took_effect, in_sequence=took_effect, is_overwrite=True, headers=given)


_SESSIONS = {"bearer": ("authorization", "vendure-auth-token"), "cookie": ("cookie", "set-cookie")}
"""The headers that show a session and that begin one, by the ways that Vendure's `tokenMethod` allows."""


def _root_field(sent: Mapping[str, Json]) -> tuple[str, str]:
    """Kind and first field of a document."""
    found = _ROOT_FIELD.search(str(sent.get("query", "")))
    return ("query", "") if found is None else (found[1], found[2])


def _step(name: str, variables: Mapping[str, Json]) -> str:
    if name == "transitionFulfillmentToState":
        return _PARCEL_STEPS.get(str(variables.get("state")), "unknown")
    if name == "transitionOrderToState":
        return "cancel" if variables.get("state") == "Cancelled" else "unknown"
    return _STEPS.get(name, "login" if name == "login" else "unknown")


def _order_of(server: Vendure, name: str, variables: Mapping[str, Any]) -> str | None:
    """The order that a mutation is about, which most name by the id of something in it."""
    given = variables.get("input") or variables
    try:
        match name:
            case "addFulfillmentToOrder":
                return _owner(server, "lines", given["lines"][0]["orderLineId"])
            case "transitionFulfillmentToState":
                return _owner(server, "fulfillments", given["id"])
            case "settlePayment" | "cancelPayment" | "transitionPaymentToState":
                return _owner(server, "payments", given["id"])
            case _:
                return given.get("orderId") or (given.get("id") if "Order" in name else None)
    except (KeyError, IndexError):
        return None


def _owner(server: Vendure, what: str, id_: Json) -> str | None:
    order: str | None = server.do("order_of", what=what, id=id_)["order"]
    return order


def _with_garbage(body: bytes, garbage: set[str]) -> bytes:
    """An answer in which some orders, in a list or by themselves, are what no order can be."""
    parsed = parse_object(body)
    if parsed is None or not isinstance(parsed.get("data"), dict):
        return body
    spoilt = {name: _spoilt(found, garbage) for name, found in parsed["data"].items()}
    return encode({**parsed, "data": spoilt}).encode()


def _spoilt(found: Json, garbage: set[str]) -> Json:
    if not isinstance(found, dict):
        return found
    if isinstance(items := found.get("items"), list):
        return {**found, "items": [_spoilt(item, garbage) for item in items]}
    return {"id": found["id"], "state": ["open"]} if found.get("id") in garbage else found
