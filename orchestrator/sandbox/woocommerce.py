"""The simulated WooCommerce: orders, notes, refunds, tracking and webhooks over HTTP (facts: woocommerce.md).

Each shop is a WordPress in a folder of its own. Statuses are labels: no known one is refused (§4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from hashlib import blake2b
from typing import ClassVar

from orchestrator.clock import Clock
from orchestrator.sandbox.base import ORDER_IDS_PER_SHOP, answer, basic, gateway_page, wall_clock
from orchestrator.sandbox.cart import Cart, Person, Row
from orchestrator.sandbox.cart_shelf import CartOffice
from orchestrator.sandbox.platform import Incoming, Json, Move, PanelError, Reply, Variant, Walk
from orchestrator.sandbox.registry import Registered
from orchestrator.sandbox.rest import Call, Refused, RestPlatform
from orchestrator.sandbox.rest_shelf import ListWords, RestShelf, order_routes, row_routes, webhook_routes
from orchestrator.sandbox.webhooks import Delivery, sign

_SHOP = "woocommerce_rest_shop_"
_TIMES = {"created": "created", "modified": "modified", "paid": "paid", "completed": "done"}
_FIXED = {"parent_id": 0, "version": "10.4.0", "created_via": "checkout", "customer_id": 0, "prices_include_tax": False}
_FIXED |= {"customer_note": "Ring twice.", "payment_method": "stripe", "payment_method_title": "Card", "cart_hash": ""}


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


_DELIVERED = Move("change_status", "completed", {"state": "delivered"})
_OWN = (
    Move("change_status", "packed", {"state": "preparing"}),
    Move("set_tracking", "packed", {"state": "shipped", "tracking": {"code": "1Z-A"}}),
    Move("change_status", "sent", {"state": "shipped"}),
    _DELIVERED,
)
_TRACKED = Move("set_tracking", "completed", {"state": "delivered", "tracking": {"code": "1Z-A", "carrier": "UPS"}})
_STATUSES = {"statuses": {"preparing": "packed", "shipped": "sent"}}
WALK = Walk(
    moves=(_DELIVERED, _TRACKED),
    delivered=("set_tracking", "change_status"),
    unseen=frozenset({"set_tracking"}),
    refuses_nothing=True,
    variants={
        "tracking by note": Variant(SandboxOptions(has_tracking=False), {"tracking": "note"}),
        "plain permalinks": Variant(SandboxOptions(is_plain=True), {"permalinks": "plain"}),
        "own statuses": Variant(SandboxOptions(statuses=("packed", "sent")), _STATUSES, _OWN),
    },
)


def _error(status: int, code: str, **data: Json) -> Reply:
    return answer(status, {"code": code, "message": f"Sorry: {code}.", "data": {"status": status, **data}})


class Shop(RestShelf):
    """One shop. `states`: in the sequence of an order's life."""

    unpaid = ("pending", "failed", "on-hold", "checkout-draft")
    paid, done, cancelled, refunded, trashed = "processing", "completed", "cancelled", "refunded", "trash"
    words = ListWords(
        sorts={"date": "created", "modified": "modified", "id": "id"},
        after={"modified_after": "modified", "after": "created"},
        before={"modified_before": "modified", "before": "created"},
        totals=("X-WP-Total", "X-WP-TotalPages"),
    )
    api, exact_ms, saves, removal = "wp-json/", 1000, ("shipment-trackings",), ("force", "true")
    topics = tuple(f"{thing}.{event}" for thing in ("order", "product") for event in RestShelf.events)
    successes, most_failures, note_names = range(200, 303), 6, ("author", "note", "customer_note")
    gone = _error(404, f"{_SHOP}order_invalid_id").body

    def __init__(self, options: SandboxOptions, clock: Clock, folder: str, secret: str, first_id: int) -> None:
        super().__init__(clock, folder, secret, first_id)
        self.zone, self.hidden = timezone(timedelta(hours=options.zone_hours)), options.hidden
        self.states = (*self.unpaid[:3], self.paid, *options.statuses, self.done, self.cancelled, self.refunded)

    def view(self, order: Mapping[str, Json]) -> Json:
        """As `Shelf.view`."""
        refunds, parcels = (self.beside[what, order["id"]] for what in ("refunds", "shipment-trackings"))
        shown = {"id": order["id"], "number": str(order["id"]), "status": order["status"], **_FIXED}
        for name, time in _TIMES.items():
            shown |= self.stamp(name, order[time])
        shown |= {"transaction_id": "ch_1" if order["paid"] else "", **_priced(self.carts[order["id"]])}
        shown["refunds"] = [{"id": e["id"], "reason": e["reason"], "total": f"-{e['amount']}"} for e in refunds]
        kept = {"id": 8, "key": "_wc_shipment_tracking_items", "value": [_kept_parcel(each) for each in parcels]}
        return {**shown, "meta_data": [kept] if parcels else []}

    def stamp(self, name: str, ms: int | None) -> Mapping[str, Json]:
        """As `CartShelf.stamp`: in the site's zone and in GMT."""
        return {f"date_{name}": wall_clock(ms, self.zone), f"date_{name}_gmt": wall_clock(ms)}

    def bound_ms(self, text: str, call: Call) -> float:
        """As `RestShelf.bound_ms`: one with a zone is turned into the site's, and then read as if it had none (§2)."""
        at, is_gmt = datetime.fromisoformat(text), call.query.get("dates_are_gmt") in ("true", "1")
        at = at if at.tzinfo is None else at.astimezone(self.zone)
        return at.replace(tzinfo=UTC if is_gmt else self.zone).timestamp() * 1000

    def put_sent(self, what: str, order_id: int, sent: Mapping[str, Json]) -> dict[str, Json]:
        """As `RestShelf.put_sent`: a note or a tracking (§5, §5.1)."""
        if (needed := "note" if what == "notes" else "tracking_number") not in sent:
            raise Refused("missing", needed)
        if what == "notes":
            return self.note(order_id, "fulfilld", sent["note"], is_public=sent.get("customer_note") is True)
        kept = {name: sent.get(name, "") for name in ("tracking_number", "date_shipped")}
        kept["tracking_provider"] = sent.get("custom_tracking_provider") or sent.get("tracking_provider", "")
        kept |= {"tracking_id": f"{self.next_id():032x}", "tracking_link": sent.get("custom_tracking_link", "")}
        return self.put(what, order_id, **kept)

    def headers(self, asked: Registered, body: bytes) -> Mapping[str, str]:
        """As `RestShelf.headers`. The id of a delivery is made of its second (§6)."""
        number, (thing, event) = str(asked.fields["id"]), asked.fields["topic"].split(".")
        second = blake2b(f"{number} {self.clock.now_ms() // 1000}".encode(), digest_size=16).hexdigest()
        words = {"Source": self.home, "Topic": f"{thing}.{event}", "Resource": thing, "Event": event, "ID": number}
        words |= {"Signature": sign(body, asked.secret), "Delivery-ID": second}
        return {f"X-WC-Webhook-{name}": value for name, value in words.items()}

    def ping(self, fields: Mapping[str, Json]) -> Delivery:
        """As `RestShelf.ping`."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return Delivery("ping", f"webhook_id={fields['id']}".encode(), form)


class Office(CartOffice[Shop]):
    """What staff and buyers do in a shop."""

    reopens: ClassVar = ("change_status", "cancel")

    def register_status(self, status: str) -> None:
        """A plug-in brings an own status; orders have such ones one after another between processing and completed."""
        status = str(status).removeprefix("wc-")
        if not re.fullmatch("[a-z0-9_-]{1,17}", status):
            raise PanelError(f"no status {status!r}: it has 1 to 17 of a-z, 0-9, - and _, such as packed")
        if status not in (*self.shop.states, *self.shop.unpaid, self.shop.trashed):
            at = self.shop.states.index(self.shop.done)
            self.shop.states = (*self.shop.states[:at], status, *self.shop.states[at:])


class WooCommercePlatform(RestPlatform[Shop, Office]):
    """Simulated shops, each in a folder and with a key of its own."""

    name: ClassVar[str] = "woocommerce"
    options: ClassVar[type] = SandboxOptions
    config_name: ClassVar[str] = "woo"
    office: ClassVar = Office
    course: ClassVar = WALK
    routes = (
        *order_routes("wc/v3/orders"),
        *row_routes("wc/v3/orders/{order}/notes", "set_tracking"),
        *row_routes("wc/v3/orders/{order}/refunds"),
        *row_routes("wc-shipment-tracking/v3/orders/{order}/shipment-trackings", "set_tracking", "has_tracking"),
        *webhook_routes("wc/v3/webhooks"),
    )

    def shop_of(self, n: int) -> Shop:
        """As `ShelfPlatform.shop_of`."""
        first_id = 520_000_001 + n * ORDER_IDS_PER_SHOP
        return Shop(self._options, self._clock, f"shop-{n + 1}", f"cs_sandbox-secret-{n + 1}", first_id)

    def config_of(self, shop: Shop, address: str) -> dict[str, Json]:
        """As `SimulatedShops.config_of`."""
        credentials = {"consumer_key": f"ck_{shop.key}", "consumer_secret": shop.secret}
        keys = {"credentials": credentials, "webhook_secret": f"webhook-secret-of-{shop.key}"}
        return {"base_url": f"{address}/{shop.key}", **keys}

    def refusal(self, call: Call, wrong: str, names: Sequence[str]) -> Reply:
        """As `RestPlatform.refusal` (§2, §5 to §7)."""
        match wrong:
            case "route":
                return _error(404, "rest_no_route")
            case "parameters" | "state":
                bad = dict.fromkeys(names or ("status",), "Invalid parameter.")
                return _error(400, "rest_invalid_param", params=bad)
            case "missing":
                return _error(400, "rest_missing_callback_param", params=list(names))
            case "removal":
                return _error(501, "woocommerce_rest_trash_not_supported")
            case "order" if call.path.count("/") > 3:
                return _error(404, "woocommerce_rest_order_invalid_id")
            case "order":
                return _error(404 if call.method == "GET" else 400, f"{_SHOP}order_invalid_id")
        field = "id" if wrong == "webhook" else wrong
        return _error(404 if call.method == "DELETE" else 400, f"{_SHOP}webhook_invalid_{field}")

    def enter(self, incoming: Incoming, query: dict[str, str]) -> tuple[Shop | None, str, Reply | None]:
        """As `RestPlatform.enter` (§1, §7)."""
        folder, _, rest = incoming.path[1:].partition("/")
        route = query.pop("rest_route", "") if self._options.is_plain else rest.partition("wp-json")[2]
        shop = self.shops_by_key.get(folder)
        if shop is None or not route:
            return None, "", gateway_page(404)
        shop.home = f"http://{incoming.headers.get('Host', '')}/{self.name}/{folder}/"
        user, password = basic(incoming.headers)
        if (user, password) == (f"ck_{folder}", shop.secret):
            return shop, route, None
        known = "authentication_error" if user == f"ck_{folder}" else "cannot_view"
        return shop, route, _error(401, f"woocommerce_rest_{known}")


def _priced(cart: Cart) -> dict[str, Json]:
    """What an order says of its cart: amounts are net, with the tax beside them (§3)."""
    off = {"discount": str(cart.discount), "discount_tax": str(cart.discount_tax)}
    shipping, of_goods, of_shipping = cart.of("shipping"), cart.taxes("goods", "fee"), cart.taxes("shipping")
    return {
        "currency": cart.currency,
        "billing": {**_address(cart.buyer), "email": cart.buyer.email},
        "shipping": _address(cart.receiver),
        "line_items": [{**_row(row), **_good(row)} for row in cart.of("goods")],
        "shipping_lines": [
            {**_row(row), "method_title": row.name, "method_id": "local_pickup" if cart.is_pickup else "flat_rate"}
            for row in shipping
        ],
        "fee_lines": [{**_row(row), "name": row.name, "tax_status": "taxable"} for row in cart.of("fee")],
        "coupon_lines": [{"id": 5, "code": cart.coupon[0], **off}],
        "tax_lines": [_tax_line(rate, tax, of_shipping[rate]) for rate, tax in of_goods.items()],
        "discount_total": off["discount"],
        "discount_tax": off["discount_tax"],
        "shipping_total": str(cart.net("shipping")),
        "shipping_tax": str(cart.tax("shipping")),
        "cart_tax": str(cart.tax("goods", "fee")),
        "total_tax": str(cart.tax()),
        "total": str(cart.total),
    }


def _tax_line(rate: Decimal, tax: Decimal, of_shipping: Decimal) -> dict[str, Json]:
    names = {"id": int(rate), "rate_id": int(rate), "rate_code": f"VAT-{rate}", "label": "VAT", "compound": False}
    return {**names, "rate_percent": int(rate), "tax_total": str(tax), "shipping_tax_total": str(of_shipping)}


def _row(row: Row) -> dict[str, Json]:
    tax = {"id": int(row.rate), "total": str(row.tax), "subtotal": str(row.full_tax)}
    return {"id": row.id, "total": str(row.net), "total_tax": str(row.tax), "taxes": [tax], "meta_data": []}


def _good(row: Row) -> dict[str, Json]:
    assert row.good is not None
    meta = [{"id": 7, "key": f"pa_{name}", "value": value} for name, value in row.good.options]
    before = {"subtotal": str(row.full), "subtotal_tax": str(row.full_tax), "price": float(row.net / row.quantity)}
    ids = {"product_id": row.good.product, "variation_id": row.good.variant, "sku": row.good.sku, "name": row.name}
    return {**ids, "quantity": row.quantity, "tax_class": "", **before, "meta_data": meta}


def _address(person: Person) -> dict[str, Json]:
    names = {
        "first_name": person.first_name,
        "last_name": person.last_name,
        "company": "",
        "address_2": "",
        "state": "",
    }
    place = {"address_1": person.street, "city": person.city, "postcode": person.postal_code, "country": person.country}
    return {**names, **place, "phone": person.phone}


def _kept_parcel(row: Mapping[str, Json]) -> dict[str, Json]:
    """A tracking as the plug-in keeps it with the order (§5.1); all of them of carriers that it does not know."""
    own = {f"custom_{name}": row[name] for name in ("tracking_provider", "tracking_link")}
    return {
        "tracking_provider": "",
        "tracking_id": row["tracking_id"],
        "tracking_number": row["tracking_number"],
        **own,
    }
