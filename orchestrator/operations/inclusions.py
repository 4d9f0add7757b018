"""What is shown beside an order, or in an event's data, when it is asked for: `payload` and `content`, as JSON text.

The platform's own text is embedded as it is, so that its numbers stay what they were (`payload_text`). What an event
carries is of the time at which it is read: the order as it is kept then, whose `read_at` says from when it is.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, Literal, NamedTuple, TypeVar

from orchestrator.operations.content_view import content_view
from orchestrator.operations.views.events import payload_text
from storage.order_columns import show_order
from storage.orders import get_order
from storage.payloads import get_kept, get_payload
from storage.records import Event, Order
from storage.shops import get_shop
from storage.transaction import Transaction
from storage.webhooks import get_payload_of

INCLUDABLE: Final = ("payload", "content")
"""What can be asked for."""
MOST_BYTES: Final = 8 * 1024 * 1024
"""How much of it one page carries at most: a page ends behind the first row that reaches it, before its limit."""

T = TypeVar("T")

Included = Mapping[str, str]
"""JSON texts by member."""


class Payload(NamedTuple):
    """The platform's own bytes and where they come from: a webhook, the last read of the order, or there are none.
    `platform`: the shop's; None where there is no shop, or its platform is not known any more."""

    text: bytes | None
    source: Literal["webhook", "read", "none"]
    platform: str | None = None


def included_of_order(tx: Transaction, order: Order, wanted: Collection[str]) -> Included:
    """What is shown beside an order."""
    found: dict[str, str] = {}
    if "payload" in wanted:
        found["payload"] = _on_one_line(payload_text(get_payload(tx, order.shop, order.id)))
    if "content" in wanted:
        found["content"] = _content_text(tx, order)
    return found


def included_of_event(tx: Transaction, event: Event, wanted: Collection[str]) -> Included:
    """What is shown in an event's data; null where the event is about no order."""
    found: dict[str, str] = {}
    if "payload" in wanted:
        found["payload"] = _on_one_line(payload_text(payload_of(tx, event, is_platforms=False).text))
    if "content" in wanted:
        found["content"] = content_of_event(tx, event)
    return found


def payload_of(tx: Transaction, event: Event, *, is_platforms: bool) -> Payload:
    """The platform's payload of an event: the webhook that it came of, else the order as it was read last.

    Beside our event an order is always shown as it was read: its parts have the same names then, however it came.
    `is_platforms`: the payload stands alone, so the webhook's comes first for orders as well.
    """
    shop = None if event.shop is None else get_shop(tx, event.shop)
    platform = None if shop is None else shop.platform
    webhook = event.data.get("webhook")
    is_webhooks = is_platforms or not event.type.startswith("order.")
    if is_webhooks and isinstance(webhook, str) and webhook.isascii() and webhook.isdigit():
        kept = get_payload_of(tx, int(webhook))
        if kept is not None:
            return Payload(kept, "webhook", platform)
    read = get_payload(tx, event.shop, event.order) if event.shop is not None and event.order is not None else None
    return Payload(read, "none" if read is None else "read", platform)


def content_of_event(tx: Transaction, event: Event) -> str:
    """The content of the event's order, as JSON text."""
    is_about_order = event.shop is not None and event.order is not None
    order = get_order(tx, event.shop, event.order, show_order) if is_about_order else None  # type: ignore[arg-type]
    return "null" if order is None else _content_text(tx, order)


def within_bounds(rows: Iterable[tuple[T, Included]]) -> Iterator[tuple[T, Included]]:
    """The rows up to the first with which all that they include reaches `MOST_BYTES`."""
    size = 0
    for row, included in rows:
        yield row, included
        size += sum(map(len, included.values()))
        if size >= MOST_BYTES:
            return


def _on_one_line(json_text: str) -> str:
    """Streams are read line by line, and a platform may indent what it sends. Lines end between values alone: within a
    text their ends are escaped."""
    return json_text.replace("\r", " ").replace("\n", " ")


def _content_text(tx: Transaction, order: Order) -> str:
    return json.dumps(content_view(order, get_kept(tx, order.shop, order.id)), ensure_ascii=False)
