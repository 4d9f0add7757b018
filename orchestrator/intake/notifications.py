"""Reads what a kept webhook is about. Pure: the inbox does what follows from it."""

from __future__ import annotations

import structlog

from orchestrator.platforms.client import OrderSnapshot
from orchestrator.platforms.fields import crash_text
from orchestrator.platforms.json_text import read_body
from orchestrator.platforms.webhooks import (
    HINTS,
    HintWebhooks,
    Notification,
    OrderNotification,
    SignedWebhooks,
    Unimportant,
    Unreadable,
)
from orchestrator.registry import PLATFORMS
from statemachines.target import Json

log = structlog.get_logger()

HINT = "hint"
"""Source of webhooks that only a secret address proves; the source of a signed one is the platform that signed it."""
TEST = "test"
"""Source of signed webhooks that are about nothing: a test of the address."""


def notification_of(source: str, topic: str | None, payload: bytes, platform: str | None = None) -> Notification:
    """What a webhook of this source and topic is about. `platform`: the shop's, for hints."""
    if source == TEST:
        return Unimportant(topic)
    try:
        body: Json = read_body(payload) if payload else None
    except ValueError as error:
        if source == HINT:  # a hint counts even with an invalid body
            return OrderNotification(None)
        return Unreadable(f"the body is not JSON: {str(error)[:200]}")
    if source == HINT:
        return OrderNotification(_hints_of(platform).hint(body))
    signed = _signed_by(source)
    if signed is None:
        return Unreadable(f"unknown source of signed webhooks: {source}")
    try:
        return signed.notification(topic, body)
    except Exception as error:  # noqa: BLE001 - supervised: one webhook is not the others
        log.error("webhook.crashed", source=source, topic=topic, error=crash_text(error))
        return Unreadable(f"reading the body raised {crash_text(error)}")


def order_in_webhook(source: str, payload: bytes) -> OrderSnapshot | None:
    """The order in the body of a signed webhook; None where there is none. A hint proves nothing about its body."""
    signed = _signed_by(source)
    if signed is None:
        return None
    try:
        return signed.order(read_body(payload), payload)
    except ValueError:
        return None
    except Exception as error:  # noqa: BLE001 - supervised: the order is read anyway
        log.error("webhook.crashed", source=source, error=crash_text(error))
        return None


def _signed_by(source: str) -> SignedWebhooks | None:
    platform = PLATFORMS.get(source)
    webhooks = None if platform is None else platform.webhooks
    return webhooks if isinstance(webhooks, SignedWebhooks) else None


def _hints_of(platform: str | None) -> HintWebhooks:
    """The reader of the platform's hints; the general one for hints from before the platform signed its webhooks."""
    known = None if platform is None else PLATFORMS.get(platform)
    return known.webhooks if known is not None and isinstance(known.webhooks, HintWebhooks) else HINTS
