"""The simulated CloudSuite: its routes, tokens and errors over HTTP (cloudsuite.md §1, §2, §8).

What a write does is in `shop`, the XML calls are in `xml`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar
from urllib.parse import parse_qs

from orchestrator.sandbox.base import ORDER_IDS_PER_SHOP, SimulatedShops
from orchestrator.sandbox.cloudsuite import xml as cloudsuite_xml
from orchestrator.sandbox.cloudsuite.list import list_orders
from orchestrator.sandbox.cloudsuite.orders import CloudsuiteOrder, Json, encode
from orchestrator.sandbox.cloudsuite.panel import CloudsuitePanel
from orchestrator.sandbox.cloudsuite.shop import STEP_OF, Change, CloudsuiteOptions, CloudsuiteShop
from orchestrator.sandbox.platform import Incoming, Move, Operation, Reply, Stock, Variant, Walk, parse_object

FIRST_SECRET = "sandbox-password"  # noqa: S105 - opens nothing but the sandbox
FIRST_ORDER_ID = 900_012_345  # far from the ids of the other platforms: the ledger looks orders up by their id
PROXY_USER = 10
TOKEN_PATH = "/realms/CloudSuite-test/protocol/openid-connect/token"  # noqa: S105 - an address

Act = Callable[[CloudsuiteShop], Reply]

_PLAIN: Mapping[str, Json] = {"state": "delivered"}
_LINES: Json = [{"line": f"900012345{n}", "erp_line_number": 10 * (n + 1)} for n in range(3)]
_SLIP: Json = {
    "number": "PS-1",
    "tracking_code": "3SABC",
    "lines": [{"erp_line_number": 10, "quantity": 1}],
}
_CONFIRMED: Mapping[str, Json] = {
    "state": "sent",
    "erp_order_number": "ERP-2",
    "erp_lines": _LINES,
    "confirmation": "cxml",
}
WALK = Walk(
    moves=(
        Move("process", "processing", _PLAIN),
        Move("set_erp_number", "processing", {"state": "sent", "erp_order_number": "ERP-1"}),
        Move("set_erp_lines", "processing", {"state": "sent", "erp_lines": _LINES[:1]}),
        Move("confirm_order", "processing", _CONFIRMED),
        Move("send_despatch", "processing", {"state": "sent", "despatch": [_SLIP]}),
        Move("mark_sent", "sent", _PLAIN),
        Move("finish", "done", _PLAIN),
    ),
    delivered=("process", "mark_sent", "finish"),
    unseen=frozenset({"send_despatch"}),
    variants={
        "writes answer with what was sent": Variant(CloudsuiteOptions(writes_answer="echo", proxy_style="text")),
        "short pages": Variant(CloudsuiteOptions(max_limit=7)),
    },
)
"""What the first order can go through (cloudsuite.md §5, §6, §7)."""


class CloudsuitePlatform(SimulatedShops[CloudsuiteShop, CloudsuitePanel]):
    """Simulated accounts, each with one webshop (1, 2, …) and its own credentials."""

    name: ClassVar[str] = "cloudsuite"
    options: ClassVar[type] = CloudsuiteOptions
    config_name: ClassVar[str] = "cs"
    _options: CloudsuiteOptions

    @staticmethod
    def walk() -> Walk:
        """As `SimulatedPlatform.walk`."""
        return WALK

    def stocked(self, n: int, stock: Stock) -> CloudsuiteShop:
        """As `SimulatedShops.stocked`; webshops count from 1."""
        secret = FIRST_SECRET if n == 0 else f"{FIRST_SECRET}-{n + 1}"
        first = FIRST_ORDER_ID + n * ORDER_IDS_PER_SHOP
        return CloudsuiteShop.stocked(
            n + 1, secret, self._clock, self._options, orders=stock.orders, seed=stock.seed, first=first
        )

    def key_of(self, shop: CloudsuiteShop) -> str:
        """As `SimulatedShops.key_of`."""
        return str(shop.webshop)

    def panel_for(self, shop: CloudsuiteShop) -> CloudsuitePanel:
        """As `SimulatedShops.panel_for`."""
        return CloudsuitePanel(shop, self._ledger)

    def config_of(self, shop: CloudsuiteShop, address: str) -> dict[str, Json]:
        """As `SimulatedShops.config_of`."""
        return {
            "webshop": shop.webshop,
            "proxy_shop": shop.webshop,
            "proxy_user": PROXY_USER,
            "timezone": self._options.timezone,
            "credentials": {
                "client_id": shop.client_id,
                "client_secret": shop.client_secret,
                "token_url": f"{address}{TOKEN_PATH}",
            },
        }

    def states_of(self, shop: CloudsuiteShop) -> Mapping[int, str]:
        """As `SimulatedShops.states_of`."""
        return {order_id: order.state for order_id, order in shop.orders.items()}

    # -- requests --------------------------------------------------------------------------------------------------

    def open(self, incoming: Incoming) -> Operation:
        """As `SimulatedPlatform.open` (cloudsuite.md §2). Paths end with a slash."""
        shop = self._owner(incoming)
        method, path = incoming.method, incoming.path
        if path == TOKEN_PATH and method == "POST":
            return self._open_token(incoming)
        match path.split("/"):
            case ["", "api", "order", ""] if method == "GET":
                return self._operation(incoming, shop, None, "list", partial(_list, incoming.query))
            case ["", "api", "order", key, ""] if method == "GET":
                return self._operation(incoming, shop, key, "read", partial(_read, key))
            case ["", "api", "order", key, ""] if method in ("PATCH", "PUT"):
                return self._open_write(incoming, shop, key)
            case ["", "proxy", "des_adv_xml", "delivery", ""] if method == "POST":
                return self._open_slip(incoming, shop)
            case ["", "proxy", "oci_xml", "purchase", ""] if method == "POST":
                return self._open_confirmation(incoming, shop)
            case ["", "proxy", "v1", "orderstatus", ""] if method == "POST":
                return self._open_note(incoming, shop)
            case ["", "api", "order", *_]:
                return self._operation(incoming, shop, None, "unknown", lambda _: _detail(405, "Method not allowed."))
            case _:
                return self._operation(incoming, shop, None, "unknown", lambda _: _detail(404, "Not found."))

    def _operation(
        self,
        incoming: Incoming,
        shop: CloudsuiteShop | None,
        order: str | None,
        step: str,
        act: Act,
        sent: Json = None,
    ) -> Operation:
        """An operation that first checks whether the token is still valid."""
        scheme, _, token = incoming.headers.get("Authorization", "").partition(" ")

        def acted() -> Reply:
            if shop is None or not shop.is_valid(scheme.lower(), token):
                return _detail(401, "Authentication credentials were not provided or have expired.")
            return act(shop)

        return Operation(str(shop.webshop) if shop is not None else "", order, step, acted, sent)

    def _owner(self, incoming: Incoming) -> CloudsuiteShop | None:
        """Whose account a token belongs to, also an expired one."""
        token = incoming.headers.get("Authorization", "").partition(" ")[2]
        for shop in self.shops_by_key.values():
            if token.startswith(f"access-{shop.webshop}-") or token == shop.key:
                return shop
        return None

    def _open_token(self, incoming: Incoming) -> Operation:
        form = {name: values[0] for name, values in parse_qs(incoming.body.decode("utf-8", "replace")).items()}
        shop = next((s for s in self.shops_by_key.values() if s.client_id == form.get("client_id")), None)
        return Operation(str(shop.webshop) if shop is not None else "", None, "token", partial(_token, shop, form))

    def _open_write(self, incoming: Incoming, shop: CloudsuiteShop | None, key: str) -> Operation:
        sent = parse_object(incoming.body) or {}
        found = shop.find(key) if shop is not None else None
        order = str(found.id) if found is not None else key
        if incoming.method == "PUT":
            return self._operation(incoming, shop, order, "set_erp_lines", partial(_put, key, sent), sent)
        step = "state"
        if "state" in sent:
            step = STEP_OF.get(str(sent["state"]), "state")
        elif "shipment_state" in sent:
            step = "mark_sent"
        elif "erp_order_number" in sent:
            step = "set_erp_number"
        return self._operation(incoming, shop, order, step, partial(_patch, key, sent), sent)

    def _open_slip(self, incoming: Incoming, shop: CloudsuiteShop | None) -> Operation:
        sent: dict[str, Json] = {}
        refusal = None
        try:
            sent = cloudsuite_xml.parse_slip(incoming.body)
        except cloudsuite_xml.Refusal as error:
            refusal = str(error)
        order = shop.find_by_number(sent["items"][0]["OrderNum"]) if shop is not None and sent else None

        def act(owner: CloudsuiteShop) -> Reply:
            return _proxied(incoming, owner, refusal, lambda: cloudsuite_xml.take_slip(owner, order, sent))

        return self._operation(incoming, shop, _id(order), "send_despatch", act, sent)

    def _open_confirmation(self, incoming: Incoming, shop: CloudsuiteShop | None) -> Operation:
        sent: dict[str, Json] = {}
        refusal = None
        try:
            sent = cloudsuite_xml.parse_confirmation(incoming.body)
        except cloudsuite_xml.Refusal as error:
            refusal = str(error)
        order = shop.find_by_number(str(sent.get("reference") or sent.get("order_id"))) if shop is not None else None

        def act(owner: CloudsuiteShop) -> Reply:
            return _proxied(incoming, owner, refusal, lambda: cloudsuite_xml.take_confirmation(owner, order, sent))

        return self._operation(incoming, shop, _id(order), "confirm_order", act, sent)

    def _open_note(self, incoming: Incoming, shop: CloudsuiteShop | None) -> Operation:
        sent = parse_object(incoming.body) or {}
        order = shop.find_by_number(str(sent.get("CloudsuiteOrderId", ""))) if shop is not None else None

        def act(owner: CloudsuiteShop) -> Reply:
            if order is None or not sent.get("state"):
                return _json(400, {"non_field_errors": ["CloudsuiteOrderId and state are required."]})
            if _query(incoming).get("shop") != str(owner.webshop):
                return _detail(403, "You do not have permission to perform this action.")
            order.timeline.append(sent)
            return Reply(200, b"{}", took_effect=True, is_overwrite=True)

        return self._operation(incoming, shop, _id(order), "note", act, sent)

    def throttled(self, wait_seconds: float) -> Reply:
        """As `SimulatedPlatform.throttled`."""
        seconds = math.ceil(wait_seconds)
        reply = _detail(429, f"Request was throttled. Expected available in {seconds} seconds.")
        return Reply(reply.status, reply.body, headers={"Retry-After": str(seconds)})

    def broken(self, status: int) -> Reply:
        """As `SimulatedPlatform.broken`: the framework's own page."""
        return Reply(status, b"<h1>Server Error (500)</h1>", headers={"Content-Type": "text/html"})


