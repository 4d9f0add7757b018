"""Which of two forms of an answer a client would rather have, by its `Accept` (RFC 9110 §12.5.1).

Two forms are all that any call has, and the first is what is answered when the header says nothing of use; so this
reads what it can and never refuses a call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_QUALITY = re.compile(r"q\s*=\s*([01](?:\.[0-9]{0,3})?)", re.IGNORECASE)


def prefers(accept: Iterable[str], special: str, usual: str) -> bool:
    """Whether the client prefers `special` to `usual`, both media types; `accept` are the header's lines.

    What the client weighs equally goes to what it names in full, then to what it names first.
    """
    ranges = [part for line in accept for part in line.split(",")]
    (wanted, *rank), (otherwise, *other_rank) = _weighed(ranges, special), _weighed(ranges, usual)
    return wanted > 0 and (wanted, rank) > (otherwise, other_rank)


def _weighed(ranges: list[str], media_type: str) -> tuple[float, int, int]:
    """A type's weight, how closely it is named (2: in full), and minus its place: the greatest is preferred."""
    found = (0.0, 0, 0)
    for place, text in enumerate(ranges):
        name, *parameters = (part.strip() for part in text.split(";"))
        closeness = _closeness(name.casefold(), media_type)
        if closeness is not None and (closeness > found[1] or found == (0.0, 0, 0)):
            found = (_quality(parameters), closeness, -place)
    return found


def _closeness(name: str, media_type: str) -> int | None:
    if name == media_type:
        return 2
    if name == f"{media_type.partition('/')[0]}/*":
        return 1
    return 0 if name == "*/*" else None


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if (given := _QUALITY.fullmatch(parameter)) is not None:
            return min(1.0, float(given[1]))
    return 1.0
