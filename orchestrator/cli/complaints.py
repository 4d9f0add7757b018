"""What goes to stderr: as it is into a file or a pipe, broken between words on a terminal."""

from __future__ import annotations

import os
import sys
import textwrap

_USUAL_WIDTH = 80
_NARROWEST = 20
_INDENT = 2


def complain(text: str) -> None:
    """Writes lines on stderr."""
    sys.stderr.write(f"{fitted(text)}\n")


def fitted(text: str) -> str:
    """The text as fits what stderr is. Words, such as paths, are never broken: they may be copied."""
    width = _width()
    return text if width is None else "\n".join(_broken(line, width) for line in text.split("\n"))


def _broken(line: str, width: int) -> str:
    indent = " " * (len(line) - len(line.lstrip()))
    wrapper = textwrap.TextWrapper(
        max(width, _NARROWEST),
        subsequent_indent=indent + " " * _INDENT,
        expand_tabs=False,
        replace_whitespace=False,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(wrapper.wrap(line)) if line.strip() else line


def _width() -> int | None:
    """The columns of the terminal on stderr, None where stderr is not a terminal."""
    if not sys.stderr.isatty():
        return None
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _USUAL_WIDTH
    except OSError:
        return _USUAL_WIDTH
