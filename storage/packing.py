"""Payloads and contents as they are kept: compressed, for orders are much alike.

What repeats most is not within an order but from one to the next: the names of members, and the marks around them. So
they are compressed with a dictionary that has these names (zlib, RFC 1950 `FDICT`), which halves them once more. A
shop's dictionary is made of the first of its orders that is kept. It has names alone and no value, for it outlives the
order: what retention deletes must be gone. Pure but for `pack_all`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from storage.transaction import Transaction

_LEVEL: Final = 3  # of the higher ones each costs half as much CPU again, for a tenth of the bytes
_WINDOW_BYTES: Final = 32 * 1024 - 262  # how far back zlib looks
_LEAST_BYTES: Final = 512  # of an order whose names are worth keeping
MOST_BYTES: Final = 64 * 1024
"""So much of an order is looked at for names: each MiB would hold up all writing for half a second."""
_SEPARATOR: Final = b"\n"  # ends the payload: the content behind it is JSON on one line

_TOKEN = re.compile(
    rb'(?P<kept>"[A-Za-z_][A-Za-z0-9_.:-]{0,39}"\s*:\s*|[\[\]{},]\s*|true|false|null)|(?P<text>"(?:[^"\\]|\\.)*+")|.',
    re.DOTALL,
)


_HALF = re.compile("[\ud800-\udfff]")


class Damaged(Exception):
    """What was packed cannot be unpacked: the disk changed it, or its dictionary is gone."""


class Dictionary(NamedTuple):
    """What a shop's payloads are compressed with, by the number that it has in the store."""

    id: int
    words: bytes


def pack(payload: bytes, content: str | None, dictionary: Dictionary | None) -> bytes:
    """A payload and its content, compressed."""
    packer = zlib.compressobj(_LEVEL) if dictionary is None else zlib.compressobj(_LEVEL, zdict=dictionary.words)
    whole = payload + _SEPARATOR + _encoded(content)
    return packer.compress(whole) + packer.flush()


def unpack(packed: bytes, words: bytes | None) -> tuple[bytes, str | None]:
    """What `pack` was given; `words`: of the dictionary that it was packed with. Raises Damaged."""
    unpacker = zlib.decompressobj() if words is None else zlib.decompressobj(zdict=words)
    try:
        whole = unpacker.decompress(packed) + unpacker.flush()
    except zlib.error as error:
        raise Damaged(str(error)) from error
    if not unpacker.eof:  # its own sum, which stands at the end, was not reached
        raise Damaged("its end is missing")
    payload, _, content = whole.rpartition(_SEPARATOR)
    return payload, content.decode("utf-8") or None


def pack_all(tx: Transaction, shop: str, kept: Sequence[tuple[bytes, str | None]]) -> list[tuple[bytes, int | None]]:
    """Payloads and contents of a shop, compressed, each with the number of the dictionary that it takes to unpack it.
    Where the shop has no dictionary it is made of the first that is large enough to show what the next ones will look
    like."""
    dictionary, packed = _dictionary_of(tx, shop), []
    for payload, content in kept:
        if dictionary is None and len(payload) >= _LEAST_BYTES:
            dictionary = _add_dictionary(tx, shop, names_of(payload, content))
        packed.append((pack(payload, content, dictionary), None if dictionary is None else dictionary.id))
    return packed


def _dictionary_of(tx: Transaction, shop: str) -> Dictionary | None:
    rows = tx.query("SELECT id, words FROM dictionaries WHERE shop = ?", (shop,))
    return Dictionary(rows[0][0], bytes(rows[0][1])) if rows else None


def _add_dictionary(tx: Transaction, shop: str, words: bytes) -> Dictionary:
    return Dictionary(tx.insert("INSERT INTO dictionaries (shop, words) VALUES (?, ?)", (shop, words)), words)


def names_of(payload: bytes, content: str | None) -> bytes:
    """The names and marks of an order's JSON, without its values, and without names that may be values themselves. Of a
    large one those at its beginning."""
    texts = (payload, _encoded(content))  # apart: one that is cut off within a value must not begin the other there
    found = (_name(token) for text in texts for token in _TOKEN.finditer(text[:MOST_BYTES]))
    return b"".join(found)[-_WINDOW_BYTES:]


def _name(found: re.Match[bytes]) -> bytes:
    return found["kept"] or (b'""' if found["text"] else b"")


def _encoded(content: str | None) -> bytes:
    if content is None:
        return b""
    try:
        return content.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, as JSON may bring it: no database takes it in a text
        return _HALF.sub("\ufffd", content).encode()
