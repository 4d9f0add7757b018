"""Output that any terminal and pipe takes, whatever its encoding: a letter that it lacks is written as its JSON escape.

So a command that succeeded never ends in an encoding error, and JSON stays JSON with the same meaning.
"""

from __future__ import annotations

import codecs
import io
import os
import sys

_ESCAPING = "fulfilld.escape"


def take_any_letter() -> None:
    """Has stdout and stderr escape what their encoding has no letter for, and arguments read as the UTF-8 they are."""
    codecs.register_error(_ESCAPING, _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPING)
    sys.argv = list(map(_argument, sys.argv))


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)), error.end


def _argument(text: str) -> str:
    """An argument that Python read in an encoding without its letters (LC_ALL=C) as the UTF-8 that it is."""
    try:
        return os.fsencode(text).decode("utf-8")
    except UnicodeError:
        return text  # it stays as it came: a path may have such a name
