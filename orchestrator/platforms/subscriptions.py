"""What the client of a platform that pushes can do beside `PlatformClient`: look after the webhooks sent to us."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Subscription:
    """A webhook that a platform sends: `topic` in the platform's words, `address` where it goes.

    `is_readable`: it comes in a form that we take (JSON).
    """

    id: str
    topic: str
    address: str
    is_readable: bool = True


@runtime_checkable
class PushingClient(Protocol):
    """A client whose platform can be asked for webhooks. Every call may raise any PlatformFailure.

    The caller has acquired the permit for `list_subscriptions` and `order_of_part`; the others wait for one by
    themselves (`client.Throttle`), for they follow a read.
    """

    def addresses(self, base: str) -> dict[str, str]:
        """Every topic that we take, and where it should go; `base` is the shop's address on our listener."""
        ...

    async def list_subscriptions(self) -> list[Subscription]:
        """All webhooks that the platform sends for us."""
        ...

    async def subscribe(self, topic: str, address: str, secret: str | None) -> bool:
        """Asks for a topic; False: the platform says that it sends it there already.

        `secret`: what these webhooks are to be signed with, where the platform does not choose that itself; None: the
        config has none. Raises Rejected with the platform's words.
        """
        ...

    async def update_subscription(self, subscription: Subscription, secret: str | None) -> None:
        """Asks for the same in a form that we take. `secret`: as `subscribe`. Raises Rejected with the platform's
        words."""
        ...

    async def order_of_part(self, part: str) -> str | None:
        """The order that something belongs to of which a webhook names the id alone; None if nobody knows it."""
        ...
