"""Causes: orders whose problems are alike, so that a hundred of them are understood, and acted on, as one.

Two problems have one cause when their type, their step and the platform's words are the same, but for what differs from
order to order: numbers, ids, codes, dates and addresses are folded away. A cause has a name that can be sent back as a
filter: it begins with what can be searched for, type and step, and ends with a digest of the words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final

FOLDED: Final = "…"
"""What stands in the words where something differs from order to order."""

_NO_STEP = "-"
_LONGEST_WORDS = 500
_NAME = re.compile(r"([a-z-]{1,40})\.([a-z_]{1,40}|-)\.([0-9a-f]{10})")
_VARIABLE = re.compile(
    r"(?P<kept>\bHTTP [1-5]\d\d\b)"
    r"|\bhttps?://[^\s\"'<>]+"
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|[\w+-]*\d[\w+-]*(?:[.:/][\w+-]*\d[\w+-]*)*"
)
_SEVERAL = re.compile(rf"{FOLDED}(?:(?:, ?| and | )#?{FOLDED})+")


@dataclass(frozen=True, slots=True)
class Cause:
    """What problems have alike. `words`: the platform's own, folded."""

    type: str
    step: str | None
    words: str

    @property
    def name(self) -> str:
        """Its name as a filter."""
        return f"{self.type}.{self.step or _NO_STEP}.{_digest(self.words)}"


def cause_of(type_: str, step: str | None, detail: str) -> Cause:
    """The cause of a problem."""
    return Cause(type_, step, _fold(detail))


def type_and_step(name: str) -> tuple[str, str | None] | None:
    """The type and the step that a cause's name begins with; None for what is no name of a cause."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    type_, step, _ = found.groups()
    return type_, None if step == _NO_STEP else step


@lru_cache(maxsize=4096)
def _fold(detail: str) -> str:
    folded = _VARIABLE.sub(lambda found: found["kept"] or FOLDED, detail)
    return _SEVERAL.sub(FOLDED, " ".join(folded.split()))[:_LONGEST_WORDS]


@lru_cache(maxsize=4096)
def _digest(words: str) -> str:
    return blake2b(words.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()
