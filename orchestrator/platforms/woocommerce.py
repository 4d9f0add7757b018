"""WooCommerce: its options, its client, and all that the rest of the program knows of it (facts: woocommerce.md)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field, field_validator
from yarl import URL

from orchestrator.platforms import client, content, fields
from orchestrator.platforms.base.listing import Listing, array_listing, single_of, with_count
from orchestrator.platforms.base.offset import walk_page
from orchestrator.platforms.base.options import Section
from orchestrator.platforms.base.pushing import PushingRestClient, resource_webhooks
from orchestrator.platforms.base.rest import Probe
from orchestrator.platforms.base.signing import verify
from orchestrator.platforms.content import decimal, fraction, given, minus, price, rows, sum_of, text
from orchestrator.platforms.failures import NotFound, OutOfSequence, PlatformFailure
from orchestrator.platforms.http import Answer
from orchestrator.platforms.json_text import read_object
from orchestrator.platforms.platform import ClientSettings, DefaultLimits, Platform
from orchestrator.platforms.secrets import Token
from orchestrator.platforms.subscriptions import Subscription
from orchestrator.platforms.webhooks import Envelope
from statemachines.machine import DefinitionError, OrderState
from statemachines.target import Json, TargetRequest, Tracking
from statemachines.tracking import SET_TRACKING, TRACKING_FIELDS, missing_trackings
from statemachines.woocommerce import DRAFTS, build

Row: TypeAlias = Mapping[str, Json]
Way: TypeAlias = Literal["plugin", "note", "auto", "none"]

_NOWHERE: Final = "rest_no_route"  # no such plug-in; or WooCommerce itself is switched off
_ADDRESS: Final = {"street": "address_1", "street2": "address_2", "postal_code": "postcode", "region_code": "state"} | {
    name: name for name in ("company", "city", "country", "phone", "email")
}
_TOTALS: Final = {"discount": "discount_total", "delivery": "shipping_total", "tax": "total_tax", "total": "total"}
_REFERENCE: Final = {"reference": "transaction_id"}
_REFUND: Final = {"id": "id", "reason": "reason"}
_CUSTOM: Final = {"custom_tracking_provider": "carrier", "custom_tracking_link": "url"}
_PARCELS: Final = "_wc_shipment_tracking_items"
_PARCEL: Final = {"id": "tracking_id", "url": "custom_tracking_link"}
_APART: Final = content.Apart(steps=("/parcels", "/payment/status"), cancel=("/cancelled",))
"""What our steps change: numbers of parcels, and that an order paid on delivery counts as paid once it is completed."""


def _status(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9_-]{1,17}", name := name.removeprefix("wc-")):
        raise ValueError("must be a status as WooCommerce's API has it, such as packed or wc-packed")
    return name


Status = Annotated[str, AfterValidator(_status)]


class WooCommerceCredentials(Section):
    """A key of the REST API (WooCommerce > Settings > Advanced > REST API) with read and write access."""

    consumer_key: Annotated[Token, Field(description="Consumer key `ck_…`, of a user who may manage the shop")]
    consumer_secret: Annotated[Token, Field(description="Consumer secret `cs_…`")]


class WooCommerceStatuses(Section):
    """The status of each milestone; milestones that follow one another may share one."""

    new: Annotated[Status, Field(description="Paid, to be fulfilled")] = "processing"
    accepted: Annotated[Status | None, Field(description="An own status; null: our record only")] = None
    preparing: Annotated[Status | None, Field(description="An own status; null: there is none")] = None
    shipped: Annotated[Status, Field(description="On its way; an own status where that is not the end")] = "completed"
    delivered: Annotated[Status, Field(description="Where orders end")] = "completed"
    cancelled: Annotated[Status, Field(description="Cancelled")] = "cancelled"


class WooCommerceOptions(Section):
    """A shop's access to WooCommerce, and how the shop is set up."""

    credentials: Annotated[WooCommerceCredentials, Field(description="The key of the REST API")]
    statuses: Annotated[WooCommerceStatuses, Field(description="Which status means what")] = WooCommerceStatuses()
    tracking: Annotated[Way, Field(description="By the Shipment Tracking plug-in, a note, or what is there")] = "plugin"
    customer_note: Annotated[bool, Field(description="Whether the buyer is mailed such a note")] = True
    permalinks: Annotated[Literal["pretty", "plain"], Field(description="As in WordPress's own settings")] = "pretty"

    @field_validator("statuses")
    @classmethod
    def _make_a_machine(cls, value: WooCommerceStatuses) -> WooCommerceStatuses:
        try:
            build({"statuses": value.model_dump()})
        except DefinitionError as error:
            raise ValueError(str(error).removeprefix("woocommerce: ")) from None
        return value


