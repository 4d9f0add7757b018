"""Webhooks of a simulated Shopify shop: signed, with all their headers, at least once and in any sequence.

Facts: shopify.md §2.2, §2.3. The running sandbox sends them itself, to the shop's subscriptions (`sender`). A
`ManualSender` is for tests that want to hold them in their hands: it sends to one address what happened since it was
last asked; repeats and disorder are knobs, as the platform promises neither.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from orchestrator.sandbox.shopify.events import Event, new_uuid
from orchestrator.sandbox.shopify.orders import Json
from orchestrator.sandbox.shopify.shop import ShopifyShop
from orchestrator.sandbox.shopify.xml import xml_of
from orchestrator.sandbox.webhooks import Delivery, open_session, post, sign

_API_VERSION = "2026-10"


@dataclass(slots=True)
class ManualSender:
    """Sends all of a shop's webhooks from now on to one address, without a subscription. `duplicates`: the share that
    is sent twice, `disorder`: whether what is due goes out in any sequence; both by `rng`."""

    shop: ShopifyShop
    address: str
    duplicates: float = 0.0
    disorder: bool = False
    rng: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 - disorder, no secret
    _taken: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shop.events.listeners.append(self)

    def wants(self, topic: str) -> bool:
        """As `Listener.wants`: everything."""
        del topic
        return True

    def take(self, event: Event) -> None:
        """As `Listener.take`."""
        self._taken.append(event)

    def due(self) -> list[Delivery]:
        """What happened since the last call, as it is to be sent."""
        taken, self._taken = self._taken, []
        made = [delivery_of(self.shop, event, new_uuid(self.rng)) for event in taken]
        made += [each for each in made if self.rng.random() < self.duplicates]
        if self.disorder:
            self.rng.shuffle(made)
        return made

    def delivery(self, topic: str, body: Json, secret: str | None = None) -> Delivery:
        """A signed webhook with fresh ids; `secret`: another one than the shop's."""
        event = Event(new_uuid(self.rng), topic, 0, self.shop.clock.now_ms(), body)
        return delivery_of(self.shop, event, new_uuid(self.rng), secret=secret)

    async def send(self, deliveries: Sequence[Delivery]) -> list[int]:
        """Posts each, one after another; answers their statuses, 0 where there was none in time."""
        async with open_session(self.shop.options.webhook_deadline_seconds) as session:
            return [await post(session, self.address, each) for each in deliveries]

    async def flush(self) -> list[int]:
        """Sends what is due."""
        return await self.send(self.due())


def delivery_of(
    shop: ShopifyShop,
    event: Event,
    webhook_id: str,
    *,
    body_format: str = "JSON",
    name: str | None = None,
    secret: str | None = None,
) -> Delivery:
    """The webhook about an event, for a subscription with this `body_format` and `name`, signed with the shop's
    secret or another one."""
    is_xml = body_format == "XML"
    raw = xml_of(event.topic, event.body) if is_xml else json.dumps(event.body, ensure_ascii=False).encode()
    at = datetime.fromtimestamp(event.at_ms / 1000, UTC)
    headers = {
        "Content-Type": "application/xml" if is_xml else "application/json",
        "X-Shopify-Topic": event.topic,
        "X-Shopify-Hmac-Sha256": sign(raw, secret or shop.webhook_secret),
        "X-Shopify-Shop-Domain": shop.domain,
        "X-Shopify-API-Version": _API_VERSION,
        "X-Shopify-Webhook-Id": webhook_id,
        "X-Shopify-Event-Id": event.id,
        "X-Shopify-Triggered-At": at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z",
    }
    if name is not None:
        headers["X-Shopify-Name"] = name
    return Delivery(event.topic, raw, headers)
