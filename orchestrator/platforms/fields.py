"""Fields of an order as a platform's JSON holds them, and what becomes of an order that is invalid.

Readers are lenient but for what is decided on. What they raise is about the one order that they read, whatever it is:
`of_one_order` makes a InvalidOrder of it, so that no other order is lost with it.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import wraps
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from orchestrator.platforms.json_text import Broken, member_text, read_value, storable, write_value
from statemachines.numbers import decimal_of, plain
from statemachines.target import Json

P = ParamSpec("P")
T = TypeVar("T")

FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2199
"""Dates outside these years are how a database writes that there is none. A sync that went on from the year 9999 would
find nothing any more."""

_LONGEST_SHOWN = 80
_LONGEST_ID = 20  # digits
_TEXT_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~:-]{1,100}")
_LONGEST_LIFE_SECONDS = 10**10
_HALF_A_WORD = re.compile(r"[^\s,:{}\[\]\"]+\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


class InvalidOrder(ValueError):
    """An order is not what the facts say; the message names the field and what stands there."""


def of_one_order(read: Callable[P, T]) -> Callable[P, T]:
    """Makes a reader of one order raise InvalidOrder and nothing else."""

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        except InvalidOrder:
            raise
        except Exception as error:
            raise InvalidOrder(f"reading it raised {crash_text(error)}") from error

    return reading


def crash_text(error: Exception) -> str:
    """An exception that nobody expected, for people: its class, its words, and the line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].name}" if frames else ""
    words = _cut(str(error), 300)
    return storable(f"{type(error).__name__}{place}" + (f": {words}" if words else ""))


def shown(value: Json) -> str:
    """A value as it is shown to people: its JSON, cut to a length."""
    try:
        return storable(_cut(write_value(value), _LONGEST_SHOWN))
    except (TypeError, ValueError, RecursionError):
        return f"a {type(value).__name__}"


def payload_of(raw: str) -> bytes:
    """The bytes of an order's own text. Raises InvalidOrder for what is not UTF-8: letters of it are lost."""
    try:
        return raw.encode()
    except UnicodeEncodeError:
        raise InvalidOrder("it is not UTF-8") from None


def object_of(order: Json) -> dict[str, Json]:
    """The members of an order. Raises InvalidOrder."""
    if isinstance(order, Broken):
        raise InvalidOrder(f"it is not JSON: {order.error}")
    if not isinstance(order, dict):
        raise InvalidOrder("it is not a JSON object")
    return order


def member_or_none(value: Json, raw: str, name: str) -> Json:
    """A member of an element; where that is not JSON as a whole, the member of its text `raw`."""
    if isinstance(value, dict):
        return value.get(name)
    try:
        return read_value(member_text(raw, name)) if isinstance(value, Broken) else None
    except ValueError:
        return None


def at(value: Json, path: str) -> Json:
    """What stands at a path such as `Payment.Status`; None where there is no such path."""
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def order_number(text: str) -> int | None:
    """The number that an id is, None if the text is not one: a whole number above 0, without zeros in front."""
    if text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= _LONGEST_ID:
        return int(text)
    return None


def id_of(value: Json, field: str) -> str:
    """A positive integer, never by way of a float; it may be written as a string. Raises InvalidOrder."""
    found = id_or_none(value)
    if found is None:
        raise InvalidOrder(f"{field} is not a positive integer: {shown(value)}")
    return found


def id_or_none(value: Json) -> str | None:
    """As `id_of`; None for what is not an id."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return None if order_number(text) is None else text


def text_id_of(value: Json, field: str) -> str:
    """An id that is a text (`A-17`, a UUID), of at most 100 characters that addresses hold as they are. Raises
    InvalidOrder."""
    found = text_id_or_none(value)
    if found is None:
        raise InvalidOrder(f"{field} is not an id of at most 100 letters, digits, - . _ ~ and colons: {shown(value)}")
    return found


def text_id_or_none(value: Json) -> str | None:
    """As `text_id_of`; None for what is not such an id."""
    return value if isinstance(value, str) and _TEXT_ID.fullmatch(value) else None


def required_text(value: Json, field: str) -> str:
    """A text that must not be missing. Raises InvalidOrder."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidOrder(f"{field} is not a text: {shown(value)}")
    return value


def quantity(value: Json) -> str | None:
    """A number, or a text with one, written in one way: "36.30" and 36.3 are the same. None for what is not a number
    ("1,5")."""
    number = decimal_of(value)
    return None if number is None else plain(number)


def instant_ms(value: Json, field: str, zone: tzinfo = UTC) -> int:
    """A date in ISO 8601 as Unix milliseconds: in `zone` where it names none. Raises InvalidOrder."""
    at = date_of(value, field)
    return ((at if at.tzinfo is not None else at.replace(tzinfo=zone)).astimezone(UTC) - _EPOCH) // _MS


def date_of(value: Json, field: str) -> datetime:
    """A date in ISO 8601, with a zone or without. Raises InvalidOrder."""
    if not isinstance(value, str):
        raise InvalidOrder(f"{field} is not a text: {shown(value)}")
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise InvalidOrder(f"{field} is not a date: {shown(value)}") from None
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise InvalidOrder(f"{field} is not a date between {FIRST_YEAR} and {LAST_YEAR}: {shown(value)}")
    return at


def optional_ms(value: Json, zone: tzinfo = UTC) -> int | None:
    """As `instant_ms`; None for an invalid date."""
    try:
        return instant_ms(value, "", zone)
    except InvalidOrder:
        return None


def seconds_of(value: Json) -> float | None:
    """The lifetime in an answer with a token, in seconds; None where it is missing or invalid."""
    number = decimal_of(value)
    return float(number) if number is not None and 0 < number < _LONGEST_LIFE_SECONDS else None


def _cut(text: str, longest: int) -> str:
    """Cut between words: half a word may be half a secret, which nobody would know."""
    return text if len(text) <= longest else _HALF_A_WORD.sub("", text[: longest - 1]) + "…"
