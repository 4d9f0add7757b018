"""JSON columns: one encoder for all, because making one for each value costs more than encoding it."""

from __future__ import annotations

import json
from json.encoder import encode_basestring
from typing import Any

dump_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode
"""A value as compact JSON text."""

quote_json = encode_basestring
"""A text as JSON text, as `dump_json` writes it: at once, where nothing but texts is to be written."""

load_json = json.loads
"""A value from JSON text."""


def load_object(text: str) -> dict[str, Any]:
    """An object from JSON text. Raises ValueError for any other text."""
    value = load_json(text)
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, found {type(value).__name__}")
    return value


def load_array(text: str) -> list[Any]:
    """An array from JSON text. Raises ValueError for any other text."""
    value = load_json(text)
    if not isinstance(value, list):
        raise ValueError(f"expected a JSON array, found {type(value).__name__}")
    return value