class WooCommerceClient(PushingRestClient):
    """`PlatformClient` and `PushingClient` of one shop. Has to be made inside a running event loop."""

    denies_by_403 = True
    topics = (
        *(f"order.{change}" for change in ("created", "updated", "deleted", "restored")),
        *(f"product.{change}" for change in ("created", "updated", "restored")),
    )

    def __init__(self, settings: ClientSettings) -> None:
        options = settings.options
        assert isinstance(options, WooCommerceOptions)
        key, secret = (each.get_secret_value() for _, each in options.credentials)
        basic = base64.b64encode(f"{key}:{secret}".encode()).decode()
        super().__init__(settings, secrets=(key, secret, basic), headers={"Authorization": f"Basic {basic}"})
        self._options = options
        self._machine = build(options.model_dump(include={"statuses"}))
        states = self._machine.states.values()
        self._read_order = partial(read_order, ends=frozenset(each.name for each in states if each.is_end))
        self._page_size = min(settings.page_size, 100)
        self._lookback_ms = int(settings.lookback_seconds * 1000)

    async def list_page(self, position: Json, cursor: Json) -> client.Page:
        """As `PlatformClient.list_page`: what changed, then the trash, which no other list shows."""
        size, further = self._page_size, (self._trash,)
        return await walk_page(self._changed, position, cursor, page_size=size, clock=self._clock, further=further)

    async def read(self, order_id: str) -> client.OrderSnapshot:
        """As `PlatformClient.read`."""
        return await self._single(order_id, self._order(order_id), lambda each: single_of(each.body, self._read_order))

    async def perform(self, step: str, order_id: str, current: OrderState, request: TargetRequest) -> client.StepAnswer:
        """As `PlatformClient.perform`. WooCommerce refuses neither a status nor a number (woocommerce.md §5), so the
        order is read just before: a person's change is not overwritten, nor is a cancelled parcel announced."""
        to, state = self._machine.destination(current, step, request), (await self._first(order_id)).state
        if to is None or state not in (current.platform_state, to):
            raise OutOfSequence(f"{step} is due in {current.platform_state}, but the order is in {state}")
        if step == SET_TRACKING:
            return await self._set_tracking(order_id, missing_trackings(current.facts, request))
        if state == to:
            return client.StepAnswer(to, is_found=True)
        return await self._set(self._order(order_id), "status", to)

    async def probe(self) -> Probe:
        """As `RestClient.probe`."""
        listing, answer = await self._list(0, 1, status="any")
        missing = await self._missing(sorted({each for _, each in self._options.statuses if each is not None}))
        words = f"the shop does not have {', '.join(missing)}" if missing else "the shop has all of the config"
        statuses = client.Finding("statuses", "failed" if missing else "ok", words)
        return Probe(answer, f"orders may be read, {listing.total} in all", (statuses,))

    async def _missing(self, statuses: list[str]) -> list[str]:
        """Those that the shop has not: a list by such a one is refused (woocommerce.md §2)."""
        answer = await self._send("GET", self._url("wc/v3/orders", status=",".join(statuses), per_page="1"))
        if answer.status == 400:
            return statuses if len(statuses) == 1 else [n for each in statuses for n in await self._missing([each])]
        if (failure := self.list_refusal(answer)) is not None:
            raise failure
        return []

    def refusal(self, answer: Answer, *, is_effect: bool) -> PlatformFailure | None:
        """As `RestClient.refusal`: a change of an order that is not there is answered by 400 (woocommerce.md §5)."""
        if answer.status == 400 and _code_of(answer.body).endswith("_order_invalid_id"):
            return NotFound(self._caller.words(answer))
        return super().refusal(answer, is_effect=is_effect)

    def is_own_refusal(self, body: bytes) -> bool:
        """As `RestClient.is_own_refusal`; not of a route, nor of one order that is hidden (woocommerce.md §7, §2)."""
        return (code := _code_of(body)).startswith("woocommerce_") and not code.endswith("_cannot_view")

    def webhooks_url(self, webhook: str | None = None, **query: str) -> URL:
        """As `PushingRestClient.webhooks_url`."""
        return self._url("wc/v3/webhooks" if webhook is None else f"wc/v3/webhooks/{webhook}", **query)

    def subscription_of(self, row: Row) -> Subscription:
        """As `PushingRestClient.subscription_of`: one that is paused, or disabled after failures, does not come."""
        topic, address = str(row.get("topic")), str(row.get("delivery_url"))
        return Subscription(str(row.get("id")), topic, address, is_readable=row.get("status") == "active")

    def webhook_of(self, topic: str, address: str, secret: str | None) -> Json:
        """As `PushingRestClient.webhook_of`."""
        hook = {"name": f"fulfilld {topic}", "topic": topic, "delivery_url": address, "status": "active"}
        return hook | ({} if secret is None else {"secret": secret})

    async def _changed(self, offset: int, limit: int, since_ms: int | None) -> tuple[Listing, Answer]:
        """The filter leaves out its own second, and takes a stamp with a zone for another time (woocommerce.md §2)."""
        if since_ms is None:
            return await self._list(offset, limit, status="any")
        stamp = f"{datetime.fromtimestamp(max(0, since_ms - self._lookback_ms) // 1000 - 1, UTC):%Y-%m-%dT%H:%M:%S}"
        return await self._list(offset, limit, status="any", modified_after=stamp, dates_are_gmt="true")

    async def _trash(self, offset: int, limit: int, _: int | None) -> tuple[Listing, Answer]:
        """All of it: what is put there keeps the time of its last change (woocommerce.md §2)."""
        return await self._list(offset, limit, status="trash")

    async def _list(self, offset: int, limit: int, **query: str) -> tuple[Listing, Answer]:
        page = {"orderby": "id", "order": "asc", "offset": str(offset), "per_page": str(limit)}
        answer = await self._send("GET", self._url("wc/v3/orders", **query, **page))
        listing = await self._listed(answer, array_listing, self._read_order)
        return with_count(listing, answer.headers.get("X-WP-Total"), offset, limit), answer

    def _url(self, route: str, **query: str) -> URL:
        if self._options.permalinks == "plain":
            return URL(f"{self._base_url}/").with_query({"rest_route": f"/{route}", **query})
        return URL(f"{self._base_url}/wp-json/{route}").with_query(query)

    def _order(self, order_id: str, part: str = "", api: str = "wc") -> URL:
        if fields.order_number(order_id) is None:
            raise NotFound(f"{order_id!r} is not an order id")
        return self._url(f"{api}/v3/orders/{order_id}{part}")

    async def _set_tracking(self, order_id: str, missing: Mapping[str, Tracking]) -> client.StepAnswer:
        """Numbers go to the plug-in, or into a note without words, which would be in some language."""
        way, is_mail = self._options.tracking, self._options.customer_note
        url = self._order(order_id, "/shipment-trackings", "wc-shipment-tracking")
        if way in ("plugin", "auto") and (kept := await self._kept(url)) is not None:
            bodies = {n: {"tracking_number": n, **given(t.to_json(), _CUSTOM)} for n, t in missing.items()}
            return await self._add_missing(url, kept, "tracking_number", bodies)
        if way in ("plugin", "none"):
            reason = "the shop has no Shipment Tracking plug-in" if way == "plugin" else "the config says tracking none"
            return client.StepAnswer(None, unused=TRACKING_FIELDS, reason=reason)
        url = self._order(order_id, "/notes")
        notes = [row for row in await self._kept(url) or () if row.get("customer_note") is is_mail]
        texts = {n: " ".join(filter(None, (t.carrier, t.code, t.url))) for n, t in missing.items()}
        bodies = {n: {"note": each, "customer_note": is_mail} for n, each in texts.items()}
        return await self._add_missing(url, notes, "note", bodies, is_among_others=True)

    async def _kept(self, url: URL) -> list[Row] | None:
        """What the order has there; None where no plug-in answers."""
        own = ("woocommerce_", _NOWHERE)
        answer = await self._about_order("GET", url, is_own=lambda body: _code_of(body).startswith(own))
        if _code_of(answer.body) == _NOWHERE:
            return None
        if (failure := self.refusal(answer, is_effect=False)) is not None:
            raise failure
        return self._rows(answer)


