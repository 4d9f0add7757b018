"""What somebody may have meant who wrote a name that there is not."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_SHORTEST = 3  # a shorter one is like too many
_LONGEST = 80  # with a longer text nobody meant a name, and comparing takes its time


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one, whatever the case; None where none is like it."""
    if not _SHORTEST <= len(name.strip()) <= _LONGEST:
        return None
    by_folded = {each.casefold(): each for each in known}
    close = get_close_matches(name.strip().casefold(), by_folded, n=1)
    return by_folded[close[0]] if close else None


def hint(name: str, known: Iterable[str], lead: str = ", ") -> str:
    """What follows the complaint about an unknown name: `, did you mean "shipped"?`, or nothing."""
    found = nearest(name, known)
    return "" if found is None else f'{lead}did you mean "{found}"?'
