"""The simulated xSale: login, organizations, statuses, lists, orders and the change of a status over HTTP.

Facts: xsale.md §1, §2, §6. As strict as they allow: both tokens on every call, ids of the organization's own,
parameters and bodies in the one coding that it understands.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from orchestrator.sandbox.base import ORDER_IDS_PER_SHOP, SimulatedShops, gateway_page
from orchestrator.sandbox.platform import Incoming, Move, Operation, Reply, Stock, Variant, Walk, parse_object
from orchestrator.sandbox.xsale.account import AUDIENCE, log_in, organizations, owner
from orchestrator.sandbox.xsale.list import find_orders
from orchestrator.sandbox.xsale.panel import XsalePanel
from orchestrator.sandbox.xsale.press import Json, Order, encode
from orchestrator.sandbox.xsale.shop import XsaleOptions, XsaleShop

FIRST_ORDER_ID = 700_040_001
_LOGIN = "/oauth/token"
_DENIED = b'{"Message":"Authorization has been denied for this request."}'

_PLAIN: Mapping[str, Json] = {"state": "delivered"}
WALK = Walk(
    moves=(
        Move("change_status", "Zaimportowano do ERP", _PLAIN),
        Move("change_status", "Do obsługi ręcznej", {"state": "attention", "reason": "no such article"}),
        Move("change_status", "W trakcie realizacji", {"state": "W trakcie realizacji"}),
        Move("change_status", "Przygotowywane do wysyłki", _PLAIN),
        Move("change_status", "Wysłane", _PLAIN),
        Move("change_status", "Zrealizowane", _PLAIN),
    ),
    delivered=("change_status",) * 5,
    lists_all_work=True,
    refuses_nothing=True,
    variants={
        "pages, in an envelope": Variant(
            XsaleOptions(paging="limit_offset", page_cap=7, envelope="Data", array_style="comma", reply="order"),
            {"paging": "limit_offset", "envelope": "Data", "array_style": "comma"},
        ),
        "statuses as objects": Variant(
            XsaleOptions(paging="page", array_style="json", status_shape="object", status_body="bare"),
            {"paging": "page", "array_style": "json", "status_body": "bare"},
        ),
    },
)
"""What the first order can go through (xsale.md §5)."""


class XsalePlatform(SimulatedShops[XsaleShop, XsalePanel]):
    """Simulated organizations, each with an account of its own."""

    name: ClassVar[str] = "xsale"
    options: ClassVar[type] = XsaleOptions
    config_name: ClassVar[str] = "xs"
    _options: XsaleOptions

    @staticmethod
    def walk() -> Walk:
        """As `SimulatedPlatform.walk`."""
        return WALK

    def stocked(self, n: int, stock: Stock) -> XsaleShop:
        """As `SimulatedShops.stocked`."""
        first_id = FIRST_ORDER_ID + n * ORDER_IDS_PER_SHOP
        return XsaleShop.stocked(
            n, _account(n), self._clock, self._options, orders=stock.orders, seed=stock.seed, first_id=first_id
        )

    def key_of(self, shop: XsaleShop) -> str:
        """As `SimulatedShops.key_of`."""
        return shop.organization

    def panel_for(self, shop: XsaleShop) -> XsalePanel:
        """As `SimulatedShops.panel_for`."""
        return XsalePanel(shop, self._ledger)

    def config_of(self, shop: XsaleShop, address: str) -> dict[str, Json]:
        """As `SimulatedShops.config_of`."""
        credentials = {**shop.account, "login_url": f"{address}{_LOGIN}", "audience": AUDIENCE}
        return {"organization": shop.organization, "credentials": credentials}

    def states_of(self, shop: XsaleShop) -> Mapping[int, str]:
        """As `SimulatedShops.states_of`."""
        return {order_id: shop.statuses.get(order.status, str(order.status)) for order_id, order in shop.orders.items()}

    def summary(self) -> dict[str, Json]:
        """Orders by status, and how often automations fired."""
        automations = [each for shop in self.shops_by_key.values() for each in shop.automations]
        repeated = sum(each.is_repeat for each in automations)
        return {**super().summary(), "automations": len(automations), "automations_repeated": repeated}

    # -- requests --------------------------------------------------------------------------------------------------

    def open(self, incoming: Incoming) -> Operation:
        """As `SimulatedPlatform.open` (xsale.md §2). Logins are in the ledger as `login`, without what they sent."""
        match incoming.method, incoming.path.split("/"):
            case "POST", ["", "oauth", "token"]:
                return Operation("login", None, "login", partial(log_in, self.shops_by_key.values(), incoming.body))
            case "GET", ["", "me"]:
                return Operation("me", None, "me", partial(self._me, incoming))
            case "GET", ["", name, "statuses"]:
                return Operation(name, None, "statuses", partial(self._statuses, incoming, name))
            case "GET", ["", name, "orders"]:
                return Operation(name, None, "list", partial(self._list, incoming, name))
            case "GET", ["", name, "orders", order] if self._options.has_single_get:
                return Operation(name, order, "read", partial(self._read, incoming, name, order))
            case "PUT", ["", name, "orders", order, "change-status"]:
                act = partial(self._change, incoming, name, order)
                return Operation(name, order, "change_status", act, _any_json(incoming.body))
            case _, ["", name, *_]:
                return Operation(name, None, "unknown", _not_found)
            case _:
                return Operation("", None, "unknown", _not_found)

    def _me(self, incoming: Incoming) -> Reply:
        shop = owner(self.shops_by_key.values(), incoming.headers)
        return Reply(401, _DENIED) if shop is None else _json(200, organizations(shop))

    def _statuses(self, incoming: Incoming, name: str) -> Reply:
        shop = self._authorize(incoming, name)
        if isinstance(shop, Reply):
            return shop
        rows = [
            encode({"Id": status_id, "Name": label, "Description": None, "Color": None})
            for status_id, label in shop.statuses.items()
        ]
        return self._rows(rows)

    def _list(self, incoming: Incoming, name: str) -> Reply:
        shop = self._authorize(incoming, name)
        if isinstance(shop, Reply):
            return shop
        found = find_orders(shop, incoming.query)
        if isinstance(found, dict):
            return _invalid(found)
        return self._rows([shop.encode(order) for order in found])

    def _read(self, incoming: Incoming, name: str, order_text: str) -> Reply:
        found = self._authorized_order(incoming, name, order_text)
        return found if isinstance(found, Reply) else Reply(200, found[0].encode(found[1]).encode())

    def _change(self, incoming: Incoming, name: str, order_text: str) -> Reply:
        """Any known status is taken; whether that was in sequence only the ledger says."""
        found = self._authorized_order(incoming, name, order_text)
        if isinstance(found, Reply):
            return found
        shop, order = found
        key = self._options.status_body
        sent = _any_json(incoming.body)
        status_id = sent if key == "bare" else sent.get(key) if isinstance(sent, dict) else None
        if type(status_id) is not int:
            return _invalid({key: [f"The {key} field is required."]})
        if status_id not in shop.statuses:
            return _invalid({key: ["Status does not exist."]})
        if self._options.reply == "lie":
            return Reply(200, b'{"Success":true}')
        in_sequence = shop.change_status(order, status_id)
        body = {"nothing": "", "true": "true", "order": shop.encode(order)}[self._options.reply]
        status = 200 if body else 204
        return Reply(status, body.encode(), took_effect=True, in_sequence=in_sequence, is_overwrite=True)

    def _authorize(self, incoming: Incoming, name: str) -> XsaleShop | Reply:
        """The organization, if both tokens are good and it is one of the account's."""
        shop = owner(self.shops_by_key.values(), incoming.headers)
        if shop is None:
            return Reply(401, _DENIED)
        return shop if shop.organization == name else _not_found()

    def _authorized_order(self, incoming: Incoming, name: str, order_text: str) -> tuple[XsaleShop, Order] | Reply:
        shop = self._authorize(incoming, name)
        if isinstance(shop, Reply):
            return shop
        order = shop.orders.get(int(order_text)) if order_text.isdecimal() and len(order_text) < 20 else None
        return _not_found() if order is None else (shop, order)

    def _rows(self, rows: list[str]) -> Reply:
        text = f"[{','.join(rows)}]"
        envelope = self._options.envelope
        return Reply(200, (text if envelope == "bare" else f'{{"{envelope}":{text}}}').encode())

    def throttled(self, wait_seconds: float) -> Reply:
        """As `SimulatedPlatform.throttled` (xsale.md §6)."""
        headers = {"Retry-After": str(math.ceil(wait_seconds))}
        return Reply(429, b'{"Message":"API calls quota exceeded."}', headers=headers)

    def broken(self, status: int) -> Reply:
        """As `SimulatedPlatform.broken`: ASP.NET's own 500, a gateway's page for the rest."""
        if status == 500:
            return Reply(500, b'{"Message":"An error has occurred."}')
        return gateway_page(status)


def _account(n: int) -> dict[str, str]:
    return {
        "client_id": f"sandbox-client-{n + 1}",
        "client_secret": f"sandbox-client-secret-{n + 1}",
        "username": f"erp{n + 1}@example.com",
        "password": f"sandbox-password-{n + 1}",
    }


def _any_json(body: bytes) -> Json:
    """The JSON value of a body, None where it is not JSON."""
    if body.lstrip()[:1] == b"{":
        return parse_object(body)
    try:
        return json.loads(body)
    except ValueError:
        return None


def _json(status: int, body: Json) -> Reply:
    return Reply(status, encode(body).encode())


def _invalid(errors: dict[str, list[str]]) -> Reply:
    """As ASP.NET reports what is wrong with a request (samples: error_problem_assumed)."""
    return _json(
        400,
        {
            "type": "https://tools.ietf.org/html/rfc7231#section-6.5.1",
            "title": "One or more validation errors occurred.",
            "status": 400,
            "errors": errors,
        },
    )


def _not_found() -> Reply:
    return Reply(404, b'{"Message":"Not found."}')
