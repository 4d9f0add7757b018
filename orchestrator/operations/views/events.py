"""What is in the feed, and what others sent, as the outside sees it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Literal

from orchestrator.clock import far_rfc3339, optional_rfc3339, rfc3339
from orchestrator.operations import documents
from orchestrator.platforms.json_text import servable
from statemachines.target import Json
from storage.products import StoredProduct
from storage.records import Event, Rejected


def event_view(event: Event) -> documents.Event:
    """An event; instants inside its data are kept as Unix milliseconds and shown as all others."""
    return {
        "cursor": event.cursor,
        "at": rfc3339(event.at),
        "type": event.type,
        "shop": event.shop,
        "order": event.order,
        "target": event.target,
        "data": _event_data(event),
    }


def is_shown_as_kept(type_: str, data: Mapping[str, Json]) -> bool:
    """Whether an event's data is shown as it is kept, whatever else is in the event."""
    return type_ != "import.rejected" and "next_attempt_at" not in data and "problem" not in data


def _event_data(event: Event) -> dict[str, Json]:
    data = event.data
    if is_shown_as_kept(event.type, data):
        return data
    if isinstance(instant := data.get("next_attempt_at"), int):
        data = {**data, "next_attempt_at": far_rfc3339(instant)}
    if isinstance(problem := data.get("problem"), Mapping):
        data = {**data, "problem": {**problem, "since": rfc3339(event.at)}}
    if event.type == "import.rejected" and "id" in data:
        data = {**data, "id": str(data["id"])}
    return data


def rejected_view(rejected: Rejected) -> documents.RejectedPayload:
    """A payload that could not be read, as text; in base64 when it is not UTF-8."""
    encoding: Literal["utf-8", "base64"] = "utf-8"
    try:
        payload = rejected.payload.decode("utf-8")
    except UnicodeDecodeError:
        payload, encoding = base64.b64encode(rejected.payload).decode("ascii"), "base64"
    return {
        "id": str(rejected.id),
        "shop": rejected.shop,
        "source": rejected.source,
        "at": rfc3339(rejected.at),
        "error": rejected.error,
        "payload": payload,
        "payload_encoding": encoding,
    }


def product_view(product: StoredProduct) -> documents.ProductRow:
    """A product without its payload, which is joined as text."""
    return {
        "shop": product.shop,
        "id": product.id,
        "title": product.title,
        "updated_at": optional_rfc3339(product.updated_at),
    }


def payload_text(payload: bytes | None) -> str:
    """An order's payload as JSON text, as it was received.

    The platform's own text is embedded, not parsed and written again: big numbers and decimals stay what they were.
    Half a surrogate pair, on which strict readers give the whole answer up, is U+FFFD in it.
    What is not JSON becomes a string (base64 when it is not UTF-8), no payload becomes null.
    """
    if payload is None:
        return "null"
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        return json.dumps(base64.b64encode(payload).decode("ascii"))
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return json.dumps(text)
    return servable(text.strip())


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
