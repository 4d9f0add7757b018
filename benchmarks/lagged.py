"""The daemon, with a clock on its event loop: python -m benchmarks.lagged --config … run

Beside the daemon's own work a task of the same loop sleeps for 10 ms at a time and notes how late it was woken. What
it noted is in `lag.bin` beside the config: pairs of doubles, Unix seconds and how late in seconds.
"""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio

FILE = "lag.bin"
_PAIR = struct.Struct("dd")
_EVERY_SECONDS = 0.01
_KEPT = 50


async def _note(path: Path) -> None:
    kept = b""
    with path.open("ab", buffering=0) as file:
        while True:
            before = time.monotonic()
            await anyio.sleep(_EVERY_SECONDS)
            kept += _PAIR.pack(time.time(), max(0.0, time.monotonic() - before - _EVERY_SECONDS))
            if len(kept) >= _KEPT * _PAIR.size:
                file.write(kept)
                kept = b""


def noted(folder: Path, since: float, until: float) -> list[float]:
    """How late the loop was between two instants, in seconds, in ascending order."""
    pairs = _PAIR.iter_unpack((folder / FILE).read_bytes())
    return sorted(late for at, late in pairs if since <= at <= until)


def main() -> None:
    """Runs the daemon's command in a loop with a clock; without a config it says how that is asked for."""
    if "--config" not in sys.argv[1:-1]:  # what is noted lies beside it
        print(__doc__, end="")
        sys.exit(0 if "--help" in sys.argv else 2)
    from orchestrator.cli.app import main as command

    path = Path(sys.argv[sys.argv.index("--config") + 1]).parent / FILE
    run = anyio.run

    def run_with_clock(work: Callable[..., Awaitable[Any]], *arguments: Any, **options: Any) -> Any:
        async def beside() -> Any:
            async with anyio.create_task_group() as group:
                group.start_soon(_note, path)
                result = await work(*arguments)
                group.cancel_scope.cancel()
            return result

        return run(beside, **options)

    anyio.run = run_with_clock  # type: ignore[assignment]  # the daemon's own loop is started by it
    command()


if __name__ == "__main__":
    main()
