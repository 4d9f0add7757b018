"""The garbage collector of a process that lives long and makes few cycles."""

from __future__ import annotations

import gc

_YOUNG, _MIDDLE, _OLD = 20_000, 20, 50


def settle_collector() -> None:
    """What is there now (modules, machines, the API's documents) stays for good, so it is not searched any more.

    The young are searched less often, since nearly all of what a step makes is freed by its reference count.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
