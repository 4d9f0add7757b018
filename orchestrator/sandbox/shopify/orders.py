"""Orders of a simulated Shopify shop with their fulfilment orders (FO) and fulfilments, and how GraphQL shows them.

Shapes: samples `gql_order_state_*`; what follows from what: shopify.md §6.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from orchestrator.sandbox.shopify import money
from orchestrator.sandbox.shopify.paging import connection
from orchestrator.sandbox.shopify.returns import Return, return_node, return_status

Json: TypeAlias = Any

FIRST_ORDER_ID = 820_982_911_946_154_501
"""Ids of more digits than a float has, so that one who parses them as floats is found out (shopify.md §1)."""
FIRST_LINE_ID = 487_817_672_276_298_001
LOCATIONS = ((112_833_036_594, "Main"), (114_038_047_026, "Branch"))
SERVICE_LOCATION = (116_220_908_338, "Parcels & Co")
"""Where a fulfilment service keeps the shop's goods."""
STORE = LOCATIONS[1][0]
"""Where buyers collect what they ordered for pickup."""
_TAKEN = frozenset({"SUBMITTED", "ACCEPTED", "CANCELLATION_REQUESTED", "CANCELLATION_REJECTED"})

_LINES_PER_ORDER = 10
MOST_LINES = 10_000
_ACTIONS = {
    "OPEN": ("CREATE_FULFILLMENT", "REPORT_PROGRESS", "MOVE", "HOLD", "SPLIT"),
    "IN_PROGRESS": ("CREATE_FULFILLMENT", "REPORT_PROGRESS", "HOLD"),
    "ON_HOLD": ("RELEASE_HOLD", "HOLD", "MOVE"),
    "SCHEDULED": ("MARK_AS_OPEN", "MOVE"),
}
OPEN = frozenset({"OPEN", "IN_PROGRESS", "ON_HOLD", "SCHEDULED"})
_ORIGIN: dict[str, Json] = {
    "test": False,
    "sourceName": "web",
    "sourceIdentifier": None,
    "app": {"id": "gid://shopify/App/580111", "name": "Online Store"},
    "customerLocale": "en",
}
_GOODS = (("IPOD2008PINK", "IPod Nano - Pink"), ("SKU2006-001", "Aviator sunglasses"), ("MUG-11", "Mug, 11 oz"))


@dataclass(slots=True, eq=False)
class Line:
    """An order line. `current`: its quantity after edits and cancellation, `price`: in cents, `off`: its own discount,
    `rate`: of its tax, in thousandths. Gift cards and tips require no shipping."""

    id: int
    sku: str
    name: str
    quantity: int
    current: int
    requires_shipping: bool = True
    is_gift_card: bool = False
    price: int = money.PRICE
    rate: int = money.RATE
    off: int = 0


@dataclass(slots=True, eq=False)
class FulfillmentOrder:
    """Goods to be shipped from one location. `lines`: [id, order line, total, remaining]. `updated`: Unix ms.

    `method`: a DeliveryMethodType. `request`: what was asked of the fulfilment service. `is_prepared`: the buyer was
    informed that the goods are ready for pickup.
    """

    id: int
    location: int
    lines: list[list[int]]
    status: str = "OPEN"
    holds: list[str] = field(default_factory=list)
    fulfill_at: int | None = None
    is_reported: bool = False
    updated: int = 0
    method: str = "SHIPPING"
    request: str = "UNSUBMITTED"
    is_prepared: bool = False


@dataclass(slots=True, eq=False)
class Fulfillment:
    """A parcel. `lines`: quantity by order line, `numbers`: its tracking as GraphQL has it, one for each number."""

    id: int
    name: str
    created: int
    lines: dict[int, int]
    taken: list[tuple[int, int, int]]
    numbers: list[dict[str, Json]]
    status: str = "SUCCESS"
    display: str = "FULFILLED"
    delivered: int | None = None

    @property
    def tracking(self) -> dict[str, Json] | None:
        """The first number, mostly the only one."""
        return self.numbers[0] if self.numbers else None


