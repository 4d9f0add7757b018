"""What is wrong with invalid JSON, in words for people. The messages of Python's parser are about its internals, and
differ by version."""

from __future__ import annotations

from json import JSONDecodeError
from typing import Final

_SPARE_COMMA: Final = "a comma with nothing behind it - drop the comma"
_WORDS: Final = {
    "Expecting value": 'a value is missing here: "text", a number, true, false, null, {…} or […]',
    "Expecting property name": "a name in double quotes is missing here",
    "Expecting ':' delimiter": "a colon is missing between a name and its value",
    "Expecting ',' delimiter": "a comma, or a closing } or ], is missing in front of this",
    "Extra data": "nothing may stand behind the end of the value",
    "Unterminated string": "this text has no closing quote",
    "Invalid control character": "a line break, tab or the like in text - write it as \\n, \\t or \\u001f",
    "Invalid \\escape": "a backslash that is followed by nothing it could stand before - write it twice",
    "Invalid \\uXXXX escape": "\\u without four hexadecimal digits behind it",
    "Unexpected UTF-8 BOM": "a byte order mark - save the text without",
    "Illegal trailing comma": _SPARE_COMMA,
}
"""By the beginning of the reader's message."""


def explain_json(text: str, error: JSONDecodeError, *, name: str = "it", comments: bool = False) -> tuple[int, str]:
    """Where `text` is not JSON, and why, with what to do about the usual mistakes.

    `name` is what the text is called, `comments`: it may have lines that begin with //, which were taken out of it.
    """
    before, here = text[: error.pos].rstrip(), text[error.pos :].lstrip()
    if here.startswith(("//", "/*", "#")):
        allowed = "comments stand on lines of their own, which begin with //" if comments else "JSON has none"
        return error.pos, f"a comment - {allowed}"
    if here[:1] in ("}", "]") and before.endswith(","):
        # Newer versions of the reader point at the comma, older ones behind it.
        return len(before) - 1, _SPARE_COMMA
    if here.startswith("'"):
        return error.pos, "single quotes - write double quotes"
    if error.msg.startswith("Expecting ',' delimiter") and here.startswith(('"', "{", "[")):
        return error.pos, "a comma is missing in front of this - add it"
    if not here:
        return error.pos, f"{name} ends too early - close every {{, [ and quote"
    known = (words for begin, words in _WORDS.items() if error.msg.startswith(begin))
    return error.pos, next(known, error.msg)
