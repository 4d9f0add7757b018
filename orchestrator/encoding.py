"""Text from files, whoever wrote them: UTF-8 with or without a byte order mark, and what PowerShell's `>` makes of it.

JSON is UTF-8 between programs (RFC 8259 §8.1), so that is what goes out. Files of people are read as they are: the mark
says what they are, and where there is none the zeros between the first two characters do, which are ASCII in all that
is read here.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO

UTF8_MARK = codecs.BOM_UTF8
_MARKS = (  # the longer ones first: one of UTF-32 begins as one of UTF-16 does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (UTF8_MARK, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD_BYTES = 4
_CHUNK_BYTES = 64 * 1024


def encoding_of(head: bytes) -> str:
    """The encoding of a text by its first four bytes; UTF-8 unless they show another one."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    match [byte > 0 for byte in head[:2]]:
        case [True, False]:
            return "utf-16-le"
        case [False, True]:
            return "utf-16-be"
    return "utf-8"


def text_of(raw: bytes) -> str:
    """A whole file as text, without its mark. Raises UnicodeDecodeError, whose `encoding` says as what it was read."""
    return raw.decode(encoding_of(raw[:_HEAD_BYTES]))


def utf8_lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream in UTF-8, as they come; what is UTF-8 already is passed on as it is, but for its mark.

    Raises UnicodeDecodeError for what is not the UTF-16 or UTF-32 that it began as.
    """
    head = stream.read(_HEAD_BYTES)
    encoding = encoding_of(head)
    if encoding.startswith("utf-8"):
        first = head.removeprefix(UTF8_MARK) + (b"" if head.endswith(b"\n") else stream.readline())
        yield from _lines(first)
        yield from stream
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    rest, chunk = "", head
    while chunk:
        *whole, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from (f"{line}\n".encode("utf-8", "surrogatepass") for line in whole)
        chunk = stream.read(_CHUNK_BYTES)
    if rest := rest + decoder.decode(b"", final=True):
        yield rest.encode("utf-8", "surrogatepass")


def _lines(text: bytes) -> Iterator[bytes]:
    *whole, rest = text.split(b"\n")
    yield from (line + b"\n" for line in whole)
    if rest:
        yield rest