@dataclass(slots=True, eq=False)
class Order:
    """One order. Times are Unix milliseconds. `routed_at`: when its FOs show. `display`: a made-up state.
    `closed`: when it was archived. `processed`: its own date where that is not when Shopify made it, as of an order
    that was brought over from another system.

    Amounts in cents of `currency`, the shop's: `discount` of a code, `shipping`, taxed by `shipping_rate`, `refunded`.
    `includes_tax`: so do its prices. `buyer_currency`: what the buyer saw, where that is another one, at `buyer_rate`.
    `paid`: what it had cost when it was paid, None where that is its total. `terms`: the type of its payment terms.
    `metafields`: values by `namespace.key`.
    """

    id: int
    name: str
    created: int
    updated: int
    routed_at: int
    fields: dict[str, Json]
    lines: list[Line]
    fulfillment_orders: list[FulfillmentOrder] = field(default_factory=list)
    fulfillments: list[Fulfillment] = field(default_factory=list)
    financial: str = "PAID"
    cancelled: int | None = None
    closed: int | None = None
    processed: int | None = None
    cancel_reason: str | None = None
    returns: list[Return] = field(default_factory=list)
    display: str | None = None
    garbage: dict[str, Json] | None = None
    discount: int = 0
    shipping: int = 0
    shipping_rate: int = money.RATE
    refunded: int = 0
    paid: int | None = None
    terms: str | None = None
    metafields: dict[str, str] = field(default_factory=dict)
    currency: str = money.CURRENCY
    includes_tax: bool = True
    buyer_currency: str | None = None
    buyer_rate: Decimal = Decimal(1)

    @property
    def ended(self) -> int | None:
        """When it was archived, or cancelled, which archives it."""
        return self.closed if self.closed is not None else self.cancelled

    def live(self) -> list[Fulfillment]:
        """The fulfilments that were not cancelled."""
        return [each for each in self.fulfillments if each.status == "SUCCESS"]

    def state(self, now: int) -> str:
        """`displayFulfillmentStatus`."""
        if self.display is not None:
            return self.display
        if now < self.routed_at:
            return "UNFULFILLED"
        orders = [each for each in self.fulfillment_orders if each.status in OPEN]
        is_left = any(line[3] for each in orders for line in each.lines)
        if self.live():
            return "PARTIALLY_FULFILLED" if is_left else "FULFILLED"
        if any(each.status == "OPEN" and each.request == "REJECTED" for each in orders):
            return "REQUEST_DECLINED"
        statuses = {each.status for each in orders}
        return next((name for name in ("ON_HOLD", "SCHEDULED", "IN_PROGRESS") if name in statuses), "UNFULFILLED")

    def node(self, now: int) -> dict[str, Json]:
        """The order as GraphQL has it, with every field that can be asked for here."""
        if self.garbage is not None:
            return self.garbage
        orders = self.fulfillment_orders if now >= self.routed_at else []
        parts = money.parts_of_discount(self)
        return {
            "id": gid("Order", self.id),
            "name": self.name,
            "createdAt": stamp(self.created),
            "processedAt": stamp(self.created if self.processed is None else self.processed),
            "updatedAt": stamp(self.updated),
            "closed": self.ended is not None,
            "closedAt": stamp(self.ended),
            "cancelledAt": stamp(self.cancelled),
            "cancelReason": self.cancel_reason,
            "displayFinancialStatus": self.financial,
            "displayFulfillmentStatus": self.state(now),
            "returnStatus": return_status(self.returns),
            "canMarkAsPaid": self.financial == "PENDING",
            **_ORIGIN,
            **money.order_fields(self),
            **self.fields,
            "lineItems": connection([(line.id, _line_node(self, line, parts[line.id])) for line in self.lines]),
            "fulfillmentOrders": connection([(each.id, fulfillment_order_node(each)) for each in orders]),
            "fulfillments": [fulfillment_node(each) for each in self.fulfillments],
            "returns": connection([(each.id, return_node(each)) for each in self.returns]),
        }


