"""What Selldone's `withdraw` and `withdraw_at` say (selldone.md, Since summer 2026). Pure.

Their types are not published, so whatever can mean "yes" does: a flag, a number, a text, a date, an object that holds
them. What cannot be understood of the time or the words is left out; that the order was withdrawn stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from orchestrator.platforms.json_text import storable
from statemachines.target import Json

_NO = frozenset({"", "0", "0.0", "false", "no", "n", "off", "none", "null", "[]", "{}"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_SECONDS_END = 100_000_000_000  # a number below is seconds (until the year 5138), one above milliseconds
_LATEST_MS = 253_402_300_799_999  # the end of the year 9999
_TIMES = ("withdraw_at", "at", "date", "time", "created_at", "updated_at")
_WORDS = ("reason", "message", "note", "text", "title")
_LONGEST_WORDS = 500


def withdrawal_fact(order: Mapping[str, Json]) -> dict[str, Json] | None:
    """The fact `withdrawn` of an order (`statemachines.withdrawal.WITHDRAWN`), None if nobody withdrew it.

    One of the two members is enough. The time is `withdraw_at`, else one that `withdraw` itself holds.
    """
    flag, at = order.get("withdraw"), order.get("withdraw_at")
    if not (_says_yes(flag) or _says_yes(at)):
        return None
    instants = (instant for each in (at, flag) for instant in _instants(each))
    return {"at": next(instants, None), "reason": _words(flag)}


def _says_yes(value: Json) -> bool:
    """None for dates of nothing, as databases write them (0000-00-00)."""
    if isinstance(value, str):
        text = value.strip().casefold()
        return text not in _NO and not text.startswith("0000-00-00")
    return bool(value)


def _instants(value: Json) -> list[int]:
    """The times in a value, in Unix milliseconds; without a zone UTC is meant (selldone.md §4)."""
    if isinstance(value, dict):
        flat = [value.get(name) for name in _TIMES if not isinstance(value.get(name), dict)]
        return [instant for each in flat for instant in _instants(each)]
    if isinstance(value, bool):
        return []
    if isinstance(value, int | float | Decimal):
        return _of_number(value)
    if not isinstance(value, str):
        return []
    text = value.strip()
    if text.isascii() and text.isdigit() and len(text) >= len("1000000000"):
        return _of_number(int(text)) if len(text) <= len(str(_LATEST_MS)) else []
    try:
        at = datetime.fromisoformat(text)
        return [((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).astimezone(UTC) - _EPOCH) // _MS]
    except (ValueError, OverflowError):
        return []


def _of_number(number: float | Decimal) -> list[int]:
    """1 and other small numbers are flags, not times."""
    if not 1_000_000_000 <= number <= _LATEST_MS:
        return []
    return [int(number) if number >= _SECONDS_END else int(number * 1000)]


def _words(flag: Json) -> str | None:
    """What the buyer said, where `withdraw` holds it: a text that is neither a yes nor a time, or a member of it."""
    if isinstance(flag, dict):
        words = [_words(flag[name]) for name in _WORDS if isinstance(flag.get(name), str)]
        return next(filter(None, words), None)
    if not isinstance(flag, str) or _instants(flag):
        return None
    text = " ".join(flag.split())
    if text.casefold() in _NO or text.casefold() in ("1", "true", "yes", "y", "on") or text.isdigit():
        return None
    return storable(text[:_LONGEST_WORDS])
