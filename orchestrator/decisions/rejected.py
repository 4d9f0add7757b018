"""Payloads that could not be read are set aside, told once for each trouble, and read again by themselves.

What cannot be read today can be tomorrow: the order is mended, the platform answers sense again, the daemon is a newer
version. So each row is read again after growing pauses, and goes when its order could be read by whatever road. Reads
of an order that a list shows as changed do not wait for that.
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
_MOST_TROUBLES = 16  # that are remembered as told: troubles that take turns are not told anew at each turn
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
    """Keeps the newest payload of an order, and tells of it; False when this trouble of it was told before, or another
    source tells of it in other words.

    `source`: where it came from (`poll`, `read`, `webhook`); `webhook`: the id of the one that it is the body of. A
    payload that names no order is known by its bytes, less the times in them.
    """
    error, order = storable(error), None if order is None else storable(order)
    trouble = f"{source}:{_digest(re.sub(r'[0-9]+', '#', error).encode())}"
    subject = subject_of(order, _TIMES.sub(b"", payload))
    known = get_aside(tx, shop, subject)
    if known is None:
        fresh = Fresh(subject, webhook, trouble, now_ms + pause_ms(0))
        id_ = add_rejected(tx, shop, source, order, error, payload, now_ms, fresh)
    else:
        id_, aside = known.id, replace(postponed(known, now_ms), webhook=webhook)
        if trouble not in known.reported:
            aside = replace(aside, reported=(*known.reported[1 - _MOST_TROUBLES :], trouble))
        renew_rejected(tx, aside, source, error, payload, now_ms)
        # A list and a read have each their own words for the same trouble.
        if trouble in known.reported or not any(each.startswith(f"{source}:") for each in known.reported):
            return False
    data = {"id": id_, "source": source, "error": error}
    append_event(tx, now_ms, "import.rejected", shop=shop, order=order, data=data)
    return True


def postponed(aside: Aside, now_ms: int) -> Aside:
    """When it is read again after a try that came to nothing now; one that was not due yet changes nothing."""
    if now_ms < aside.next_at <= now_ms + LONGEST_PAUSE_MS:
        return aside
    attempts = aside.attempts + 1
    return replace(aside, attempts=attempts, next_at=now_ms + pause_ms(attempts))


def _digest(text: bytes) -> str:
    return blake2b(text, digest_size=8).hexdigest()
