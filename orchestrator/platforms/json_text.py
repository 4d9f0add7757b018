"""JSON read where it stands: the values of an object or array together with their own text.

`json.loads` gives values and forgets their text; what a platform sent must be kept as it was sent. These functions walk
one level by hand and leave everything below to the C scanner, so they cost little more than parsing. Numbers that are
not whole become `Decimal`, which keeps their digits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from statemachines.target import Json

_BLANK = re.compile(r"[ \t\n\r]*")
_PART = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},"]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Broken:
    """Stands for an element that is no JSON."""

    error: str


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text[:40]} is beyond all numbers") from None


_decode = json.JSONDecoder(parse_constant=_no_constant, parse_float=_number).raw_decode


def read_value(text: str) -> Json:
    """The value that is `text`, with nothing but blanks around it. Raises ValueError."""
    value, end = _decode(text, _skip(text, 0))
    if _skip(text, end) != len(text):
        raise ValueError(f"more follows the value at character {end}")
    return value


def walk_object(text: str, take: Callable[[str, int], int]) -> None:
    """Calls `take` with each name of the object that is `text` and the index of its value; it returns the value's end.

    Raises ValueError where the text is no object.
    """
    at = _expect(text, _skip(text, 0), "{")
    is_open = text[at : at + 1] != "}"
    while is_open:
        name, at = _decode(text, at)
        if not isinstance(name, str):
            raise ValueError("an object's name is no string")
        at = _skip(text, take(name, _expect(text, _skip(text, at), ":")))
        if is_open := text[at : at + 1] != "}":
            at = _expect(text, at, ",")
    if (at := _expect(text, at, "}")) != len(text):
        raise ValueError(f"more follows the object at character {at}")


def members(text: str, array: str) -> tuple[dict[str, Json], list[tuple[Json, str]] | None]:
    """The members of the object that is `text`, but for its array of the given name, which is given by its `elements`.

    None in place of the elements where there is no such array. Raises ValueError.
    """
    values: dict[str, Json] = {}
    walked: list[tuple[Json, str]] | None = None

    def take(name: str, at: int) -> int:
        nonlocal walked
        if name == array and text[at : at + 1] == "[":
            walked, end = elements(text, at)
        else:
            values[name], end = _decode(text, at)
        return end

    walk_object(text, take)
    return values, walked


def member_text(text: str, name: str) -> str:
    """The own text of one member of the object that is `text`. Raises ValueError where it has none."""
    found = ""

    def take(each: str, at: int) -> int:
        nonlocal found
        _, end = _decode(text, at)
        if each == name:
            found = text[at:end]
        return end

    walk_object(text, take)
    if not found:
        raise ValueError(f"it has no {name}")
    return found


def elements(text: str, at: int) -> tuple[list[tuple[Json, str]], int]:
    """The elements of the array that begins at `at`, each as value and own text, and where the array ends.

    An element that is no JSON in itself is given as `Broken`, as long as its end can be found. Raises ValueError.
    """
    found: list[tuple[Json, str]] = []
    at = _expect(text, at, "[")
    if text[at : at + 1] == "]":
        return found, at + 1
    while True:
        value: Json
        try:
            value, end = _decode(text, at)
        except (ValueError, RecursionError) as error:
            value, end = Broken(str(error)), value_end(text, at)
        found.append((value, text[at:end]))
        at = _skip(text, end)
        if text[at : at + 1] == "]":
            return found, at + 1
        at = _expect(text, at, ",")


def value_end(text: str, at: int) -> int:
    """Where the value that begins at `at` ends, told by its brackets alone.

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
    found = _BLANK.match(text, at)
    return found.end() if found is not None else at


def _expect(text: str, at: int, mark: str) -> int:
    """The index of what follows `mark` at `at` and the blanks behind it."""
    if text[at : at + 1] != mark:
        raise ValueError(f"{mark!r} is missing at character {at}")
    return _skip(text, at + 1)
