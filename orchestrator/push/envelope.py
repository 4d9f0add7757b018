"""What is sent for an event: body, its ordering key, headers with the signature. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from standardwebhooks import Webhook as Signer

from orchestrator import __version__
from orchestrator.config.push import DeliverySettings
from orchestrator.event_types import types_like
from orchestrator.operations.inclusions import Payload, content_of_event, payload_of
from orchestrator.operations.views.events import event_view, payload_text
from orchestrator.platforms.webhooks import usual_topic
from orchestrator.registry import PLATFORMS
from statemachines.target import Json
from storage.deliveries import consumer_of
from storage.events import EventFilter
from storage.records import Event
from storage.transaction import Transaction

ORDERS, PRODUCTS = "orders_url", "products_url"
"""Names of the receivers, as the config has them."""

_ORDER_TYPES: Final = ("order.*", "fulfillment.*")
_PRODUCT_TYPES: Final = ("product.*",)
_BASE64: Final = re.compile("[A-Za-z0-9+/]+")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver: its name, where it is, and which types of events it gets."""

    name: str
    url: str
    types: tuple[str, ...]

    @property
    def consumer(self) -> str:
        """The name of its cursor."""
        return consumer_of(self.name)

    @property
    def wanted(self) -> EventFilter:
        """What it gets of the feed."""
        return EventFilter(types=self.types)


class Load(NamedTuple):
    """What goes out with an event: the platform's payload, and the content of its order as JSON text, if wanted."""

    payload: Payload
    content: str | None = None

    @property
    def size(self) -> int:
        """Of both, in bytes or letters."""
        return len(self.payload.text or b"") + len(self.content or "")


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An event on its way. `attempts`: how often it was tried before. `load`: None until it is needed."""

    event: Event
    ordering_key: str
    attempts: int
    load: Load | None = None


def endpoints_of(settings: DeliverySettings | None) -> tuple[Endpoint, ...]:
    """The receivers of a config."""
    if settings is None:
        return ()
    found = []
    if settings.orders_url is not None:
        found.append(Endpoint(ORDERS, settings.orders_url, types_like((*_ORDER_TYPES, *settings.orders_types))))
    if settings.products_url is not None:
        found.append(Endpoint(PRODUCTS, settings.products_url, types_like(_PRODUCT_TYPES)))
    return tuple(found)


def ordering_key_of(event: Event) -> str:
    """The key of the events that have to stay in order: those of an order, of a product, of a shop."""
    if event.order is not None:
        return f"{event.shop}/order/{event.order}"
    if event.type.startswith("product."):
        return f"{event.shop}/product/{event.data.get('id')}"
    return f"{event.shop or ''}/shop"


def load_of(tx: Transaction, event: Event, settings: DeliverySettings) -> Load:
    """What goes out with an event, as it is kept now."""
    payload = payload_of(tx, event, is_platforms=settings.format == "platform")
    return Load(payload, content_of_event(tx, event) if "content" in settings.include else None)


def body_of(event: Event, load: Load, settings: DeliverySettings) -> bytes:
    """The body. The platform's text is put in as it is, so that its numbers stay what they were."""
    text = payload_text(load.payload.text)
    if settings.format == "platform":
        return text.encode("utf-8", "replace")
    included = {"payload": text} if "payload" in settings.include else {}
    if load.content is not None:
        included["content"] = load.content
    view: dict[str, Json] = {**event_view(event)}
    data = view.pop("data")
    members = [*([_dump(data)[1:-1]] if data else []), *(f'"{name}": {text}' for name, text in included.items())]
    return f'{_dump(view)[:-1]}, "data": {{{", ".join(members)}}}}}'.encode("utf-8", "replace")


def topic_of(event: Event, platform: str | None) -> str:
    """The platform's topic for an event: the webhook's own; for what a read found, the topic with the same meaning."""
    topic = event.data.get("topic")
    # Whichever webhook was the first to show an order: the ERP does not know that order yet.
    if isinstance(topic, str) and event.type != "order.imported":
        return topic
    known = None if platform is None else PLATFORMS.get(platform)
    return (usual_topic if known is None else known.webhooks.topic_for)(event.type)


def headers_of(event: Event, body: bytes, signer: Signer, now_ms: int) -> dict[str, str]:
    """The headers of one attempt. The id stays the same however often an event is sent."""
    at = datetime.fromtimestamp(now_ms // 1000, UTC)
    message_id = f"evt_{event.at}_{event.cursor}"
    return {
        "Content-Type": "application/json",
        "User-Agent": f"fulfilld/{__version__}",
        "webhook-id": message_id,
        "webhook-timestamp": str(now_ms // 1000),
        "webhook-signature": signer.sign(message_id, at, body.decode()),
    }


def labels_of(event: Event, payload: Payload) -> dict[str, str]:
    """The headers that say what a body of the platform's own is about."""
    return {
        "X-Fulfilld-Topic": topic_of(event, payload.platform),
        "X-Fulfilld-Shop": event.shop or "",
        "X-Fulfilld-Event": event.type,
        "X-Fulfilld-Payload": payload.source,
    }


def signer_of(secret: str) -> Signer:
    """Signs with a secret as Standard Webhooks write it (`whsec_` and base64); any other text is used as it is."""
    text = secret.removeprefix("whsec_").rstrip("=")
    # Checked here, because the library would leave out whatever is not base64 and sign with the rest.
    is_base64 = _BASE64.fullmatch(text) is not None and len(text) % 4 != 1
    return Signer(secret if is_base64 else secret.encode())


def by_ordering_key(pending_events: Iterable[PendingEvent]) -> dict[str, list[PendingEvent]]:
    """Pending events by their ordering key, in order."""
    queues: dict[str, list[PendingEvent]] = {}
    for pending in pending_events:
        queues.setdefault(pending.ordering_key, []).append(pending)
    return queues


def _dump(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)
