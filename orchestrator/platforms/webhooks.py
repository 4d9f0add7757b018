"""What a webhook can be about, and how a platform that signs its webhooks tells us.

A webhook about an order is a hint: the order is read again from the platform, so a late or repeated one can at worst
cost a read. Only of an order that no read has shown yet is the body taken as it is. Products and fulfilments are taken
as they are told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from orchestrator.platforms.client import Seen
from statemachines.target import Json


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A body that says nothing that can be understood."""

    error: str


@dataclass(frozen=True, slots=True)
class Unimportant:
    """A topic that nothing follows from (compliance topics, apps, carts)."""

    topic: str | None


@dataclass(frozen=True, slots=True)
class Product:
    """A product as a webhook names it. `updated_at_ms`: its own change time in Unix milliseconds, None if untold."""

    id: str
    title: str | None
    updated_at_ms: int | None


@dataclass(frozen=True, slots=True)
class ProductNews:
    """A product as it is now. `is_new`: the platform says that it was made just now."""

    topic: str
    product: Product
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class FulfillmentNews:
    """A fulfilment as it is now; `updated_at_ms` is None where it is untold. `is_new`: as in `ProductNews`."""

    topic: str
    id: str
    status: str | None
    updated_at_ms: int | None
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class OrderNews:
    """An order to read again; `order` None: one that is not named, so all are looked at.

    `part`: in its place the id of something that the platform knows the order of. `is_whole`: the body is the order
    itself, or some of its fields; then `updated_at_ms` is its own change time, if it tells one.
    """

    order: str | None
    part: str | None = None
    is_whole: bool = False
    updated_at_ms: int | None = None
    fulfillment: FulfillmentNews | None = None


News: TypeAlias = Unreadable | Unimportant | ProductNews | OrderNews


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the headers of a signed webhook tell; None: not told.

    `webhook_id` tells repeats of this message, `event_id` with `topic` repeats of the same news. `triggered_at`: Unix
    milliseconds. `sender`: the platform's own name of the shop. `is_test`: sent to try out the address, about nothing.
    """

    signature: str | None
    topic: str | None
    webhook_id: str | None
    event_id: str | None
    triggered_at: int | None
    sender: str | None
    is_test: bool = False


@dataclass(frozen=True, slots=True)
class SignedWebhooks:
    """The webhooks of a platform that signs them; pure functions.

    `open` reads the headers; `is_genuine(body, signature, secrets)` takes as long for a wrong signature as for a right
    one; `news` says what a parsed body of a topic is about (topic None: the header told none); `order` makes the best
    of a parsed body and its bytes where the order cannot be read, None where the body is no order.
    """

    open: Callable[[Mapping[str, str]], Envelope]
    is_genuine: Callable[[bytes, str, Sequence[str]], bool]
    news: Callable[[str | None, Json], News]
    order: Callable[[Json, bytes], Seen | None]
