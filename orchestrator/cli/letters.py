"""The API's JSON with its letters as they are: it escapes all that is not ASCII, which is for machines."""

from __future__ import annotations

import json
import re

_ESCAPES = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\.")


def readable(text: str, encoding: str) -> str:
    """JSON that means the same, with every printable letter that `encoding` has in place of its escape."""
    return _ESCAPES.sub(lambda match: _unescaped(match.group(), encoding), text)


def _unescaped(escapes: str, encoding: str) -> str:
    if not escapes.startswith("\\u"):
        return escapes
    return "".join(each if _is_shown(each, encoding) else _escaped(each) for each in json.loads(f'"{escapes}"'))


def _is_shown(character: str, encoding: str) -> bool:
    if character.isascii() or not character.isprintable():
        return False
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}" if character.isascii() else json.dumps(character)[1:-1]