def _list(query: str, shop: CloudsuiteShop) -> Reply:
    page = list_orders(shop, query)
    return _json(400, page) if isinstance(page, dict) else Reply(200, page)


def _read(key: str, shop: CloudsuiteShop) -> Reply:
    order = shop.find(key)
    return _detail(404, "Not found.") if order is None else Reply(200, order.detail().encode())


def _patch(key: str, sent: dict[str, Json], shop: CloudsuiteShop) -> Reply:
    order = shop.find(key)
    if order is None:
        return _detail(404, "Not found.")
    return _changed(shop, order, sent, shop.patch(order, sent))


def _put(key: str, sent: dict[str, Json], shop: CloudsuiteShop) -> Reply:
    if not (key.isascii() and key.isdecimal() and len(key) < 20):
        return _detail(404, "Not found.")
    change = shop.put(int(key), sent)
    if isinstance(change, dict):
        return _json(400, change)
    return _changed(shop, shop.orders[int(key)], sent, change)


def _changed(
    shop: CloudsuiteShop, order: CloudsuiteOrder, sent: dict[str, Json], change: Change | dict[str, list[str]]
) -> Reply:
    if isinstance(change, dict):
        return _json(400, change)
    body = {"order": order.detail(), "echo": encode(sent), "nothing": ""}[shop.options.writes_answer]
    return Reply(
        201 if change.is_new else 200,
        body.encode(),
        took_effect=change.changed,
        in_sequence=change.in_sequence,
        is_overwrite="state" not in sent or "order_lines" in sent,
    )


