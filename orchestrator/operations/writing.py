"""Documents as JSON text, joined of parts that are text already.

A page is written where it is read, in a reader's thread: the event loop would be kept for as long as that takes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pydantic_core

_ascii = json.JSONEncoder(separators=(",", ":")).encode


def to_json(value: Any) -> bytes:
    """Compact JSON in UTF-8. Half a surrogate pair, which UTF-8 cannot hold, is escaped."""
    try:
        return pydantic_core.to_json(value)
    except ValueError:  # that, or nested deeper than it goes
        return _ascii(value).encode("ascii")


def with_texts(value: Any, texts: Mapping[str, str]) -> bytes:
    """An object's JSON with further members, which are JSON text already: joined as text, so that the platform's
    numbers stay what they were."""
    body = to_json(value)
    for name, text in texts.items():
        body = body[:-1] + (b"," if len(body) > len(b"{}") else b"") + f'"{name}":{text}}}'.encode("utf-8", "replace")
    return body
