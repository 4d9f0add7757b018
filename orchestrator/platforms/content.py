"""What the ERP is given of an order, in the words of the API's `content`, and what every platform needs to write it.

Each platform has a module that turns its own JSON into this one shape (`NAME_content`). The rules are the same for all:
a member that the platform does not give, or may not be asked for, is left out; one that it gives as empty is null, `[]`
or `{}`; nothing is a default or a guess, and what is computed is named in `derived`. What is left out is added when the
content is shown, and named in `gaps` (`completion`). Decimals are text with the platform's own digits and never pass
through floats, ids are text, instants RFC 3339 in UTC.

Two observations of an order are compared by their content, so a platform also says which of it is not a change
(`Apart`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import Any, TypeAlias

from orchestrator.platforms.json_text import storable
from statemachines.numbers import decimal_of, decimal_text, shortest, total, written
from statemachines.numbers import plain as shown
from statemachines.target import Json

AMOUNTS = frozenset(
    {
        *("net", "gross", "stated", "quantity", "open", "amount", "rate", "paid", "due", "refund"),
        *("lines", "discount", "delivery", "tax", "total", "refunded", "unit", "offer", "cross"),
    }
)
"""Names of members whose texts are decimals: "36.30" and "36.3" are the same amount. Other texts are what they are."""


_Paths: TypeAlias = Mapping[str, "_Paths | None"]
"""Patterns, name by name: None where one ends."""


def _paths_of(patterns: tuple[str, ...]) -> _Paths:
    paths: dict[str, Any] = {}
    for pattern in patterns:
        *names, last = pattern.split("/")[1:]
        inner: dict[str, Any] | None = paths
        for name in names:
            inner = None if inner is None else inner.setdefault(name, {})
        if inner is not None:
            inner[last] = None
    return paths


@dataclass(frozen=True, slots=True)
class Apart:
    """What of a platform's content is not a change, as JSON pointers with `*` for any index.

    `steps`: our own steps change it, so a difference counts only when none of them ended since the last read.
    `cancel`: our own cancellation changes it as well, at the read that first shows the order as cancelled.
    `beside`: it never counts: other things' data that the platform shows beside the order, and not in every read.
    """

    steps: tuple[str, ...] = ()
    cancel: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    left_out: _Paths = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "left_out", _paths_of((*self.steps, *self.beside)))


NOTHING_APART = Apart()
"""All of the content counts."""


def decimal(value: Json) -> str | None:
    """An amount as text with the platform's own digits; None for what is not a number, nor a text of one."""
    return None if value is None or isinstance(value, float) else decimal_text(value)


def price(*, net: Json = None, gross: Json = None, stated: Json = None) -> dict[str, Json]:
    """A price (docs/api.md), empty where there is no amount: nothing is given then, not even that there is none.
    `stated`: nobody says whether tax is in it."""
    amounts = decimal(net), decimal(gross), decimal(stated)
    return {} if amounts == (None, None, None) else dict(zip(("net", "gross", "stated"), amounts, strict=True))


def minus(amount: Json) -> str | None:
    """An amount with the other sign; None for what is not a number."""
    found = decimal(amount)
    return None if found is None else written(Decimal(found).copy_negate())


def fraction(percent: Json) -> str | None:
    """A percentage as a fraction; None for what is not a number."""
    found = decimal_of(percent)
    return None if found is None else shown(found.scaleb(-2))


def each_of(amount: Json, quantity: Json) -> str | None:
    """What one piece costs of so many; None where that cannot be written exactly, or one of them is not a number."""
    whole, count = decimal_of(amount), decimal_of(quantity)
    if whole is None or count is None or count == 0:
        return None
    found = whole / count
    return written(found) if found * count == whole else None


def sum_of(*amounts: Json) -> str | None:
    """The sum of amounts, some of which may be missing; None where one is not a number or all are missing."""
    decimals = [decimal(each) for each in amounts if each is not None]
    if not decimals or None in decimals:
        return None
    return written(total([Decimal(each) for each in decimals if each is not None]))