class OrderPress:
    """Makes believable orders, the same ones for the same seed. Every third one is stocked at two locations."""

    def __init__(self, seed: int, domain: str, number: int) -> None:
        self._rng = random.Random(f"{seed}/{domain}")  # noqa: S311 - believable orders, not secrets
        self._number = number
        self._count = 0
        self._part_ids = 9_825_095_000_000 + number * 100_000_000

    def next_id(self) -> int:
        """The id of anything but orders and their lines."""
        self._part_ids += 1
        return self._part_ids

    def make(self, now: int, routed_at: int, pieces: int | None = None, line_count: int | None = None) -> Order:
        """A new order with its FOs. `pieces`: of one good at one location, `line_count`: that many such lines; by
        default orders take turns."""
        at, self._count = self._count, self._count + 1
        order_id = FIRST_ORDER_ID + self._number * 1_000_000 + at
        first_line = FIRST_LINE_ID + (self._number * 1_000_000 + at) * _LINES_PER_ORDER
        usual = (3, 1) if at % 3 == 0 else (2, 1) if at % 3 == 1 else (1,)
        is_usual = pieces is None and line_count is None
        quantities = usual if is_usual else (pieces or 1,) * (line_count or 1)
        if len(quantities) > _LINES_PER_ORDER:  # these would run into the next order's
            first_line = FIRST_LINE_ID + self.next_id() * MOST_LINES
        lines = [
            Line(first_line + n, *self._rng.choice(_GOODS), quantity, quantity) for n, quantity in enumerate(quantities)
        ]
        order = Order(order_id, f"#{1001 + at}", now, now, routed_at, self._buyer(), lines)
        order.financial = self._rng.choice(("PAID", "PAID", "PAID", "AUTHORIZED", "PENDING"))
        order.discount = 1_000 if at % 4 == 3 else 0
        locations = LOCATIONS if is_usual and at % 3 == 1 else LOCATIONS[:1]
        for n, (location, _) in enumerate(locations):
            mine = lines if len(locations) == 1 else [lines[n]]
            parts = [[self.next_id(), line.id, line.quantity, line.quantity] for line in mine]
            order.fulfillment_orders.append(FulfillmentOrder(self.next_id(), location, parts, updated=now))
        return order

    def _buyer(self) -> dict[str, Json]:
        address = {
            "name": self._rng.choice(("Steve Shipper", "Zoë Ångström", "Jürgen Groß")),
            "company": None,
            "address1": "123 Shipping Street",
            "address2": None,
            "zip": "40003",
            "city": "Shippington",
            "province": "Kentucky",
            "provinceCode": "KY",
            "countryCodeV2": "US",
            "phone": "555-555-SHIP",
        }
        customer = {"__typename": "Customer", "id": gid("Customer", 115_310_627_314_723_954), "displayName": "Jon Doe"}
        return {
            "email": "jon@example.com",
            "phone": None,
            "note": None,
            "tags": [],
            "poNumber": None,
            "customAttributes": [],
            "shippingAddress": address,
            "billingAddress": address,
            "customer": customer,
            "purchasingEntity": customer,
        }


def gid(kind: str, number: int) -> str:
    """An id as GraphQL has it."""
    return f"gid://shopify/{kind}/{number}"


