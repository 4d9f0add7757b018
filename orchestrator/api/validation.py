"""From pydantic's complaints to the `errors` of a problem: a path and a message each, never the value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from pydantic import ValidationError

_MOST_ERRORS = 100
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNION_TAGS = frozenset({"#one", "#many", "#id", "#item"})
"""Names of union members in our models (requests.py); pydantic puts them into the location of an error."""


def errors_of(error: ValueError, data: Any) -> list[dict[str, str]]:
    """Every complaint about `data`, at most a hundred."""
    assert isinstance(error, ValidationError)
    found = error.errors(include_input=False, include_url=False, include_context=False)[:_MOST_ERRORS]
    return [{"path": _written(each["loc"], data), "message": _sentence(each["msg"])} for each in found]


def _written(location: tuple[str | int, ...], data: Any) -> str:
    """A path as people write it: `despatch[0].lines[2].quantity`."""
    text, node = "", data
    for part in location:
        if part in _UNION_TAGS and not (isinstance(node, Mapping) and part in node):
            continue
        if isinstance(part, int):
            text += f"[{part}]"
            node = node[part] if isinstance(node, list) and part < len(node) else None
        else:
            text += f".{part}" if text else part
            node = node.get(part) if isinstance(node, Mapping) else None
    return text or "body"


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Extra inputs are not permitted", "is not known")


def has_broken_escapes(text: str) -> bool:
    """Whether percent signs in a raw path or query encode anything but UTF-8."""
    if "%" not in text:
        return False
    if _BROKEN_ESCAPE.search(text) is not None:
        return True
    try:
        unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False