def _code_of(body: bytes) -> str:
    """The code of an error: its message is in the site's language."""
    return str((read_object(body) or {}).get("code") or "")


@fields.of_one_order
def read_order(value: Json, payload: bytes, ends: frozenset[str] = frozenset()) -> client.OrderSnapshot:
    """One order of its JSON and its bytes; `ends`: statuses of orders that are over. Raises InvalidOrder."""
    order = fields.object_of(value)
    state = fields.required_text(order.get("status"), "status").removeprefix("wc-")
    payment = "paid" if order.get("date_paid_gmt") else "invoice" if order.get("payment_method") == "cod" else "unpaid"
    lines = {str(row.get("id")): fields.quantity(row.get("quantity")) for row in rows(order.get("line_items"))}
    found = content_of(order, state, payment)
    numbers = [number for each in found["parcels"] for number in each["numbers"]]
    returns = [{"id": each["id"], "state": each["state"], "lines": []} for each in found["returns"]]
    return client.OrderSnapshot(
        id=fields.id_of(order.get("id"), "id"),
        reference=text(order.get("number")),
        state=state,
        payment=payment,
        facts={"lines": lines, "trackings": numbers, "returns": returns},
        payload=payload,
        content_hash=content.digest(found, _APART),
        platform_updated_at=fields.optional_ms(order.get("date_modified_gmt")),
        is_released=state not in (*DRAFTS, "failed", "trash"),
        content=found,
        apart=_APART,
        age=client.Age(fields.optional_ms(order.get("date_created_gmt")), is_over=state in ends),
    )


