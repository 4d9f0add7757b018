"""What happens in a simulated Shopify shop, published to listeners: the sender of webhooks, and tests.

A body is made when the thing happens, not when it is sent: a late webhook shows a past, as Shopify's do
(shopify.md §2.3). Where nobody wants a topic, nothing is made and nothing is kept.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from orchestrator.clock import Clock
from orchestrator.sandbox.shopify.orders import Json

TopicBody: TypeAlias = tuple[str, Callable[[], Json]]
"""A topic, and what makes its body."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, as one topic shows it. `subject`: the order's or product's id. `at_ms`: Unix time.

    `id`: the same for all topics of one change (shopify.md §2.2); no topic comes twice with it.
    """

    id: str
    topic: str
    subject: int
    at_ms: int
    body: Json


class Listener(Protocol):
    """Who wants to know."""

    def wants(self, topic: str) -> bool:
        """Whether events of this topic (`orders/create`) are to be published."""
        ...

    def take(self, event: Event) -> None:
        """Gets an event. Must not wait."""
        ...


@dataclass(slots=True, eq=False)
class Events:
    """Publishes to the listeners of one shop. Ids come by chance: a store may outlive several sandboxes of one seed."""

    clock: Clock
    rng: random.Random = field(default_factory=random.SystemRandom)
    listeners: list[Listener] = field(default_factory=list)

    def publish(self, subject: int, bodies: Iterable[TopicBody]) -> None:
        """One change of an order or product, as its topics show it."""
        change: str | None = None
        for topic, make in bodies:
            wanting = [each for each in self.listeners if each.wants(topic)]
            if not wanting:
                continue
            change = change or new_uuid(self.rng)
            event = Event(change, topic, subject, self.clock.now_ms(), make())
            for each in wanting:
                each.take(event)


def new_uuid(rng: random.Random) -> str:
    """A UUID by this chance."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