def text(value: Json) -> str | None:
    """A text or whole number as text, None where it is empty. What no database takes of it becomes U+FFFD."""
    if isinstance(value, str):
        if not value or value.isspace():
            return None
        return value if value.isprintable() else storable(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def given(owner: Mapping[str, Json], names: Mapping[str, str], read: Callable[[Json], Json] = text) -> dict[str, Json]:
    """Members by our names, of those that the platform's object has by its own names: what it does not have, or has in
    a form that cannot be read, is left out; what it has as null or empty is null."""
    found: dict[str, Json] = {}
    for mine, theirs in names.items():
        if theirs not in owner:
            continue
        value = owner[theirs]
        mapped = None if value is None else read(value)
        if mapped is not None or value is None or is_empty(value):
            found[mine] = mapped
    return found


def is_empty(value: Json) -> bool:
    """Whether a platform says by it that there is nothing."""
    return value in (None, [], {}) or (isinstance(value, str) and not value.strip())


def boolean(value: Json) -> bool | None:
    """A yes or no; None for anything else."""
    return value if isinstance(value, bool) else None


def instant(value: Json) -> str | None:
    """An instant in RFC 3339, UTC; a time without a zone counts as UTC. None for what is not an instant."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        at = (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at.isoformat(timespec="seconds" if at.microsecond == 0 else "microseconds").replace("+00:00", "Z")


def rows(value: Json) -> list[Mapping[str, Json]]:
    """The objects of a list; whatever else there is in its place or in it is left out."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def plain(value: Json) -> Json:
    """A value of the platform's own shape without what means nothing (null, empty), numbers as text."""
    if isinstance(value, Mapping):
        kept = {str(name): plain(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner not in (None, "", [], {})} or None
    if isinstance(value, list):
        return [plain(each) for each in value] or None
    if isinstance(value, bool) or value is None:
        return value
    return decimal(value) if isinstance(value, int | Decimal) else text(value)


def texts(value: Json) -> dict[str, str]:
    """An object of texts (docs/api.md); what is nested is its own JSON text."""
    found = plain(value)
    if not isinstance(found, dict):
        return {}
    return {name: inner if isinstance(inner, str) else _dumped(inner) for name, inner in found.items()}


def digest(content: Mapping[str, Json], apart: Apart) -> str:
    """A digest of what counts in content: equal for two reads that show the same."""
    counted = _counted_members(content, apart.left_out)
    return blake2b(_dumped(counted).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def is_same_amount(one: str, other: str) -> bool:
    """Whether two texts are the same number."""
    return one == other or ((number := decimal_of(one)) is not None and number == decimal_of(other))


def _counted_members(content: Mapping[str, Json], left_out: _Paths | None) -> dict[str, Json]:
    """An object less what the paths name, as it is digested: what is given as empty differs from what is missing in
    nothing that counts, nor does an amount from the same one with other zeros."""
    found: dict[str, Json] = {}
    for name, value in content.items():
        if value is None or value == []:
            continue
        below = None
        if left_out is not None and name in left_out and (below := left_out[name]) is None:
            continue
        kind = type(value)
        if kind is str:
            found[name] = _shortest_text(value) if name in AMOUNTS else value
        elif kind is dict:
            found[name] = _counted_members(value, below)
        elif kind is list:
            found[name] = _counted_elements(name, value, below)
        else:
            found[name] = value
    return found


def _counted_elements(name: str, elements: list[Json], left_out: _Paths | None) -> list[Json]:
    if left_out is None or "*" not in left_out:
        return [_counted_element(name, each, None) for each in elements]
    inside = left_out["*"]
    return [None if inside is None else _counted_element(name, each, inside) for each in elements]


def _counted_element(name: str, value: Json, left_out: _Paths | None) -> Json:
    if isinstance(value, dict):
        return _counted_members(value, left_out)
    if isinstance(value, list):
        return _counted_elements(name, value, left_out)
    return _shortest_text(value) if isinstance(value, str) and name in AMOUNTS else value


@lru_cache(maxsize=4096)
def _shortest_text(amount: str) -> str:
    number = decimal_of(amount)
    return amount if number is None else str(shortest(number))


_dumped = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False).encode
