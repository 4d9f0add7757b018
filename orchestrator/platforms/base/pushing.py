"""Webhooks of a platform that keeps them in a registry over REST, and whose bodies are what its REST API shows.

A webhook's topic is an area and what happened there (`order.updated`, `product.created`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final

from yarl import URL

from orchestrator.platforms.base.calls import json_body
from orchestrator.platforms.base.rest import RestClient
from orchestrator.platforms.client import OrderSnapshot
from orchestrator.platforms.content import text
from orchestrator.platforms.failures import AccessDenied, Rejected, Transient
from orchestrator.platforms.fields import id_or_none, optional_ms, shown
from orchestrator.platforms.http import Answer
from orchestrator.platforms.progress import Progress
from orchestrator.platforms.subscriptions import Subscription
from orchestrator.platforms.webhooks import (
    Envelope,
    Kind,
    Notification,
    OrderNotification,
    Product,
    ProductNotification,
    SignedWebhooks,
    Unimportant,
    Unreadable,
    topics,
)
from statemachines.target import Json

_ROWS_A_PAGE: Final = 100
_AREAS: Final = {"order": Kind.ORDER, "product": Kind.PRODUCT}


class PushingRestClient(RestClient):
    """A `RestClient` that is a `PushingClient`. The registry is a list of pages; a webhook is made by POST and changed
    by PUT, with a secret of ours to sign with. `topics`: those that we take."""

    topics: ClassVar[Sequence[str]]

    # -- to write --------------------------------------------------------------------------------------------------

    @abstractmethod
    def webhooks_url(self, webhook: str | None = None, **query: str) -> URL:
        """The address of the registry, or of one webhook in it."""

    @abstractmethod
    def subscription_of(self, row: Mapping[str, Json]) -> Subscription:
        """A row of the registry."""

    @abstractmethod
    def webhook_of(self, topic: str, address: str, secret: str | None) -> Json:
        """What makes a webhook, or makes it come again after it was switched off. `secret` None: as it was."""

    # -- given -----------------------------------------------------------------------------------------------------

    def addresses(self, base: str) -> dict[str, str]:
        """As `PushingClient.addresses`: products to an address of their own."""
        return {topic: f"{base}/{topic.partition('.')[0]}s" for topic in self.topics}

    async def list_subscriptions(self) -> list[Subscription]:
        """As `PushingClient.list_subscriptions`. Raises Transient for a list that does not end: half of it would have
        the others taken for missing."""
        found: dict[str, Subscription] = {}
        progress = Progress()
        page = 1
        while True:
            url = self.webhooks_url(per_page=str(_ROWS_A_PAGE), page=str(page))
            rows = [self.subscription_of(row) for row in self._rows(await self._ask_registry("GET", url))]
            found |= {each.id: each for each in rows}
            if len(rows) < _ROWS_A_PAGE:
                return list(found.values())
            if (words := progress.complaint((each.id for each in rows), None)) is not None:
                raise Transient(f"the list of webhooks is not to be relied on: {words}")
            page += 1

    async def subscribe(self, topic: str, address: str, secret: str | None) -> bool:
        """As `PushingClient.subscribe`."""
        if secret is None:
            raise Rejected("webhooks have to be signed: set the shop's webhook_secret")
        self._caller.hide(secret)  # a complaint may repeat it
        await self._throttle()
        await self._ask_registry("POST", self.webhooks_url(), self.webhook_of(topic, address, secret))
        return True

    async def update_subscription(self, subscription: Subscription, secret: str | None) -> None:
        """As `PushingClient.update_subscription`."""
        change = self.webhook_of(subscription.topic, subscription.address, secret)
        self._caller.hide(secret or "")
        await self._throttle()
        await self._ask_registry("PUT", self.webhooks_url(subscription.id), change)

    async def order_of_part(self, part: str) -> str | None:
        """As `PushingClient.order_of_part`: webhooks name their orders."""
        del part
        return None

    async def _ask_registry(self, method: str, url: URL, body: Json = None) -> Answer:
        """A call about webhooks. That our access does not open them holds up no order, so it is Rejected."""
        try:
            answer = await self._send(method, url, None if body is None else json_body(body))
        except AccessDenied as denied:
            raise Rejected(denied.detail) from None
        if answer.status >= 400:
            raise Rejected(self._caller.words(answer))
        return answer


def resource_webhooks(
    *,
    envelope: Callable[[Mapping[str, str]], Envelope],
    is_genuine: Callable[[bytes, str, Sequence[str]], bool],
    order: Callable[[Json, bytes], OrderSnapshot | None],
    changed_at: str,
    title: str,
    is_ping: Callable[[Mapping[str, str], bytes], bool] | None = None,
) -> SignedWebhooks:
    """Webhooks whose bodies are orders and products with an `id`, or after `deleted` nothing but that. `changed_at` and
    `title`: the members that have the time of the last change and a product's title. The sender is the shop's address.
    """

    def notification(topic: str | None, body: Json) -> Notification:
        kind, what = _kind(topic), (topic or "").partition(".")[2]
        if topic is None or kind is Kind.OTHER or (kind is Kind.PRODUCT and what == "deleted"):
            return Unimportant(topic)
        found = id_or_none(body.get("id")) if isinstance(body, dict) else None
        if found is None:  # an error in its place, of a webhook whose user may not read it any more
            return Unreadable(f"the body names no {kind}: {shown(body)}")
        at = optional_ms(body.get(changed_at))
        if kind is Kind.ORDER:
            return OrderNotification(found, is_whole=what != "deleted", updated_at_ms=at)
        return ProductNotification(topic, Product(found, text(body.get(title)), at), is_new=what == "created")

    return SignedWebhooks(
        open=envelope,
        is_genuine=is_genuine,
        kind=_kind,
        notification=notification,
        order=order,
        sender_key="base_url",
        is_ping=is_ping,
        topic_for=topics("order.created", "order.updated"),
    )


def _kind(topic: str | None) -> Kind:
    return _AREAS.get((topic or "").partition(".")[0], Kind.OTHER)
