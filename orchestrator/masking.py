"""Known secrets in foreign text, however they are spelt: found and masked before anybody reads, keeps or logs it.

A platform that repeats our call in its complaint repeats the token in it, and seldom as it is: percent-encoded in a
link (in hexadecimal digits of either case), escaped in JSON or in JSON within JSON, with entities in a page, with `+`
for a blank in a form, in base64 behind a user name, in two or four bytes a letter. To list every spelling would take a
list without an end. So it is the text that is unfolded, escape by escape and layer by layer, and the secret is looked
for in each of its readings. What is found is traced back to where it stands in the original, and masked there.
"""

from __future__ import annotations

import base64
import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

MASK: Final = "***"
SHORTEST_SECRET: Final = 4
"""Shorter values are useless as secrets, and masking them would mangle every text."""

_DEEPEST = 4  # layers of escapes; a form in a link in a link has as many, with its `+` for blanks
_MOST_CHARACTERS = 1_000_000  # of all readings together; a short text has a few dozen, a long one its first ones
_SHORTEST_BASE64 = 6  # characters; fewer turn up by chance
_BEGINNING = 4
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_=-]*")
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "0": "\0"}
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})+|%[uU][0-9A-Fa-f]{4}")
_BACKSLASH = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|u[0-9a-fA-F]{4}|u\{0*[0-9a-fA-F]{1,6}\}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[0-3][0-7]{2}|.)",
    re.DOTALL,
)
_ENTITY = re.compile(
    r"&(?:#0*[0-9]{1,7}(?![0-9]);?|#[xX]0*[0-9a-fA-F]{1,6}(?![0-9a-fA-F]);?|[A-Za-z][A-Za-z0-9]{1,31};)"
)
_WIDE = re.compile("[^\0]\0+")
_PLUS = re.compile(r"\+")

Piece = tuple[str, int]
"""A character that an escape stands for, and how long the escape is."""


