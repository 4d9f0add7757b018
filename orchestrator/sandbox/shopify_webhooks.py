"""Webhooks of a simulated Shopify shop: signed, with all their headers, at least once and in any sequence.

Facts: shopify.md §2.2, §2.3; bodies as in the samples `webhook_*`, cut to what is looked at. A `Courier` sends what
happened in a shop since it was last asked; repeats and disorder are knobs, as the platform promises neither.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp

from orchestrator.sandbox.shopify_orders import Fulfillment, Json, Order, gid
from orchestrator.sandbox.shopify_shop import ShopifyShop

_ANSWER_SECONDS = 5  # Shopify waits no longer for the whole answer
_FINANCIAL = {"PAID": "paid", "AUTHORIZED": "authorized", "PENDING": "pending"}
_FULFILLED = {"FULFILLED": "fulfilled", "PARTIALLY_FULFILLED": "partial"}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook, ready to be sent, as often as it takes."""

    topic: str
    body: bytes
    headers: dict[str, str]


@dataclass(slots=True)
class Courier:
    """Sends a shop's webhooks to one address. `duplicates`: the share that is sent twice, `disorder`: whether what is
    due goes out in any sequence; both by `rng`."""

    shop: ShopifyShop
    address: str
    duplicates: float = 0.0
    disorder: bool = False
    rng: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 - disorder, no secret

    def due(self) -> list[Delivery]:
        """What happened since the last call, as it is to be sent."""
        waiting, self.shop.outbox = self.shop.outbox, []
        made: list[Delivery] = []
        for topic, number in waiting:
            order = self.shop.orders.get(number)
            if order is not None:
                made.append(self.delivery(topic, body_of(topic, order, self.shop.clock.now_ms())))
        made += [each for each in made if self.rng.random() < self.duplicates]
        if self.disorder:
            self.rng.shuffle(made)
        return made

    def delivery(self, topic: str, body: Json, secret: str | None = None) -> Delivery:
        """A signed webhook with fresh ids; `secret`: another one than the shop's."""
        raw = json.dumps(body, ensure_ascii=False).encode()
        now = datetime.fromtimestamp(self.shop.clock.now_ms() / 1000, UTC)
        headers = {
            "Content-Type": "application/json",
            "X-Shopify-Topic": topic,
            "X-Shopify-Hmac-Sha256": sign(raw, secret or self.shop.webhook_secret),
            "X-Shopify-Shop-Domain": self.shop.domain,
            "X-Shopify-API-Version": "2026-10",
            "X-Shopify-Webhook-Id": str(uuid.UUID(int=self.rng.getrandbits(128), version=4)),
            "X-Shopify-Event-Id": str(uuid.UUID(int=self.rng.getrandbits(128), version=4)),
            "X-Shopify-Triggered-At": now.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z",
        }
        return Delivery(topic, raw, headers)

    async def send(self, deliveries: Sequence[Delivery]) -> list[int]:
        """Posts each, one after another; answers their statuses, 0 where there was none in time."""
        statuses: list[int] = []
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            for each in deliveries:
                try:
                    async with session.post(
                        self.address, data=each.body, headers=each.headers, allow_redirects=False
                    ) as response:
                        statuses.append(response.status)
                except (aiohttp.ClientError, TimeoutError):
                    statuses.append(0)
        return statuses

    async def flush(self) -> list[int]:
        """Sends what is due."""
        return await self.send(self.due())


def sign(raw: bytes, secret: str) -> str:
    """base64 of HMAC-SHA256 over the raw body (shopify.md §2.3)."""
    return base64.b64encode(hmac.new(secret.encode(), raw, hashlib.sha256).digest()).decode()


def body_of(topic: str, order: Order, now: int) -> Json:
    """The REST-shaped body of a topic (shopify.md §3)."""
    if topic.startswith("fulfillments/") and order.fulfillments:
        return _fulfillment_body(order, order.fulfillments[-1])
    return _order_body(order, now)


def _order_body(order: Order, now: int) -> dict[str, Json]:
    return {
        "id": order.id,
        "admin_graphql_api_id": gid("Order", order.id),
        "name": order.name,
        "email": order.fields["email"],
        "created_at": _time(order.created),
        "updated_at": _time(order.updated),
        "cancelled_at": _time(order.cancelled),
        "cancel_reason": order.cancel_reason.lower() if order.cancel_reason else None,
        "closed_at": _time(order.cancelled),
        "financial_status": _FINANCIAL.get(order.financial),
        "fulfillment_status": _FULFILLED.get(order.state(now)),
        "total_price": order.fields["currentTotalPriceSet"]["shopMoney"]["amount"],
        "line_items": [
            {
                "id": line.id,
                "admin_graphql_api_id": gid("LineItem", line.id),
                "quantity": line.quantity,
                "sku": line.sku,
            }
            for line in order.lines
        ],
    }


def _fulfillment_body(order: Order, fulfillment: Fulfillment) -> dict[str, Json]:
    tracking = fulfillment.tracking or {}
    return {
        "id": fulfillment.id,
        "admin_graphql_api_id": gid("Fulfillment", fulfillment.id),
        "order_id": order.id,
        "name": fulfillment.name,
        "status": fulfillment.status.lower(),
        "shipment_status": "delivered" if fulfillment.display == "DELIVERED" else None,
        "created_at": _time(fulfillment.created),
        "updated_at": _time(order.updated),
        "tracking_company": tracking.get("company"),
        "tracking_number": tracking.get("number"),
        "tracking_numbers": [tracking["number"]] if tracking.get("number") else [],
        "tracking_url": tracking.get("url"),
        "line_items": [{"id": line, "quantity": count} for line, count in fulfillment.lines.items()],
    }


def _time(ms: int | None) -> str | None:
    """As REST bodies write it: with an offset."""
    return None if ms is None else datetime.fromtimestamp(ms // 1000, UTC).isoformat()
