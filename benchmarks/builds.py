"""An earlier build, to be measured in the same cycles."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

BEFORE = "73c123582eb31087e964a79f4795ad78c3c595b4"
"""The last commit before the hot path handed data to the store."""


def unpacked(folder: Path, commit: str = BEFORE) -> Path | None:
    """The files of a commit in this folder, to be run from there; None where the repository has no such commit."""
    done = subprocess.run(["git", "archive", commit], capture_output=True, check=False)
    if done.returncode:
        return None
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder
