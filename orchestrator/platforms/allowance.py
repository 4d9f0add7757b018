"""What an answer's headers say is left of the account's rate limit, in the spellings that are in use.

`X-RateLimit-Limit`, `-Remaining` and `-Reset` (Laravel among many), the IETF drafts' `RateLimit-*` (up to draft 6) and
`RateLimit` with `RateLimit-Policy` (draft 7 and later), and used calls of a bucket as a share, `n/40`, in a header
`…-Api-Call-Limit`. The budget may be shared with other users of the account, so this is worth more than our own count.
It is also foreign data: a value that cannot be meant is as good as a missing one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

MAX_RESET_SECONDS: Final = 3600.0
"""A longer wait is cut to this and the platform asked again, as with `Retry-After`."""

_DAY_SECONDS = 86_400.0  # a reset that is further away is not valid
_EPOCH_SECONDS = 1e9  # from here on a number is a point in time (2001); no limit is that far away in seconds
_EPOCH_MILLISECONDS = 1e11
_LARGEST_COUNT = 10**9
_DIGITS_OF_MOST = 10
_COUNT = re.compile(r"\d{1,12}(?:\.\d{1,6})?", re.ASCII)
_SHARE = re.compile(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", re.ASCII)
_SHARE_OF_CALLS = "-api-call-limit"
_PLAIN = frozenset({("X-RateLimit-Limit", "X-RateLimit-Remaining"), ("RateLimit-Limit", "RateLimit-Remaining")})
"""What most platforms say, and all that they do: a count and what is left of it."""
_PARAMETER = re.compile(r"""[;,]?\s*([a-z*][a-z0-9_.*-]*)\s*=\s*"?(-?[\d.]+)"?""", re.ASCII | re.IGNORECASE)


class Headers(Protocol):
    """The headers of an answer, by name without regard to case; a name may stand there more than once."""

    def __contains__(self, name: object, /) -> bool:
        """Whether there is such a header."""
        ...

    def __iter__(self) -> Iterator[str]:
        """The names, in the spelling that they came in."""
        ...

    def getall(self, name: str) -> list[str]:
        """The values of a header that is there."""
        ...


class Allowance(NamedTuple):
    """What the platform said: how much there is in a period, how much of it is left, in how many seconds it starts
    anew. None: not said. `reset_seconds` is from 0 to an hour."""

    limit: int | None
    remaining: int
    reset_seconds: float | None


def allowance_of(headers: Headers, now_ms: Callable[[], int]) -> Allowance | None:
    """What the headers say is left; None where they say nothing that can be used. `now_ms`: the platform's time
    (its `Date`) as Unix milliseconds, asked for where a reset is a point in time: most answers have none.

    Where several say something, the one with the least left counts.
    """
    names = _limiting(tuple(headers))
    if not names:
        return None
    if names in _PLAIN:
        remaining = _least(headers, names[-1])
        return None if remaining is None else Allowance(_least(headers, names[0]), remaining, None)
    found = [each for each in _reported(headers, now_ms) if each is not None]
    if len(found) == 1:
        return found[0]
    return min(found, key=lambda each: each.remaining) if found else None


@lru_cache(maxsize=256)
def _limiting(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of an answer's headers that may say something of a limit. Most answers of a platform have the same."""
    return tuple(filter(_may_limit, names))


@lru_cache(maxsize=1024)
def _may_limit(name: str) -> bool:
    """Whether a header of this name may say something of a limit. Asked about every header of every answer, and they
    are the same again and again."""
    lowered = name.lower()
    return "ratelimit" in lowered or lowered.endswith(_SHARE_OF_CALLS)


