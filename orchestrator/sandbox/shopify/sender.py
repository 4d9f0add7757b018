"""Sends a simulated Shopify shop's webhooks to its subscriptions, as Shopify does (facts: shopify.md §2.3, §9).

Every (topic, address) gets a webhook of its own: bytes and ids that never change, however often it is sent.
"""

from __future__ import annotations

import random
from functools import partial

from orchestrator.clock import Clock
from orchestrator.sandbox.faults import FaultPlan
from orchestrator.sandbox.shopify.events import Event, new_uuid
from orchestrator.sandbox.shopify.shop import ShopifyShop
from orchestrator.sandbox.shopify.subscriptions import Subscription
from orchestrator.sandbox.shopify.webhooks import delivery_of
from orchestrator.sandbox.webhooks import Delivery, PendingWebhook, WebhookSender

_RETRIES = 8
_LATEST = 2.0  # how late a webhook may come out of order, in `webhook_retry_seconds`


class ShopifySender(WebhookSender[Subscription]):
    """The webhooks of one shop. Listens from the beginning."""

    def __init__(self, shop: ShopifyShop, clock: Clock, faults: FaultPlan) -> None:
        options = shop.options
        super().__init__(
            shop.domain,
            clock,
            faults,
            shop.webhooks,
            deadline_seconds=options.webhook_deadline_seconds,
            late_seconds=_LATEST * options.webhook_retry_seconds,
        )
        self._shop = shop
        self._rng = random.SystemRandom()
        shop.events.listeners.append(self)
        shop.when_due = self.wake_up

    def wants(self, topic: str) -> bool:
        """As `Listener.wants`: what somebody subscribed to."""
        return bool(self._shop.subscriptions.of(topic))

    def take(self, event: Event) -> None:
        """As `Listener.take`: a webhook for each subscription."""
        for each in self._shop.subscriptions.of(event.topic):
            delivery = delivery_of(self._shop, event, new_uuid(self._rng), body_format=each.format, name=each.name)
            self.offer(each, each.address, event.subject, event.topic, partial(_same, delivery))

    def is_kept(self, subscription: Subscription) -> bool:
        """As `WebhookSender.is_kept`."""
        return subscription in self._shop.subscriptions

    def note(self, webhook: PendingWebhook[Subscription], status: int) -> bool:
        """As `WebhookSender.note`."""
        is_acknowledged = 200 <= status < 300
        self._shop.subscriptions.note(webhook.subscription, "acknowledged" if is_acknowledged else "failed")
        return is_acknowledged

    def retry_seconds(self, webhook: PendingWebhook[Subscription]) -> float | None:
        """As `WebhookSender.retry_seconds`."""
        if webhook.failures > _RETRIES:
            return None
        return self._shop.options.webhook_retry_seconds * 2.0 ** (webhook.failures - 1)

    def settle(self) -> None:
        """As `WebhookSender.settle`."""
        self._shop.settle()

    def due_in(self) -> float | None:
        """As `WebhookSender.due_in`."""
        return self._shop.due_in()


def _same(delivery: Delivery) -> Delivery:
    return delivery
