"""Unreadable payloads are set aside, with one event for each error, and read again by themselves.

A payload that is unreadable today may be readable tomorrow: the order is fixed, the platform is repaired, the daemon is
a newer version. So each row is read again after growing pauses, and removed once its order could be read in any way.
Reads of an order that a list shows as changed do not wait for that.
"""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import blake2b

from orchestrator.backoff import Growing
from orchestrator.platforms.json_text import storable
from storage.events import append_event
from storage.rejected import Aside, Fresh, add_rejected, get_aside, renew_rejected, subject_of
from storage.transaction import Transaction

FIRST_PAUSE_MS = 60_000
LONGEST_PAUSE_MS = 6 * 3_600_000
_MOST_ERRORS = 16  # remembered as reported: errors that alternate are not reported again each time
_TIMES = re.compile(
    rb"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)?(?:Z|[+-]\d{2}:?\d{2})?"
    rb"|(?<!\d)1\d{9}(?:\d{3})?(?!\d)"  # Unix seconds or milliseconds
)


def pause_ms(attempts: int) -> int:
    """How long until a payload is read again that was read again `attempts` times, in milliseconds."""
    return int(Growing(FIRST_PAUSE_MS, LONGEST_PAUSE_MS).after(attempts + 1))


def set_aside(
    tx: Transaction,
    shop: str,
    source: str,
    order: str | None,
    error: str,
    payload: bytes,
    now_ms: int,
    *,
    webhook: int | None = None,
) -> bool:
    """Keeps the newest payload of an order, with an event; False when this error was reported before, or another source
    reported the same order.

    `source`: where the payload came from (`poll`, `read`, `webhook`); `webhook`: the id of the webhook whose body it
    is. A payload that names no order is identified by its bytes, without the times in them.
    """
    error, order = storable(error), None if order is None else storable(order)
    kind = f"{source}:{_digest(re.sub(r'[0-9]+', '#', error).encode())}"
    subject = subject_of(order, _TIMES.sub(b"", payload))
    known = get_aside(tx, shop, subject)
    if known is None:
        fresh = Fresh(subject, webhook, kind, now_ms + pause_ms(0))
        id_ = add_rejected(tx, shop, source, order, error, payload, now_ms, fresh)
    else:
        id_, aside = known.id, replace(postponed(known, now_ms), webhook=webhook)
        if kind not in known.reported:
            aside = replace(aside, reported=(*known.reported[1 - _MOST_ERRORS :], kind))
        renew_rejected(tx, aside, source, error, payload, now_ms)
        # A list and a read have different messages for the same error.
        if kind in known.reported or not any(each.startswith(f"{source}:") for each in known.reported):
            return False
    data = {"id": id_, "source": source, "error": error}
    append_event(tx, now_ms, "import.rejected", shop=shop, order=order, data=data)
    return True


def postponed(aside: Aside, now_ms: int) -> Aside:
    """The row after a failed attempt now: a payload that was not due yet keeps its time."""
    if now_ms < aside.next_at <= now_ms + LONGEST_PAUSE_MS:
        return aside
    attempts = aside.attempts + 1
    return replace(aside, attempts=attempts, next_at=now_ms + pause_ms(attempts))


def _digest(text: bytes) -> str:
    return blake2b(text, digest_size=8).hexdigest()
