"""The simulated WooCommerce: orders, notes, refunds, tracking and webhooks over HTTP (facts: woocommerce.md).

Each shop is a WordPress in a folder of its own. Statuses are labels: no known one is refused. What a client may do
nevertheless is judged here, by the way that orders go (§4).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from hashlib import blake2b
from typing import ClassVar, TypeAlias
from urllib.parse import parse_qsl, urlencode

from orchestrator.clock import Clock
from orchestrator.sandbox.base import ORDER_IDS_PER_SHOP, answer, basic, encode, gateway_page, number_in
from orchestrator.sandbox.faults import FaultPlan
from orchestrator.sandbox.platform import (
    Incoming,
    Json,
    Move,
    Operation,
    Reply,
    Variant,
    Walk,
    checked_ms,
    parse_object,
)
from orchestrator.sandbox.registry import Registered, RegistrySender, WebhookRegistry
from orchestrator.sandbox.shelf import Shelf, ShelfOffice, ShelfPlatform
from orchestrator.sandbox.webhooks import Delivery, sign

_UNPAID = ("pending", "failed", "on-hold", "checkout-draft")
_OVER = ("completed", "cancelled", "refunded", "trash")
_VAT = Decimal("0.19")
_SORTS = {"date": "date_created_gmt", "modified": "date_modified_gmt", "id": "id"}
_BOUNDS = {"modified_after": "modified", "modified_before": "modified", "after": "created", "before": "created"}
_TOPICS = {
    f"{thing}.{event}" for thing in ("order", "product") for event in ("created", "updated", "deleted", "restored")
}
_ADDRESS = """{"first_name": "Ada", "last_name": "Łoś", "company": "", "address_1": "Prosta 5", "address_2": "",
"city": "Kraków", "state": "", "postcode": "31-001", "country": "PL", "phone": "+48600000000"}"""
_ORDER = f"""{{"parent_id": 0, "currency": "EUR", "version": "10.4.0", "created_via": "checkout", "customer_id": 0,
"prices_include_tax": false, "customer_note": "Ring twice.", "payment_method": "stripe", "transaction_id": "ch_1",
"payment_method_title": "Card", "billing": {_ADDRESS[:-1]}, "email": "ada@example.com"}}, "shipping": {_ADDRESS},
"date_completed": null, "date_completed_gmt": null, "cart_hash": "", "meta_data": [], "line_items": [{{"id": 1,
"name": "Mug", "product_id": 93, "variation_id": 0, "quantity": 2, "tax_class": "", "sku": "MUG", "meta_data": []}},
{{"id": 2, "name": "Shirt - M", "product_id": 22, "variation_id": 23, "quantity": 1, "tax_class": "", "sku": "SHIRT-M",
"subtotal": "15.00", "total": "15.00", "price": 15, "meta_data": [{{"id": 7, "key": "pa_size", "value": "m"}}]}}],
"shipping_lines": [{{"id": 3, "method_title": "Parcels", "method_id": "flat_rate", "total": "4.90", "meta_data": []}}],
"fee_lines": [{{"id": 4, "name": "Gift wrap", "tax_class": "", "tax_status": "taxable", "total": "2.00"}}],
"coupon_lines": [{{"id": 5, "code": "five", "discount": "5.00", "discount_tax": "0.95"}}], "tax_lines": [{{"id": 6,
"rate_code": "PL-VAT", "rate_id": 75, "label": "VAT", "compound": false, "rate_percent": 19}}]}}"""

_Call: TypeAlias = tuple[str, str | None, Callable[[], Reply]]


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """`has_tracking`: Shipment Tracking is installed. `is_plain`: plain permalinks. `statuses`: own ones, as orders
    have them one after another between processing and completed. `zone_hours`: of the site, east of Greenwich.
    `hidden`: places in lists whose rows the key's user may not read: they are counted and left out (§2)."""

    has_tracking: bool = True
    is_plain: bool = False
    statuses: tuple[str, ...] = ()
    zone_hours: int = 2
    hidden: frozenset[int] = frozenset()


