"""What can be wrong with a config, as lines for a person. Nothing in here ever holds a value that may be secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Where in the config: keys and list positions from the top."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,80}")
_LONGEST_KEY = 60


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong (or, as a warning, better changed): `path` such as `shops.acme.token`, and what to do
    about it.

    For a file that cannot be read as JSON the path is its name with line and column, `fulfilld.json:3:7`.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ConfigError(Exception):
    """The config cannot be used. `errors` has every problem at once, in the order of the file where it has one."""

    def __init__(self, errors: Iterable[ConfigProblem]) -> None:
        self.errors = list(errors)
        super().__init__("\n".join(map(str, self.errors)))

    @property
    def heading(self) -> str:
        """What stands behind the file's name and above the errors."""
        count = len(self.errors)
        return f"cannot be used, {count} {'error' if count == 1 else 'errors'}"


def written(path: Path) -> str:
    """A path as people write it: `shops.acme.flow[2]`. Odd keys (a dot, a line break) are quoted, long ones cut."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{quoted(part)}]"
    return text or "config"


def quoted(text: str) -> str:
    """Text in quotes, on one line, cut to a sensible length; what a terminal would obey or hide is escaped."""
    return _in_quotes(_cut(text))


def quoted_path(path: str) -> str:
    """A file's path as `quoted`, in full but for a part that is too long for a name and may not be a name at all."""
    return _in_quotes("/".join(map(_cut, path.split("/"))))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_KEY else text[:_LONGEST_KEY] + "…"


def _in_quotes(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())
