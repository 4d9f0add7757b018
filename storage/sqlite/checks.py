"""What keeps a daemon from working on a SQLite store, or advises against it: the library's version, the file's
place."""

from __future__ import annotations

import os
from pathlib import Path

from storage.engines import Check

_WAL_FIXED_IN = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""The first version with the fix of the WAL-reset bug, by branch (https://sqlite.org/wal.html)."""


def check_version(version: tuple[int, ...]) -> Check:
    """Whether the linked SQLite has the fix of the WAL-reset bug; without it fulfilld is careful, others must be."""
    text = ".".join(map(str, version))
    is_fixed = version >= _WAL_FIXED_IN[-1] or any(
        version[:2] == fixed[:2] and version >= fixed for fixed in _WAL_FIXED_IN
    )
    if is_fixed:
        return Check("sqlite", "ok", f"SQLite {text}")
    detail = (
        f"SQLite {text} has the WAL-reset bug (fixed in 3.51.3): fulfilld avoids it, but let no other program write to "
        "or checkpoint the store"
    )
    return Check("sqlite", "warning", detail)


def check_file(path: Path) -> Check:
    """Whether this user can work with the store's file, or make it."""
    if path.exists():
        if not path.is_file():
            return Check("store", "failed", f"{path} is not a file")
        if not os.access(path, os.R_OK | os.W_OK):
            return Check("store", "failed", f"{path} may not be written by this user")
    elif not path.parent.is_dir():
        return Check("store", "failed", f"{path.parent} does not exist; make the directory")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return Check("store", "failed", f"{path.parent} may not be written by this user, but WAL and lock go there")
    return Check("store", "ok", f"{path} can be written" if path.exists() else f"{path} will be made")
