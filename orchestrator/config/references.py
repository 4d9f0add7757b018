"""Values that stand elsewhere: `{"env": "NAME"}` and `{"file": "PATH"}` in place of any string."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.config.problems import Path as ConfigPath
from orchestrator.config.problems import quoted_path
from orchestrator.encoding import text_of

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LARGEST_BYTES = 64 * 1024
UNRESOLVED = "unresolved"
"""Stands where a reference could not be resolved; complaints about what is there are dropped by its path."""


@dataclass(slots=True)
class Resolved:
    """A tree without references.

    `borrowed`: where a value came from a variable or a file (it is never shown). `failures`: where none could be had.
    """

    tree: dict[str, Any] = field(default_factory=dict)
    borrowed: set[ConfigPath] = field(default_factory=set)
    failures: dict[ConfigPath, str] = field(default_factory=dict)


def resolve(tree: Mapping[str, Any], directory: Path, environ: Mapping[str, str]) -> Resolved:
    """Resolves every reference in `tree`, which is not one itself.

    Relative files are relative to `directory`; one line break at the end of a file is cut off.
    """
    resolved = Resolved()
    resolved.tree = {key: _walk(value, (key,), directory, environ, resolved) for key, value in tree.items()}
    return resolved


class _NotThere(Exception):
    """A reference leads nowhere; the text says why and what to do, without the value."""


def _walk(node: Any, path: ConfigPath, directory: Path, environ: Mapping[str, str], into: Resolved) -> Any:
    match node:
        case {"env": str(), **others} if others.keys() <= {"file"}:
            pass
        case {"file": str(), **others} if not others:
            pass
        case dict():
            return {key: _walk(value, (*path, key), directory, environ, into) for key, value in node.items()}
        case list():
            return [_walk(value, (*path, at), directory, environ, into) for at, value in enumerate(node)]
        case _:
            return node
    into.borrowed.add(path)
    try:
        return _fetch(node, directory, environ)
    except _NotThere as failure:
        into.failures[path] = str(failure)
        return UNRESOLVED


def _fetch(reference: dict[str, str], directory: Path, environ: Mapping[str, str]) -> str:
    match reference:
        case {"env": _, "file": _}:
            raise _NotThere('has both "env" and "file" - keep one')
        case {"env": name}:
            return _variable(name, environ)
        case {"file": name}:
            return _file(name, directory)
    raise AssertionError(reference.keys())


def _variable(name: str, environ: Mapping[str, str]) -> str:
    # An invalid name is not repeated: it may be the secret itself, written in the wrong place.
    if not _VARIABLE.fullmatch(name):
        raise _NotThere('"env" must be the name of an environment variable: letters, digits and underscores')
    if name not in environ:
        raise _NotThere(f"the environment variable {name} is not set - set it before the daemon starts")
    value = environ[name]
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise _NotThere(f"the environment variable {name} is not UTF-8") from None
    return value


def _file(name: str, directory: Path) -> str:
    if not name or "\0" in name:
        raise _NotThere('"file" must be the path of a file')
    path = directory / name
    shown = quoted_path(str(path))
    try:
        # A pipe or a device could make us wait for ever.
        if path.exists() and not path.is_file():
            raise _NotThere(f"{shown} is not a regular file")
        with path.open("rb") as source:
            raw = source.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise _NotThere(f"the file {shown} cannot be read: {error.strerror or type(error).__name__}") from None
    if len(raw) > _LARGEST_BYTES:
        raise _NotThere(f"the file {shown} is larger than {_LARGEST_BYTES // 1024} KiB")
    try:
        value = text_of(raw)
    except UnicodeDecodeError:
        raise _NotThere(f"the file {shown} is not UTF-8") from None
    return value.removesuffix("\n").removesuffix("\r")
