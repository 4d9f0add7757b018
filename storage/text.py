"""JSON columns: one encoder for all, because making one for each value costs more than encoding it."""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring
from typing import Any, TypeVar

from pydantic_core import to_json

T = TypeVar("T")

dump_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode
"""A value as compact JSON text."""


def dump_large(value: Any) -> str:
    """As `dump_json`, for values of some size: in half the time."""
    try:
        return to_json(value).decode()
    except ValueError:  # half of a surrogate pair, or deeper than it goes
        return dump_json(value)


quote_json = encode_basestring
"""A text as JSON text, as `dump_json` writes it: at once, where nothing but texts is to be written."""

_decode = json.JSONDecoder().raw_decode


def load_json(text: str) -> Any:
    """A value from JSON text. Raises ValueError.

    What `dump_json` wrote begins and ends with the value. `json.loads`, which looks for white space around it,
    takes twice as long over the few bytes that most columns have.
    """
    try:
        value, end = _decode(text)
    except ValueError:
        return json.loads(text)
    return value if end == len(text) else json.loads(text)


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


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def storable(value: T) -> T | str:
    """A value whose text has no lone surrogate and no zero byte, which not every database takes: they become the sign
    for what is not known. A platform's cut emoji must not stop a whole sync."""
    return _UNSTORABLE.sub("\ufffd", value) if isinstance(value, str) else value