def _reported(headers: Headers, now_ms: Callable[[], int]) -> Iterator[Allowance | None]:
    for prefix in ("X-RateLimit", "RateLimit"):
        if (remaining := _least(headers, f"{prefix}-Remaining")) is not None:
            yield Allowance(_least(headers, f"{prefix}-Limit"), remaining, _reset(headers, prefix, now_ms))
    if "RateLimit" in headers:
        yield from _items(headers)
    for name in {each for each in headers if _may_limit(each) and each.lower().endswith(_SHARE_OF_CALLS)}:
        for text in headers.getall(name):
            if (share := _SHARE.fullmatch(text)) and int(share[2]):
                yield Allowance(int(share[2]), max(0, int(share[2]) - int(share[1])), None)


def _items(headers: Headers) -> Iterator[Allowance | None]:
    """`"default";r=50;t=30` (draft 8 on) and `limit=100, remaining=50, reset=30` (draft 7), several after commas."""
    quotas = _quotas(headers)
    for text in headers.getall("RateLimit"):
        # The older form separates its parameters by commas, too.
        items = [text] if re.search(r"\bremaining\s*=", text) else text.split(",")
        for item in items:
            said = {name.lower(): value for name, value in _PARAMETER.findall(item)}
            remaining = count_of(said.get("r", said.get("remaining", "")))
            if remaining is not None:
                limit = count_of(said.get("limit", "")) or quotas.get(_name_of(item)) or None
                reset = count_of(said.get("t", said.get("reset", "")))
                yield Allowance(limit, remaining, None if reset is None else _bounded(float(reset)))


def _quotas(headers: Headers) -> dict[str, int]:
    """The limits of `RateLimit-Policy: "default";q=100;w=60` by name."""
    found = {}
    if "RateLimit-Policy" in headers:
        for text in headers.getall("RateLimit-Policy"):
            for item in text.split(","):
                said = {name.lower(): value for name, value in _PARAMETER.findall(item)}
                if (quota := count_of(said.get("q", ""))) is not None:
                    found[_name_of(item)] = quota
    return found


def _name_of(item: str) -> str:
    return item.partition(";")[0].strip().strip('"')


def _least(headers: Headers, name: str) -> int | None:
    """The smallest count under a name; `100, 100;w=60` is one of draft 6."""
    if name not in headers:
        return None
    texts = headers.getall(name)
    if len(texts) == 1 and len(texts[0]) < _DIGITS_OF_MOST and texts[0].isascii() and texts[0].isdigit():
        return int(texts[0])  # as almost always
    parts = (part.partition(";")[0] for text in texts for part in text.split(","))
    counts = [count for part in parts if (count := count_of(part)) is not None]
    return min(counts, default=None)


def count_of(text: str) -> int | None:
    """A whole number from 0 to a thousand million, None for anything else; `59.0` is valid, `-1` and `1e9` are not."""
    text = text.strip()
    if not _COUNT.fullmatch(text) or (number := float(text)) > _LARGEST_COUNT:
        return None
    return int(number)


def _reset(headers: Headers, prefix: str, now_ms: Callable[[], int]) -> float | None:
    """`-Reset` in seconds from now: it is a duration or a point in time, in seconds or (some) in milliseconds."""
    name = f"{prefix}-Reset"
    if name not in headers:
        return None
    waits = [wait for text in headers.getall(name) if (wait := _seconds_until(text, now_ms)) is not None]
    return max(waits, default=None)


def _seconds_until(text: str, now_ms: Callable[[], int]) -> float | None:
    text = text.partition(";")[0].strip()
    if not re.fullmatch(r"\d{1,14}(?:\.\d{1,9})?", text, re.ASCII):
        return None
    number = float(text)
    if number >= _EPOCH_MILLISECONDS:
        return _bounded((number - now_ms()) / 1000)
    return _bounded(number - now_ms() / 1000 if number >= _EPOCH_SECONDS else number)


def _bounded(seconds: float) -> float | None:
    """A wait that can be meant, cut to an hour; what is past is over."""
    return None if seconds > _DAY_SECONDS else min(max(seconds, 0.0), MAX_RESET_SECONDS)
