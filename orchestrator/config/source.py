"""From the file to plain JSON values: `//` comment lines, and everything that JSON's own reader lets pass.

Python's reader keeps the last of two equal keys and takes NaN for a number. In a config both are mistakes that would
go unnoticed, so a second pass over the tokens finds them, with line and column.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isinf
from pathlib import Path
from typing import Any

from orchestrator.config.problems import ConfigError, ConfigProblem, quoted
from orchestrator.encoding import text_of
from orchestrator.json_errors import explain_json

NO_FILE_REMEDY = "name a config with --config FILE; `fulfilld config example` prints a start"

_COMMENT_LINE = re.compile(r"^[ \t]*//[^\r\n]*", re.MULTILINE)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s"{}\[\],:]+')
_SURROGATE = re.compile("[\ud800-\udfff]")
_DEEPEST = 32


def read(path: Path) -> dict[str, Any]:
    """The config's values as written, with references unresolved. Raises ConfigError."""
    return parse(_text(path), path.name)


def parse(text: str, name: str) -> dict[str, Any]:
    """As `read`, from text; `name` is what errors call it. Lines that begin with `//` are comments."""
    # A comment leaves an empty line, so that positions stay true. A JSON string has no raw line break: no line inside
    # one can be mistaken for a comment.
    text = _COMMENT_LINE.sub("", text)
    if not text.strip():
        raise ConfigError([ConfigProblem(name, "the file is empty - `fulfilld config example` prints a start")])
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError([_no_json(text, name, error)]) from None
    except RecursionError:
        raise ConfigError([ConfigProblem(name, "is nested too deeply")]) from None
    except ValueError:
        raise ConfigError([ConfigProblem(name, "has a number with thousands of digits")]) from None
    if problems := [_at(text, name, at, message) for at, message in _oddities(text)]:
        raise ConfigError(problems)
    if not isinstance(tree, dict):
        raise ConfigError([ConfigProblem(name, "must be a JSON object - begin it with { and end it with }")])
    return tree


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError([ConfigProblem(str(path), f"there is no such file - {NO_FILE_REMEDY}")]) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError([ConfigProblem(str(path), f"cannot be read: {reason}")]) from None
    try:
        return text_of(raw)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        expected = "UTF-8" if error.encoding.startswith("utf-8") else "the UTF-16 that it begins as"
        raise ConfigError([ConfigProblem(f"{path.name}:{line}", f"is not {expected} - save it as UTF-8")]) from None


def _no_json(text: str, name: str, error: json.JSONDecodeError) -> ConfigProblem:
    at, message = explain_json(text, error, name="the file", comments=True)
    return _at(text, name, at, f"invalid JSON: {message}")


def _at(text: str, name: str, position: int, message: str) -> ConfigProblem:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return ConfigProblem(f"{name}:{line}:{column}", message)


@dataclass(slots=True)
class _Level:
    """One open object or list while the tokens are walked."""

    is_object: bool
    keys: set[str] = field(default_factory=set)
    expects_key: bool = True


def _oddities(text: str) -> Iterator[tuple[int, str]]:
    """Positions of repeated keys, of invalid numbers and of invalid text. `text` passed Python's reader."""
    levels: list[_Level] = []
    for match in _TOKEN.finditer(text):
        found, at = match.group(), match.start()
        if found in ("{", "["):
            levels.append(_Level(is_object=found == "{"))
            if len(levels) > _DEEPEST:
                yield at, "is nested too deeply"
                return
        elif found in ("}", "]"):
            levels.pop()
        elif found == ",":
            levels[-1].expects_key = True
        elif found.startswith('"'):
            value = json.loads(found)
            if _SURROGATE.search(value):
                yield at, "is not valid Unicode: half of a surrogate pair"
            elif levels and levels[-1].is_object and levels[-1].expects_key:
                levels[-1].expects_key = False
                if value in levels[-1].keys:
                    yield at, f"the key {quoted(value)} is there twice - remove one"
                levels[-1].keys.add(value)
        elif found in ("NaN", "Infinity", "-Infinity"):
            yield at, f"{found} is not a number in JSON"
        elif found not in (":", "true", "false", "null") and isinf(float(found)):
            yield at, "is too large for a number"
