"""The daemon with a clock that can be set: `python -m tests.chaos.stepped --config FILE run` is `fulfilld` whose time
is off by the milliseconds that `$CHAOS_CLOCK` holds, at any moment. To the platforms it calls itself by the id of its
process.

The product has no such switch. Only what the daemon takes for the time of day is moved; what it measures with (the
monotonic clock) is not, as when a person or NTP sets the machine's clock.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path

_FORMAT = "<q"


class Offset:
    """How far the daemon's clock is ahead, in a file that its process and ours share."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(struct.pack(_FORMAT, 0))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), struct.calcsize(_FORMAT))

    @property
    def ms(self) -> int:
        """Milliseconds; negative when the clock is behind."""
        value: int = struct.unpack(_FORMAT, self._shared[:])[0]
        return value

    @ms.setter
    def ms(self, value: int) -> None:
        self._shared[:] = struct.pack(_FORMAT, value)


def main() -> None:
    """Runs the command line of `fulfilld` under the moved clock."""
    import aiohttp.client_reqrep

    import orchestrator.daemon.composition
    import orchestrator.daemon.start
    from orchestrator.cli.app import main as run
    from orchestrator.clock import Clock

    offset = Offset(Path(os.environ["CHAOS_CLOCK"]))
    clock = Clock(lambda: time.time_ns() // 1_000_000 + offset.ms)
    for module in (orchestrator.daemon.composition, orchestrator.daemon.start):
        module.Clock = lambda: clock  # type: ignore[attr-defined]
    aiohttp.client_reqrep.SERVER_SOFTWARE = f"node/{os.getpid()}"  # type: ignore[attr-defined]
    run()


if __name__ == "__main__":
    main()
