"""The webhook subscriptions of a simulated Shopify shop (facts: shopify.md §2.3, §2.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from orchestrator.sandbox.shopify.orders import Json, gid
from orchestrator.sandbox.shopify.refusals import Refused

FORMATS = ("JSON", "XML")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_FAILURES = 8  # in a row: Shopify then deletes a subscription that was made by the API


@dataclass(slots=True, eq=False)
class Subscription:
    """Where webhooks of one topic go. `topic` as GraphQL names it. `failures`: how many there were in a row."""

    id: int
    topic: str
    address: str
    format: str = "JSON"
    name: str | None = None
    failures: int = 0

    def node(self) -> dict[str, Json]:
        """As GraphQL has it (sample gql_webhook_create_response)."""
        return {
            "id": gid("WebhookSubscription", self.id),
            "topic": self.topic,
            "uri": self.address,
            "format": self.format,
            "filter": None,
            "includeFields": [],
            "name": self.name,
        }


@dataclass(slots=True, eq=False)
class Subscriptions:
    """The subscriptions of one shop, oldest first.

    `http://` is refused as Shopify does, except for loopback (127.0.0.1, localhost, [::1]), where the sandbox lives
    and who listens to it mostly too.
    """

    next_id: Callable[[], int]
    _kept: list[Subscription] = field(default_factory=list)

    def __iter__(self) -> Iterator[Subscription]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, topic: str) -> list[Subscription]:
        """Those of a topic, in either of its forms."""
        wanted = enum_of(topic)
        return [each for each in self._kept if each.topic == wanted]

    def create(
        self, topic: str, address: str | None, body_format: str | None = None, name: str | None = None
    ) -> Subscription:
        """webhookSubscriptionCreate. Raises Refused."""
        address = self._checked(topic, address or "", None)
        made = Subscription(self.next_id(), enum_of(topic), address, _known(body_format) or "JSON", name)
        self._kept.append(made)
        return made

    def update(self, number: int, address: str | None, body_format: str | None) -> Subscription:
        """webhookSubscriptionUpdate: what is not None is changed. Raises Refused."""
        found = self._find(number)
        address = found.address if address is None else self._checked(found.topic, address, found)
        found.format, found.address = _known(body_format) or found.format, address
        return found

    def delete(self, number: int) -> None:
        """webhookSubscriptionDelete. Raises Refused."""
        self.drop(self._find(number))

    def drop(self, subscription: Subscription) -> None:
        """Ends one; nothing more is sent for it."""
        if subscription in self._kept:
            self._kept.remove(subscription)

    def note(self, subscription: Subscription, outcome: Literal["acknowledged", "failed"]) -> None:
        """The outcome of an attempt. Eight failures in a row, of whatever webhooks, delete the subscription."""
        subscription.failures = 0 if outcome == "acknowledged" else subscription.failures + 1
        if subscription.failures >= _FAILURES:
            self.drop(subscription)

    def _find(self, number: int) -> Subscription:
        found = next((each for each in self._kept if each.id == number), None)
        if found is None:
            raise Refused("Webhook subscription does not exist", ["id"], is_elsewhere=False)
        return found

    def _checked(self, topic: str, address: str, itself: Subscription | None) -> str:
        path = ["webhookSubscription", "callbackUrl"]
        if (problem := _problem_of(address)) is not None:
            raise Refused(problem, path, is_elsewhere=False)
        if any(each is not itself and each.address == address for each in self.of(topic)):
            raise Refused("Address for this topic has already been taken", path, is_elsewhere=False)
        return address


def enum_of(topic: str) -> str:
    """A topic as GraphQL names it: `orders/create` is `ORDERS_CREATE` (shopify.md §2.4)."""
    return topic.replace("/", "_").upper()


def _problem_of(address: str) -> str | None:
    if not address:
        return "Address can't be blank"
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return "Address is invalid"
    is_near = parts.scheme == "http" and host in _LOOPBACK
    if parts.scheme != "https" and not is_near:
        return f"Address protocol {address.partition(':')[0]}:// is not supported"
    return None if host else "Address is invalid"


def _known(name: str | None) -> str | None:
    if name is not None and name not in FORMATS:
        raise Refused(f"Unknown format {name}; known are {', '.join(FORMATS)}", ["webhookSubscription", "format"])
    return name
