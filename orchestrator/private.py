"""Files that hold people's data: their owner writes them, the group reads, nobody else does, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_MODE = 0o640


@contextmanager
def appearing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its name when it is complete and on disk, and leaves nothing behind when it does not get there.

    What was at `path` is replaced, its mode with it; of a link that is the file that it leads to. What is not a file (a
    device, a pipe) is written to as it is: a name must never be taken from it. Raises OSError.
    """
    if _is_no_file(path):
        with path.open("wb") as device:
            yield device
        return
    path = Path(os.path.realpath(path))
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    # EXCL takes no link and no older file, whose mode would be another
    descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, _MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), _MODE)
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _is_no_file(path: Path) -> bool:
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False
