"""Secrets that stand in files, read again while the daemon runs: what a platform refuses may have been replaced.

Only the files are read that the config refers to, not the config itself, which may be half written: its changes are for
a reload. What comes of it is taken over only if nothing but secrets changed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Source:
    """A part of the config as it is written, with its references. `directory`: of the config file."""

    tree: Mapping[str, Any]
    directory: Path
    environ: Mapping[str, str]

    @classmethod
    def of(cls, tree: Any, directory: Path, environ: Mapping[str, str] = os.environ) -> Source | None:
        """The source of a part, None where it refers to no file and so cannot change while we run."""
        return cls(tree, directory, environ) if isinstance(tree, Mapping) and refers_to_file(tree) else None


def refers_to_file(node: Any) -> bool:
    """Whether a value stands in a file, here or further inside."""
    match node:
        case {"file": str(), **others} if not others:
            return True
        case Mapping():
            return any(map(refers_to_file, node.values()))
        case list():
            return any(map(refers_to_file, node))
        case _:
            return False
