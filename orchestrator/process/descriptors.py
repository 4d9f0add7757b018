"""The standard descriptors of this process, which whoever started it may have closed."""

from __future__ import annotations

import os
import sys


def occupy_standard_descriptors() -> None:
    """Has those that are closed lead to /dev/null. Called before anything is opened: the next file would get such a
    number, and whatever writes to stderr would write into it, with bad luck into the store."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
