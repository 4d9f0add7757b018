"""Bodies at a good status that are not an answer of a platform's API: a page for people, half an answer, nothing at
all.

Whoever sent one was a proxy, a firewall or a server that was being repaired, so it says nothing of what was asked for.
"""

from __future__ import annotations

import html
import json
import re

from orchestrator.platforms.json_text import is_whole

_PROSE_BYTES = 16 * 1024  # of a page, in which words are looked for
_TAGS = re.compile(
    rb"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*>|\Z)|</?[a-z!?][^<>]*>", re.DOTALL | re.IGNORECASE
)
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")  # in text there are tabs, line ends and colours
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")

KEPT_BYTES = 64 * 1024
"""How much of such a body is kept."""


def is_json(body: bytes) -> bool:
    """Whether a body is JSON, however odd: what is too deep or too large to be read is JSON all the same, and so is an
    object or array that ends where its brackets do, for what is invalid in it would be invalid the next time."""
    try:
        json.loads(body.decode("utf-8", "surrogateescape").removeprefix("\ufeff"), parse_int=str, parse_float=str)
    except ValueError:
        return is_whole(body)
    except RecursionError:
        return True
    return True


def looks_like_json(body: bytes) -> bool:
    """Whether a body begins as an object or array of JSON does."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def is_page(body: bytes) -> bool:
    """Whether a body is a page for people, or XML, where JSON was to be answered."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def is_binary(body: bytes) -> bool:
    """Whether a body is not a text at all: compressed without saying so, or worse."""
    return not body.startswith(_UTF_16) and _BINARY.search(body, 0, _PROSE_BYTES) is not None


def prose(body: bytes) -> str:
    """The words of a text or of a page for people, without tags. What is not UTF-8 is read as older pages are."""
    if body.startswith(_UTF_16):
        body = body.decode("utf-16", "replace").encode("utf-8", "replace")
    head = body[:_PROSE_BYTES]
    if len(body) > _PROSE_BYTES:
        head = b"".join(head.rsplit(maxsplit=1)[:1])  # half a word may be half a secret, which nobody would know
    bare = _TAGS.sub(b" ", head)
    try:
        words = bare.decode()
    except UnicodeDecodeError as error:
        is_cut = error.reason == "unexpected end of data"
        words = bare.decode("utf-8" if is_cut else "cp1252", "replace")
    return " ".join(html.unescape(words.removeprefix("\ufeff")).split())


def summary_of(body: bytes) -> str:
    """What such a body says to a person: the text of a page; nothing of half an answer, which holds a customer's
    data."""
    if not body.strip():
        return "the answer is empty"
    if is_json(body):
        return f"the answer is not of the shape that it should have ({len(body)} bytes)"
    if looks_like_json(body):
        return f"the answer is not JSON, it may be cut off ({len(body)} bytes)"
    if is_binary(body):
        return f"the answer is neither JSON nor text ({len(body)} bytes)"
    words = prose(body)
    return f"a page in place of an answer: {words}" if words else "a page without words in place of an answer"
