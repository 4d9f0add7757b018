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
from orchestrator.platforms.garbage import is_json, looks_like_json
from orchestrator.platforms.json_text import read_body
from statemachines.target import Json

_ERROR_NAMES = frozenset({"error", "errors", "fault", "exception"})
_CODE_NAMES = frozenset({"status", "code", "statuscode", "status_code"})
_FLAG_NAMES = frozenset({"success", "ok"})
_GOOD_WORDS = frozenset({"ok", "success", "accepted", "created", "done"})
_PAGES = frozenset({"html", "head", "body"})
"""Roots of pages for people, some of which are XML."""
_TELLS_NOTHING = frozenset({400, 422})
"""Codes of refusals of which only words tell what is the matter."""


class Verdict(Enum):
    """What an answer of a proxy call says."""

    DONE = "done"
    REFUSED = "refused"
    SENSELESS = "senseless"


@dataclass(frozen=True, slots=True)
class _Reply:
    """What an answer says: `code` and `is_error` by its structure (None: nothing), `texts` in words."""

    code: int | None
    is_error: bool | None
    texts: str


def verdict(body: bytes, error_pattern: re.Pattern[str]) -> Verdict:
    """What a 2xx answer of a proxy call says. Senseless, so that nobody can tell: a page for people, or XML or JSON
    that is cut off or unsafe."""
    reply = _read(body)
    if reply is None:
        return Verdict.SENSELESS
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
    told = reply.code if reply is not None and reply.code is not None and reply.code >= 400 else None
    code = told if told is not None else status
    if code >= 400 and code not in _TELLS_NOTHING:
        return code == 409
    return duplicate_pattern.search(body.decode("utf-8", "replace")) is not None


def _read(body: bytes) -> _Reply | None:
    text = body.decode("utf-8", "replace").strip()
    if is_html(body):
        return None
    if looks_like_json(body):
        return _of_json(body) if is_json(body) else None
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
    for element in root.iter():
        name = str(element.tag).rpartition("}")[2].lower()
        if name in _ERROR_NAMES:
            told = " ".join(element.itertext()).strip()
            # an empty one beside a good code lists no error; by itself it is the whole answer
            is_error = is_error or bool(element.attrib or told not in ("", "0"))
        if name in _CODE_NAMES and (found := _code(element.get("code") or element.text)) is not None:
            code = found if code is None else max(code, found)
    if is_error is False and code is None:
        is_error = True
    return _Reply(code, is_error or None, " ".join(root.itertext()))


def _of_json(body: bytes) -> _Reply:
    try:
        value = read_body(body)
    except ValueError:
        value = None
    members = {str(name).lower(): inner for name, inner in value.items()} if isinstance(value, dict) else {}
    codes = [code for name in _CODE_NAMES if (code := _code(members.get(name))) is not None]
    is_error: bool | None = None
    if any(members.get(name) for name in _ERROR_NAMES) or any(members.get(name) is False for name in _FLAG_NAMES):
        is_error = True
    elif any(members.get(name) is True for name in _FLAG_NAMES) or str(members.get("status")).lower() in _GOOD_WORDS:
        is_error = False
    return _Reply(max(codes, default=None), is_error, " ".join(_texts(value)))


def _code(value: Json) -> int | None:
    """An HTTP-like code, as a number or a text."""
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(text) if re.fullmatch(r"[1-5][0-9]{2}", text) else None


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
