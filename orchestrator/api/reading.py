"""Bodies of requests: read within limits, parsed strictly, checked all at once.

JSON is stricter here than Python's parser: no NaN, no infinite number, no nesting that would exhaust the stack, no NUL
and no half of a surrogate pair, which neither the store nor a platform could take.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel

from orchestrator.api.problems import ApiError, Invalid
from orchestrator.api.validation import errors_of
from orchestrator.decisions.problems import FieldError
from orchestrator.encoding import UTF8_MARK, encoding_of
from orchestrator.json_errors import explain_json
from statemachines.numbers import exact_float

M = TypeVar("M", bound=BaseModel)

_DEEPEST = 64
READ_ENCODINGS = "gzip, deflate"
"""Content codings of bodies that are read; whether more could be depends on what else is installed."""
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
"""What a page may have its browser send anywhere without being asked for permission."""
_LONGEST_NAME_SHOWN = 60
_SUSPECT = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


async def read_json(request: web.Request, slug: str = "invalid-request") -> dict[str, Any] | None:
    """The body as a JSON object, None when there is no body.

    Raises ApiError, Invalid; `slug` is the type of the problem when the JSON is not what can be used.
    """
    raw = await request.read()
    if raw:
        check_type(request, is_json)
    if not raw.strip():
        return None
    return as_object(parse_json(raw, slug), slug)


async def refuse_body(request: web.Request) -> None:
    """For calls that take nothing: no body and an empty object are fine, whatever else is sent is a mistake.

    Raises ApiError, Invalid with every member that was sent.
    """
    if body := await read_json(request):
        errors = [FieldError(path=shown(name), message="is not known") for name in body]
        raise Invalid("invalid-request", errors[:100])


def is_json(media_type: str) -> bool:
    """Whether a body of this type may be JSON."""
    return media_type == "application/json" or media_type.endswith("+json")


def is_ndjson(media_type: str) -> bool:
    """Whether a body of this type may be JSON, one object a line; a single line is plain JSON."""
    return media_type in ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/json")


def check_type(request: web.Request, accepts: Callable[[str], bool]) -> None:
    """Raises ApiError `unsupported-media-type` unless the body says that it is what this call takes.

    Saying nothing will not do either: a page can have its browser send bytes without a type anywhere.
    """
    said = request.content_type.casefold() if "Content-Type" in request.headers else ""
    if accepts(said):
        return
    wanted = "application/json" if accepts is is_json else "application/x-ndjson"
    detail = f"this call takes {wanted}; send it with the header `Content-Type: {wanted}`"
    if said in _FORMS:
        detail += ", not as a form (curl -d sends one unless -H or --json says otherwise)"
    raise ApiError("unsupported-media-type", detail)


def check_encoding(request: web.Request) -> None:
    """Raises ApiError `unsupported-media-type` for a body in a content coding that is not read."""
    given = ", ".join(request.headers.getall("Content-Encoding", ())).strip().casefold()
    if given not in ("", "identity", *READ_ENCODINGS.split(", ")) and request.can_read_body:
        raise unread_encoding(given)


def unread_encoding(given: str = "") -> ApiError:
    """The refusal of a body's content coding, with those that are read as RFC 9110 §12.5.3 wants it."""
    coding = f"the content coding {shown(given)!r} of the body" if given else "the content coding of the body"
    detail = f"{coding} is not read; send it as it is, or with `Content-Encoding: gzip` or `deflate`"
    return ApiError("unsupported-media-type", detail, headers={"Accept-Encoding": READ_ENCODINGS})


def parse_json(raw: bytes, slug: str) -> Any:
    """JSON text as a value. Raises ApiError `malformed-json`, Invalid `slug` for text that cannot be kept."""
    if encoding_of(raw[:4]) not in ("utf-8", "utf-8-sig"):
        raise ApiError("malformed-json", "it is UTF-16 or UTF-32; send UTF-8 (PowerShell: -Encoding utf8)")
    try:
        text = raw.removeprefix(UTF8_MARK).decode("utf-8")
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ApiError("malformed-json", _place_and_words(text, error)) from None
    except UnicodeDecodeError as error:
        raise ApiError("malformed-json", f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise ApiError("malformed-json", "it is nested too deeply") from None
    except ValueError as error:
        raise ApiError("malformed-json", str(error)) from None
    if text.count("[") + text.count("{") > _DEEPEST and _depth_exceeds(value, _DEEPEST):
        raise ApiError("malformed-json", f"it is nested more than {_DEEPEST} deep")
    if _SUSPECT.search(text) is not None and (errors := list(_unkeepable(value, ""))):
        raise Invalid(slug, errors)
    return value


def _place_and_words(text: str, error: json.JSONDecodeError) -> str:
    """Where a body is not JSON and why; of text on one line the column alone, for it may be a line of many."""
    at, words = explain_json(text, error)
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    return f"line {line}, column {column}: {words}" if "\n" in text.strip() else f"column {column}: {words}"


def as_object(value: Any, slug: str) -> dict[str, Any]:
    """The value if it is an object. Raises Invalid."""
    if not isinstance(value, dict):
        raise Invalid(slug, [{"path": "body", "message": "must be a JSON object"}])
    return value


def checked(model: type[M], value: Any, slug: str) -> M:
    """The value as a model. Raises Invalid with every error."""
    as_object(value, slug)
    try:
        return model.model_validate(value)
    except ValueError as error:
        raise Invalid(slug, errors_of(error, value, model)) from None


def shown(text: str) -> str:
    """A name that came from outside, cut to what an answer should repeat and without what a terminal would obey."""
    cut = text if len(text) <= _LONGEST_NAME_SHOWN else f"{text[:_LONGEST_NAME_SHOWN]}…"
    return "".join(character if character.isprintable() else "?" for character in cut)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers of JSON differ in which of two equal members they take, so none is taken (RFC 8259 §4)."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the member `{shown(twice)}` is there twice")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=exact_float, object_pairs_hook=_without_repetition)


def _depth_exceeds(value: Any, deepest: int) -> bool:
    level = [value]
    for _ in range(deepest):
        containers = [each for each in level if isinstance(each, dict | list)]
        level = [inner for each in containers for inner in (each.values() if isinstance(each, dict) else each)]
    return any(isinstance(each, dict | list) for each in level)


def _unkeepable(value: Any, path: str) -> Iterator[FieldError]:
    match value:
        case str():
            if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
                yield {"path": path or "body", "message": "must not have NUL or half a surrogate pair"}
        case list():
            for index, inner in enumerate(value):
                yield from _unkeepable(inner, f"{path}[{index}]")
        case dict():
            for name, inner in value.items():
                clean = name.encode("utf-8", "replace").decode("utf-8").replace("\x00", "?")
                here = f"{path}.{clean}" if path else clean
                yield from _unkeepable(name, here)
                yield from _unkeepable(inner, here)
