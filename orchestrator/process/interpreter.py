"""The interpreter of a process that lives long, makes few cycles, and whose event loop shares it with a few threads."""

from __future__ import annotations

import gc
import sys
from typing import Final

_YOUNG, _MIDDLE, _OLD = 20_000, 20, 50
TURN_SECONDS: Final = 0.001
"""A thread that computes (reads a list, shows a page) gives way after so long to one that waits. A transaction gives
the interpreter away at each statement and waits for it again: with Python's own 5 ms, for as long as that each time."""


def settle_interpreter() -> None:
    """What is there now (modules, machines, the API's documents) stays for good, so it is not searched for garbage any
    more.

    The young are searched less often, since nearly all of what a step makes is freed by its reference count.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
    sys.setswitchinterval(TURN_SECONDS)
