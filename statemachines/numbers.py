"""Numbers as they were given: read exactly or not at all, and written without an exponent.

Nothing is made to fit: a comma, a group mark or another script's digits are no number here, for to read them would be
to guess. Nor is a number rounded because a context has so many digits.
"""

from __future__ import annotations

import math
import re
from decimal import Context, Decimal
from functools import lru_cache, reduce

from statemachines.target import Json

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
_LARGEST_EXPONENT = 400
"""Beyond what a double holds: spelled out, 1e9999999 would fill the memory."""
_LONGEST = 2 * _LARGEST_EXPONENT  # digits, as they are written
_LARGEST = 10**_LARGEST_EXPONENT
_SHORT = 24  # characters of a number that is remembered
_EXACT = Context(prec=4 * _LARGEST_EXPONENT)
_ZERO = Decimal(0)


def decimal_of(value: Json) -> Decimal | None:
    """A number, or a text with one, as an exact decimal; None for anything else, NaN and infinite ones too."""
    if isinstance(value, str):
        return _read_short(value) if len(value) <= _SHORT else _read(value.strip())
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value) if abs(value) < _LARGEST else None
    if isinstance(value, float):
        return _read(str(value))
    if isinstance(value, Decimal):
        is_readable = value.is_finite() and abs(value.adjusted()) <= _LARGEST_EXPONENT
        return value if is_readable and _has_few_digits(value) else None
    return None


def decimal_text(value: Json) -> str | None:
    """As `decimal_of`, with the number's own digits (`written`)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < _LARGEST else None
    text = str(value) if isinstance(value, Decimal) else value
    if isinstance(text, str) and len(text) <= _SHORT:
        return _written_short(text)
    number = decimal_of(value)
    return None if number is None else written(number)


def _has_few_digits(number: Decimal) -> bool:
    return len(str(number)) <= _LONGEST or len(number.as_tuple().digits) <= _LONGEST


@lru_cache(maxsize=4096)
def _read_short(text: str) -> Decimal | None:
    """Orders have few different numbers, and each of them many times."""
    return _read(text.strip())


@lru_cache(maxsize=4096)
def _written_short(text: str) -> str | None:
    number = _read_short(text)
    return None if number is None else written(number)


def _read(text: str) -> Decimal | None:
    if len(text) > _LONGEST or _NUMBER.fullmatch(text) is None:
        return None
    number = Decimal(text)  # finite, and with no more digits than the text has characters
    return number if abs(number.adjusted()) <= _LARGEST_EXPONENT else None


def exact_float(text: str) -> float:
    """A JSON number with a point or an exponent that comes out as it went in.

    Raises ValueError for one that is too large, or that has more digits than readers of JSON are sure to keep (RFC 8259
    §6): what they drop nobody would see.
    """
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:20]} is too large")
    if decimal_of(text) != decimal_of(number):
        raise ValueError(f"the number {text[:40]} has more digits than a JSON number is sure to keep: send fewer")
    return number


def written(number: Decimal) -> str:
    """A decimal with its own digits, trailing zeros too, without an exponent; zero has no sign."""
    text = format(number, "f")
    return text.removeprefix("-") if number.is_zero() else text


def plain(number: Decimal) -> str:
    """A decimal as people write it: as `written`, without zeros that say nothing."""
    text = written(number)
    return text.rstrip("0").rstrip(".") if "." in text else text


def shortest(number: Decimal) -> Decimal:
    """The same number without trailing zeros, to the last digit."""
    return _EXACT.plus(_EXACT.normalize(number))


def total(numbers: list[Decimal]) -> Decimal:
    """The exact sum."""
    return reduce(_EXACT.add, numbers, _ZERO)


def product(one: Decimal, other: Decimal) -> Decimal:
    """The exact product."""
    return _EXACT.multiply(one, other)