def content_of(order: Row, state: str, payment: str) -> dict[str, Json]:
    """What the ERP is given of an order; raises nothing. Amounts are net with the tax beside them, however the shop's
    own prices are (woocommerce.md §3)."""
    rates = {text(row.get("rate_id")): row for row in rows(order.get("tax_lines"))}
    items, fees, meta, refunds = (rows(order.get(name)) for name in ("line_items", "fee_lines", "meta_data", "refunds"))
    shipping, coupons = next(iter(rows(order.get("shipping_lines"))), {}), rows(order.get("coupon_lines"))
    totals = {ours: decimal(order.get(theirs)) for ours, theirs in _TOTALS.items()}
    totals["lines"] = sum_of("0", *(row.get("subtotal", row.get("total")) for row in (*items, *fees)))
    totals["refunded"] = sum_of("0", *(minus(row.get("total")) for row in refunds))
    is_whole = state == "refunded" or totals["refunded"] == totals["total"]
    status = payment if not refunds else "refunded" if is_whole else "partly_refunded"
    by, code = text(order.get("payment_method")), text(shipping.get("method_id"))
    bill_to, customer = _party(order, "billing"), order.get("customer_id")
    contact = {name: (bill_to or {}).get(name) for name in ("name", "company", "phone", "email")}
    cost = price(net=order.get("shipping_total"))
    way = "none" if not shipping else "pickup" if code in ("local_pickup", "pickup_location") else "shipping"
    public = {key: row.get("value") for row in meta if not (key := str(row.get("key"))).startswith("_")}
    return {
        "ordered_at": content.instant(order.get("date_created_gmt")),
        "numbers": {"order": text(order.get("number"))},
        "channel": {"name": text(order.get("created_via"))},
        "currency": text(order.get("currency")),
        "buyer": {"id": fields.id_or_none(customer), "guest": customer == 0, **contact},
        "ship_to": _party(order, "shipping"),
        "bill_to": bill_to,
        "delivery": {"method": way, "name": text(shipping.get("method_title")), "code": code, "cost": cost},
        "payment": {"status": status, "method": by, **given(order, _REFERENCE), "on_delivery": by == "cod"},
        "lines": [*(_line(row, rates) for row in items), *({**_line(row, rates), "kind": "fee"} for row in fees)],
        "discounts": [{"code": text(row.get("code")), "amount": price(net=row.get("discount"))} for row in coupons],
        "totals": totals,
        "parcels": [_sent(each) for row in meta if row.get("key") == _PARCELS for each in rows(row.get("value"))],
        "returns": [{**given(row, _REFUND), "state": "refunded", "refund": minus(row.get("total"))} for row in refunds],
        "cancelled": {} if state == "cancelled" else None,  # when, by whom and why is not given
        "note": text(order.get("customer_note")),
        "attributes": content.texts(public),
        "derived": ["/lines/*/unit_price", "/lines/*/discount", "/totals/lines", "/totals/refunded"],
    }


