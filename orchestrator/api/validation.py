"""From pydantic's complaints to the `errors` of a problem: a path and a message each, never the value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.config.explain import keys_of, models_in
from orchestrator.decisions.problems import FieldError
from statemachines.suggestion import hint

_MOST_ERRORS = 100
_QUOTED = re.compile(r"'([^']*)'")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNION_TAGS = frozenset({"#one", "#many", "#id", "#item"})
"""Names of union members in our models (requests.py); pydantic puts them into the location of an error."""

_COUNTED = {
    "string_too_short": ("min", "character"),
    "string_too_long": ("max", "character"),
    "too_short": ("min", "entry"),
    "too_long": ("max", "entry"),
}
_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not known",
    "string_type": "must be text",
    "string_unicode": "must be text",
    "string_pattern_mismatch": "does not have the form that it needs",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}


def errors_of(error: ValueError, data: Any, model: type[BaseModel], place: str = "") -> list[FieldError]:
    """Every complaint of `model` about `data`, at most a hundred. `place`: where in the request `data` stands."""
    assert isinstance(error, ValidationError)
    found = error.errors(include_url=False)[:_MOST_ERRORS]
    return [{"path": _written(each["loc"], data, place), "message": _sentence(each, model)} for each in found]


def _written(location: tuple[str | int, ...], data: Any, place: str) -> str:
    """A path as people write it: `despatch[0].lines[2].quantity`."""
    text, node = place, data
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


def _sentence(error: ErrorDetails, model: type[BaseModel]) -> str:
    """What is wrong, in words for people; pydantic's messages are about its internals."""
    context = error.get("ctx", {})
    if error["type"] in _COUNTED:
        bound, noun = _COUNTED[error["type"]]
        number = context[f"{bound}_length"]
        nouns = noun if number == 1 else {"entry": "entries"}.get(noun, f"{noun}s")
        return f"must have at {'least' if bound == 'min' else 'most'} {number} {nouns}"
    if (words := _WORDS.get(error["type"])) is not None:
        return words.format(**context) + _meant(error, model)
    return error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")


def _meant(error: ErrorDetails, model: type[BaseModel]) -> str:
    """The known name that is like an unknown member, or like a value that must be one of a few."""
    match error["type"]:
        case "extra_forbidden":
            return hint(str(error["loc"][-1]), _members(model, error["loc"][:-1]))
        case "literal_error":
            return hint(str(error["input"]), _QUOTED.findall(error["ctx"]["expected"]), "; ")
    return ""


def _members(model: type[BaseModel], location: tuple[str | int, ...]) -> set[str]:
    """What the object at a location may have; of all its forms where it has several."""
    models = [model]
    for part in location:  # positions and names of union members lead no deeper
        fields = [field for each in models for name, field in each.model_fields.items() if part in (name, field.alias)]
        models = [inner for field in fields for inner in models_in(field.annotation)] or models
    return {name for each in models for name in keys_of(each)}


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
