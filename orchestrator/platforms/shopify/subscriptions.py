"""The webhooks that Shopify sends for our app: listed, created, updated (facts: shopify.md §2.4, §2.5)."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.platforms.client import Throttle
from orchestrator.platforms.failures import Rejected, Unreadable
from orchestrator.platforms.progress import Progress
from orchestrator.platforms.shopify.graphql import ShopifyDoor
from orchestrator.platforms.shopify.options import PROGRESS_SINCE
from orchestrator.platforms.shopify.webhooks import PRODUCT_TOPICS, PROGRESS_TOPICS, TOPICS, topic_enum
from orchestrator.platforms.subscriptions import Subscription
from statemachines.target import Json

_TAKEN = "already been taken"  # shopify.md §2.5: the same topic and address again
_BY_ENUM = {topic_enum(topic): topic for topic in TOPICS}


def addresses(base: str, api_version: str) -> dict[str, str]:
    """Where each topic that this version has goes: products to an address of their own, as the integration guide has
    it (shopify.md §2.1)."""
    topics = [topic for topic in TOPICS if topic not in PROGRESS_TOPICS or api_version >= PROGRESS_SINCE]
    return {topic: f"{base}/products" if topic in PRODUCT_TOPICS else f"{base}/orders" for topic in topics}


class ShopifySubscriptions:
    """The subscriptions of one shop. `throttle`: see `client.Throttle`."""

    def __init__(self, door: ShopifyDoor, throttle: Throttle) -> None:
        self._door, self._throttle = door, throttle

    async def list(self) -> list[Subscription]:
        """The app's webhooks. Shopify deletes one after eight failures in a row, so they are worth a read at start
        and now and then (shopify.md §2.3). Raises PlatformFailure, among them Unreadable for a list without an end:
        half of it would have the others taken for missing."""
        found: list[Subscription] = []
        after: str | None = None
        progress = Progress()
        while True:
            data, answer = await self._door.query("subscriptions", {"after": after})
            try:
                connection = data["webhookSubscriptions"]
                shown = [_subscription(node) for node in connection["nodes"]]
                info = connection["pageInfo"]
                has_more, after = info["hasNextPage"], info.get("endCursor")
            except (KeyError, TypeError, AttributeError) as error:
                raise Unreadable(f"unexpected answer to the list of webhooks: {error}", answer.body) from None
            found += shown
            if not has_more:
                return list({each.id: each for each in found}.values())
            words = progress.complaint((each.id for each in shown), after)
            if words is None and not isinstance(after, str):
                words = "it says that more follows, and not where"
            if words is not None:
                raise Unreadable(f"the list of webhooks is not to be relied on: {words}", answer.body)
            await self._throttle()

    async def create(self, topic: str, address: str) -> bool:
        """Asks for a topic at an address; False: Shopify says that it sends that already.

        Raises Rejected with Shopify's words, PlatformFailure.
        """
        variables = {"topic": topic_enum(topic), "subscription": _wanted(address)}
        return await self._change("subscribe", "webhookSubscriptionCreate", variables)

    async def update(self, subscription: Subscription) -> None:
        """Asks for the same as JSON. Raises Rejected with Shopify's words, PlatformFailure."""
        variables = {"id": subscription.id, "subscription": _wanted(subscription.address)}
        await self._change("resubscribe", "webhookSubscriptionUpdate", variables)

    async def _change(self, document: str, field: str, variables: Mapping[str, Json]) -> bool:
        await self._throttle()
        answer = await self._door.send(document, variables, is_effect=True)
        payload = self._door.data_of(answer, is_effect=True).get(field) or {}
        refusal = self._door.refusal_of(payload)
        if refusal is not None and not all(_TAKEN in str(each) for each in payload["userErrors"]):
            raise Rejected(refusal.detail)
        return refusal is None


def _wanted(address: str) -> dict[str, Json]:
    return {"uri": address, "format": "JSON"}


def _subscription(node: Json) -> Subscription:
    name = str(node["topic"])
    area, _, rest = name.lower().rpartition("_")
    is_readable = node.get("format", "JSON") == "JSON"
    return Subscription(str(node["id"]), _BY_ENUM.get(name, f"{area}/{rest}"), str(node["uri"]), is_readable)