def stamp(ms: int | None) -> str | None:
    """A time as Shopify writes it: whole seconds, UTC."""
    return None if ms is None else datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rest_time(ms: int | None) -> str | None:
    """A time as REST bodies write it: whole seconds, with an offset (shopify.md §3)."""
    return None if ms is None else datetime.fromtimestamp(ms // 1000, UTC).isoformat()


def _line_node(order: Order, line: Line, discount: int) -> dict[str, Json]:
    product = _GOODS.index((line.sku, line.name)) + 1 if (line.sku, line.name) in _GOODS else 99
    return {
        "id": gid("LineItem", line.id),
        "sku": line.sku,
        "name": line.name,
        "title": line.name,
        "quantity": line.quantity,
        "currentQuantity": line.current,
        "requiresShipping": line.requires_shipping,
        "isGiftCard": line.is_gift_card,
        "variantTitle": None,
        "vendor": "Acme",
        "taxable": True,
        "product": {"id": gid("Product", product)},
        "variant": {"id": gid("ProductVariant", 10 * product), "barcode": f"40063813339{product:02}"},
        "customAttributes": [],
        **money.line_fields(order, line, discount),
    }


def _part_node(part: int, line: int, total: int, left: int) -> dict[str, Json]:
    return {
        "id": gid("FulfillmentOrderLineItem", part),
        "totalQuantity": total,
        "remainingQuantity": left,
        "lineItem": {"id": gid("LineItem", line)},
    }


def fulfillment_order_node(order: FulfillmentOrder) -> dict[str, Json]:
    """A fulfilment order as GraphQL has it."""
    actions = list(_ACTIONS.get(order.status, ()))
    if order.location == SERVICE_LOCATION[0]:  # what a service has is shipped by it alone
        is_asked = order.request in _TAKEN
        actions = ["REQUEST_CANCELLATION"] if is_asked else ["REQUEST_FULFILLMENT", *actions]
    if order.is_reported and order.status == "IN_PROGRESS":
        actions.append("MARK_AS_OPEN")
    return {
        "id": gid("FulfillmentOrder", order.id),
        "status": order.status,
        "requestStatus": order.request,
        "fulfillAt": stamp(order.fulfill_at),
        "fulfillBy": None,
        "updatedAt": stamp(order.updated),
        "supportedActions": [{"action": action} for action in actions],
        "assignedLocation": {
            "name": dict((*LOCATIONS, SERVICE_LOCATION)).get(order.location),
            "location": {
                "id": gid("Location", order.location),
                "isFulfillmentService": order.location == SERVICE_LOCATION[0],
            },
        },
        "deliveryMethod": {"methodType": order.method},
        "fulfillmentHolds": [
            {"id": gid("FulfillmentHold", n), "reason": reason} for n, reason in enumerate(order.holds, start=1)
        ],
        "lineItems": connection([(part, _part_node(part, *rest)) for part, *rest in order.lines]),
    }


def fulfillment_node(fulfillment: Fulfillment) -> dict[str, Json]:
    """A fulfilment as GraphQL has it, in reads and in what mutations answer."""
    return {
        "id": gid("Fulfillment", fulfillment.id),
        "name": fulfillment.name,
        "status": fulfillment.status,
        "displayStatus": fulfillment.display,
        "createdAt": stamp(fulfillment.created),
        "deliveredAt": stamp(fulfillment.delivered),
        "trackingInfo": fulfillment.numbers,
        "fulfillmentLineItems": connection(
            [
                (line, {"quantity": quantity, "lineItem": {"id": gid("LineItem", line)}})
                for line, quantity in fulfillment.lines.items()
            ]
        ),
    }


def may_ship(part: FulfillmentOrder) -> bool:
    """Whether Shopify offers to ship the FO: what was asked of a fulfilment service is shipped by that."""
    shown = fulfillment_order_node(part)["supportedActions"]
    return any(row["action"] == "CREATE_FULFILLMENT" for row in shown)


def tracking_rows(tracking: Json) -> list[dict[str, Json]]:
    """FulfillmentTrackingInput as `trackingInfo` shows it: a number and a link, or lists in which a link stands at its
    number's place."""
    tracking = tracking or {}
    numbers = tracking.get("numbers") or ([tracking["number"]] if tracking.get("number") else [])
    urls = tracking.get("urls") or ([tracking["url"]] if tracking.get("url") else [])
    pairs = [
        (numbers[at] if at < len(numbers) else None, urls[at] if at < len(urls) else None)
        for at in range(max(len(numbers), len(urls)))
    ]
    return [{"company": tracking.get("company"), "number": number, "url": url} for number, url in pairs]