WALK = Walk(
    moves=(
        Move("change_status", "completed", {"state": "delivered"}),
        Move("set_tracking", "completed", {"state": "delivered", "tracking": {"code": "1Z-A", "carrier": "UPS"}}),
    ),
    delivered=("set_tracking", "change_status"),
    unseen=frozenset({"set_tracking"}),
    refuses_nothing=True,
    variants={
        "tracking by note": Variant(SandboxOptions(has_tracking=False), {"tracking": "note"}),
        "plain permalinks": Variant(SandboxOptions(is_plain=True), {"permalinks": "plain"}),
        "own statuses": Variant(
            SandboxOptions(statuses=("packed", "sent")),
            {"statuses": {"preparing": "packed", "shipped": "sent"}},
            (
                Move("change_status", "packed", {"state": "preparing"}),
                Move("set_tracking", "packed", {"state": "shipped", "tracking": {"code": "1Z-A"}}),
                Move("change_status", "sent", {"state": "shipped"}),
                Move("change_status", "completed", {"state": "delivered"}),
            ),
        ),
    },
)


class Shop(Shelf):
    """One shop. `beside`: notes, trackings and refunds of its orders, newest first. `was`: the statuses of orders that
    are in the trash. `home`: its address, as it was last asked for. `states`: in the sequence of an order's life."""

    def __init__(self, options: SandboxOptions, clock: Clock, folder: str, secret: str, first_id: int) -> None:
        super().__init__(clock, folder, secret, first_id)
        self.options, self.home, self.webhooks = options, "", WebhookRegistry(self._webhook, _ping)
        self.states = (*_UNPAID[:3], "processing", *options.statuses, *_OVER[:3])
        tracking = (("wc-shipment-tracking", "shipment-trackings"),) if options.has_tracking else ()
        self.rooms = (("wc", "notes"), ("wc", "refunds"), *tracking)
        self.beside: dict[tuple[str, int], list[dict[str, Json]]] = defaultdict(list)
        self.was: dict[int, str] = {}

    def add(self, at_ms: int, **fields: Json) -> int:
        """As `Shelf.add`."""
        order_id, order = self.next_id(), json.loads(_ORDER) | {"status": "processing", **fields}
        for name in ("created", "modified", "paid"):
            order |= self.at(name, at_ms)
        if order["status"] in _UNPAID:
            order |= {"date_paid": None, "date_paid_gmt": None, "transaction_id": ""}
        self.orders[order_id] = {"id": order_id, "number": str(order_id), **order, **_sums(order)}
        self.webhooks.notify("order.created", order_id)
        return order_id

    def at(self, name: str, ms: int | None = None) -> dict[str, str]:
        """A stamp: whole seconds, in the site's zone and in GMT."""
        at = datetime.fromtimestamp((self.clock.now_ms() if ms is None else ms) // 1000, UTC)
        local = at + timedelta(hours=self.options.zone_hours)
        return {f"date_{name}": local.isoformat()[:19], f"date_{name}_gmt": at.isoformat()[:19]}

    def save(self, order: dict[str, Json], state: str | None = None) -> None:
        """As `Shelf.save`, with what a change of status brings."""
        order["status"] = state or order["status"]
        if state is not None:
            self.was.pop(order["id"], None)
        if state == "processing" and order["date_paid"] is None:
            order |= {**self.at("paid"), "transaction_id": "ch_1"}
        if state == "completed":
            order |= self.at("completed")
        if state == "refunded" and (rest := self.kept(order)):
            self.put("refunds", order["id"], amount=str(rest), reason="Order fully refunded.")
        order |= self.at("modified")
        self.webhooks.notify("order.updated", order["id"])

    def view(self, order: Mapping[str, Json]) -> Json:
        """As `Shelf.view`."""
        rows = self.beside["refunds", order["id"]]
        refunds = [{"id": row["id"], "reason": row["reason"], "total": f"-{row['amount']}"} for row in rows]
        parcels = [_kept_parcel(row) for row in self.beside["shipment-trackings", order["id"]]]
        meta = [{"id": 8, "key": "_wc_shipment_tracking_items", "value": parcels}] if parcels else []
        return {**order, "refunds": refunds, "meta_data": [*order["meta_data"], *meta]}

    def kept(self, order: Mapping[str, Json]) -> Decimal:
        """The money that was not given back."""
        return Decimal(order["total"]) - sum(Decimal(row["amount"]) for row in self.beside["refunds", order["id"]])

    def put(self, what: str, order_id: int, **fields: Json) -> dict[str, Json]:
        """One more of `beside`."""
        row = {"id": self.next_id(), **self.at("created"), **fields}
        self.beside[what, order_id].insert(0, row)
        return row

    # -- webhooks --------------------------------------------------------------------------------------------------

    def _webhook(self, asked: Registered, order_id: int) -> Delivery:
        """The order as it is by then; of one in the trash its id (§6)."""
        topic, number = asked.fields["topic"], asked.fields["id"]
        body = encode({"id": order_id}).encode() if topic == "order.deleted" else self._read(order_id).body
        second = blake2b(f"{number} {self.clock.now_ms() // 1000}".encode(), digest_size=16).hexdigest()
        words = {"Source": self.home, "Topic": topic, "Resource": topic.split(".")[0], "Event": topic.split(".")[1]}
        words |= {"Signature": sign(body, asked.secret), "ID": str(number), "Delivery-ID": second}
        headers = {f"X-WC-Webhook-{name}": value for name, value in words.items()}
        return Delivery(topic, body, {"Content-Type": "application/json", **headers})

    def _webhooks(self, method: str, path: list[str], query: Mapping[str, str], sent: Mapping[str, Json]) -> Reply:
        kept, number = self.webhooks.kept, number_in(path[0]) or 0 if path else 0
        if path and number not in kept:
            return _error(404 if method == "DELETE" else 400, "woocommerce_rest_shop_webhook_invalid_id")
        match method:
            case "GET" if path:
                return answer(200, kept[number].fields)
            case "GET":
                return self._page(sorted(kept, reverse=True), query, lambda n: encode(kept[n].fields))
            case "DELETE" if query.get("force") == "true":
                return answer(200, kept.pop(number).fields)
            case "DELETE":
                return _error(501, "woocommerce_rest_trash_not_supported")
        names = ("name", "topic", "delivery_url", *(("status",) if path else ()))
        made = {"id": self.next_id(), "name": "Webhook", "status": "active", **self.at("created")}
        fields = {**(kept[number].fields if path else made), **{name: sent[name] for name in names if name in sent}}
        if fields.get("topic") not in _TOPICS:
            return _error(400, "woocommerce_rest_shop_webhook_invalid_topic")
        if not str(fields.get("delivery_url")).startswith(("http://", "https://")):
            return _error(400, "woocommerce_rest_shop_webhook_invalid_delivery_url")
        self.webhooks.put(fields := {**fields, **self.at("modified")}, sent.get("secret"))
        return answer(200 if path else 201, fields)

    # -- calls -----------------------------------------------------------------------------------------------------

    def call(self, method: str, path: list[str], query: Mapping[str, str], sent: Mapping[str, Json]) -> _Call:
        """The step that a request is, the order that it is about, and what does it."""
        match method, path:
            case "GET", ["wc", "v3", "orders"]:
                return "list", None, partial(self._list, query)
            case _, ["wc", "v3", "webhooks", *rest]:
                return "webhooks", None, partial(self._webhooks, method, rest, query, sent)
            case "GET", ["wc", "v3", "orders", order]:
                return "read", order, partial(self._read, number_in(order) or 0)
            case "PUT" | "POST" | "PATCH", ["wc", "v3", "orders", order]:
                step = "cancel" if sent.get("status") == "cancelled" else "change_status"
                return step, order, partial(self._change, number_in(order) or 0, sent)
            case "GET" | "POST", [room, "v3", "orders", order, what] if (room, what) in self.rooms:
                if (method, what) != ("POST", "refunds"):
                    step = "read" if method == "GET" else "set_tracking"
                    return step, order, partial(self._beside, method, what, number_in(order) or 0, sent)
        return "unknown", None, partial(_error, 404, "rest_no_route")

    def _list(self, query: Mapping[str, str]) -> Reply:
        """A page of orders (§2)."""
        wanted, known = set(query.get("status", "any").split(",")), {"any", "trash", "checkout-draft", *self.states}
        by, gmt = query.get("orderby", "date"), "_gmt" if query.get("dates_are_gmt") in ("true", "1") else ""
        bounds = {name: self._stamp_of(query[name]) for name in _BOUNDS if name in query}
        bad = [name for name, bound in bounds.items() if bound is None]
        if bad or by not in _SORTS or not wanted <= known:
            return _invalid([*bad, *([] if by in _SORTS else ["orderby"]), "status"][0])
        found = [
            o for o in self.orders.values() if o["status"] in (wanted if "any" not in wanted else known - {"trash"})
        ]
        for name, bound in bounds.items():
            field = f"date_{_BOUNDS[name]}{gmt}"
            found = [o for o in found if (o[field] > bound if name.endswith("after") else o[field] < bound)]
        found.sort(key=lambda o: (o[_SORTS[by]], o["id"]), reverse=query.get("order") != "asc")
        return self._page([o["id"] for o in found], query, self.shown)

    def _stamp_of(self, text: str) -> str | None:
        """A stamp as lists compare it: one with a zone is turned into the site's. None: it is invalid."""
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return None
        zone = timezone(timedelta(hours=self.options.zone_hours))
        return (at if at.tzinfo is None else at.astimezone(zone)).isoformat()[:19]

    def _page(self, ids: list[int], query: Mapping[str, str], shown: Callable[[int], str]) -> Reply:
        size, page = number_in(query.get("per_page", "10")) or 0, number_in(query.get("page", "1")) or 0
        if not 1 <= size <= 100 or not page:
            return _invalid("per_page" if page else "page")
        start = number_in(query["offset"]) or 0 if "offset" in query else (page - 1) * size
        headers = {"X-WP-Total": str(len(ids)), "X-WP-TotalPages": str(-(-len(ids) // size))}
        if start + size < len(ids):
            headers["Link"] = f'<{self.home}wp-json/wc/v3/orders?{urlencode({**query, "page": page + 1})}>; rel="next"'
        rows = [shown(ids[n]) for n in range(start, min(start + size, len(ids))) if n not in self.options.hidden]
        return Reply(200, f"[{','.join(rows)}]".encode(), headers=headers)

    def _read(self, order_id: int) -> Reply:
        return Reply(200, self.shown(order_id).encode()) if order_id in self.orders else _no_order(404)

    def _change(self, order_id: int, sent: Mapping[str, Json]) -> Reply:
        """Sets a status (§5). Whether that was in sequence only the ledger says."""
        order, status = self.orders.get(order_id), sent.get("status")
        if status is not None and status not in self.states:
            return _invalid("status")
        if order is None:
            return _no_order(400)
        before, is_new = order["status"], status not in (None, order["status"])
        in_turn = not is_new or (before not in _OVER and self.states.index(status) > self.states.index(before))
        self.save(order, status if is_new else None)
        return Reply(200, self.shown(order_id).encode(), took_effect=is_new, in_sequence=in_turn, is_overwrite=True)

    def _beside(self, method: str, what: str, order_id: int, sent: Mapping[str, Json]) -> Reply:
        """An order's notes, refunds or trackings, or one more: what is sent twice is there twice (§5, §5.1)."""
        if order_id not in self.orders:
            return _error(404, "woocommerce_rest_order_invalid_id")
        if method == "GET":
            return answer(200, self.beside[what, order_id])
        if (needed := "note" if what == "notes" else "tracking_number") not in sent:
            return _error(400, "rest_missing_callback_param", params=[needed])
        if what == "notes":
            given = {"author": "fulfilld", "note": sent["note"], "customer_note": sent.get("customer_note") is True}
        else:
            given = {"tracking_provider": sent.get("custom_tracking_provider") or sent.get("tracking_provider", "")}
            given |= {name: sent.get(name, "") for name in ("tracking_number", "date_shipped")}
            given |= {"tracking_id": f"{self.next_id():032x}", "tracking_link": sent.get("custom_tracking_link", "")}
            self.save(self.orders[order_id])
        row = self.put(what, order_id, **given)
        return answer(201, row, took_effect=True, is_overwrite=True)


class Office(ShelfOffice[Shop]):
    """What staff and buyers do in a shop."""

    reopens: ClassVar = ("change_status", "cancel")

    def edit(self, order: str, receiver_name: str) -> str:
        """Corrects the receiver."""
        first, _, last = receiver_name.partition(" ")
        return self._changed(order, shipping={**self._order(order)["shipping"], "first_name": first, "last_name": last})

    def edit_line(self, order: str, quantity: int) -> str:
        """Changes how many of the first line there are."""
        self._order(order)["line_items"][0]["quantity"] = quantity
        return self._changed(order, **_sums(self._order(order)))

    def cancel(self, order: str) -> str:
        """Cancels."""
        return self.move(order, "cancelled")

    def pay(self, order: str) -> str:
        """The money comes, where it is still waited for (§4)."""
        is_due = self._order(order)["status"] in (*_UNPAID, "cancelled")
        return self.move(order, "processing") if is_due else order

    def refund(self, order: str, amount: str | None = None) -> str:
        """Gives money back, all that is left by default."""
        if amount is None or Decimal(amount) >= self.shop.kept(self._order(order)):
            return self.move(order, "refunded")
        self.shop.put("refunds", self._order(order)["id"], amount=amount, reason="Damaged")
        return self._changed(order)

    def note(self, order: str, text: str) -> str:
        """Writes a note for the buyer: no change of the order."""
        self.shop.put("notes", self._order(order)["id"], author="admin", note=text, customer_note=True)
        return order

    def trash(self, order: str) -> str:
        """Puts the order into the trash; its stamps stay."""
        found = self._order(order)
        self.shop.was[found["id"]], found["status"] = found["status"], "trash"
        self.shop.webhooks.notify("order.deleted", found["id"])
        return order

    def restore(self, order: str) -> str:
        """Takes it out again."""
        found = self._order(order)
        found["status"] = self.shop.was.pop(found["id"], found["status"])
        self.shop.webhooks.notify("order.restored", found["id"])
        return order

    def backdate(self, order: str, to: str | int) -> str:
        """The order was made at another time (ISO 8601, or Unix milliseconds)."""
        self._order(order).update(self.shop.at("created", to if isinstance(to, int) else checked_ms({"to": to})))
        return order


class WooCommercePlatform(ShelfPlatform[Shop, Office]):
    """Simulated shops, each in a folder and with a key of its own."""

    name: ClassVar[str] = "woocommerce"
    options: ClassVar[type] = SandboxOptions
    config_name: ClassVar[str] = "woo"
    office: ClassVar = Office

    @staticmethod
    def walk() -> Walk:
        """As `SimulatedPlatform.walk`."""
        return WALK

    def shop_of(self, n: int) -> Shop:
        """As `ShelfPlatform.shop_of`."""
        first_id = 520_000_001 + n * ORDER_IDS_PER_SHOP
        return Shop(self._options, self._clock, f"shop-{n + 1}", f"cs_sandbox-secret-{n + 1}", first_id)

    def config_of(self, shop: Shop, address: str) -> dict[str, Json]:
        """As `SimulatedShops.config_of`."""
        credentials = {"consumer_key": f"ck_{shop.key}", "consumer_secret": shop.secret}
        keys = {"credentials": credentials, "webhook_secret": f"webhook-secret-of-{shop.key}"}
        return {"base_url": f"{address}/{shop.key}", **keys}

    def sender_of(self, shop: Shop, faults: FaultPlan) -> RegistrySender:
        """As `SimulatedShops.sender_of`: the seventh failure in a row disables (§6)."""
        return RegistrySender(shop.webhooks, shop.key, self._clock, faults, range(200, 303), most_failures=6)

    def open(self, incoming: Incoming) -> Operation:
        """As `SimulatedPlatform.open` (§1, §7)."""
        folder, _, rest = incoming.path[1:].partition("/")
        query, sent = dict(parse_qsl(incoming.query, keep_blank_values=True)), parse_object(incoming.body) or {}
        route = query.pop("rest_route", "") if self._options.is_plain else rest.partition("wp-json")[2]
        shop = self.shops_by_key.get(folder)
        if shop is None or not route:
            return Operation("", None, "unknown", partial(gateway_page, 404))
        shop.home = f"http://{incoming.headers.get('Host', '')}/{self.name}/{folder}/"
        step, order, act = shop.call(incoming.method, route.strip("/").split("/"), query, sent)
        user, password = basic(incoming.headers)
        if (user, password) != (f"ck_{folder}", shop.secret):
            known = "authentication_error" if user == f"ck_{folder}" else "cannot_view"
            act = partial(_error, 401, f"woocommerce_rest_{known}")
        return Operation(folder, order, step, act, None if step == "webhooks" else sent)  # a secret may be in it


def _kept_parcel(row: Mapping[str, Json]) -> dict[str, Json]:
    """A tracking as the plug-in keeps it with the order (§5.1); all of them of carriers that it does not know."""
    names = {"tracking_id": "tracking_id", "custom_tracking_provider": "tracking_provider"}
    names |= {"custom_tracking_link": "tracking_link", "tracking_number": "tracking_number"}
    return {"tracking_provider": "", **{kept: row[name] for kept, name in names.items()}}


def _ping(fields: Mapping[str, Json]) -> Delivery:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return Delivery("ping", f"webhook_id={fields['id']}".encode(), form)


def _error(status: int, code: str, **data: Json) -> Reply:
    return answer(status, {"code": code, "message": f"Sorry: {code}.", "data": {"status": status, **data}})


def _invalid(name: str) -> Reply:
    return _error(400, "rest_invalid_param", params={name: f"Invalid parameter: {name}"})


def _no_order(status: int) -> Reply:
    return _error(status, "woocommerce_rest_shop_order_invalid_id")


def _sums(order: Mapping[str, Json]) -> dict[str, Json]:
    """An order's totals; its lines get theirs on the way: 19 % tax, 5.00 off the first line by the coupon."""
    first, full = order["line_items"][0], Decimal("12.50") * order["line_items"][0]["quantity"]
    first |= {"subtotal": str(full), "total": str(full - 5), "price": float((full - 5) / first["quantity"])}
    for line in (*order["line_items"], *order["shipping_lines"], *order["fee_lines"]):
        taxes = {name: f"{_cents(Decimal(line[name]) * _VAT)}" for name in ("subtotal", "total") if name in line}
        line.update({f"{name}_tax": tax for name, tax in taxes.items()}, taxes=[{"id": 75, "subtotal": "", **taxes}])
    shipping, fee = order["shipping_lines"][0], order["fee_lines"][0]
    net = sum(Decimal(line["total"]) for line in (*order["line_items"], shipping, fee))
    cart = sum(Decimal(line["total_tax"]) for line in (*order["line_items"], fee))
    tax = cart + Decimal(shipping["total_tax"])
    order["tax_lines"][0].update(tax_total=f"{cart}", shipping_tax_total=shipping["total_tax"])
    sums = {"discount_total": "5.00", "discount_tax": "0.95", "shipping_total": shipping["total"]}
    sums |= {"shipping_tax": shipping["total_tax"], "cart_tax": f"{cart}", "total_tax": f"{tax}"}
    return {**sums, "total": f"{net + tax}"}


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
