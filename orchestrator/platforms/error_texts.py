"""The words of an error answer, in the forms of APIs: usual members, a list, the wrong fields by name, a page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from orchestrator.platforms.garbage import prose
from statemachines.target import Json

_MAX_ERROR_BYTES = 96 * 1024  # of a JSON error: a longer one is not read as one


def error_text(body: bytes) -> str:
    """What a body says to a person: the usual members of a JSON error, or the text of anything else.

    Only the words are taken: an answer to a good call may hold a customer's data and does not belong into a log.
    """
    try:
        return _words_in(json.loads(body)) if len(body) <= _MAX_ERROR_BYTES else ""
    except (ValueError, RecursionError):  # of reading it, or of walking through what is nested deeply
        return prose(body)


def _words_in(data: Json) -> str:
    if not isinstance(data, dict):
        return json.dumps(data, ensure_ascii=False) if isinstance(data, list) and _is_complaint(data) else ""
    words: list[str] = []
    for name in ("error", "code", "error_msg", "message", "Message", "error_description", "detail", "title"):
        value = data.get(name)
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
        if value is not None and not isinstance(value, bool) and text and text not in words:
            words.append(text)
    # {"errors": "…"}, a list of them, or the wrong fields by name.
    if isinstance(errors := data.get("errors"), dict | list | str) and errors:
        words.append(errors if isinstance(errors, str) else json.dumps(errors, ensure_ascii=False))
    words += _refused_parameters(data)
    # The wrong fields at the top, and those of inner objects inside, as Django REST Framework has it:
    # {"state": ["… is not a valid choice."], "order_lines": [{}, {"quantity": ["…"]}]}
    fields = {name: value for name, value in data.items() if _is_complaint(value)}
    if fields and not words:
        words.append(json.dumps(fields, ensure_ascii=False))
    return " – ".join(words)


def _refused_parameters(data: Mapping[str, Json]) -> list[str]:
    """Those that WordPress names, with why each is refused, or alone where they are missing:
    {"code": "rest_invalid_param", "data": {"status": 400, "params": {"status": "status is not one of …"}}}"""
    more = data.get("data")
    refused = more.get("params") if isinstance(more, dict) and isinstance(data.get("code"), str) else None
    if isinstance(refused, dict):
        return [f"{name}: {why}" for name, why in refused.items() if isinstance(why, str)]
    return [each for each in refused if isinstance(each, str)] if isinstance(refused, list) else []


def without_status(words: str, status: int) -> str:
    """Words without the status that an error page begins with, often in its title and again in its text."""
    rest = re.sub(rf"\A(?:{status}\b[\s:–-]*)+", "", words)
    return re.sub(rf"\A(.+?)[\s–]+{status}[\s:–-]+\1(?!\w)", r"\1", rest)


def _is_complaint(value: object) -> bool:
    """Whether there are lists of sentences at every end of a value: an order's own members look otherwise."""
    if isinstance(value, dict):
        return bool(value) and all(_is_complaint(inner) for inner in value.values())
    if not isinstance(value, list) or not value:
        return False
    inner = [each for each in value if each != {}]  # a row that is good
    return all(isinstance(each, str) for each in value) or (
        bool(inner) and all(isinstance(each, dict) and _is_complaint(each) for each in inner)
    )
