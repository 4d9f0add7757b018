"""What a webhook can be about, and how a platform's webhooks are read: those that it signs, and those that are hints.

A webhook about an order is a hint: the order is read again from the platform, so a late or repeated one can at worst
cost a read. Only of an order that no read has shown yet is the body taken as it is. Products and shipments are taken
as they are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from orchestrator.platforms.client import OrderSnapshot
from statemachines.target import Json

_LONGEST_ID = 200


class Kind(StrEnum):
    """What a webhook's topic says it is about. Orders need a read, so they wait for the platform; the others do not.
    OTHER: the topic says nothing, or what nothing follows from."""

    ORDER = "order"
    PRODUCT = "product"
    OTHER = "other"


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
    """A product as a webhook names it. `updated_at_ms`: its own change time in Unix milliseconds, None if unknown."""

    id: str
    title: str | None
    updated_at_ms: int | None


@dataclass(frozen=True, slots=True)
class ProductNotification:
    """A product as it is now. `is_new`: the platform says that it was made just now."""

    topic: str
    product: Product
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class ShipmentNotification:
    """A shipment of an order as it is now; `updated_at_ms` is None where it is unknown. `is_new`: as for a
    product."""

    topic: str
    id: str
    status: str | None
    updated_at_ms: int | None
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class OrderNotification:
    """An order to read again; `order` None: one that is not named, so all are looked at.

    `part`: in its place the id of something that the platform knows the order of. `is_whole`: the body is the order
    itself, or some of its fields; then `updated_at_ms` is its own change time, if it gives one.
    """

    order: str | None
    part: str | None = None
    is_whole: bool = False
    updated_at_ms: int | None = None
    shipment: ShipmentNotification | None = None


Notification: TypeAlias = Unreadable | Unimportant | ProductNotification | OrderNotification


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the headers of a signed webhook say; None: missing.

    `webhook_id` identifies repeats of this message, `event_id` with `topic` those of the same notification.
    `triggered_at`: Unix milliseconds. `sender`: the platform's own name of the shop. `is_test`: sent to try out the
    address, about nothing. `is_id_shared`: different messages may have one id, so the body identifies repeats too.
    """

    signature: str | None
    topic: str | None
    webhook_id: str | None
    event_id: str | None
    triggered_at: int | None
    sender: str | None
    is_test: bool = False
    is_id_shared: bool = False


def topics(created: str, updated: str) -> Callable[[str], str]:
    """The topic in deliveries of a platform's own bodies for an event that no webhook named (docs/delivery.md).

    An order that is new is `created`, whatever was the first to show it; other events of orders are `updated`; events
    of other kinds keep their type.
    """

    def topic_for(event_type: str) -> str:
        if event_type == "order.imported":
            return created
        return updated if event_type.startswith("order.") else event_type

    return topic_for


usual_topic: Final = topics("orders/create", "orders/updated")
"""The topics of a platform that has no words of its own for them."""


def order_named_in(*members: str) -> Callable[[Json], str | None]:
    """Reads the order that a hint names: inside one of these members, or by a member such as `order_id`, or the body
    itself is one."""

    def hint(body: Json) -> str | None:
        if not isinstance(body, dict):
            return None
        for name in members:
            inner = body.get(name)
            if isinstance(inner, dict) and (found := _id(inner.get("id"))):
                return found
        named = (_id(body.get(name)) for name in (*(f"{name}_id" for name in members), "id"))
        return next((found for found in named if found), None)

    return hint


def _id(value: Json) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value).strip()
    return text if 0 < len(text) <= _LONGEST_ID and text.isprintable() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedWebhooks:
    """The webhooks of a platform that signs them; pure functions.

    `open` reads the headers; `is_genuine(body, signature, secrets)` takes as long for a wrong signature as for a right
    one; `kind` says what a topic is about (lower case; None: the headers have none); `notification` reads a parsed body
    of a topic; `order` makes the best of a parsed body and its bytes where the order cannot be read, None where the
    body is not an order. `sender_key`: the shop's own config key, or `base_url`, that `Envelope.sender` is compared
    with, None: senders are not named. `is_ping(headers, body)`: a message that the platform sends without a signature
    to try the address out; None: it sends none. `topic_for`: the topic that an event of ours (`order.updated`) has in
    the platform's words.
    """

    open: Callable[[Mapping[str, str]], Envelope]
    is_genuine: Callable[[bytes, str, Sequence[str]], bool]
    kind: Callable[[str | None], Kind]
    notification: Callable[[str | None, Json], Notification]
    order: Callable[[Json, bytes], OrderSnapshot | None]
    sender_key: str | None = None
    is_ping: Callable[[Mapping[str, str], bytes], bool] | None = None
    topic_for: Callable[[str], str] = usual_topic


@dataclass(frozen=True, slots=True, kw_only=True)
class HintWebhooks:
    """The webhooks of a platform that does not sign them: a secret in the address is all that proves them genuine.

    `hint` finds the order that a parsed body names; None: none, so all orders are looked at. `topic_for`: as in
    `SignedWebhooks`.
    """

    hint: Callable[[Json], str | None]
    topic_for: Callable[[str], str] = usual_topic


HINTS: Final = HintWebhooks(hint=order_named_in("order"))
"""Of a platform of which nothing more is known."""

Webhooks: TypeAlias = SignedWebhooks | HintWebhooks
