"""JSON of platforms read where it stands: the values of an object or array together with their own text.

`json.loads` gives values and forgets their text; what a platform sent must be kept as it was sent. These functions walk
one level by hand and leave everything below to the C scanner, so they cost little more than parsing. Numbers that are
not whole become `Decimal`, which keeps their digits.

Everything that a platform sends is read here, for what is JSON to one reader is invalid to the next. Half a surrogate
pair and NUL, which JSON can write and no database takes, are U+FFFD in the values, in names too; the text keeps them.
Of two equal names the last counts. NaN, numbers that no amount has the digits of and nesting that no reader follows are
no JSON. They end the value that they stand in: one element of a list, one member of an object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from statemachines.numbers import decimal_of, written
from statemachines.target import Json

_LARGEST_EXPONENT = 400  # beyond what a double holds: spelled out, such a number would fill the memory
_REPLACEMENT = "\ufffd"
_HIGH, _LOW = "[dD][89abAB][0-9a-fA-F]{2}", "[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf"(\\u{_HIGH}\\u{_LOW})|(\\u(?:{_HIGH}|{_LOW}|0000))|\\.", re.DOTALL)
_HALF = re.compile("[\ud800-\udfff]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SUSPECT = ("\\ud", "\\uD", "\\u0000")  # escapes that may be half a pair, or NUL
_BLANKS = frozenset(" \t\n\r")
_BLANK = re.compile(r"[ \t\n\r]*")
_PART = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},"]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Broken:
    """Stands for an element that is not JSON."""

    error: str


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = None
    if number is None or abs(number.adjusted()) > _LARGEST_EXPONENT:
        raise ValueError(f"{text[:40]} is beyond all numbers")
    return number


_scan = json.JSONDecoder(parse_constant=_no_constant, parse_float=_number).raw_decode


def decode_at(text: str, at: int) -> tuple[Json, int]:
    """The value that begins at `at`, and where it ends. Raises ValueError."""
    try:
        value, end = _scan(text, at)
        if text.find("\\u", at, end) >= 0 and any(text.find(each, at, end) >= 0 for each in _SUSPECT):
            value, _ = _scan(_ESCAPE.sub(_whole_escape, text[at:end]), 0)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value, end


def _whole_escape(found: re.Match[str]) -> str:
    return r"\ufffd" if found[2] is not None else found[0]


def decoded(body: bytes) -> str:
    """The text of a body. Bytes that are not UTF-8 become halves of surrogate pairs, which `encoded` undoes."""
    return body.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


def encoded(text: str) -> bytes:
    """The bytes that a text of `decoded`, or a piece of it, was."""
    return text.encode("utf-8", "surrogateescape")


def storable(text: str) -> str:
    """A text without what no database takes: NUL and halves of surrogate pairs become U+FFFD."""
    return text if text.isprintable() else _UNSTORABLE.sub(_REPLACEMENT, text)


def servable(text: str) -> str:
    """JSON text with half a surrogate pair in it as every reader takes it; as long as it was, all else as it stands."""
    if any(each in text for each in _SUSPECT):
        text = _ESCAPE.sub(lambda found: found[0] if found[0].endswith("u0000") else _whole_escape(found), text)
    return text if text.isascii() else _HALF.sub(_REPLACEMENT, text)


def read_value(text: str) -> Json:
    """The value that is `text`, with nothing but blanks around it. Raises ValueError."""
    value, end = decode_at(text, _skip(text, 0))
    if _skip(text, end) != len(text):
        raise ValueError(f"more follows the value at character {end}")
    return value


def read_body(body: bytes) -> Json:
    """The value of a whole answer or webhook. Raises ValueError, also for what is not UTF-8."""
    try:
        text = body.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    return read_value(text)


def read_object(body: bytes) -> dict[str, Json] | None:
    """The members of a small answer, for which no text is kept; None if it is not a JSON object. Invalid UTF-8 in it
    becomes U+FFFD."""
    try:
        value = read_value(body.decode("utf-8", "replace").removeprefix("\ufeff"))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def write_value(value: Json) -> str:
    """JSON text with each decimal in its own digits, which a float could say in others, and without an exponent.

    Raises ValueError.
    """
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(str(name))}:{write_value(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(write_value(inner) for inner in value) + "]"
    if isinstance(value, Decimal | float) and (number := decimal_of(value)) is not None:
        return written(number)
    return str(value) if isinstance(value, Decimal) else json.dumps(value, allow_nan=False, ensure_ascii=False)


def walk_object(text: str, take: Callable[[str, int], int]) -> None:
    """Calls `take` with each name of the object that is `text` and the index of its value; it returns the value's end.

    Raises ValueError where the text is not an object.
    """
    at = _expect(text, _skip(text, 0), "{")
    is_open = text[at : at + 1] != "}"
    while is_open:
        name, at = decode_at(text, at)
        if not isinstance(name, str):
            raise ValueError("an object's name is not a string")
        at = _skip(text, take(name, _expect(text, _skip(text, at), ":")))
        if is_open := text[at : at + 1] != "}":
            at = _expect(text, at, ",")
    if (at := _expect(text, at, "}")) != len(text):
        raise ValueError(f"more follows the object at character {at}")


def members(text: str, array: str) -> tuple[dict[str, Json], list[tuple[Json, str]] | None]:
    """The members of the object that is `text`, but for its array of the given name, which is given by its `elements`.

    None in place of the elements where there is no such array. A member that is not JSON in itself is left out, as long
    as its end can be found. Raises ValueError.
    """
    values: dict[str, Json] = {}
    walked: list[tuple[Json, str]] | None = None

    def take(name: str, at: int) -> int:
        nonlocal walked
        if name == array and text[at : at + 1] == "[":
            walked, end = elements(text, at)
        else:
            value, end = _decode_or_pass(text, at)
            if isinstance(value, Broken):
                values.pop(name, None)
            else:
                values[name] = value
        return end

    walk_object(text, take)
    return values, walked


def outline(text: str) -> dict[str, Json]:
    """The members of the object that is `text`; elements of its arrays that are not JSON are `Broken`.

    Raises ValueError where `text` is not an object.
    """
    values: dict[str, Json] = {}

    def take(name: str, at: int) -> int:
        if text[at : at + 1] == "[":
            found, end = elements(text, at)
            values[name] = [value for value, _ in found]
        else:
            values[name], end = _decode_or_pass(text, at)
        return end

    walk_object(text, take)
    return values


def member_ends(text: str) -> dict[str, tuple[int, int]]:
    """Where each member of the object that is `text` begins and ends, found by brackets alone. Raises ValueError."""
    found: dict[str, tuple[int, int]] = {}

    def take(name: str, at: int) -> int:
        found[name] = at, value_end(text, at)
        return found[name][1]

    walk_object(text, take)
    return found


def member_text(text: str, name: str) -> str:
    """The own text of one member of the object that is `text`. Raises ValueError where it has none."""
    found = ""

    def take(each: str, at: int) -> int:
        nonlocal found
        _, end = _decode_or_pass(text, at)
        if each == name:
            found = text[at:end]
        return end

    walk_object(text, take)
    if not found:
        raise ValueError(f"it has no {name}")
    return found


def elements(text: str, at: int) -> tuple[list[tuple[Json, str]], int]:
    """The elements of the array that begins at `at`, each as value and own text, and where the array ends.

    An element that is not JSON in itself is given as `Broken`, as long as its end can be found. Raises ValueError.
    """
    found: list[tuple[Json, str]] = []
    at = _expect(text, at, "[")
    if text[at : at + 1] == "]":
        return found, at + 1
    while True:
        value, end = _decode_or_pass(text, at)
        found.append((value, text[at:end]))
        at = _skip(text, end)
        if text[at : at + 1] == "]":
            return found, at + 1
        at = _expect(text, at, ",")


def _decode_or_pass(text: str, at: int) -> tuple[Json, int]:
    try:
        return decode_at(text, at)
    except ValueError as error:
        return Broken(str(error)), value_end(text, at)


def is_whole(body: bytes) -> bool:
    """Whether a body is one object or array to its end, found by brackets alone: not a page, nor half an answer."""
    text = decoded(body).strip(" \t\n\r")
    try:
        return text[:1] in ("{", "[") and value_end(text, 0) == len(text)
    except ValueError:
        return False


def value_end(text: str, at: int) -> int:
    """Where the value that begins at `at` ends, found by its brackets alone.

    Raises ValueError where they do not close.
    """
    depth = 0
    for part in _PART.finditer(text, at):
        match part.group()[0]:
            case '"' if len(part.group()) == 1:
                break
            case "[" | "{":
                depth += 1
            case "]" | "}":
                depth -= 1
                if depth <= 0:
                    return part.end() if depth == 0 else part.start()
            case "," if depth == 0:
                return part.start()
            case _:
                pass
    raise ValueError(f"the value at character {at} has no end")


def _skip(text: str, at: int) -> int:
    if text[at : at + 1] not in _BLANKS:
        return at
    found = _BLANK.match(text, at)
    return found.end() if found is not None else at


def _expect(text: str, at: int, mark: str) -> int:
    """The index of what follows `mark` at `at` and the blanks behind it."""
    if text[at : at + 1] != mark:
        raise ValueError(f"{mark!r} is missing at character {at}")
    return _skip(text, at + 1)
