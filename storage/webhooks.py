"""The inbox: webhooks as they came, kept before they are answered, processed later."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import accumulate

from storage.rows import Columns
from storage.transaction import Transaction


class Which(Enum):
    """Which unprocessed webhooks. LOCAL: by its topic it is not about an order, so it needs no platform. NEW: it is
    signed and not looked at yet."""

    ALL = ""
    LOCAL = " AND kind <> 'order'"
    NEW = " AND source <> 'hint' AND looked_at IS NULL"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A webhook as it came in. `source`: the platform that signed it, or `hint` where only the address was secret.
    `kind`: what its topic says it is about: `order`, `product` or `other`.

    `webhook_id` identifies repeats of this message, `event_id` with `topic` repeats of the same change; None: not
    given.
    """

    shop: str
    source: str
    topic: str | None
    webhook_id: str | None
    event_id: str | None
    triggered_at: int | None
    payload: bytes
    kind: str = "order"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A kept webhook that is not processed yet. `attempts` counts the reads that failed so far. `looked_at`: when
    it was first applied provisionally (Unix milliseconds), None before."""

    id: int
    shop: str
    source: str
    topic: str | None
    payload: bytes
    received_at: int
    attempts: int
    looked_at: int | None


_WEBHOOK = Columns(Webhook)


def add_webhook(tx: Transaction, arrival: Arrival, now_ms: int) -> bool:
    """Keeps a webhook; False when it is a repeat, which changes nothing."""
    return bool(
        tx.execute(
            "INSERT INTO webhooks (shop, source, topic, webhook_id, event_id, triggered_at, received_at, payload,"
            " due_at, kind) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                arrival.shop,
                arrival.source,
                arrival.topic,
                arrival.webhook_id,
                arrival.event_id,
                arrival.triggered_at,
                now_ms,
                arrival.payload,
                now_ms,
                arrival.kind,
            ),
        )
    )


LONGEST_WAIT_MS = 300_000
"""No webhook is postponed for longer: one that is due later than that was put off by a clock that was ahead."""


def shops_with_webhooks(tx: Transaction) -> list[tuple[str, int]]:
    """Shops with unprocessed webhooks, and when the first of these is due."""
    sql = "SELECT shop, min(due_at) FROM webhooks WHERE processed_at IS NULL GROUP BY shop"
    return [(shop, due_at) for shop, due_at in tx.query(sql)]


def due_webhooks(
    tx: Transaction, shop: str, now_ms: int, limit: int, most_bytes: int, which: Which = Which.ALL
) -> list[Webhook]:
    """The due webhooks of a shop, in the order of arrival; only so many that their bodies together stay within
    `most_bytes`, but one at least."""
    where = "shop = ? AND processed_at IS NULL AND (due_at <= ? OR due_at > ?)" + which.value
    now = (shop, now_ms, now_ms + LONGEST_WAIT_MS)
    sizes = tx.query(f"SELECT length(payload) FROM webhooks WHERE {where} ORDER BY id LIMIT ?", (*now, limit))  # noqa: S608
    count = sum(total <= most_bytes for total in accumulate(size for (size,) in sizes))
    sql = f"SELECT {_WEBHOOK.sql} FROM webhooks WHERE {where} ORDER BY id LIMIT ?"  # noqa: S608
    return [_WEBHOOK.read(row) for row in tx.query(sql, (*now, max(1, count)))] if sizes else []


def get_payload_of(tx: Transaction, webhook: int) -> bytes | None:
    """The body of a kept webhook; None once retention has taken it."""
    rows = tx.query("SELECT payload FROM webhooks WHERE id = ?", (webhook,))
    return bytes(rows[0][0]) if rows else None


def finish_webhook(tx: Transaction, webhook: int, now_ms: int) -> bool:
    """Marks a webhook as processed; False when it was already."""
    sql = "UPDATE webhooks SET processed_at = ? WHERE id = ? AND processed_at IS NULL"
    return bool(tx.execute(sql, (now_ms, webhook)))


def reopen_webhook(tx: Transaction, webhook: int, now_ms: int) -> bool:
    """A webhook is processed once more; False when retention has taken it."""
    sql = "UPDATE webhooks SET processed_at = NULL, due_at = ? WHERE id = ?"
    return bool(tx.execute(sql, (now_ms, webhook)))


def postpone_webhook(tx: Transaction, webhook: int, due_at: int, *, is_failure: bool) -> None:
    """The webhook is processed again at `due_at`; a failed read is counted."""
    sql = "UPDATE webhooks SET attempts = attempts + ?, due_at = ? WHERE id = ?"
    tx.execute(sql, (int(is_failure), due_at, webhook))


def note_first_look(tx: Transaction, webhook: int, now_ms: int) -> None:
    """The webhook's own data has been applied provisionally."""
    tx.execute("UPDATE webhooks SET looked_at = ? WHERE id = ? AND looked_at IS NULL", (now_ms, webhook))