def _proxied(incoming: Incoming, shop: CloudsuiteShop, refusal: str | None, take: Callable[[], bool | None]) -> Reply:
    query = _query(incoming)
    if query.get("shop") != str(shop.webshop) or query.get("user") != str(PROXY_USER):
        return _detail(403, "You do not have permission to perform this action.")
    changed: bool | None = False
    if refusal is None:
        try:
            changed = take()
        except cloudsuite_xml.Refusal as error:
            refusal = str(error)
    style, is_xml = shop.options.proxy_style, shop.options.proxy_style == "xml"
    headers = {"Content-Type": "application/xml" if is_xml else "text/plain"}
    if refusal is None:
        body = cloudsuite_xml.answer(style, None)
        return Reply(200, body, took_effect=changed is not False, is_overwrite=True, headers=headers)
    is_duplicate = "already" in refusal
    status = 200 if is_duplicate and shop.options.is_duplicate_ok_status else 400
    body = cloudsuite_xml.answer(style, refusal)
    return Reply(status, body, in_sequence="ItemNum" not in refusal, headers=headers)


def _token(shop: CloudsuiteShop | None, form: dict[str, str]) -> Reply:
    """Keycloak's answers (cloudsuite.md §8)."""
    if form.get("grant_type") != "client_credentials" or form.get("scope") != "openid":
        return _json(400, {"error": "unsupported_grant_type", "error_description": "Unsupported grant_type"})
    if shop is None or form.get("client_secret") != shop.client_secret:
        words = "Invalid client or Invalid client credentials"
        return _json(401, {"error": "invalid_client", "error_description": words})
    life = shop.options.token_seconds
    return _json(200, {"access_token": shop.issue(), "expires_in": life, "token_type": "Bearer", "scope": "openid"})


def _query(incoming: Incoming) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(incoming.query).items()}


def _id(order: CloudsuiteOrder | None) -> str | None:
    return None if order is None else str(order.id)


def _json(status: int, body: Json) -> Reply:
    return Reply(status, encode(body).encode())


def _detail(status: int, words: str) -> Reply:
    return _json(status, {"detail": words})
