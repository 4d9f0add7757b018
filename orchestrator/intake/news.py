"""What a kept webhook is about, found out from its bytes. Pure: the inbox does what follows from it."""

from __future__ import annotations

import structlog

from orchestrator.platforms.client import Seen
from orchestrator.platforms.fields import stumble
from orchestrator.platforms.json_text import read_body
from orchestrator.platforms.webhooks import News, OrderNews, Unimportant, Unreadable
from orchestrator.registry import PLATFORMS
from statemachines.target import Json

log = structlog.get_logger()

HINT = "hint"
"""Source of webhooks whose address alone is secret; the source of a signed one is the platform that signed it."""
TEST = "test"
"""Source of signed webhooks that are about nothing: somebody tries the address out."""

_PLACES_OF_AN_ORDER = ("basket", "order")  # selldone.md §7: `basket`; others by their usual name
_LONGEST_ID = 200


def news_of(source: str, topic: str | None, payload: bytes) -> News:
    """What a webhook of this source and topic says."""
    if source == TEST:
        return Unimportant(topic)
    try:
        body: Json = read_body(payload) if payload else None
    except ValueError as error:
        if source == HINT:  # it said that something happened, whatever the words
            return OrderNews(None)
        return Unreadable(f"the body is no JSON: {str(error)[:200]}")
    if source == HINT:
        return OrderNews(_hinted_order(body))
    platform = PLATFORMS.get(source)
    if platform is None or platform.webhooks is None:
        return Unreadable(f"nobody knows how {source} signs webhooks")
    try:
        return platform.webhooks.news(topic, body)
    except Exception as error:  # noqa: BLE001 - supervised: one webhook is not the others
        log.error("webhook.stumbled", source=source, topic=topic, error=stumble(error))
        return Unreadable(f"reading the body raised {stumble(error)}")


def told_order(source: str, payload: bytes) -> Seen | None:
    """The order that a signed webhook is by itself; None where it is none. A hint is nobody's word."""
    platform = PLATFORMS.get(source)
    if platform is None or platform.webhooks is None:
        return None
    try:
        return platform.webhooks.order(read_body(payload), payload)
    except ValueError:
        return None
    except Exception as error:  # noqa: BLE001 - supervised: the read of the order tells more
        log.error("webhook.stumbled", source=source, error=stumble(error))
        return None


def _hinted_order(body: Json) -> str | None:
    """The order that a hint names: in `basket` or `order`, or the body itself is one."""
    if not isinstance(body, dict):
        return None
    for name in _PLACES_OF_AN_ORDER:
        inner = body.get(name)
        if isinstance(inner, dict) and (found := _id(inner.get("id"))):
            return found
    for name in ("basket_id", "order_id", "id"):
        if found := _id(body.get(name)):
            return found
    return None


def _id(value: Json) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value).strip()
    return text if 0 < len(text) <= _LONGEST_ID and text.isprintable() else None
