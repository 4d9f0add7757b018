"""The kinds of values that requests carry, each with its check and its JSON Schema, so that the schema is true.

Query parameters come as text; what is not an exact spelling of a number, flag or instant is refused, never guessed.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final
from zlib import crc32

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from orchestrator.decisions.problems import PROBLEM_TITLES
from orchestrator.event_types import EVENT_TYPES, KINDS, types_like
from statemachines.machine import Milestone
from statemachines.suggestion import hint
from storage.records import Situation

PLAIN: Final = r"^[^\u0000-\u001f\u007f]+$"
"""Text without control characters."""

CONSUMER_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
IDEMPOTENCY_KEY: Final = r"^[!-~]([ -~]{0,253}[!-~])?$"
KEY_MEANING: Final = "1 to 255 printable ASCII characters that neither begin nor end with a blank"
CURSOR: Final = r"^(0|[1-9][0-9]{0,17})$"

LONGEST_ID = 256
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,999})")  # the bounds refuse long ones in their own words
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?")
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+ -]\d\d:\d\d)", re.ASCII
)  # a plus in a query is a blank once it is decoded
_CHECK_DIGITS = 2
_TOKEN = re.compile(r"[0-9a-z]{3,14}")  # 12 digits hold whatever a position can be
_BEGINNING = "0"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        if _INTEGER.fullmatch(value) is None:
            raise ValueError("must be a whole number")
        return int(value)
    return value


def _number(value: Any) -> Any:
    if isinstance(value, str):
        if _NUMBER.fullmatch(value) is None:
            raise ValueError("must be a number")
        return float(value)
    return value


def _flag(value: Any) -> Any:
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise ValueError("must be true or false")
        return value == "true"
    return value


def _instant(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = _INSTANT.fullmatch(value)
    try:
        if found is None:
            raise ValueError(value)
        day, time, fraction, zone = found.groups()
        zone = "+00:00" if zone in "Zz" else zone.replace(" ", "+")
        whole = datetime.fromisoformat(f"{day}T{time}{zone}").timestamp()
    except (ValueError, OverflowError):
        raise ValueError("must be an RFC 3339 instant such as 2026-03-01T12:00:00Z") from None
    return int(whole) * 1000 + int((fraction or ".0")[1:4].ljust(3, "0"))


def _position(value: Any) -> Any:
    if isinstance(value, str):
        if value == _BEGINNING:
            return 0
        digits = value[:-_CHECK_DIGITS]
        if _TOKEN.fullmatch(value) is None or value[-_CHECK_DIGITS:] != _check_of(digits):
            raise ValueError("must be the `next` of an earlier answer")
        return int(digits, 36)
    return value


def page_token(position: int | None) -> str | None:
    """A position as the opaque token of the next page.

    It ends in check digits: a token that was cut or made up would be answered with an empty page, as if all was read.
    """
    if position is None:
        return None
    digits = _in_base_36(position)
    return digits + _check_of(digits)


def _check_of(digits: str) -> str:
    return _in_base_36(crc32(digits.encode()) % 36**_CHECK_DIGITS).rjust(_CHECK_DIGITS, "0")


def _in_base_36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text or "0"


def _milestone(value: Any) -> Any:
    return _one_of(value, [milestone.value for milestone in Milestone])


def _situation(value: Any) -> Any:
    return _one_of(value, [situation.value for situation in Situation])


def _problem(value: Any) -> Any:
    return _one_of(value, list(PROBLEM_TITLES))


def _event_type(value: Any) -> Any:
    word = value.casefold() if isinstance(value, str) else value
    if not isinstance(word, str) or not types_like((word,)):
        meaning = "must be a type of event, or a pattern such as order.* that types match"
        known = ", ".join((*EVENT_TYPES, *KINDS))
        raise ValueError(f"{meaning}; known are {known}{hint(str(word), EVENT_TYPES, '; ')}")
    return word


def _one_of(value: Any, known: list[str]) -> Any:
    """One of a few values, without regard to case."""
    word = value.casefold() if isinstance(value, str) else value
    if word not in known:
        raise ValueError(f"must be one of {', '.join(known)}{hint(str(word), known, '; ')}")
    return word


def _words(schema: list[str]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": schema})


def check_plain(text: str) -> str:
    """Refuses control characters, which no id and no name has."""
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("must not have control characters")
    return text


def check_key(text: str) -> str:
    """Refuses what could not be an `Idempotency-Key`: the header and a bulk line's `key` name the same things."""
    if re.fullmatch(IDEMPOTENCY_KEY, text) is None:
        raise ValueError(f"must be {KEY_MEANING}")
    return text


Limit = Annotated[int, Field(ge=1, le=1000), BeforeValidator(_whole)]
SmallLimit = Annotated[int, Field(ge=1, le=100), BeforeValidator(_whole)]
WaitSeconds = Annotated[float, Field(ge=0, le=300), BeforeValidator(_number)]
Cursor = Annotated[int, Field(ge=0, le=10**18 - 1), BeforeValidator(_whole)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Text = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_ID),
    AfterValidator(check_plain),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_ID, "pattern": PLAIN}),
]
Instant = Annotated[int, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
PagePosition = Annotated[
    int, BeforeValidator(_position), WithJsonSchema({"type": "string", "pattern": r"^(0|[0-9a-z]{3,14})$"})
]
MilestoneName = Annotated[str, BeforeValidator(_milestone), _words([m.value for m in Milestone])]
SituationName = Annotated[str, BeforeValidator(_situation), _words([s.value for s in Situation])]
ProblemName = Annotated[str, BeforeValidator(_problem), _words(list(PROBLEM_TITLES))]
"""A type of problem that an order can have."""
EventType = Annotated[str, BeforeValidator(_event_type), _words([*EVENT_TYPES, *KINDS, "*"])]
"""A type of event, or a pattern that some match."""