class Mask:
    """Hides secrets. `shortest`: those with fewer characters are let be."""

    def __init__(self, secrets: Iterable[str] = (), *, shortest: int = SHORTEST_SECRET) -> None:
        self._shortest = max(1, shortest)
        self._needles: dict[str, dict[str, bool]] = {}  # by how they begin; True: it is in base64
        self._lengths: set[int] = set()  # of those beginnings
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Makes secrets known. They stay known: an old one may still turn up after it was changed."""
        for secret in secrets:
            for spelt in {secret, secret.strip()}:
                if len(spelt) >= self._shortest:
                    self._look_for(spelt, is_base64=False)
                    for core in _in_base64(spelt):
                        self._look_for(core, is_base64=True)

    def apply(self, text: str) -> str:
        """`text` with every known secret masked."""
        if not self._needles:
            return text
        spans = sorted({reading.source(span) for reading in _readings(text) for span in self._found(reading.text)})
        if not spans:
            return text
        pieces, end = [], 0
        for begin, after in spans:
            if begin >= end:
                pieces += [text[end:begin], MASK]
            end = max(end, after)
        return "".join((*pieces, text[end:]))

    def apply_bytes(self, raw: bytes) -> bytes:
        """The same for what may or may not be UTF-8."""
        text = raw.decode("utf-8", "surrogateescape")
        masked = self.apply(text)
        return raw if masked is text else masked.encode("utf-8", "surrogateescape")

    def _look_for(self, needle: str, *, is_base64: bool) -> None:
        begin = needle[:_BEGINNING]
        self._needles.setdefault(begin, {}).setdefault(needle, is_base64)
        self._lengths.add(len(begin))

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        """Where secrets are. Hundreds of them cost a line of the log no more than one, and a long text no more memory
        than it has: only those are looked for whose beginning is there."""
        for length in self._lengths:
            if len(self._needles) < len(text):
                begins = [begin for begin in self._needles if len(begin) == length and begin in text]
            else:
                begins = list(self._needles.keys() & {text[at : at + length] for at in range(len(text) - length + 1)})
            for begin in begins:
                for needle, is_base64 in self._needles[begin].items():
                    for span in _occurrences(needle, text):
                        yield _whole_run(text, span) if is_base64 else span


class _Reading(NamedTuple):
    """A text as it reads with some of its escapes undone. Escape number n, which stood at `begins[n]` of the original
    up to `ends[n]`, is the character at `places[n]`; the characters between are as they were."""

    text: str
    places: tuple[int, ...] = ()
    begins: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()

    def source(self, span: tuple[int, int]) -> tuple[int, int]:
        """Where a stretch of this reading stands in the original."""
        return self._at(span[0])[0], self._at(span[1] - 1)[1]

    def _at(self, place: int) -> tuple[int, int]:
        n = bisect_right(self.places, place) - 1
        if n < 0:
            return place, place + 1
        if self.places[n] == place:
            return self.begins[n], self.ends[n]
        begin = self.ends[n] + place - self.places[n] - 1
        return begin, begin + 1

    def unfolded(self, pattern: re.Pattern[str], undo: Callable[[str], Iterable[Piece]]) -> _Reading:
        """This reading with the escapes of one kind undone as well."""
        text: list[str] = []
        marks: list[tuple[int, int, int]] = []
        place, done, known = 0, 0, 0

        def keep(until: int) -> None:
            """What is not an escape of this kind; those that were undone before stay so."""
            nonlocal place, known
            text.append(self.text[done:until])
            while known < len(self.places) and self.places[known] < until:
                if self.places[known] >= done:
                    marks.append((place + self.places[known] - done, self.begins[known], self.ends[known]))
                known += 1
            place += until - done

        for match in pattern.finditer(self.text):
            keep(match.start())
            at = match.start()
            for character, length in undo(match[0]):
                text.append(character)
                marks.append((place, *self.source((at, at + length))))
                at += length
                place += 1
            done = match.end()
        keep(len(self.text))
        places, begins, ends = zip(*marks, strict=True) if marks else ((), (), ())
        return _Reading("".join(text), places, begins, ends)


def _readings(text: str) -> Iterator[_Reading]:
    """The text as it is, and with its escapes undone kind by kind in every order, each reading once."""
    latest = [_Reading(text)]
    seen = {text}
    spent = 0
    yield latest[0]
    for layer in range(_DEEPEST):
        fresh = []
        for reading in latest:
            for sign, pattern, undo in _ESCAPES:
                if sign not in reading.text or (layer and spent > _MOST_CHARACTERS):
                    continue
                further = reading.unfolded(pattern, undo)
                spent += len(reading.text)
                if further.text not in seen:
                    seen.add(further.text)
                    fresh.append(further)
                    yield further
        latest = fresh


def _of_percent(escape: str) -> Iterator[Piece]:
    if escape[1] in "uU":  # ASP's own
        yield chr(int(escape[2:], 16)), len(escape)
        return
    for character in bytes.fromhex(escape.replace("%", "")).decode("utf-8", "surrogateescape"):
        yield character, 3 * len(character.encode("utf-8", "surrogateescape"))


def _of_backslash(escape: str) -> Iterator[Piece]:
    digits = escape[2:]
    if digits.startswith("{"):
        yield chr(min(int(digits.strip("{}"), 16), 0x10FFFF)), len(escape)
    elif digits and escape[1].isdigit():
        yield chr(int(escape[1:], 8)), len(escape)
    elif len(escape) > len(r"\U0001f600"):  # a pair of surrogates
        high, low = int(escape[2:6], 16), int(escape[8:], 16)
        yield chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00), len(escape)
    elif digits:
        yield chr(min(int(digits, 16), 0x10FFFF)), len(escape)
    else:
        yield _CONTROLS.get(escape[1], escape[1]), len(escape)


def _of_entity(escape: str) -> Iterator[Piece]:
    meant = html.unescape(escape)
    yield (meant, len(escape)) if len(meant) == 1 else ("&", len(escape))


_ESCAPES: tuple[tuple[str, re.Pattern[str], Callable[[str], Iterable[Piece]]], ...] = (
    ("%", _PERCENT, _of_percent),
    ("\\", _BACKSLASH, _of_backslash),
    ("&", _ENTITY, _of_entity),
    ("+", _PLUS, lambda plus: [(" ", len(plus))]),
    ("\0", _WIDE, lambda wide: [(wide[0], len(wide))]),
)


def _in_base64(secret: str) -> Iterator[str]:
    """What base64 of any text with the secret in it has in common: it depends on how many bytes stand in front, by
    three. The characters at either end also hold bits of the neighbours and are left out."""
    raw = secret.encode("utf-8", "surrogatepass")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode().rstrip("=")
        for before, mixed in ((0, 0), (1, 2), (2, 3)):
            whole = (before + len(raw)) * 8 // 6
            core = encode(b"\0" * before + raw).decode()[mixed:whole]
            if len(core) >= _SHORTEST_BASE64:
                yield core


def _whole_run(text: str, span: tuple[int, int]) -> tuple[int, int]:
    """All the base64 around a stretch of it: the characters beside it hold a part of the secret, too."""
    begin, end = span
    before, after = _BASE64_RUN.match(text[:begin][::-1]), _BASE64_RUN.match(text, end)
    assert before is not None
    assert after is not None
    return begin - before.end(), after.end()


def _occurrences(needle: str, text: str) -> Iterator[tuple[int, int]]:
    at = text.find(needle)
    while at >= 0:
        yield at, at + len(needle)
        at = text.find(needle, at + 1)