def _party(order: Row, name: str) -> dict[str, Json] | None:
    """An address; None where all of its texts are empty."""
    address: Row = fields.at(order, name) or {}
    found = given(address, _ADDRESS) if isinstance(address, Mapping) else {}
    names = filter(None, (text(fields.at(address, each)) for each in ("first_name", "last_name")))
    return {"name": " ".join(names) or None, **found} if any(found.values()) else None


def _line(row: Row, rates: Mapping[str | None, Row]) -> dict[str, Json]:
    """A line or a fee, which below zero is a discount. `subtotal` is before coupons, `total` behind them, both of the
    whole line; a fee has the latter alone."""
    after, count = row.get("total"), row.get("quantity", 1)
    net = row.get("subtotal", after)
    taxes = [(rates.get(text(each.get("id"))) or {}, decimal(each.get("total"))) for each in rows(row.get("taxes"))]
    return {
        **{name: text(row.get(name)) for name in ("id", "sku", "name")},
        "product_id": fields.id_or_none(row.get("product_id")),
        "variant_id": fields.id_or_none(row.get("variation_id")),
        "quantity": decimal(count),
        "unit_price": price(net=content.each_of(net, count)),
        "discount": price(net=sum_of(net, minus(after))),
        "amount": price(net=after),
        "tax": [{"name": text(r.get("label")), "rate": fraction(r.get("rate_percent")), "amount": a} for r, a in taxes],
    }


def _sent(item: Row) -> dict[str, Json]:
    """What the plug-in keeps of a parcel with the order (woocommerce.md §5.1)."""
    number = text(item.get("tracking_number"))
    carrier = text(item.get("tracking_provider")) or text(item.get("custom_tracking_provider"))
    return {**given(item, _PARCEL), "carrier": carrier, "numbers": [] if number is None else [number]}


def _envelope(headers: Mapping[str, str]) -> Envelope:
    """As `SignedWebhooks.open`. The id of a delivery is made of its second (woocommerce.md §6)."""
    names = ("Signature", "Topic", "Delivery-ID", "Source")
    signature, topic, delivery, source = (headers.get(f"X-WC-Webhook-{name}", "").strip() or None for name in names)
    return Envelope(signature, topic, delivery, None, None, source, is_id_shared=True)


PLATFORM: Final = Platform(
    name="woocommerce",
    title="WooCommerce",
    default_base_url=None,
    default_limits=DefaultLimits(rate_per_second=2, burst=4, concurrency=2),  # the merchant's host
    options=WooCommerceOptions,
    identity=(),
    machine=build,
    client="orchestrator.platforms.woocommerce:WooCommerceClient",
    sandbox="orchestrator.sandbox.woocommerce:WooCommercePlatform",
    webhooks=resource_webhooks(
        envelope=_envelope,
        is_genuine=verify,
        order=read_order,
        changed_at="date_modified_gmt",
        title="name",
        is_ping=lambda _, body: re.fullmatch(rb"webhook_id=[0-9]{1,20}", body) is not None,
    ),
    example={
        "woo": {
            "platform": "woocommerce",
            "base_url": "https://shop.example",
            "credentials": {"consumer_key": {"env": "WOO_KEY"}, "consumer_secret": {"env": "WOO_SECRET"}},
            "statuses": WooCommerceStatuses().model_dump(),
            "tracking": "plugin",
            "customer_note": True,
            "permalinks": "pretty",
            "webhook_secret": [{"env": "WOO_WEBHOOK_SECRET"}],
        }
    },
)
