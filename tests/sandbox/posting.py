"""A simulated Shopify that posts webhooks to a receiver of the test's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from orchestrator.clock import Clock
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.shopify.options import ShopifyOptions
from orchestrator.sandbox.shopify.shop import ShopifyShop
from tests.sandbox.probe import HandClock
from tests.sandbox.receiver import Receiver, receiving

TOPICS = ("orders/create", "orders/updated", "fulfillments/create", "orders/cancelled", "products/update")
ROUTED = "fulfillment_orders/order_routing_complete"
LIST = """query L($first: Int, $after: String, $topics: [WebhookSubscriptionTopic!], $uri: String) {
  webhookSubscriptions(first: $first, after: $after, topics: $topics, uri: $uri) {
    nodes { id topic uri format } pageInfo { hasNextPage endCursor } } }"""
CREATE = """mutation C($topic: WebhookSubscriptionTopic!, $sub: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $sub) {
    webhookSubscription { id topic format uri filter includeFields name } userErrors { field message } } }"""
UPDATE = """mutation U($id: ID!, $sub: WebhookSubscriptionInput!) {
  webhookSubscriptionUpdate(id: $id, webhookSubscription: $sub) {
    webhookSubscription { id topic format uri } userErrors { field message } } }"""
DELETE = """mutation D($id: ID!) { webhookSubscriptionDelete(id: $id) {
  deletedWebhookSubscriptionId userErrors { field message } } }"""
PART = "query P($id: ID!) { fulfillmentOrder(id: $id) { id order { id } } }"


@dataclass(slots=True)
class Post:
    """A running sandbox and a receiver; `time` moves only where it was asked for."""

    sandbox: Sandbox
    receiver: Receiver
    session: aiohttp.ClientSession
    time: HandClock

    @property
    def shop(self) -> ShopifyShop:
        shop: ShopifyShop = self.sandbox.shopify.shop
        return shop

    @property
    def waiting(self) -> int:
        waiting: int = self.sandbox.shopify.senders[0].waiting
        return waiting

    def subscribe(self, *topics: str, path: str = "/orders") -> None:
        for topic in topics:
            self.shop.subscriptions.create(topic, self.receiver.url(path))

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Waits for outcomes of attempts until it is so."""
        while not is_so():
            await self.sandbox.shopify.senders[0].outcome()

    async def panel(self, action: str, **fields: Any) -> Any:
        url = f"{self.sandbox.base_url}/_sandbox/shopify/panel"
        async with self.session.post(url, json={"action": action, **fields}) as response:
            return await response.json() if response.status == 200 else (response.status, await response.json())

    async def ask(self, query: str, **variables: Any) -> Any:
        url = f"{self.sandbox.base_url}/shopify/{self.shop.domain}/admin/api/2026-10/graphql.json"
        headers = {"X-Shopify-Access-Token": self.shop.token}
        async with self.session.post(url, json={"query": query, "variables": variables}, headers=headers) as response:
            (answer,) = (await response.json())["data"].values()
            return answer


@asynccontextmanager
async def posting(
    *, is_timed: bool = False, faults: dict[str, float] | None = None, **options: Any
) -> AsyncIterator[Post]:
    """`is_timed`: by a clock that stands still until it is moved. `options`: of ShopifyOptions."""
    time = HandClock()
    shopify = ShopifyOptions(**{"webhook_retry_seconds": 0.001, **options})
    settings = SandboxSettings(orders=3, options={"shopify": shopify}, faults=faults or {})
    sandbox = Sandbox(settings, clock=time.clock() if is_timed else Clock())
    async with aiohttp.ClientSession() as session, receiving() as receiver, sandbox.running():
        yield Post(sandbox, receiver, session, time)
