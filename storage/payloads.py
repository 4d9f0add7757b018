"""Payloads: what the platform sent of each order last, byte for byte, and its content; packed, apart from orders."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

import structlog

from storage.packing import Damaged, pack_all, unpack
from storage.records import Json, Kept
from storage.text import dump_large, load_json
from storage.transaction import Transaction, Value

log = structlog.get_logger()

CONTENT_VERSION = 2
"""The form of content that is kept now: a member that the platform does not give is left out of it."""

_KEPT = "SELECT payload, content, packed, words"
_OF_ORDER = (
    "FROM payloads LEFT JOIN dictionaries ON dictionaries.id = payloads.dictionary"
    " WHERE payloads.shop = ? AND payloads.id = ?"
)


class Received(NamedTuple):
    """What a platform sent of an order at `received_at`. `read_at`: when the observation began that `content` is of."""

    order: str
    received_at: int
    payload: bytes
    content: dict[str, Json] | None
    read_at: int | None


def save_payload(
    tx: Transaction,
    shop: str,
    order: str,
    payload: bytes,
    now_ms: int,
    content: dict[str, Json] | None = None,
    read_at: int | None = None,
) -> None:
    """Keeps the newest payload byte for byte, with the content of the observation that began at `read_at`."""
    write_payloads(tx, shop, [Received(order, now_ms, payload, content, read_at)])


def write_payloads(tx: Transaction, shop: str, payloads: Sequence[Received]) -> None:
    """Keeps the newest payloads of a shop's orders, each in the place of the one before it, in one statement."""
    texts = [None if each.content is None else dump_large(each.content) for each in payloads]
    packed = pack_all(tx, shop, [(each.payload, text) for each, text in zip(payloads, texts, strict=True)])
    values: list[Value] = []
    for each, text, (data, dictionary) in zip(payloads, texts, packed, strict=True):
        version = None if text is None else CONTENT_VERSION
        values += (shop, each.order, each.received_at, b"", data, dictionary, each.read_at, version)
    places = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?)"] * len(payloads))
    tx.execute(
        "INSERT INTO payloads (shop, id, received_at, payload, packed, dictionary, read_at, content_version)"  # noqa: S608
        f" VALUES {places}"
        " ON CONFLICT (shop, id) DO UPDATE SET received_at = excluded.received_at, payload = excluded.payload,"
        " content = NULL, packed = excluded.packed, dictionary = excluded.dictionary, read_at = excluded.read_at,"
        " content_version = excluded.content_version",
        values,
    )


def get_kept(tx: Transaction, shop: str, order: str) -> Kept | None:
    """The content of an order as it was last observed; None for one that has no payload. What is damaged counts as kept
    by an older version: the next observation keeps it anew."""
    rows = tx.query(f"{_KEPT}, read_at, received_at, content_version {_OF_ORDER}", (shop, order))
    if not rows:
        return None
    *kept, read_at, received_at, version = rows[0]
    unpacked = _unpacked(shop, order, kept)
    if unpacked is None:
        return Kept(None, read_at, received_at, is_exact=False)
    _, content = unpacked
    is_exact = version is not None and version >= CONTENT_VERSION
    return Kept(None if content is None else load_json(content), read_at, received_at, is_exact)


def get_payload(tx: Transaction, shop: str, order: str) -> bytes | None:
    """The payload as it was received; None where none is kept, or it is damaged."""
    rows = tx.query(f"{_KEPT} {_OF_ORDER}", (shop, order))
    unpacked = _unpacked(shop, order, rows[0]) if rows else None
    return None if unpacked is None else unpacked[0]


def _unpacked(shop: str, order: str, row: Sequence[Any]) -> tuple[bytes, str | None] | None:
    """Payload and content, of a row from before they were packed as well; None where they are damaged. One order must
    not hold up those who read the feed or the list, so it is the log that says so."""
    payload, content, packed, words = row
    if packed is None:
        return bytes(payload), content
    try:
        return unpack(packed, words)
    except Damaged as damage:
        remedy = f"check the disk; `{shlex.join(('fulfilld', 'refresh', shop, order))}` keeps it anew"
        log.error("payload.damaged", shop=shop, order=order, detail=str(damage), remedy=remedy)
        return None
