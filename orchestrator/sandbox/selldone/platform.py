"""The simulated Selldone: its routes, tokens, validation and errors over HTTP.

Facts: selldone.md §1, §2, §6; the answers are those of its samples. What orders may do is in `shop`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

from orchestrator.sandbox.base import ORDER_IDS_PER_SHOP, SimulatedShops, gateway_page
from orchestrator.sandbox.platform import Incoming, Move, Operation, Reply, Stock, Variant, Walk
from orchestrator.sandbox.selldone.baskets import Basket, Json, encode
from orchestrator.sandbox.selldone.calls import parse_body, perform
from orchestrator.sandbox.selldone.list import find_page, parse_list
from orchestrator.sandbox.selldone.panel import SelldonePanel
from orchestrator.sandbox.selldone.shop import STEP_OF, Accepted, Invalid, Refused, SelldoneOptions, SelldoneShop
from orchestrator.sandbox.throttle import Arrival

FIRST_SHOP_ID = 12345
FIRST_TOKEN = "sandbox-token"  # noqa: S105 - opens nothing but the sandbox
FIRST_ORDER_ID = 15002
DOCUMENTED_CALLS = 80
"""Requests in a minute, as Selldone documents since June 2026 (selldone.md §6, §9)."""

_TEXTS = {
    "CAN_NOT_APPLY_CHANGE_ERROR": "The requested changes cannot be applied.",
    "ORDER_CANCELED_ERROR": "The order has been canceled.",
    "ORDER_ON_REJECT_PERIOD_ERROR": "The order is in the reject period.",
    "TOKEN_HAS_NO_ACCESS_ERROR": "The token has no access to this section.",
    "NOT_FOUND_SHOP_ERROR": "The shop was not found.",
    "NOT_FOUNT_BASKET_ERROR": "The order was not found.",
    "NOT_FOUNT_BASKET_ITEM_ERROR": "The order item was not found.",
}
_NOT_FOUND = frozenset({"NOT_FOUND_SHOP_ERROR", "NOT_FOUNT_BASKET_ERROR", "NOT_FOUNT_BASKET_ITEM_ERROR"})

# (what follows `baskets/{id}`, method) → step of the machine; the steps behind `state` differ by its body.
_ORDER_ROUTES = {
    ("", "GET"): "read",
    ("state", "POST"): "state",
    ("delivery-returned", "POST"): "return_delivery",
    ("tracking", "PUT"): "set_tracking",
    ("reject", "PUT"): "reject",
    ("reject", "DELETE"): "unreject",
}

_PLAIN: Mapping[str, Json] = {"state": "delivered"}
_TRACKED: Mapping[str, Json] = {
    "state": "shipped",
    "tracking": {"code": "1Z827WK74630", "url": "https://example.com/track/1Z827"},
}
WALK = Walk(
    moves=(
        Move("confirm", "OrderConfirm", _PLAIN),
        Move("prepare", "PreparingOrder", _PLAIN),
        Move("set_tracking", "PreparingOrder", _TRACKED),
        Move("send", "SentOrder", _PLAIN),
        Move("return_delivery", "PreparingOrder", _PLAIN),
        Move("send", "SentOrder", _PLAIN),
        Move("deliver", "ToCustomer", _PLAIN),
    ),
    delivered=("confirm", "prepare", "set_tracking", "send", "deliver"),
    variants={
        "milliseconds": Variant(SelldoneOptions(updated_at_unit="ms"), {"updated_at_unit": "ms"}),
        "in an envelope": Variant(SelldoneOptions(envelope="order", refusal="status")),
    },
)
"""What the first order can go through (selldone.md §5.2)."""


class SelldonePlatform(SimulatedShops[SelldoneShop, SelldonePanel]):
    """Simulated shops with ids from 12345 on, each with its own token."""

    name: ClassVar[str] = "selldone"
    options: ClassVar[type] = SelldoneOptions
    config_name: ClassVar[str] = "acme"
    _options: SelldoneOptions

    @staticmethod
    def with_real_limits(options: SelldoneOptions) -> SelldoneOptions:
        """As `SimulatedPlatform.with_real_limits`."""
        return replace(options, calls_per_minute=DOCUMENTED_CALLS)

    @staticmethod
    def walk() -> Walk:
        """As `SimulatedPlatform.walk`."""
        return WALK

    def stocked(self, n: int, stock: Stock) -> SelldoneShop:
        """As `SimulatedShops.stocked`."""
        token = FIRST_TOKEN if n == 0 else f"{FIRST_TOKEN}-{n + 1}"
        first_id = FIRST_ORDER_ID + n * ORDER_IDS_PER_SHOP
        return SelldoneShop.stocked(
            FIRST_SHOP_ID + n,
            token,
            self._clock,
            self._options,
            orders=stock.orders,
            seed=stock.seed,
            first_id=first_id,
        )

    def key_of(self, shop: SelldoneShop) -> str:
        """As `SimulatedShops.key_of`."""
        return str(shop.id)

    def panel_for(self, shop: SelldoneShop) -> SelldonePanel:
        """As `SimulatedShops.panel_for`."""
        return SelldonePanel(shop, self._ledger)

    def config_of(self, shop: SelldoneShop, address: str) -> dict[str, Json]:
        """As `SimulatedShops.config_of`."""
        del address
        return {"shop_id": shop.id, "token": shop.token}

    def states_of(self, shop: SelldoneShop) -> Mapping[int, str]:
        """As `SimulatedShops.states_of`."""
        return {
            order_id: "Canceled" if basket.status == "Canceled" else basket.state
            for order_id, basket in shop.baskets.items()
        }

    # -- requests --------------------------------------------------------------------------------------------------

    def open(self, incoming: Incoming) -> Operation:
        """As `SimulatedPlatform.open` (selldone.md §2). A request of a known token counts, whatever becomes of it."""
        operation, shop = self._route(incoming), self._owner(incoming)
        return operation if shop is None else shop.throttle.counted(operation)

    def _route(self, incoming: Incoming) -> Operation:
        match incoming.path.split("/"):
            case ["", "shops", shop, "process-center", "baskets-PHYSICAL"]:
                if incoming.method == "GET":
                    return Operation(shop, None, "list", partial(self._list, incoming, shop))
                return Operation(shop, None, "unknown", partial(_wrong_method, incoming, ("GET",)))
            case ["", "shops", shop, "process-center", "baskets", order, *rest] if len(rest) <= 1:
                return self._open_order(incoming, shop, order, rest[0] if rest else "")
            case _:
                return Operation("", None, "unknown", partial(_no_route, incoming))

    def _open_order(self, incoming: Incoming, shop: str, order: str, tail: str) -> Operation:
        step = _ORDER_ROUTES.get((tail, incoming.method))
        if step is None:
            allowed = tuple(method for name, method in _ORDER_ROUTES if name == tail)
            wrong = partial(_wrong_method, incoming, allowed) if allowed else partial(_no_route, incoming)
            return Operation(shop, order, "unknown", wrong)
        if step == "read":
            return Operation(shop, order, step, partial(self._read, incoming, shop, order))
        sent = parse_body(incoming.body)
        act = partial(self._write, incoming, shop, order, step, sent)
        if step == "state":
            step = STEP_OF.get(str(sent.get("state")), step)
        if step == "reject" and sent.get("express") is True:
            step = "cancel"
        return Operation(shop, order, step, act, sent)

    def _list(self, incoming: Incoming, shop_text: str) -> Reply:
        shop = self._authorize(incoming, shop_text)
        if isinstance(shop, Reply):
            return shop
        request = parse_list(incoming.query, self._options.updated_at_unit)
        if isinstance(request, Invalid):
            return _invalid(request)
        page, total = find_page(shop, request)
        orders = ",".join(basket.encode(request.parts) for basket in page)
        return Reply(200, f'{{"orders":[{orders}],"total":{total}}}'.encode())

    def _read(self, incoming: Incoming, shop_text: str, order: str) -> Reply:
        shop = self._authorize(incoming, shop_text)
        if isinstance(shop, Reply):
            return shop
        basket = _find(shop, order)
        if basket is None:
            return self._refused(Refused("NOT_FOUNT_BASKET_ERROR"))
        text = basket.encode()
        envelope = self._options.envelope
        return Reply(200, (text if envelope == "bare" else f'{{"{envelope}":{text}}}').encode())

    def _write(self, incoming: Incoming, shop_text: str, order: str, step: str, sent: dict[str, Json]) -> Reply:
        shop = self._authorize(incoming, shop_text)
        if isinstance(shop, Reply):
            return shop
        basket = _find(shop, order)
        if basket is None:
            return self._refused(Refused("NOT_FOUNT_BASKET_ERROR"))
        match perform(shop, basket, step, sent):
            case Accepted() as accepted:
                return Reply(
                    200,
                    encode(accepted.answer).encode(),
                    took_effect=accepted.changed,
                    reopens=accepted.reopens,
                    is_overwrite=accepted.is_overwrite,
                )
            case Refused() as refused:
                return self._refused(refused)
            case Invalid() as invalid:
                return _invalid(invalid)

    def _authorize(self, incoming: Incoming, shop_text: str) -> SelldoneShop | Reply:
        """The shop, if the token opens it: one token a shop (selldone.md §1, §6)."""
        owner = self._owner(incoming)
        if owner is None:
            return _json(401, {"message": "Unauthenticated."})
        shop = self.shops_by_key.get(shop_text)
        if shop is None:
            return self._refused(Refused("NOT_FOUND_SHOP_ERROR"))
        if shop is not owner:
            return _json(403, _error("TOKEN_HAS_NO_ACCESS_ERROR"))
        shop.settle_countdowns()
        return shop

    def _owner(self, incoming: Incoming) -> SelldoneShop | None:
        """The shop whose token the request carries."""
        scheme, _, token = incoming.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        return next((shop for shop in self.shops_by_key.values() if shop.token == token.strip()), None)

    def _refused(self, refused: Refused) -> Reply:
        """Ids that are unknown are 404; other refusals as the options say (selldone.md §6)."""
        body = _error(refused.constant)
        if refused.constant in _NOT_FOUND:
            return _json(404, body)
        match self._options.refusal:
            case "constant":
                return _json(200, body, in_sequence=refused.in_sequence)
            case "text":
                return _json(200, {**body, "error": True}, in_sequence=refused.in_sequence)
            case "status":
                return _json(422, body, in_sequence=refused.in_sequence)

    def throttled(self, wait_seconds: float) -> Reply:
        """As `SimulatedPlatform.throttled`: Laravel's throttle (selldone.md §6)."""
        return self.shop.throttle.refusal(Arrival(0, wait_seconds))

    def broken(self, status: int) -> Reply:
        """As `SimulatedPlatform.broken`: Laravel's own 500, a proxy's page for the rest."""
        if status == 500:
            return Reply(500, b'{"message":"Server Error"}')
        return gateway_page(status)


def _find(shop: SelldoneShop, order: str) -> Basket | None:
    return shop.baskets.get(int(order)) if _is_id(order) else None


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20


def _json(status: int, body: Json, *, in_sequence: bool = True) -> Reply:
    return Reply(status, encode(body).encode(), in_sequence=in_sequence)


def _error(constant: str) -> dict[str, Json]:
    return {"error": constant, "error_msg": _TEXTS[constant]}


def _invalid(invalid: Invalid) -> Reply:
    return _json(422, {"message": "The given data was invalid.", "errors": invalid.errors})


def _no_route(incoming: Incoming) -> Reply:
    return _json(404, {"message": f"The route {incoming.path.lstrip('/')} could not be found."})


def _wrong_method(incoming: Incoming, allowed: Sequence[str]) -> Reply:
    known = ", ".join(allowed)
    message = f"The {incoming.method} method is not supported for this route. Supported methods: {known}."
    reply = _json(405, {"message": message})
    return Reply(reply.status, reply.body, headers={"Allow": known})
