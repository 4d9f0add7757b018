"""What CloudSuite's proxy answers to XML calls (cloudsuite.md §8, §11): its form is not documented.

A structured member decides before words do: a code or an error element of XML, a status or a flag of JSON. Only where
there is none are the shop's error words looked for, and in texts alone, never in names. XML is read with `defusedxml`:
an answer is foreign input, and the standard parser would follow entities wherever they lead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from orchestrator.platforms.cloudsuite.errors import is_html
from orchestrator.platforms.garbage import is_binary, is_json, looks_like_json
from orchestrator.platforms.json_text import read_body
from statemachines.target import Json

_ERROR_NAMES = frozenset({"error", "errors", "fault", "exception"})
_CODE_NAMES = frozenset({"status", "code", "statuscode", "status_code"})
_FLAG_NAMES = frozenset({"success", "ok"})
_STATE_NAMES = _FLAG_NAMES | {"status"}
_GOOD_WORDS = frozenset({"ok", "success", "accepted", "created", "done", "true", "yes"})
_BAD_WORDS = frozenset({"error", "fail", "failed", "failure", "invalid", "refused", "rejected", "false", "no"})
_PAGES = frozenset(
    {"html", "head", "body", "title", "meta", "style", "script", "center", "div", "main", "section", "article"}
    | {"header", "nav", "table", "font", "pre", "p", "span", "h1", "h2", "h3", "h4", "br", "hr", "a", "img"}
)
"""Roots of pages for people and of pieces of them, some of which are XML."""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_UNSPECIFIC = frozenset({400, 422})
"""Codes of refusals whose cause only the message names."""


class Verdict(Enum):
    """What an answer of a proxy call says."""

    DONE = "done"
    REFUSED = "refused"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class _Reply:
    """What an answer says: `code` and `is_error` by its structure (None: nothing), `texts` in words."""

    code: int | None
    is_error: bool | None
    texts: str


def verdict(body: bytes, error_pattern: re.Pattern[str]) -> Verdict:
    """What a 2xx answer of a proxy call says. Invalid, so that the outcome is unknown: a page for people, or XML or
    JSON that is cut off or unsafe."""
    reply = _read(body)
    if reply is None:
        return Verdict.INVALID
    if reply.code is not None and reply.code >= 400:
        return Verdict.REFUSED
    if reply.is_error is not None:
        return Verdict.REFUSED if reply.is_error else Verdict.DONE
    if reply.code is not None:
        return Verdict.DONE
    return Verdict.REFUSED if error_pattern.search(reply.texts) else Verdict.DONE


def says_duplicate(status: int, body: bytes, duplicate_pattern: re.Pattern[str]) -> bool:
    """Whether a refusal says that the number is there already: a conflict does; where the code says what else is the
    matter (403, 404), no word does."""
    reply = _read(body)
    reported = reply.code if reply is not None and reply.code is not None and reply.code >= 400 else None
    code = reported if reported is not None else status
    if code >= 400 and code not in _UNSPECIFIC:
        return code == 409
    return duplicate_pattern.search(body.decode("utf-8", "replace")) is not None


def _read(body: bytes) -> _Reply | None:
    if is_html(body):
        return None
    if body.startswith(_UTF_16):
        return _of_xml(body)
    if is_binary(body):
        return None
    if looks_like_json(body):
        return _of_json(body) if is_json(body) else None
    text = body.decode("utf-8", "replace").removeprefix("\ufeff").strip()
    return _of_xml(body) if text.startswith("<") else _Reply(None, None, text)


def _of_xml(body: bytes) -> _Reply | None:
    try:
        root = fromstring(body.strip())
    except (ParseError, DefusedXmlException, ValueError):
        return None
    if str(root.tag).rpartition("}")[2].lower() in _PAGES:
        return None
    code: int | None = None
    is_error: bool | None = None
    flags: set[bool] = set()
    for element in root.iter():
        name = str(element.tag).rpartition("}")[2].lower()
        if name in _ERROR_NAMES:
            words = " ".join(element.itertext()).strip()
            # an empty one beside a good code lists no error; by itself it is the whole answer
            is_error = is_error or bool(element.attrib or words not in ("", "0"))
        if name in _CODE_NAMES and (found := _code(element.get("code") or element.text)) is not None:
            code = found if code is None else max(code, found)
        flags |= _flag(name, element.text)
        for attribute, value in element.attrib.items():
            flags |= _flag(attribute.rpartition("}")[2].lower(), value)
    if is_error is False and code is None and not flags:
        is_error = True
    return _Reply(code, _verdict_of(is_error or None, flags), " ".join(root.itertext()))


def _of_json(body: bytes) -> _Reply:
    try:
        value = read_body(body)
    except ValueError:
        value = None
    codes: list[int] = []
    texts: list[str] = []
    flags: set[bool] = set()
    is_error: bool | None = None
    for name, inner in _members(value):
        if isinstance(inner, str):
            texts.append(inner)
        if name in _ERROR_NAMES and inner:
            is_error = True
        if name in _CODE_NAMES and (code := _code(inner)) is not None:
            codes.append(code)
        flags |= _flag(name, inner)
    return _Reply(max(codes, default=None), _verdict_of(is_error, flags), " ".join(texts))


def _members(value: Json) -> Iterator[tuple[str, Json]]:
    """Everything that stands in a value, however deep, with its name in small letters; without one in a list."""
    left: list[tuple[str, Json]] = [("", value)]
    while left:
        name, inner = left.pop()
        yield name, inner
        if isinstance(inner, Mapping):
            left += [(str(each).lower(), found) for each, found in inner.items()][::-1]
        elif isinstance(inner, list):
            left += [("", each) for each in inner][::-1]


def _flag(name: str, value: Json) -> set[bool]:
    """Whether a flag or a status says yes (True) or no; nothing where it is neither."""
    if name not in _STATE_NAMES or not isinstance(value, str | int):
        return set()
    word = str(value).strip().lower()
    if name in _FLAG_NAMES and word in ("0", "1"):
        return {word == "1"}
    return {True} if word in _GOOD_WORDS else {False} if word in _BAD_WORDS else set()


def _verdict_of(is_error: bool | None, flags: set[bool]) -> bool | None:
    """What errors and flags say together: one of them that says no is enough."""
    if is_error or False in flags:
        return True
    return False if flags else None


def _code(value: Json) -> int | None:
    """An HTTP-like code, as a number or a text."""
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(text) if re.fullmatch(r"[1-5][0-9]{2}", text) else None
