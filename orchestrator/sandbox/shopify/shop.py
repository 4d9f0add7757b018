"""One simulated Shopify shop: its orders, what mutations do to them, and the refusals that Shopify gives.

Facts: shopify.md §6, §7; the words are those of the samples. A part that is shipped twice is shipped twice: only the
remaining quantity stands against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from orchestrator.clock import Clock
from orchestrator.sandbox.shopify.access import AppAccess
from orchestrator.sandbox.shopify.bodies import fulfillment_body, order_body, topic_body
from orchestrator.sandbox.shopify.events import Events
from orchestrator.sandbox.shopify.jobs import Job
from orchestrator.sandbox.shopify.money import refund_all, void
from orchestrator.sandbox.shopify.options import ShopifyOptions
from orchestrator.sandbox.shopify.orders import (
    Fulfillment,
    FulfillmentOrder,
    Json,
    Order,
    OrderPress,
    may_ship,
    tracking_rows,
)
from orchestrator.sandbox.shopify.products import Product, Shelf
from orchestrator.sandbox.shopify.refusals import Denied, Refused, TooMany
from orchestrator.sandbox.shopify.scopes import RETURNS, SCOPES
from orchestrator.sandbox.shopify.subscriptions import Subscription, Subscriptions, enum_of
from orchestrator.sandbox.webhooks import WebhookCounts

_AGE_MS = 60_000  # between the orders that a shop is stocked with
_MOST_SHIPPED_LINES = 512  # of a fulfilment order in one call (FulfillmentOrderLineItemsInput)
_PRODUCTS = frozenset({"read_products", "write_products"})


@dataclass(slots=True, eq=False)
class ShopifyShop:
    """A shop. `access`: of the one app that is installed in it. `routing`: the orders whose FOs do not show yet.
    `webhooks`: counts of those that were due, by outcome. `acting`: the scopes of the call that is being answered.

    `when_due` is called when `due_in` may have become less.
    """

    domain: str
    access: AppAccess
    clock: Clock
    options: ShopifyOptions
    press: OrderPress
    subscriptions: Subscriptions
    events: Events
    shelf: Shelf
    orders: dict[int, Order] = field(default_factory=dict)
    routing: list[Order] = field(default_factory=list)
    webhooks: WebhookCounts = field(default_factory=WebhookCounts)
    when_due: Callable[[], None] = lambda: None
    acting: frozenset[str] = frozenset(SCOPES)
    jobs: dict[str, Job] = field(default_factory=dict)
    uncancellable: dict[int, str] = field(default_factory=dict)
    throttled_calls: int = 0
    available: float = 0
    restored_at: float = 0

    @classmethod
    def stocked(cls, number: int, clock: Clock, options: ShopifyOptions, *, orders: int, seed: int) -> ShopifyShop:
        """The shop `number` (from 0 on), with `orders` orders in UNFULFILLED, a minute apart."""
        domain = f"shopy{number + 1}.myshopify.com"
        client = (f"sandbox-app-{number + 1}", f"sandbox-secret-{number + 1}", f"shpat_sandbox_token_{number + 1}")
        access = AppAccess(*client, clock, SCOPES, options.lives)
        press = OrderPress(seed, domain, number)
        wired = (Subscriptions(press.next_id), Events(clock), Shelf(number))
        shop = cls(domain, access, clock, options, press, *wired)
        now = clock.now_ms()
        for n in range(orders):
            made = now - (orders - n) * _AGE_MS
            order = shop.press.make(made, made)
            shop.orders[order.id] = order
        shop.available, shop.restored_at = options.bucket, clock.monotonic()
        return shop

    @property
    def token(self) -> str:
        """The app's permanent token."""
        return self.access.token

    @property
    def webhook_secret(self) -> str:
        """What webhooks are signed with: the app's client secret (shopify.md §1.1)."""
        return self.access.client_secret

    # -- time --------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Does what is due: cancellations whose job has come to its end, FOs that show from now on."""
        now = self.clock.monotonic()
        for job in self.jobs.values():
            if not job.is_done and now >= job.due:
                job.is_done, job.failure = True, self.uncancellable.pop(job.order, None)
                if job.order in self.orders and job.failure is None:
                    self.cancel_now(self.orders[job.order], job.reason, refunds=job.refunds)
        for order in [each for each in self.routing if self.clock.now_ms() >= each.routed_at]:
            self.publish_routed(order)

    def due_in(self) -> float | None:
        """Seconds until `settle` has something to do; None where nothing is under way."""
        now, now_ms = self.clock.monotonic(), self.clock.now_ms()
        waits = [job.due - now for job in self.jobs.values() if not job.is_done]
        waits += [(order.routed_at - now_ms) / 1000 for order in self.routing]
        return max(0.0, min(waits)) if waits else None

    def spend(self, requested: int, cost: int) -> float | None:
        """Takes points from the bucket, which has to hold those that are `requested` (shopify.md §8); seconds to wait
        where there are too few. A bucket that is smaller, as no plan has it, is enough when it is full."""
        now, options = self.clock.monotonic(), self.options
        gained = (now - self.restored_at) * options.restore_rate
        self.available, self.restored_at = min(options.bucket, self.available + gained), now
        needed = max(cost, min(requested, options.bucket))
        if self.available < needed:
            self.throttled_calls += 1
            return (needed - self.available) / options.restore_rate
        self.available -= cost
        return None

    # -- what webhooks are about -----------------------------------------------------------------------------------

    def touch(self, order: Order, *topics: str, fulfillment: Fulfillment | None = None) -> None:
        """The order changed: its change time and those of its FOs, and the webhooks about it and of its
        `fulfillment`."""
        now = order.updated = self.clock.now_ms()
        for each in order.fulfillment_orders:
            each.updated = now

        def body(topic: str) -> Json:
            if fulfillment is not None and topic.startswith("fulfillments/"):
                return fulfillment_body(order, fulfillment)
            return order_body(order, now)

        self.events.publish(order.id, [(topic, partial(body, topic)) for topic in (*topics, "orders/updated")])

    def publish_parts(self, order: Order, topic: str, parts: Iterable[FulfillmentOrder]) -> None:
        """What happened to each of these FOs (`topic` without its area): each is an event of its own."""
        for part in parts:
            self.events.publish(order.id, [topic_body(topic, part)])

    def publish_routed(self, order: Order) -> None:
        """The order's FOs show from now on. Its change time stays, so a list by change time misses it."""
        self.routing = [each for each in self.routing if each is not order]
        self.publish_parts(order, "order_routing_complete", order.fulfillment_orders)

    def add(
        self,
        routing_seconds: float | None = None,
        pieces: int | None = None,
        line_count: int | None = None,
        prepare: Callable[[Order], None] = lambda _: None,
    ) -> Order:
        """A buyer orders. `routing_seconds` in place of the option, `line_count` lines with `pieces` of one good.
        `prepare` is done to it before anybody sees it."""
        now = self.clock.now_ms()
        wait = self.options.routing_seconds if routing_seconds is None else routing_seconds
        order = self.press.make(now, now + int(wait * 1000), pieces, line_count)
        prepare(order)
        self.orders[order.id] = order
        self.touch(order, "orders/create")
        self.routing.append(order)
        self.settle()
        self.when_due()
        return order

    def remove(self, order: Order) -> None:
        """The order is deleted."""
        del self.orders[order.id]
        self.routing = [each for each in self.routing if each is not order]
        self.events.publish(order.id, [("orders/delete", lambda: {"id": order.id})])

    def publish_product(self, product: Product, topic: str) -> None:
        """`products/create` or `products/update`."""
        self.events.publish(product.id, [(topic, product.body)])

    def subscribe(self, topic: str, wanted: Mapping[str, Json]) -> Subscription:
        """webhookSubscriptionCreate. Raises Refused, Denied for what the app may not read."""
        if enum_of(topic).startswith("PRODUCTS_") and not _PRODUCTS & self.acting:
            raise Denied("webhookSubscriptionCreate", "`read_products` access scope")
        if enum_of(topic).startswith("RETURNS_") and not RETURNS & self.acting:
            raise Denied("webhookSubscriptionCreate", "`read_returns` access scope")
        return self.subscriptions.create(topic, wanted.get("uri"), wanted.get("format"), wanted.get("name"))

    # -- looking up --------------------------------------------------------------------------------------------------

    def order_of_fulfillment_order(self, number: int | None) -> tuple[Order, FulfillmentOrder] | None:
        """The FO and its order, by the FO's number."""
        for order in self.orders.values():
            for each in order.fulfillment_orders:
                if each.id == number:
                    return order, each
        return None

    def order_of_fulfillment(self, number: int | None) -> tuple[Order, Fulfillment] | None:
        """The fulfilment and its order."""
        for order in self.orders.values():
            for each in order.fulfillments:
                if each.id == number:
                    return order, each
        return None

    # -- mutations ---------------------------------------------------------------------------------------------------

    def report_progress(self, number: int | None) -> FulfillmentOrder:
        """fulfillmentOrderReportProgress. Raises Refused."""
        found = self.order_of_fulfillment_order(number)
        if found is None:
            raise Refused("Fulfillment order does not exist.", ["id"])
        order, each = found
        if each.status not in ("OPEN", "IN_PROGRESS"):
            raise Refused("Cannot report progress on a fulfillment order in this state.")
        was, each.status, each.is_reported = each.status, "IN_PROGRESS", True
        self.touch(order)
        self.events.publish(order.id, [topic_body("progress_reported", each, was=was.lower())])
        return each

    def fulfill(self, wanted: Mapping[str, Json]) -> Fulfillment:
        """fulfillmentCreate. Raises Refused."""
        parts, orders = self._parts(wanted.get("lineItemsByFulfillmentOrder") or [])
        if len({order.id for order in orders}) > 1:
            numbers = ", ".join(str(order.id) for order in orders)
            raise _fulfillment_refusal(
                "All fulfillment orders must belong to the same order."
                f" Multiple orders with ids [{numbers}] were found."
            )
        places = sorted({each.location for each, _, _ in parts})
        if len(places) > 1:
            numbers = ", ".join(map(str, places))
            raise _fulfillment_refusal(
                "All fulfillment orders must be assigned to a single location."
                f" Multiple locations with ids [{numbers}] were found."
            )
        if len({each.method for each, _, _ in parts}) > 1:
            raise _fulfillment_refusal("All fulfillment orders must have the same delivery method.")
        return self.ship(orders[0], parts, tracking_rows(wanted.get("trackingInfo")))

    def ship(
        self, order: Order, parts: list[tuple[FulfillmentOrder, list[int], int]], tracking: list[dict[str, Json]]
    ) -> Fulfillment:
        """Sends goods: [FO, its line, quantity]."""
        lines: dict[int, int] = {}
        taken: list[tuple[int, int, int]] = []
        for each, line, quantity in parts:
            line[3] -= quantity
            lines[line[1]] = lines.get(line[1], 0) + quantity
            taken.append((each.id, line[0], quantity))
            each.status = "IN_PROGRESS" if any(part[3] for part in each.lines) else "CLOSED"
        name = f"{order.name}-F{len(order.fulfillments) + 1}"
        made = Fulfillment(self.press.next_id(), name, self.clock.now_ms(), lines, taken, tracking)
        if parts[0][0].method == "PICK_UP":
            made.display, made.delivered = "PICKED_UP", made.created
        order.fulfillments.append(made)
        is_whole = order.state(self.clock.now_ms()) == "FULFILLED"
        topic = "orders/fulfilled" if is_whole else "orders/partially_fulfilled"
        self.touch(order, "fulfillments/create", topic, fulfillment=made)
        return made

    def _parts(self, groups: list[Json]) -> tuple[list[tuple[FulfillmentOrder, list[int], int]], list[Order]]:
        parts: list[tuple[FulfillmentOrder, list[int], int]] = []
        orders: list[Order] = []
        for n, group in enumerate(groups):
            found = self.order_of_fulfillment_order(number_of(group["fulfillmentOrderId"]))
            if found is None:
                raise _fulfillment_refusal("Fulfillment order does not exist.")
            order, each = found
            if each.status not in ("OPEN", "IN_PROGRESS") or not may_ship(each):
                status = each.status.lower()
                raise _fulfillment_refusal(f"Fulfillment order {each.id} has an unfulfillable status= {status}.")
            orders += [order] if order not in orders else []
            asked = group.get("fulfillmentOrderLineItems")
            if asked is not None and len(asked) > _MOST_SHIPPED_LINES:
                raise TooMany(["fulfillmentCreate", "fulfillment"], len(asked), _MOST_SHIPPED_LINES)
            if asked is None:
                parts += [(each, line, line[3]) for line in each.lines if line[3]]
                continue
            for m, row in enumerate(asked):
                line = next((line for line in each.lines if line[0] == number_of(row["id"])), None)
                if line is None:
                    raise _fulfillment_refusal("Fulfillment order line item does not exist.")
                if row["quantity"] <= 0:
                    path = ["fulfillment", "lineItemsByFulfillmentOrder", str(n), "fulfillmentOrderLineItems", str(m)]
                    raise Refused("Quantity must be greater than 0", [*path, "quantity"], is_elsewhere=False)
                if row["quantity"] > line[3]:
                    raise _fulfillment_refusal("Invalid fulfillment order line item quantity requested.")
                parts.append((each, line, row["quantity"]))
        return parts, orders

    def update_tracking(self, number: int | None, tracking: Json) -> Fulfillment:
        """fulfillmentTrackingInfoUpdate: an overwrite, also of cancelled ones. Raises Refused."""
        found = self.order_of_fulfillment(number)
        if found is None:
            raise Refused("Fulfillment does not exist.", ["fulfillmentId"])
        order, each = found
        each.numbers = tracking_rows(tracking)
        self.touch(order, "fulfillments/update", fulfillment=each)
        return each

    def add_event(self, number: int | None, status: str) -> Fulfillment:
        """fulfillmentEventCreate. Raises Refused."""
        found = self.order_of_fulfillment(number)
        if found is None:
            raise Refused("Fulfillment does not exist.", ["fulfillmentEvent", "fulfillmentId"])
        order, each = found
        each.display = status
        if status == "DELIVERED":
            each.delivered = self.clock.now_ms()
        self.touch(order, "fulfillments/update", fulfillment=each)
        return each

    def cancel(self, number: int | None, reason: str, note: str | None, *, refunds: bool = False) -> str:
        """orderCancel: the id of the job that will do it. `refunds`: the buyer gets the money back. Raises Refused."""
        order = self.orders.get(number or 0)
        if order is None:
            raise Refused("Order does not exist", ["orderId"])
        if note is not None and len(note) > 255:
            text = "Staff note is too long. Maximum length is 255 characters."
            raise Refused(text, ["staffNote"], is_elsewhere=False)
        is_under_way = any(each.order == order.id and not each.is_done for each in self.jobs.values())
        if order.cancelled is not None or is_under_way:
            raise Refused("Cannot cancel an order that has already been canceled", ["orderId"])
        if order.live():
            raise Refused("Cannot cancel an order that has outstanding fulfillments", ["orderId"])
        job = f"gid://shopify/Job/{self.press.next_id()}"
        self.jobs[job] = Job(order.id, self.clock.monotonic() + self.options.job_seconds, reason, refunds)
        self.when_due()
        return job

    def set_metafields(self, asked: Sequence[Mapping[str, Json]]) -> None:
        """metafieldsSet of orders: all of them or none. Raises Refused."""
        orders = [self.orders.get(number_of(each.get("ownerId")) or 0) for each in asked]
        for place, (each, order) in enumerate(zip(asked, orders, strict=True)):
            where = ["metafields", str(place)]
            if order is None:
                raise Refused("Owner does not exist.", [*where, "ownerId"], is_elsewhere=False, code="INVALID")
            if each.get("type") == "single_line_text_field" and len(str(each["value"]).splitlines()) != 1:
                text = "Value must be a single line text string."
                raise Refused(text, [*where, "value"], is_elsewhere=False, code="INVALID_VALUE")
        for each, order in zip(asked, orders, strict=True):
            if order is not None:
                order.metafields[f"{each['namespace']}.{each['key']}"] = str(each["value"])
                self.touch(order)

    def cancel_result(self, text: Json) -> dict[str, Json] | None:
        """The result of the cancellation whose job has this number; None for an unknown job."""
        job = self.jobs.get(f"gid://shopify/Job/{number_of(text)}")
        return None if job is None else job.result(str(number_of(text)))

    def cancel_now(self, order: Order, reason: str, *, refunds: bool = False) -> None:
        """The order is cancelled: its FOs are closed, its lines emptied, money that was only authorized or asked for
        is not wanted any more (shopify.md §6)."""
        if refunds:
            refund_all(order)
        else:
            void(order)
        order.cancelled, order.cancel_reason = self.clock.now_ms(), reason
        for line in order.lines:
            line.current = 0
        for each in order.fulfillment_orders:
            each.status = "CLOSED"
            for part in each.lines:
                part[2] = part[3] = 0
        self.touch(order, "orders/cancelled")

    def unship(self, fulfillment: Fulfillment, order: Order) -> None:
        """fulfillmentCancel: the goods come back in a new FO, the old one still shows them (shopify.md §6)."""
        fulfillment.status, fulfillment.display = "CANCELLED", "CANCELED"
        for number, part, quantity in fulfillment.taken:
            old = next(each for each in order.fulfillment_orders if each.id == number)
            line = next(each for each in old.lines if each[0] == part)
            line[3] += quantity
            if old.status == "CLOSED":
                parts = [[self.press.next_id(), line[1], quantity, quantity]]
                again = FulfillmentOrder(self.press.next_id(), old.location, parts, method=old.method)
                order.fulfillment_orders.append(again)
        self.touch(order, "fulfillments/update", fulfillment=fulfillment)


def number_of(text: Json) -> int | None:
    """The number of a gid, None where it has none."""
    tail = str(text).rpartition("/")[2]
    return int(tail) if tail.isdecimal() else None


def _fulfillment_refusal(message: str) -> Refused:
    return Refused(message, ["fulfillment"])
